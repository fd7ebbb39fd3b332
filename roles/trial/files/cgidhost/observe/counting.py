"""ConnectCounts by path since a window's begin, and who waits in connect() now."""

from __future__ import annotations

from typing import Iterable, Optional

from ..bpfcounts import MOST_PATHS, ConnectCounter, ConnectCounts

_ASLEEP_NS = 1_000_000  # in connect() for longer than that: it waits for a place
NONE = ConnectCounts(0, 0, 0, 0, 0)


class Counting:
    """ConnectCounts by path since the window's begin, and who waits in connect() now."""

    name = "connects"
    keep_ns: Optional[int] = None

    def __init__(self) -> None:
        """Attach; raise Unavailable."""
        self._counter = ConnectCounter()
        self.why_slow_tracing = self._counter.why_not_function
        self.why_no_waits = self._counter.why_no_waits
        self._last: dict[str, ConnectCounts] = {}
        self.counts: dict[str, ConnectCounts] = {}
        self.waiting: dict[str, int] = {}
        self.waiting_max: dict[str, int] = {}
        self.cpu_ns = self.samples = self.missed = 0

    def begin(self) -> None:
        """Leave out what was before."""
        self._last = self._counter.counts()
        self.counts = {}

    def sample(self, now_ns: int) -> None:  # noqa: ARG002 -- a gauge's
        """Bring counts up to now."""
        now = self._counter.counts()
        for path, after in now.items():
            before = self._last.get(path, NONE)
            if after != before or path not in self.counts:
                self.counts[path] = self.counts.get(path, NONE).plus(after.since(before))
        self._last = now
        self.waiting = self._counter.waiting(_ASLEEP_NS)
        for path, number in self.waiting.items():
            self.waiting_max[path] = max(number, self.waiting_max.get(path, 0))
        self.samples += 1

    def make_room(self, wanted: Iterable[str]) -> None:
        """Forget paths at which nobody listened lately, before the kernel's map of them is full."""
        if len(self._last) < MOST_PATHS // 2:
            return
        for path in self._last.keys() - set(wanted):
            self._counter.forget(path)
            for known in (self._last, self.counts, self.waiting_max):
                known.pop(path, None)

    def trim(self, now_ns: int) -> None:
        """Nothing is kept but sums."""

    def flush(self) -> None:
        """Nothing is written before the end."""

    def finish(self) -> None:
        """Detach."""
        self._counter.close()
