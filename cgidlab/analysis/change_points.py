"""Where a series of runs changes its level: the only module that decides that. Pure.

Run after run, each way to cut the runs since the last change in two is tried: Student's t of the logarithms, with the
spread of both sides, its error shared by all cuts. So what is said of a run is what could be said on that day.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats  # type: ignore[import-untyped]  # scipy ships no types

from cgidlab.analysis.intervals import Interval

MIN_BEFORE, MIN_AFTER = 5, 2
"""Runs on either side: of fewer before it a spread is not known, and one run after it may be an odd one."""

_MOST_AFTER = 10  # a step that was not seen for longer is for a larger sample than a few runs
ALARM = 0.003
"""The error of all cuts at one run: fewer than one false alarm in 100 runs (python -m benchmarks.changes)."""


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """From one run on a response has another level."""

    at: int  # index of the first run on the new level
    seen_at: int  # of the run with which it was seen
    ratio: float  # of the new level to the old one
    interval: Interval  # of that, 95 %


def change_points(values: Sequence[float | None]) -> tuple[ChangePoint, ...]:
    """Return the changes of a series in the order of time; runs without a value, or with one of 0, are passed over."""
    known = [(i, math.log(v)) for i, v in enumerate(values) if v is not None and v > 0]
    found: list[ChangePoint] = []
    begin = 0
    for end in range(1, len(known) + 1):
        logs = np.asarray([log for _, log in known[begin:end]], dtype=float)
        cut = _cut(logs)
        if cut is not None:
            place, ratio, interval = cut
            found.append(ChangePoint(known[begin + place][0], known[end - 1][0], ratio, interval))
            begin += place
    return tuple(found)


def _cut(logs: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> tuple[int, float, Interval] | None:
    """Return where the runs fall apart, how far and with which interval; None where they do not."""
    n = logs.size
    places = range(max(MIN_BEFORE, n - _MOST_AFTER), n - MIN_AFTER + 1)
    best: tuple[float, int, float, float] | None = None
    for place in places:
        before, after = logs[:place], logs[place:]
        squares = float(((before - before.mean()) ** 2).sum() + ((after - after.mean()) ** 2).sum())
        error = math.sqrt(squares / (n - 2) * (1 / before.size + 1 / after.size))
        difference = float(after.mean() - before.mean())
        if error == 0:
            if difference == 0:
                continue
            return place, math.exp(difference), Interval(math.exp(difference), math.exp(difference))
        if best is None or abs(difference) / error > best[0]:
            best = abs(difference) / error, place, difference, error
    if best is None or 2 * float(stats.t.sf(best[0], n - 2)) * len(places) > ALARM:
        return None
    _, place, difference, error = best
    half = float(stats.t.isf(0.025, n - 2)) * error
    return place, math.exp(difference), Interval(difference - half, difference + half).exp()
