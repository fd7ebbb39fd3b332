"""All listening unix stream sockets of the host at once: one dump a namespace and sample, and counts by path."""

from __future__ import annotations

import heapq
import time
from collections import Counter
from typing import Any, Iterable, Optional

from ..bpfcounts import ConnectCounter, ConnectCounts
from ..ending import Unavailable
from ..sockdiag import SockDiag, UnixListener
from . import networks, proctable
from .gauges import AnyGauge
from .holders import Holders
from .pace import Meter

_NS = 1_000_000_000
_ASLEEP_NS = 1_000_000  # in connect() for longer than that: it waits for a place
_SHOWN = 40  # of the live view; the end has them all
_MOST_NAMESPACES = 256
_NONE = ConnectCounts(0, 0, 0, 0, 0)


class ListenerRow:
    """What is known of one listener so far."""

    def __init__(self, network: str, listener: UnixListener, now_ns: int) -> None:
        self.network = network
        self.listener = listener
        self.path = listener.path
        self.first_ns = self.last_ns = now_ns
        self.depth = self.depth_max = self.limit = 0
        self.full_ns = self.depth_ns = 0
        self.there = True
        self.named = False
        self.program = ""
        self.pid: Optional[int] = None

    def begin(self, now_ns: int) -> None:
        """Forget what was before the window; what waits now waits from its begin on."""
        self.first_ns = self.last_ns = now_ns
        self.full_ns = self.depth_ns = 0
        self.depth_max = self.depth

    @property
    def fill(self) -> float:
        """Return how full it was at most: 1 is its limit."""
        return self.depth_max / max(1, self.limit)

    def see(self, listener: UnixListener, now_ns: int) -> None:
        """Take a sample; what was seen last time lasted until now."""
        passed_ns = now_ns - self.last_ns
        self.depth_ns += passed_ns * self.depth
        self.full_ns += passed_ns if self.depth > self.limit and self.there else 0
        self.listener, self.there, self.last_ns = listener, True, now_ns
        self.depth, self.limit = listener.queue
        self.depth_max = max(self.depth_max, self.depth)

    def miss(self, now_ns: int) -> None:
        """Take note that it was not there."""
        self.depth, self.there, self.last_ns = 0, False, now_ns


class Listening:
    """The queues of every listener in every namespace that could be entered."""

    name = "listeners"
    keep_ns: Optional[int] = None

    def __init__(self, spaces: dict[str, int]) -> None:
        self.rows: list[ListenerRow] = []
        self.notes: list[str] = []
        self.cpu_ns = self.samples = self.missed = 0
        self._by_inode: dict[tuple[str, int], ListenerRow] = {}
        self._diags: dict[str, SockDiag] = {}
        for name, pid in list(spaces.items())[:_MOST_NAMESPACES]:
            try:
                self._diags[name] = networks.open_diag(pid)
            except OSError as error:  # noqa: PERF203 -- namespaces are few
                self.notes.append(
                    f"the network namespace of process {pid} cannot be entered: {error.strerror} (--become)"
                )
        if len(spaces) > _MOST_NAMESPACES:
            self.notes.append(f"{len(spaces) - _MOST_NAMESPACES} of {len(spaces)} network namespaces are left out")

    def sample(self, now_ns: int) -> None:
        """Look at all of them once."""
        seen, answered = set(), set()
        for network, diag in self._diags.items():
            try:
                found = diag.unix_listeners()
            except OSError:  # no answer in time: what was seen last lasts until the next one
                self.missed += 1
                continue
            answered.add(network)
            for listener in found:
                row = self._by_inode.get((network, listener.inode)) or self._new(network, listener, now_ns)
                row.see(listener, now_ns)
                seen.add(id(row))
        for row in self.rows:
            if id(row) not in seen and row.network in answered:
                row.miss(now_ns)
        self.samples += 1

    def _new(self, network: str, listener: UnixListener, now_ns: int) -> ListenerRow:
        """Return a row for a socket that was not there before: the one whose place it took, if that one is gone."""
        former = (r for r in self.rows if not r.there and r.path and (r.network, r.path) == (network, listener.path))
        row = next(former, None)
        if row is None:
            row = ListenerRow(network, listener, now_ns)
            self.rows.append(row)
        row.named = False
        self._by_inode[network, listener.inode] = row
        return row

    def trim(self, now_ns: int) -> None:
        """Nothing is kept but sums."""

    def flush(self) -> None:
        """Nothing is written before the end."""

    def finish(self) -> None:
        """Close the sockets."""
        for diag in self._diags.values():
            diag.close()


class Counting:
    """Connects by path since the window's begin, and who waits in connect() now."""

    name = "connects"
    keep_ns: Optional[int] = None

    def __init__(self) -> None:
        """Attach; raise Unavailable."""
        self._counter = ConnectCounter()
        self.why_slow_tracing = self._counter.why_not_function
        self._before: dict[str, ConnectCounts] = {}
        self.counts: dict[str, ConnectCounts] = {}
        self.waiting: dict[str, int] = {}
        self.waiting_max: dict[str, int] = {}
        self.cpu_ns = self.samples = self.missed = 0

    def begin(self) -> None:
        """Leave out what was before."""
        self._before = self._counter.counts()

    def sample(self, now_ns: int) -> None:  # noqa: ARG002 -- a gauge's
        """Bring counts up to now."""
        now = self._counter.counts()
        self.counts = {
            path: ConnectCounts(*(a - b for a, b in zip(after, self._before.get(path, _NONE))))
            for path, after in now.items()
        }
        self.waiting = self._counter.waiting(_ASLEEP_NS)
        for path, number in self.waiting.items():
            self.waiting_max[path] = max(number, self.waiting_max.get(path, 0))
        self.samples += 1

    def trim(self, now_ns: int) -> None:
        """Nothing is kept but sums."""

    def flush(self) -> None:
        """Nothing is written before the end."""

    def finish(self) -> None:
        """Detach."""
        self._counter.close()


