"""What happened when, in bounded memory: counts by second, or by as many seconds as a long log leaves room for."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

_KEEP = 20_000
_MINUTE_S = 60
SCRIPT_TIMEOUT, _OUTPUT_TIMEOUT = "script_timeout", "output_timeout"


class TimelineEvent(NamedTuple):
    """How often something happened in the minute (of a long log: the longer time) that began at `time_s`."""

    time_s: int | None  # since 1970; None: lines without a time
    kind: str
    times: int


class Timeline:
    """Counts of each kind by the time they happened."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, int]] = Counter()
        self._untimed: Counter[str] = Counter()
        self.step_s = 1

    def __eq__(self, other: object) -> bool:
        """Say whether the same happened at the same times."""
        return isinstance(other, Timeline) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]  # it grows

    def add(self, kind: str, time_s: int | None, times: int) -> None:
        """Count something that happened so many times in a second, or in one that is not known."""
        if time_s is None:
            self._untimed[kind] += times
        else:
            self._counts[kind, time_s // self.step_s * self.step_s] += times
        while len(self._counts) > _KEEP:
            self.step_s *= 2
            coarse: Counter[tuple[str, int]] = Counter()
            for (name, at), n in self._counts.items():
                coarse[name, at // self.step_s * self.step_s] += n
            self._counts = coarse

    def events(self) -> tuple[TimelineEvent, ...]:
        """Return all of it in order of time, by the minute."""
        step_s = max(_MINUTE_S, self.step_s)
        minutes: Counter[tuple[int, str]] = Counter()
        for (kind, at), n in self._counts.items():
            minutes[at // step_s * step_s, kind] += n
        for at in {at for at, kind in minutes if kind == _OUTPUT_TIMEOUT}:
            # httpd 2.4 writes two lines of one time-out where the script had not begun to answer
            late = minutes.pop((at, _OUTPUT_TIMEOUT))
            minutes[at, SCRIPT_TIMEOUT] = max(late, minutes[at, SCRIPT_TIMEOUT])
        timed = [TimelineEvent(at, kind, n) for (at, kind), n in sorted(minutes.items())]
        return (*timed, *(TimelineEvent(None, kind, n) for kind, n in sorted(self._untimed.items())))

    def total(self, kinds: Collection[str]) -> int:
        """Return how often these kinds happened, with a time or without."""
        return sum(n for (kind, _), n in self._counts.items() if kind in kinds) + sum(
            n for kind, n in self._untimed.items() if kind in kinds
        )

    def near(self, kinds: Collection[str], others: Collection[str], within_s: int) -> int:
        """Return how many of some kinds happened at most so many seconds before or after one of the others."""
        moments = sorted({at for kind, at in self._counts if kind in others})
        within_s = max(within_s, self.step_s)
        total = 0
        for (kind, at), n in self._counts.items():
            if kind in kinds:
                i = bisect_left(moments, at - within_s)
                total += n if i < len(moments) and moments[i] <= at + within_s else 0
        return total
