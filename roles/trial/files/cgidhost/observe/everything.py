"""All listening unix stream sockets of the host at once, who holds them, and what becomes of those who come to them."""

from __future__ import annotations

import heapq
import time
from collections import Counter
from typing import Any, Callable, Iterable, Iterator, Optional

from ..bpfcounts import ConnectCounts
from ..ending import Unavailable
from . import networks, proctable
from .counting import NONE, Counting
from .gauges import AnyGauge
from .holders import Holders
from .listening import ListenerRow, Listening
from .pace import Meter

_NS = 1_000_000_000
_SHOWN = 40  # of the live view; the end has them all


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
            if self._counting.why_no_waits:
                self.notes.append(f"times in the queue are estimated, not measured: {self._counting.why_no_waits}")
        except Unavailable as why:
            self.notes.append(f"connects cannot be counted, nor who is turned away, refused or asleep: {why}")
        self.gauges[Upkeep(self._keep_up)] = Meter(0.1, 10 * _NS, 120 * _NS, 10_000_000)
        self._listening.sample(time.monotonic_ns())
        self._name(table)

    def _keep_up(self, now_ns: int) -> None:
        """Follow containers and servers that come and go, and forget what is gone for long."""
        table = proctable.read_all()
        self._listening.follow(networks.one_process_each(table))
        if any(not row.named for row in self._listening.rows):
            self._name(table)
        self._listening.forget(now_ns)
        if self._counting is not None:
            self._counting.make_room(row.path for row in self._listening.rows)

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
                row.family = holders.numbers()

    def begin(self) -> int:
        """Take a first sample, and return when the window begins: then."""
        self._listening.sample(time.monotonic_ns())
        if self._counting is not None:
            self._counting.begin()
        now_ns = time.monotonic_ns()
        for row in self._listening.rows:
            row.begin(now_ns)
        return now_ns

    @property
    def counts_connects(self) -> bool:
        """Say whether connects are counted."""
        return self._counting is not None

    def seen(self) -> Iterator[tuple[ListenerRow, Optional[ConnectCounts], Optional[int]]]:
        """Yield every listener with the counts of its path and how many sleep there, where that is known."""
        there = self._there()
        for row in self._listening.rows:
            counts = self._counts_of(row, there)
            waiting = None if counts is None or self._counting is None else self._counting.waiting.get(row.path, 0)
            yield row, counts, waiting

    def now(self) -> list[dict[str, Any]]:
        """Return the worst of them for a live view."""
        listening = [row for row in self._listening.rows if row.there]
        there = self._there()
        return [self._row(row, row.last_ns, there) for row in heapq.nlargest(_SHOWN, listening, self._trouble)]

    def rows(self, end_ns: int) -> list[dict[str, Any]]:
        """Return all of them, those that were started meanwhile too."""
        if any(not row.named for row in self._listening.rows):
            self._name(proctable.read_all())
        there = self._there()
        return [self._row(row, end_ns, there) for row in self._listening.rows]

    def _there(self) -> Counter[str]:
        """Return how many listen at each path: more than one in containers, each under a root of its own."""
        return Counter(row.path for row in self._listening.rows if row.there)

    def _trouble(self, row: ListenerRow) -> tuple[float, ...]:
        counting = self._counting
        if counting is None:
            return (row.full_ns, row.fill)
        counts = counting.counts.get(row.path, NONE)
        return (counts.turned_away, counts.refused, row.full_ns, counting.waiting_max.get(row.path, 0), row.fill)

    def _row(self, row: ListenerRow, end_ns: int, there: Counter[str]) -> dict[str, Any]:
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
        counts = self._counts_of(row, there)
        said.update(dict.fromkeys(("connects", "turned_away", "refused", "failed_other", "sleeping", "sleeping_max")))
        if counts is not None and self._counting is not None:
            said.update(counts._asdict())
            said["sleeping"] = self._counting.waiting.get(row.path, 0)
            said["sleeping_max"] = self._counting.waiting_max.get(row.path, 0)
        return said

    def _counts_of(self, row: ListenerRow, there: Counter[str]) -> Optional[ConnectCounts]:
        """Return the counts of a listener; None where the path does not tell whose they are.

        One that another has replaced has none any more: those of the path go on as the other's.
        """
        if self._counting is None or not row.path or row.path.startswith("\0") or there[row.path] > row.there:
            return None
        counts = self._counting.counts.get(row.path, NONE)
        return counts._replace(waited=()) if self._counting.why_no_waits else counts


class Upkeep:
    """What has to be done now and then so that a look may last for good."""

    name = "upkeep"
    keep_ns: Optional[int] = None

    def __init__(self, keep_up: Callable[[int], None]) -> None:
        self._keep_up = keep_up
        self.cpu_ns = self.samples = self.missed = 0

    def sample(self, now_ns: int) -> None:
        """Do it."""
        self._keep_up(now_ns)
        self.samples += 1

    def trim(self, now_ns: int) -> None:
        """Nothing is kept."""

    def flush(self) -> None:
        """Nothing is written."""

    def finish(self) -> None:
        """Nothing is open."""