class Everything:
    """All listeners of the host, and what becomes of those who come to them."""

    def __init__(self) -> None:
        table = proctable.read_all()
        self._listening = Listening(networks.one_process_each(table))
        self._counting: Optional[Counting] = None
        self.gauges: dict[AnyGauge, Meter] = {self._listening: Meter(0.6, 20_000_000, 5 * _NS, 1_500_000)}
        self.notes = self._listening.notes
        if any(proctable.hidden(pid) for pid in table if pid != 1):
            self.notes.append(
                "other users' processes cannot be looked into: sockets in containers may be missing (--become)"
            )
        try:
            self._counting = Counting()
            self.gauges[self._counting] = Meter(0.3, 500_000_000, 5 * _NS, 1_000_000)
        except Unavailable as why:
            self.notes.append(f"connects cannot be counted, nor who is turned away, refused or asleep: {why}")
        self._listening.sample(time.monotonic_ns())
        self._name(table)

    @property
    def why_slow_tracing(self) -> str:
        """Return why connects are counted at the system call's tracepoints; '' where they are not."""
        return "" if self._counting is None else self._counting.why_slow_tracing

    @property
    def looks(self) -> int:
        """Return how often all of them were looked at."""
        return self._listening.samples

    def _name(self, pids: Iterable[int]) -> None:
        """Find who holds which socket: one look at every process's descriptors, for all sockets together."""
        wanted = {row.listener.inode: row for row in self._listening.rows if not row.named}
        held: dict[int, list[int]] = {}
        for pid in pids:
            for inode in wanted.keys() & (proctable.socket_inodes(pid) or set()):
                held.setdefault(inode, []).append(pid)
        for inode, row in wanted.items():
            row.named = True
            if inode in held:
                holders = Holders(inode, held[inode])
                row.program, row.pid = holders.program(), holders.oldest

    def begin(self) -> int:
        """Take a first sample, and return when the window begins: then."""
        self._listening.sample(time.monotonic_ns())
        if self._counting is not None:
            self._counting.begin()
        now_ns = time.monotonic_ns()
        for row in self._listening.rows:
            row.begin(now_ns)
        return now_ns

    def now(self) -> list[dict[str, Any]]:
        """Return the worst of them for a live view."""
        there = [row for row in self._listening.rows if row.there]
        shared = self._shared_paths()
        return [self._row(row, row.last_ns, shared) for row in heapq.nlargest(_SHOWN, there, self._trouble)]

    def rows(self, end_ns: int) -> list[dict[str, Any]]:
        """Return all of them, those that were started meanwhile too."""
        if any(not row.named for row in self._listening.rows):
            self._name(proctable.read_all())
        shared = self._shared_paths()
        return [self._row(row, end_ns, shared) for row in self._listening.rows]

    def _shared_paths(self) -> set[str]:
        """Return the paths that more than one listener has: in containers, each under a root of its own."""
        number = Counter(row.path for row in self._listening.rows if row.there)
        return {path for path, listeners in number.items() if listeners > 1}

    def _trouble(self, row: ListenerRow) -> tuple[float, ...]:
        counting = self._counting
        if counting is None:
            return (row.full_ns, row.fill)
        counts = counting.counts.get(row.path, _NONE)
        return (counts.turned_away, counts.refused, row.full_ns, counting.waiting_max.get(row.path, 0), row.fill)

    def _row(self, row: ListenerRow, end_ns: int, shared: set[str]) -> dict[str, Any]:
        length_ns = max(1, end_ns - row.first_ns)
        said: dict[str, Any] = {
            "path": row.path.replace("\0", "@"),
            "network": row.network,
            "program": row.program,
            "pid": row.pid,
            "limit": row.limit,
            "depth": row.depth,
            "depth_max": row.depth_max,
            "depth_mean": row.depth_ns / length_ns,
            "full_s": row.full_ns / _NS,
            "length_s": length_ns / _NS,
            "there": row.there,
        }
        counts = self._counts_of(row, shared)
        said.update(dict.fromkeys(("connects", "turned_away", "refused", "failed_other", "sleeping", "sleeping_max")))
        if counts is not None and self._counting is not None:
            said.update(counts._asdict())
            said["sleeping"] = self._counting.waiting.get(row.path, 0)
            said["sleeping_max"] = self._counting.waiting_max.get(row.path, 0)
        return said

    def _counts_of(self, row: ListenerRow, shared: set[str]) -> Optional[ConnectCounts]:
        """Return the counts of a listener; None where the path does not tell whose they are."""
        if self._counting is None or not row.path or row.path.startswith("\0") or row.path in shared:
            return None
        return self._counting.counts.get(row.path, _NONE)
