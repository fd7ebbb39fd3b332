"""What is read of a target, many times a second: each writes the file that a trial's instrument of that name writes."""

from __future__ import annotations

import os
from typing import Callable, Optional, Protocol

from ..bpf import ConnectTracer, turned_away_in
from ..ending import Unavailable
from ..instruments.base import Gauge
from ..instruments.cgid_daemon import CgidDaemon
from ..instruments.host import Host
from ..instruments.listen_queue import fields
from ..instruments.worker_states import WorkerStates
from ..sockdiag import Queue, SockDiag, UnixListener, unix_query

_NS = 1_000_000_000
_LOOK_AGAIN_NS = 2 * _NS  # for a socket or workers that replaced those that are watched
_MOST_TRACED_BYTES = 32 << 20


class KeptRows:
    """Which rows a gauge keeps: all of them in its file, or those of the last seconds in memory until it ends."""

    keep_ns: Optional[int] = None
    _lines: list[str]

    def trim(self, now_ns: int) -> None:
        """Forget rows that are too old."""
        if self.keep_ns is None:
            return
        oldest_ns = now_ns - self.keep_ns
        first = 0
        for line in self._lines[1:]:  # after the header
            if int(line.partition(",")[0]) >= oldest_ns:
                break
            first += 1
        del self._lines[1 : 1 + first]


class WatchedQueue(Gauge, KeptRows):
    """Depth and limit of one unix socket and of the fullest TCP listener. Follows a socket that replaced it."""

    name = "listen_queue"
    columns = "cgid_depth,cgid_limit,tcp_depth,tcp_limit"
    period_ns = 10_000_000

    def __init__(
        self,
        directory: str,
        diag: SockDiag,
        listener: UnixListener,
        tcp: list[bytes],
        on_replaced: Callable[[UnixListener], None],
    ) -> None:
        self._diag = diag
        self._tcp = tcp
        self._on_replaced = on_replaced
        self._follow(listener)
        self._looked_ns = 0
        self.depth: Optional[int] = None
        self.limit: Optional[int] = None
        super().__init__(directory)

    def _follow(self, listener: UnixListener) -> None:
        self.path = listener.path
        self._inode: Optional[int] = listener.inode
        self._unix: Optional[bytes] = unix_query(listener)

    def move(self, listener: UnixListener, diag: SockDiag, tcp: list[bytes]) -> None:
        """Go on with the socket of a server that was started anew."""
        self._diag, self._tcp = diag, tcp
        self._follow(listener)

    def sample(self, now_ns: int) -> None:
        """Add one row; now and then look whether another socket has taken the name."""
        if now_ns - self._looked_ns >= (_LOOK_AGAIN_NS if self._unix else _LOOK_AGAIN_NS // 10):
            self._looked_ns = now_ns
            self._look_again()
        super().sample(now_ns)

    def _look_again(self) -> None:
        found = [one for one in self._diag.unix_listeners() if one.path == self.path]
        # While a server restarts gracefully, two sockets have the name: the newer one is the one that is reached.
        newest = max(found, key=lambda one: one.inode, default=None)
        if newest is None or newest.inode == self._inode:
            return
        self._follow(newest)
        self._on_replaced(newest)

    def read(self) -> str:
        """Return the four fields, empty where a socket is not there now."""
        requests = [*([self._unix] if self._unix else []), *self._tcp]
        queues = self._diag.queues(*requests) if requests else []
        unix = queues.pop(0) if self._unix else None
        if unix is None:
            self._unix = None
        self.depth, self.limit = unix or (None, None)
        return f"{fields(unix)},{fields(max((q for q in queues if q), key=_fill, default=None))}"

    @property
    def full(self) -> bool:
        """Say whether the queue was full at the last sample: listen(N) holds N + 1."""
        return self.depth is not None and self.limit is not None and self.depth > self.limit


def _fill(queue: Queue) -> float:
    return queue.depth / max(1, queue.limit)


class Workers(WorkerStates, KeptRows):
    """The wait channels of an httpd's workers, whose processes come and go."""

    asleep = 0
    _looked_ns = 0
    _seen: tuple[int, ...] = ()

    def sample(self, now_ns: int) -> None:
        """Add one row; now and then look for processes that were started since."""
        try:
            if now_ns - self._looked_ns >= _LOOK_AGAIN_NS:
                self._looked_ns = now_ns
                seen = tuple(self._worker_pids())
                if seen != self._seen:
                    self._seen = seen
                    self._open_all()
            super().sample(now_ns)
        except Unavailable:  # more threads than files may be open: other servers are watched on
            self.missed += 1

    def read(self) -> str:
        """Return the row and note how many sleep in connect()."""
        row = super().read()
        self.asleep = int(row.split(",", 2)[1])
        return row


class Daemon(CgidDaemon, KeptRows):
    """The socket's holder."""


class WatchedHost(Host, KeptRows):
    """The host's CPU and forks."""


class WatchedConnects(KeptRows):
    """Connects to one socket as the kernel recorded them: raw, for reading them costs more than taking them."""

    name = "connect_times"
    period_ns = _NS

    def __init__(self, directory: str, tracer: ConnectTracer) -> None:
        self._tracer = tracer
        self._path = os.path.join(directory, "connect_times.raw")
        self._directory = directory
        self._parts: list[tuple[int, bytes]] = []
        self._bytes = 0
        self.cpu_ns = self.samples = self.missed = 0
        self.dropped = 0
        self.records = 0
        self.turned_away = 0  # by a full queue: what else could not be seen of it in time is seen here

    def sample(self, now_ns: int) -> None:
        """Take what was recorded since the last time."""
        data = self._tracer.take_raw()
        self.samples += 1
        self.records += len(data) // self._tracer.record_bytes
        self.turned_away += turned_away_in(data)
        if self._bytes + len(data) > _MOST_TRACED_BYTES:
            self.dropped += len(data) // self._tracer.record_bytes
        elif data:
            self._parts.append((now_ns, data))
            self._bytes += len(data)

    def trim(self, now_ns: int) -> None:
        """Forget what is too old."""
        while self.keep_ns is not None and self._parts and self._parts[0][0] < now_ns - self.keep_ns:
            self._bytes -= len(self._parts.pop(0)[1])

    def flush(self) -> None:
        """Write out what was taken."""
        with open(self._path, "ab") as file:
            file.writelines(data for _, data in self._parts)
        self._parts.clear()

    def finish(self) -> None:
        """Take and write the rest, and say how many found no room."""
        self.sample(0)
        self.flush()
        lost = self._tracer.lost() + self.dropped
        with open(os.path.join(self._directory, "connect_times.stderr"), "w", encoding="utf-8") as file:
            file.write(f"Lost {lost} events\n" if lost else "")
        self._tracer.close()


class AnyGauge(Protocol):
    """What a session reads when it is due."""

    keep_ns: Optional[int]
    cpu_ns: int
    samples: int
    missed: int

    @property
    def name(self) -> str:
        """Return what it is called in result.json."""

    def sample(self, now_ns: int) -> None:
        """Read it once."""

    def trim(self, now_ns: int) -> None:
        """Forget what is too old, where only the last seconds are kept."""

    def flush(self) -> None:
        """Write out what was gathered."""

    def finish(self) -> None:
        """Write the rest and close."""
