"""How far apart all comparisons of a run may come by chance alone: their joint distribution.

Levels at one place share the reference they are compared with, so that their statistics correlate by one half:
Dunnett's distribution (1955, Journal of the American Statistical Association 50). Places (combinations of the other
factors) share no trial. What is left, the effect over all places and the other responses, is correlated in ways that
are not known; that all of them stay within their bounds is then at least as likely as if they were independent (Royen
2014, the Gaussian correlation inequality), given the spread, and so also over it.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats  # type: ignore[import-untyped]  # scipy ships no types

Array = NDArray[np.float64]

_Z, _Z_WEIGHT = np.polynomial.legendre.leggauss(120)
_Z, _Z_WEIGHT = 8.5 * _Z, 8.5 * _Z_WEIGHT * stats.norm.pdf(8.5 * _Z)
_S, _S_WEIGHT = np.polynomial.legendre.leggauss(80)


def stay_within(bound: float, levels: int, groups: int, df: float) -> float:
    """Return the chance that |t| of all comparisons stays below `bound` where nothing differs.

    `groups` independent ones of `levels` comparisons each with a reference of their own, all with one spread of `df`
    degrees of freedom (infinity: known).
    """
    if math.isinf(df):
        return float(_normal(np.array([bound]), levels)[0] ** groups)
    low, high = (math.sqrt(stats.chi2.ppf(p, df) / df) for p in (1e-12, 1 - 1e-12))
    s = low + (high - low) * (_S + 1) / 2
    weight = _S_WEIGHT * (high - low) / 2 * stats.chi2.pdf(df * s * s, df) * 2 * df * s
    return float((weight * _normal(bound * s, levels) ** groups).sum())


def _normal(bounds: Array, levels: int) -> Array:
    """Return the chance that all |Z_i - Z_0| / sqrt(2) of one group stay below each bound."""
    if levels == 1:
        return np.asarray(2 * stats.norm.cdf(bounds) - 1, dtype=float)
    reach = math.sqrt(2) * bounds[:, None]
    inside = stats.norm.cdf(_Z + reach) - stats.norm.cdf(_Z - reach)
    return np.asarray((inside**levels) @ _Z_WEIGHT, dtype=float)


@lru_cache(maxsize=1024)
def critical(alpha: float, levels: int, groups: int, df: float) -> float:
    """Return the bound that |t| of some comparison passes with chance `alpha` where nothing differs.

    Two-sided; see `stay_within`.
    """
    single = float(stats.t.isf(alpha / 2, df))
    if levels * groups == 1:
        return single
    most = float(stats.t.isf(alpha / 2 / levels / groups, df))
    return float(optimize.brentq(lambda c: 1 - stay_within(c, levels, groups, df) - alpha, single, most, xtol=1e-6))
