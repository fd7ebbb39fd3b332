"""How large an effect n blocks can show, and how many blocks probably decide a comparison."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats  # type: ignore[import-untyped]  # scipy ships no types

from cgidlab.analysis.findings import band
from cgidlab.analysis.intervals import MIN_BLOCKS

Array = NDArray[np.float64]

MOST_AS_OFTEN = 3
"""A prediction beyond so many times the blocks that are done is not worth naming: what the host does then is not known.
"""


_MOST_EXPONENT = 700.0  # a number has room for 709


def power(n_blocks: int, block_sd: float, effect: float, alpha: float = 0.05, df: float | None = None) -> float:
    """Return the chance that the interval at 1 - alpha leaves out 0 on the side of a true log ratio `effect`.

    `block_sd` is the standard deviation of the within-block log ratios and `df` its degrees of freedom, n - 1 where it
    is a comparison's own. Noncentral t with noncentrality effect sqrt(n) / sd (Cohen 1988).
    """
    known = n_blocks - 1 if df is None else df
    critical = stats.t.isf(alpha / 2, known)
    return float(stats.nct.sf(critical, known, abs(effect) * math.sqrt(n_blocks) / block_sd))


def mde(
    n_blocks: int, block_sd: float, alpha: float = 0.05, chance: float = 0.8, df: float | None = None
) -> float | None:
    """Return the minimum detectable effect as a share: the change that n blocks show with this chance.

    None below two blocks, and where it would fit no number. `block_sd` and `df` as in `power`.
    """
    if n_blocks < 2:  # noqa: PLR2004 -- one block has no spread
        return None
    if block_sd <= 0:
        return 0.0
    scale = block_sd / math.sqrt(n_blocks)
    known = n_blocks - 1 if df is None else df
    upper = 4 * float(stats.t.isf(alpha / 2, known) + stats.t.isf((1 - chance) / 2, known))
    standard = optimize.brentq(lambda x: power(n_blocks, block_sd, x * scale, alpha, known) - chance, 1e-6, upper)
    exponent = float(standard) * scale
    return math.expm1(exponent) if exponent < _MOST_EXPONENT else None


def chances_decided(
    more: Array, blocks: int, estimate: float, error: float, smallest: float, bounds: tuple[float, float]
) -> Array:
    """Return the chance that a comparison is decided after `more` further blocks, given what `blocks` have shown.

    `estimate` is a log ratio, `error` its standard error, and `bounds` how many errors the 90 % interval and that of
    all comparisons are wide. The predictive distribution (Spiegelhalter, Freedman, Blackburn 1986, Controlled Clinical
    Trials 7): the truth is as uncertain as the interval says, and the further blocks vary as those before did.
    """
    total = blocks + more
    later = error * np.sqrt(blocks / total)
    moves = error * np.sqrt(more / total)
    low, high = band(smallest)
    equal, together = bounds
    inner = (low + equal * later, high - equal * later)  # an estimate in here is equivalent
    outer = (-together * later, together * later)  # one outside of this differs

    def between(a: Array, b: Array) -> Array:
        inside = special.ndtr((b - estimate) / moves) - special.ndtr((a - estimate) / moves)
        return np.asarray(np.maximum(inside, 0.0), dtype=float)

    both = between(np.maximum(inner[0], outer[0]), np.minimum(inner[1], outer[1]))
    return 1 - between(*outer) + np.where(inner[0] < inner[1], both, 0.0)


def chance_decided(truth: float, error: float, smallest: float, bounds: tuple[float, float]) -> float:
    """Return the chance that a comparison whose true log ratio is `truth` is decided at a standard error of `error`.

    `bounds` are as in `chances_decided`; the estimate is normal about the truth.
    """
    low, high = band(smallest)
    equal, together = bounds
    beyond = special.ndtr((-together * error - truth) / error) + special.ndtr((truth - together * error) / error)
    inner = max(low + equal * error, -together * error), min(high - equal * error, together * error)
    within = special.ndtr((inner[1] - truth) / error) - special.ndtr((inner[0] - truth) / error)
    return float(beyond + max(0.0, within))


def blocks_to_decide(
    estimate: float, error: float, blocks: int, smallest: float, bounds: tuple[float, float], chance: float = 0.8
) -> int | None:
    """Return how many further blocks decide a comparison with this chance; None where none within reach do.

    As in `chances_decided`; within reach is MOST_AS_OFTEN times the blocks that are done.
    """
    if error <= 0 or blocks < MIN_BLOCKS:
        return None
    more = np.arange(1.0, MOST_AS_OFTEN * blocks + 1)
    enough = np.flatnonzero(chances_decided(more, blocks, estimate, error, smallest, bounds) >= chance)
    return int(more[enough[0]]) if enough.size else None
