"""Sums of all listeners for time series that last: bounded in number, and none of them ever falls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, NamedTuple, Optional
from weakref import WeakKeyDictionary

from ..bpfcounts import ConnectCounts
from .counting import NONE
from .listening import ListenerRow
from .patterns import pattern, spelt

MOST_SERIES = 500
OTHERS = "(others)"
_NS = 1_000_000_000
_OWN_NAMESPACE = "host"


class Labels(NamedTuple):
    """What tells one series from the others."""

    path: str  # process ids left out
    server: str  # its program
    namespace: str  # of the network: "host", or the number of another one


@dataclass
class ListenerSeries:
    """One or more listeners that share their labels. What is summed goes on when a socket is replaced."""

    listeners: int = 0
    depth: int = 0  # of the fullest
    limit: int = 0  # of the same one
    sleeping: Optional[int] = None
    full_s: float = 0.0
    depth_s: float = 0.0  # depth by time
    connects: Optional[int] = None  # None: never told apart from other listeners'
    turned_away: int = 0
    refused: int = 0
    waited_s: float = 0.0
    waited: tuple[int, ...] = ()  # connections by how long they waited for accept(), as `bpfqueue.WAITS_NS` divides

    def begin(self) -> None:
        """Forget what is about now."""
        self.listeners = self.depth = self.limit = 0
        self.sleeping = None

    def see(self, row: ListenerRow, sleeping: Optional[int]) -> None:
        """Take in how a listener is now."""
        self.listeners += row.there
        fuller = row.depth / max(1, row.limit) > self.depth / max(1, self.limit)
        if fuller or (row.depth == self.depth == 0 and row.limit > self.limit):
            self.depth, self.limit = row.depth, row.limit
        if sleeping is not None:
            self.sleeping = (self.sleeping or 0) + sleeping

    def add(self, full_ns: int, depth_ns: int, counts: Optional[ConnectCounts]) -> None:
        """Add what came since the last time."""
        self.full_s += max(0, full_ns) / _NS
        self.depth_s += max(0, depth_ns) / _NS
        if counts is not None:
            self.connects = (self.connects or 0) + max(0, counts.connects)
            self.turned_away += max(0, counts.turned_away)
            self.refused += max(0, counts.refused)
            self.waited_s += max(0, counts.waited_ns) / _NS
            none = (0,) * len(counts.waited)
            self.waited = tuple(a + max(0, b) for a, b in zip(self.waited or none, counts.waited))


class AllSeries:
    """The series of all listeners, at most so many; what is too much is in one that is called `OTHERS`."""

    def __init__(self, own_network: str, most: int = MOST_SERIES) -> None:
        self._own_network = own_network
        self._most = most
        self._known: dict[Labels, ListenerSeries] = {}
        self._told: WeakKeyDictionary[ListenerRow, tuple[Labels, int, int]] = WeakKeyDictionary()
        self._counted: dict[str, ConnectCounts] = {}  # by path, whoever listens there
        self.left_out = 0  # listeners in `OTHERS`

    def update(
        self, seen: Iterable[tuple[ListenerRow, Optional[ConnectCounts], Optional[int]]]
    ) -> dict[Labels, ListenerSeries]:
        """Bring them up to now: each listener with the counts of its path and how many sleep there, where known.

        A series ends when its last listener is forgotten, and gives its place to another one. `OTHERS` never ends.
        """
        for series in self._known.values():
            series.begin()
        self.left_out = 0
        wanted = {Labels(OTHERS, OTHERS, OTHERS)}
        counted: dict[str, ConnectCounts] = {}
        for row, counts, sleeping in seen:
            labels, full_ns, depth_ns = self._told.get(row) or (self._labels(row), 0, 0)
            if labels.path == OTHERS or (row.named and labels != self._name(row)):
                labels = self._labels(row)
            before = counted.get(row.path) or self._counted.get(row.path, NONE)
            if counts is not None and counts.connects < before.connects:
                before = NONE  # its path was forgotten meanwhile
            series = self._known.setdefault(labels, ListenerSeries())
            series.see(row, sleeping)
            series.add(row.full_ns - full_ns, row.depth_ns - depth_ns, None if counts is None else counts.since(before))
            self._told[row] = (labels, row.full_ns, row.depth_ns)
            counted[row.path] = before if counts is None else counts
            self.left_out += labels.path == OTHERS
            wanted.add(labels)
        self._counted = counted
        for labels in self._known.keys() - wanted:
            del self._known[labels]
        return self._known

    def _labels(self, row: ListenerRow) -> Labels:
        labels = self._name(row)
        room = len(self._known) - (Labels(OTHERS, OTHERS, OTHERS) in self._known) < self._most
        return labels if labels in self._known or room else Labels(OTHERS, OTHERS, OTHERS)

    def _name(self, row: ListenerRow) -> Labels:
        own = row.network == self._own_network
        namespace = _OWN_NAMESPACE if own else row.network.strip("net:[]")
        return Labels(pattern(row.path, row.family), spelt(row.program) or "unknown", namespace)
