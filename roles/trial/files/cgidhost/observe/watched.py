"""One target under observation: its gauges, what happened to its server, and what is known of it so far."""

from __future__ import annotations

import os
from typing import Any, Callable, Optional

from ..bpf import ConnectTracer
from ..ending import Unavailable
from ..sockdiag import UnixListener
from . import about, find, networks, proctable
from .find import Target
from .gauges import AnyGauge, Daemon, WatchedConnects, WatchedQueue, Workers
from .holders import Holders, Used, said
from .logtail import LogTail
from .memory import ForeignMemory
from .pace import Meter
from .requests import WorkerRequests

_NS = 1_000_000_000
_MOST_TRACERS = 4  # each costs every connect() of the host a little
_ROOT = "run as root (--become)"


class Watched:
    """A target, the files that are written about it, and its life."""

    def __init__(
        self,
        number: int,
        target: Target,
        directory: str,
        status_url: str,
        now_ns: Callable[[], int],
        memory: ForeignMemory,
        *,
        whole_requests: bool = False,
    ) -> None:
        self.number = number
        self.target = target
        self.directory = directory
        self.instruments = os.path.join(directory, "instruments")
        self.status_url = status_url
        self._whole_requests = whole_requests
        self._memory = memory
        self.gauges: dict[AnyGauge, Meter] = {}
        self.unavailable: dict[str, str] = {}
        self.events: list[dict[str, Any]] = []
        self.missing_since_ns: Optional[int] = None
        self.queue: Optional[WatchedQueue] = None
        self.workers: Optional[Workers] = None
        self.connects: Optional[WatchedConnects] = None
        self.requests: Optional[WorkerRequests] = None
        self.log: Optional[LogTail] = None
        self.about: dict[str, Any] = {}
        self.daemon_at_begin = target.daemon
        self.first_pid = target.pid
        self.depth_max = self.asleep_max = 0
        self.full_ns = 0
        self._last_ns = 0
        self._begin: Optional[tuple[int, Used]] = None  # where who accepts may be seen
        self._acceptors: Optional[dict[str, Any]] = None
        self._holders: Optional[Holders] = None
        if target.holders and target.listener is not None:
            self._holders = Holders(target.listener.inode, target.holders)
        self.why_slow_tracing = ""
        self._now_ns = now_ns

    def prepare(self, keep_ns: Optional[int]) -> None:
        """Make every gauge that can be; note why others cannot."""
        target = self.target
        os.makedirs(self.instruments, mode=0o755)
        if target.listener is None:
            reason = "; ".join(target.notes)
            self.unavailable = dict.fromkeys(("listen_queue", "worker_states", "connect_times", "cgid_daemon"), reason)
        else:
            self._make("listen_queue", self._queue, Meter(0.45, 10_000_000, _NS, 150_000))
            self._make("worker_states", self._workers, Meter(0.2, 100_000_000, 5 * _NS, 1_000_000))
            self._make("cgid_daemon", self._daemon, Meter(0.03, 100_000_000, 2 * _NS, 50_000))
            self._make("connect_times", self._connects, Meter(0.1, _NS, 2 * _NS, 300_000))
            if target.master is not None:
                self._make(WorkerRequests.name, self._requests, Meter(0.1, 200_000_000, 5 * _NS, 1_000_000))
        for gauge in self.gauges:
            gauge.keep_ns = keep_ns
        if target.master is not None:
            self.about = about.describe(target.master, target.daemon, self.status_url, self._memory)
        self.about["somaxconn"] = networks.somaxconn(target.reach)

    def begin(self) -> None:
        """Take note of what those who accept have used before the window."""
        if self._holders is not None:
            self.about["process"] = self._holders.program()
            self._begin = (self._now_ns(), self._holders.used())

    def end(self) -> None:
        """Take note of what they used in it, and of whose requests slept."""
        if self.requests is not None:
            self.about["requests"] = self.requests.said()
        elif WorkerRequests.name in self.unavailable:
            self.about["requests"] = {"seen": 0, "why_none": self.unavailable[WorkerRequests.name]}
        if self._holders is not None and self._begin is not None:
            begin_ns, used = self._begin
            self._acceptors = said(self._holders, used, self._holders.used(), self._now_ns() - begin_ns)

    @property
    def acceptors(self) -> Optional[dict[str, Any]]:
        """Return number and CPU of those who accept; None for an httpd, and where they may not be seen."""
        return self._acceptors

    def _make(self, name: str, make: Callable[[], AnyGauge], meter: Meter) -> None:
        try:
            self.gauges[make()] = meter
        except Unavailable as why:
            self.unavailable[name] = str(why)
        except OSError as error:
            self.unavailable[name] = f"{error.strerror or error}: {_ROOT}"

    def _tcp(self) -> list[bytes]:
        master = self.target.master
        if master is None:
            return []
        return networks.tcp_queries(master.pid, proctable.socket_inodes(master.pid) or set())

    def _queue(self) -> AnyGauge:
        target = self.target
        assert target.listener is not None  # noqa: S101 -- tells mypy what `prepare` made sure of
        diag = networks.open_diag(target.reach)
        self.queue = WatchedQueue(self.instruments, diag, target.listener, self._tcp(), self._replaced)
        return self.queue

    def _workers(self) -> AnyGauge:
        master = self.target.master
        if master is None:
            raise Unavailable("whoever connects to this socket is not known: only an httpd's own workers are watched")
        threads = max((about.thread_count(p) for p in self.worker_pids()), default=0)
        try:
            self.workers = Workers(self.instruments, self.worker_pids, max(1, threads - 2))
        except Unavailable as why:
            raise Unavailable(
                f"wait channels of other users' processes cannot be read: {_ROOT}" if os.geteuid() else str(why)
            ) from why
        return self.workers

    def _requests(self) -> AnyGauge:
        assert self.target.master is not None  # noqa: S101 -- tells mypy what `prepare` made sure of
        if self.workers is None:
            raise Unavailable("which workers sleep in connect() is not seen")
        workers = self.workers
        self.requests = WorkerRequests(
            self.target.master.pid,
            self.worker_pids,
            lambda: workers.asleep,
            self._memory,
            whole=self._whole_requests,
        )
        return self.requests

    def worker_pids(self) -> list[int]:
        """Return the processes that hold workers now."""
        master = self.target.master
        if master is None or self.missing_since_ns is not None:
            return []
        return about.worker_pids(master, self.target.daemon)

    def _daemon(self) -> AnyGauge:
        if self.target.master is None:
            raise Unavailable("this is no cgid socket: the CPU of all who accept from it is in observed.json")
        if self.target.daemon is None:
            raise Unavailable(f"which process is the cgid daemon cannot be seen: {_ROOT}")
        return Daemon(self.instruments, self._find_daemon)

    def _find_daemon(self) -> Optional[int]:
        return self.target.daemon

    def _connects(self) -> AnyGauge:
        if self.number > _MOST_TRACERS:
            raise Unavailable(f"connects are timed for {_MOST_TRACERS} sockets at once: name this one with --socket")
        try:
            tracer = ConnectTracer(self.target.path)
        except Unavailable as why:
            raise Unavailable(f"{why}: BPF programs need root: {_ROOT}" if os.geteuid() else str(why)) from why
        except ValueError as error:
            raise Unavailable(f"the socket's path is not text: {error}") from error
        self.why_slow_tracing = tracer.why_not_function
        self.connects = WatchedConnects(self.instruments, tracer)
        return self.connects

    def _replaced(self, listener: UnixListener) -> None:
        """Take note of a socket that took the name of the one that was watched, and of the daemon that made it."""
        self._note("the socket was replaced")
        self.target.listener = listener
        if self.target.master is not None:
            self.target.daemon = find.holder(self.target.master, listener.inode)
        elif self._holders is not None:
            self._holders = Holders(listener.inode, find.holding(listener.inode, proctable.read_all()))
            self.begin()

    def _note(self, what: str) -> None:
        self.events.append({"at_ns": self._now_ns(), "what": what})

    def check(self) -> None:
        """Look whether the server is still there, and follow it to the process that took its place."""
        target = self.target
        if target.listener is None:
            return
        if target.master is None:
            gone = self.queue is None or self.queue.depth is None
        else:
            now = proctable.read(target.master.pid)
            gone = now is None or now.start_ticks != target.master.start_ticks or now.state in "ZX"
            if gone:
                gone = not self._follow()
            elif target.daemon is not None and not os.path.exists(f"/proc/{target.daemon}"):
                listener = target.listener
                target.daemon = find.holder(target.master, listener.inode) or target.daemon
        if gone and self.missing_since_ns is None:
            self.missing_since_ns = self._now_ns()
            self._note("httpd stopped" if target.master is not None else "nobody listens any more")
        elif not gone and self.missing_since_ns is not None:
            self.missing_since_ns = None
            self._note("it is there again")

    def _follow(self) -> bool:
        successor = find.successor(self.target)
        if successor is None or successor.listener is None:
            return False
        old = self.target.pid
        self.target = successor
        self._note(f"httpd was started anew: process {old} became {successor.pid}")
        if self.queue is not None:
            self.queue.move(successor.listener, networks.open_diag(successor.reach), self._tcp())
        return True

    def has_open(self, identity: tuple[int, int]) -> bool:
        """Say whether the server's first process has the file with this device and inode open."""
        master = self.target.master
        return master is not None and proctable.has_open(master.pid, identity)

    def count(self, now_ns: int) -> None:
        """Bring what is known so far up to the last samples."""
        queue = self.queue
        if queue is not None:
            self.depth_max = max(self.depth_max, queue.depth or 0)
            if queue.full and self._last_ns:
                self.full_ns += now_ns - self._last_ns
        if self.workers is not None:
            self.asleep_max = max(self.asleep_max, self.workers.asleep)
        self._last_ns = now_ns

    @property
    def overflows(self) -> bool:
        """Say whether the last samples show an overflow, or a connect was turned away since the begin."""
        full = self.queue is not None and self.queue.full
        asleep = self.workers is not None and self.workers.asleep > 0
        return full or asleep or bool(self.connects is not None and self.connects.turned_away)

    def now(self) -> dict[str, Any]:
        """Return what a live display shows."""
        queue = self.queue
        return {
            "label": self.target.label,
            "depth": None if queue is None else queue.depth,
            "limit": None if queue is None else queue.limit,
            "depth_max": None if queue is None else self.depth_max,
            "asleep": None if self.workers is None else self.workers.asleep,
            "asleep_max": None if self.workers is None else self.asleep_max,
            "full_s": self.full_ns / _NS,
            "turned_away": None if self.connects is None else self.connects.turned_away,
            "there": self.missing_since_ns is None,
        }

    def instrument_states(self) -> dict[str, dict[str, Any]]:
        """Return what result.json says of each instrument."""
        unseen = {n: {"state": "unavailable", "reason": r, "cpu_ns": None} for n, r in self.unavailable.items()}
        states = {**unseen, **{gauge.name: gauge_state(gauge) for gauge in self.gauges}}
        states.pop(WorkerRequests.name, None)  # no instrument of a trial: observed.json has it
        return states


def gauge_state(gauge: AnyGauge) -> dict[str, Any]:
    """Return what result.json says of a gauge that ran."""
    return {
        "state": "ran",
        "reason": "",
        "cpu_ns": gauge.cpu_ns,
        "samples": gauge.samples,
        "missed": gauge.missed,
    }
