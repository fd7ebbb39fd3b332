"""Workers taken away, by requests that they wait for the end of."""

from __future__ import annotations

import errno
import select
import socket
from contextlib import suppress

from ..ending import Unavailable
from ..waiting import now_ns
from .base import Intervention, sleep_until

# Of the server itself: no script is started for it, and no file looked for.
_BEGIN, _END = b"OPTIONS * HTTP/1.0\r\nHost: localhost\r\n", b"\r\n"
_EARLY_NS = 20_000_000  # before the slot's end requests are ended, so that their workers are free at the end
_LATE_NS = 200_000_000  # after it for the last answers: the begin of a slot is left out
_PROBE_NS = 2_000_000_000


class HeldWorkers(Intervention):
    """A fifth of the workers, each by a request of which the last line comes when the slot is over."""

    name = "held_workers"
    component = "MaxRequestWorkers"
    doses = ((0.2, 2),)

    def probe(self) -> None:
        """Hold one for a moment; raise Unavailable where holding a share of them would lose clients for good."""
        spare = self.subject.spare_workers
        if spare is not None and self._wanted(self.doses[0][0]) > spare:
            raise Unavailable("httpd would close connections for want of workers, and the driver does not come back")
        if not self._held(1, now_ns(), now_ns() + _PROBE_NS):
            raise Unavailable("httpd answered no request that was held")

    def perform(self, dose: float, until_ns: int) -> float:
        """Hold as many workers as make the share, one at least; the dose is those of them that answered at the end."""
        wanted = self._wanted(dose)
        return self._held(wanted, until_ns - _EARLY_NS, until_ns + _LATE_NS) / self.subject.workers

    def _wanted(self, dose: float) -> int:
        return max(1, round(dose * self.subject.workers))

    def _held(self, wanted: int, until_ns: int, last_ns: int) -> int:
        """Return how many of so many requests, begun now and ended at a moment, were answered by another."""
        held = [self._connecting() for _ in range(wanted)]
        try:
            begun = [one for one in held if _sent(one, _BEGIN, last_ns)]
            sleep_until(until_ns)
            return sum([_answered(one, last_ns) for one in [one for one in begun if _sent(one, _END, last_ns)]])
        finally:
            for one in held:
                one.close()

    def _connecting(self) -> socket.socket:
        one = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        code = one.connect_ex((self.subject.server.address, self.subject.server.port))
        if code not in (0, errno.EINPROGRESS):
            one.close()
            raise OSError(code, "a connection to httpd is refused")
        return one


def _ready(one: socket.socket, event: int, last_ns: int) -> bool:
    poll = select.poll()
    poll.register(one, event)
    return bool(poll.poll(max(0.0, (last_ns - now_ns()) / 1e6)))


def _sent(one: socket.socket, data: bytes, last_ns: int) -> bool:
    with suppress(OSError):
        return _ready(one, select.POLLOUT, last_ns) and one.send(data) == len(data)
    return False


def _answered(one: socket.socket, last_ns: int) -> bool:
    with suppress(OSError):
        return _ready(one, select.POLLIN, last_ns) and one.recv(64).startswith(b"HTTP/")
    return False
