"""The middle of within-block differences and its error."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats  # type: ignore[import-untyped]  # scipy ships no types

from cgidlab.analysis.intervals import Interval, Values

TRIM_FROM = 12
"""From this many blocks on the ends are trimmed; of fewer, one value a side is more than the share below."""

TRIM_SHARE = 0.1
"""Of the blocks, left out at either end."""

TRIM_SHARES = (TRIM_SHARE, 0.25)
"""Of which `sharing.trim_share` takes one for a response, by what its cells scatter."""


@dataclass(frozen=True, slots=True)
class Middle:
    """The trimmed mean of a sample, with the spread that belongs to it (Tukey and McLaughlin 1963, Sankhya A 25).

    `spread` is the winsorised standard deviation over `kept` values: sqrt(SSD / (kept - 1)), so that
    spread / sqrt(kept) is the standard error of `value`. Without trimming both are those of the mean.
    """

    value: float
    mean: float
    n: int
    kept: int
    spread: float

    @property
    def df(self) -> int:
        """Return the degrees of freedom of `spread`."""
        return self.kept - 1

    @property
    def error(self) -> float:
        """Return the standard error of `value`."""
        return standard_error(self.spread, self.n, (self.n - self.kept) // 2)

    @property
    def apart(self) -> bool:
        """Say whether mean and trimmed mean differ by more than their error: few blocks then make the mean."""
        return abs(self.value - self.mean) > self.error > 0


def standard_error(spread: float, n: int, cut: int) -> float:
    """Return the standard error of a middle of `n` values, `cut` a side left out; `spread` is as in `Middle`."""
    return spread / math.sqrt(n - 2 * cut)


def middle(values: Values, share: float = TRIM_SHARE, *, cut: int | None = None) -> Middle:
    """Return the middle of at least two values: trimmed by `share` a side from TRIM_FROM on, else the mean.

    With `cut`, which has to leave two values, by so many a side.
    """
    d = np.sort(np.asarray(values, dtype=float))
    if cut is None:
        cut = int(share * d.size) if d.size >= TRIM_FROM else 0
    kept = d.size - 2 * cut
    inner = d[cut : d.size - cut]
    wins = np.clip(d, inner[0], inner[-1])
    deviations = float(((wins - wins.mean()) ** 2).sum())
    return Middle(float(inner.mean()), float(d.mean()), int(d.size), kept, math.sqrt(deviations / (kept - 1)))


def trimmed_interval(values: Values, alpha: float = 0.05) -> Interval | None:
    """Return the interval at confidence 1 - alpha for the middle, by its own spread; None below two values."""
    if len(values) < 2:  # noqa: PLR2004 -- one value has no spread
        return None
    found = middle(values)
    half = float(stats.t.isf(alpha / 2, found.df)) * found.error
    return Interval(found.value - half, found.value + half)
