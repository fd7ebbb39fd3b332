"""When a run may look at its data, and what each look costs.

Looking after every block and stopping at the first "significant" one gives
26 % false alarms. Here at most four looks are planned, all with the same
nominal error (Pocock 1977, Biometrika 64, for equal steps; solved here for the
looks as they are), so that the error over all of them stays below `alpha`.
"""

from functools import lru_cache

import numpy as np
from scipy import optimize, stats  # type: ignore[import-untyped]  # scipy ships no types

from cgidlab.analysis.intervals import MIN_BLOCKS
from cgidlab.model import Repetitions

MAX_LOOKS = 4
_SOLVED_SHARE = 0.9
"""Of the error that is promised, what is solved for: the boundary is that of normal statistics, and Student's t read
at its level raises 5.0 % to 5.4 % on normal data (benchmarks/coverage.py). With this it is 4.8 %."""


def planned_looks(repetitions: Repetitions) -> tuple[int, ...]:
    """Return after how many blocks a run looks: at most MAX_LOOKS, evenly from min to max.

    A fixed number of blocks is one look at the end. No look comes before
    MIN_BLOCKS blocks, where nothing could be decided. A run that was extended has the looks that were taken before,
    and those after them: all share the error.
    """
    before = tuple(n for n in repetitions.looked if n < repetitions.max)
    least = max(repetitions.min, 1 + max(before, default=0))
    return (*before, *_evenly(least, repetitions.max))


def _evenly(min_blocks: int, max_blocks: int) -> tuple[int, ...]:
    first = max(min_blocks, MIN_BLOCKS)
    if min_blocks == max_blocks or first >= max_blocks:
        return (max_blocks,)
    steps = np.linspace(first, max_blocks, min(MAX_LOOKS, max_blocks - first + 1))
    return tuple(dict.fromkeys(round(float(s)) for s in steps))


@lru_cache(maxsize=256)
def nominal_alpha(looks: tuple[int, ...], alpha: float = 0.05) -> float:
    """Return the two-sided error of each look that keeps the error over all of them below `alpha`.

    The statistics at the looks are normal with correlation sqrt(n_i / n_j); c is solved from
    P(|Z_k| < c for all k) = 1 - 0.9 alpha, and 2 Phi(-c) is used as the level of Student's t at
    each look (the "significance level approach", Jennison and Turnbull 2000, 3.3 and 4.4).
    """
    if len(looks) == 1:
        return alpha
    solved = _SOLVED_SHARE * alpha
    n = np.asarray(looks, dtype=float)
    correlation = np.sqrt(np.minimum.outer(n, n) / np.maximum.outer(n, n))
    zeros = np.zeros(len(looks))

    def excess(c: float) -> float:
        box = np.full(len(looks), c)
        stayed = stats.multivariate_normal.cdf(
            box,
            zeros,
            correlation,
            lower_limit=-box,
            abseps=solved * 1e-3,
            maxpts=100_000,
            rng=np.random.default_rng(1),
        )
        return float(1 - stayed) - solved

    # One look needs the least, Bonferroni over the looks the most.
    c = optimize.brentq(excess, stats.norm.isf(solved / 2), stats.norm.isf(solved / 2 / len(looks)), xtol=1e-4)
    return float(2 * stats.norm.sf(c))
