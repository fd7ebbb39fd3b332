"""How large an effect n blocks can show, and how many blocks an effect needs."""

import math

from scipy import optimize, stats  # type: ignore[import-untyped]  # scipy ships no types

from cgidlab.analysis.intervals import MIN_BLOCKS

MAX_BLOCKS = 1000
"""An answer that needs more blocks than this is not worth naming."""


_MOST_EXPONENT = 700.0  # a number has room for 709


def power(n_blocks: int, block_sd: float, effect: float, alpha: float = 0.05) -> float:
    """Return the chance that the interval at 1 - alpha leaves out 0 on the side of a true log ratio `effect`.

    `block_sd` is the standard deviation of the within-block log ratios. Noncentral t with
    n - 1 degrees of freedom and noncentrality effect sqrt(n) / sd (Cohen 1988).
    """
    critical = stats.t.isf(alpha / 2, n_blocks - 1)
    return float(stats.nct.sf(critical, n_blocks - 1, abs(effect) * math.sqrt(n_blocks) / block_sd))


def mde(n_blocks: int, block_sd: float, alpha: float = 0.05, chance: float = 0.8) -> float | None:
    """Return the minimum detectable effect as a share: the change that n blocks show with this chance.

    None below two blocks, and where it would fit no number. `block_sd` as in `power`.
    """
    if n_blocks < 2:  # noqa: PLR2004 -- one block has no spread
        return None
    if block_sd <= 0:
        return 0.0
    scale = block_sd / math.sqrt(n_blocks)
    df = n_blocks - 1
    upper = 4 * float(stats.t.isf(alpha / 2, df) + stats.t.isf((1 - chance) / 2, df))
    standard = optimize.brentq(lambda x: power(n_blocks, block_sd, x * scale, alpha) - chance, 1e-6, upper)
    exponent = float(standard) * scale
    return math.expm1(exponent) if exponent < _MOST_EXPONENT else None


def blocks_needed(distance: float, block_sd: float, alpha: float = 0.05, chance: float = 0.8) -> int | None:
    """Return how many blocks probably bring the interval's end closer than `distance` to its middle.

    `distance` is how far, in log ratio, the estimate is from the boundary the interval must not
    reach. "Probably" is `chance`: (t(1 - alpha/2) + t(chance)) sd / sqrt(n) <= distance. At least MIN_BLOCKS;
    None where MAX_BLOCKS would not do, so that the true effect is about as large as the boundary.
    """
    if distance <= 0:
        return None

    def reach(n: int) -> float:
        df = n - 1
        return float((stats.t.isf(alpha / 2, df) + stats.t.isf(1 - chance, df)) * block_sd / math.sqrt(n))

    low, high = MIN_BLOCKS, MAX_BLOCKS
    if reach(high) > distance:
        return None
    while low < high:  # reach falls as n grows
        middle = (low + high) // 2
        low, high = (low, middle) if reach(middle) <= distance else (middle + 1, high)
    return low
