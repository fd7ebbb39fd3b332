"""Workers taken away, by requests that keep them waiting."""

from __future__ import annotations

import errno
import select
import socket
from contextlib import suppress

from .. import http
from ..ending import Unavailable
from ..waiting import now_ns
from .base import Intervention

_PATH = "/cgi-bin/sleep"
_EARLY_NS = 50_000_000  # before the slot's end a script wakes up, so that its worker is free at the end
_LATE_NS = 200_000_000  # after it for the last answers: the begin of a slot is left out


class HeldWorkers(Intervention):
    """A fifth of the workers, each by a request for a script that sleeps until the slot is over."""

    name = "held_workers"
    component = "MaxRequestWorkers"
    doses = ((0.2, 2),)

    def probe(self) -> None:
        """Ask for the script once."""
        answer = http.get(self.subject.server.address, self.subject.server.port, f"{_PATH}?0", 5.0)
        if answer.status != http.OK:
            raise Unavailable(f"{_PATH} answered {answer.status}")

    def perform(self, dose: float, until_ns: int) -> float:
        """Hold as many workers as make the share; the dose is what of them had answered at the end."""
        wanted = max(1, round(dose * self.subject.workers))
        wait_ms = (until_ns - _EARLY_NS - now_ns()) // 1_000_000
        if wait_ms <= 0:
            return 0.0
        request = f"GET {_PATH}?{wait_ms} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode()
        waiting = {one.fileno(): one for one in (self._connecting() for _ in range(wanted))}
        try:
            return _answered(waiting, request, until_ns + _LATE_NS) / self.subject.workers
        finally:
            for one in waiting.values():
                one.close()

    def _connecting(self) -> socket.socket:
        one = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        code = one.connect_ex((self.subject.server.address, self.subject.server.port))
        if code not in (0, errno.EINPROGRESS):
            one.close()
            raise OSError(code, "a connection to httpd is refused")
        return one


def _answered(waiting: dict[int, socket.socket], request: bytes, until_ns: int) -> int:
    """Send a request on each connection and return how many had a good answer by a moment."""
    poll = select.poll()
    for fd in waiting:
        poll.register(fd, select.POLLOUT)
    open_, good = len(waiting), 0
    while open_ and (left_ns := until_ns - now_ns()) > 0:
        for fd, event in poll.poll(left_ns / 1e6):
            sent = False
            with suppress(OSError):
                if event == select.POLLOUT:
                    sent = waiting[fd].send(request) == len(request)
                else:
                    good += b" 200 " in waiting[fd].recv(64)
            if sent:
                poll.modify(fd, select.POLLIN)
            else:
                poll.unregister(fd)
                open_ -= 1
    return good
