"""The spread of a comparison, learnt from all comparisons of its response: the only module that shares spreads."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

import numpy as np
from scipy import optimize, special, stats  # type: ignore[import-untyped]  # scipy ships no types

from cgidlab.analysis.intervals import MIN_BLOCKS
from cgidlab.analysis.pairs import Unit
from cgidlab.analysis.trimmed import Middle, middle

EQUAL_P = 0.25
"""Spreads are taken for equal from this p on: a test that decides whether to pool has to see small differences, so it
is held at 25 % and not at 5 % (Bancroft 1964, Biometrics 20)."""

Logs = Mapping[Unit, float]
"""A cell's log responses by the unit they were measured in: a block, or a pass of one."""


class Sharing(StrEnum):
    """Where a comparison's spread comes from."""

    OWN = "own"  # there is nothing to share with
    SHARED = "shared"  # one spread for all comparisons of the response
    MODERATED = "moderated"  # its own, drawn towards that of all


@dataclass(frozen=True, slots=True)
class Noise:
    """The spread of one comparison: as `Middle.spread`, with the degrees of freedom it rests on."""

    spread: float
    df: float
    sharing: Sharing


def noises(
    found: Sequence[Middle | None], samples: Sequence[Sequence[float]], places: Sequence[Sequence[Logs]]
) -> tuple[Noise | None, ...]:
    """Return the spread of each comparison; None where it has fewer than MIN_BLOCKS units.

    `samples` are the comparisons' within-block differences and `found` their middles. `places` are the cells of each
    combination of the other factors, levels that are not compared included: the mean variance of the log ratios of
    all pairs of k cells in n blocks is twice the residual variance of that place's randomised blocks, with
    (k - 1)(n - 1) degrees of freedom, where the comparisons alone, which share the reference, would have fewer.
    """
    able = [(m, d) for m, d in zip(found, samples, strict=True) if m is not None and m.n >= MIN_BLOCKS]
    own = [Noise(m.spread, m.df, Sharing.OWN) if m is not None and m.n >= MIN_BLOCKS else None for m in found]
    pool = _pool(places)
    if len(able) < 2 or pool is None:  # noqa: PLR2004 -- one has nothing to share with
        return tuple(own)
    if _equal([d for _, d in able]):
        return tuple(None if n is None else pool for n in own)
    prior = _prior([m for m, _ in able])
    if prior is None:
        return tuple(own)
    return tuple(None if n is None else _moderated(n, *prior, pool) for n in own)


def _pool(places: Sequence[Sequence[Logs]]) -> Noise | None:
    weighed, total = 0.0, 0.0
    for cells in places:
        pairs = [[one[u] - other[u] for u in one if u in other] for one, other in combinations(cells, 2)]
        middles = [middle(d) for d in pairs if len(d) >= MIN_BLOCKS]
        if not middles:
            continue
        each = np.array([m.df for m in middles], dtype=float)
        levels = (1 + math.sqrt(1 + 8 * len(middles))) / 2  # as many cells as make so many pairs
        df = (levels - 1) * float(each.mean())
        weighed += df * float(np.average([m.spread**2 for m in middles], weights=each))
        total += df
    return Noise(math.sqrt(weighed / total), total, Sharing.SHARED) if total else None


def _equal(samples: Sequence[Sequence[float]]) -> bool:
    """Say whether spreads can be taken for equal: Levene's test about the median (Brown and Forsythe 1974)."""
    if not any(np.ptp(d) > 0 for d in samples):
        return True
    p = float(stats.levene(*samples, center="median").pvalue)
    return not p < EQUAL_P


def _prior(middles: Sequence[Middle]) -> tuple[float, float] | None:
    """Return the spread that all have in common and the degrees of freedom it is worth to each; None for constant data.

    Smyth 2004 (Statistical Applications in Genetics and Molecular Biology 3), section 6.2: moments of log s^2.
    """
    if any(m.spread <= 0 for m in middles):
        return None
    half = np.array([m.df / 2 for m in middles])
    e = np.log([m.spread**2 for m in middles]) - special.digamma(half) + np.log(half)
    beyond = float(e.var(ddof=1) - special.polygamma(1, half).mean())
    if beyond <= 0:
        return math.exp(float(e.mean()) / 2), math.inf
    half0 = float(optimize.brentq(lambda x: special.polygamma(1, x) - beyond, 1e-3, 1e6))
    variance = math.exp(float(e.mean()) + float(special.digamma(half0)) - math.log(half0))
    return math.sqrt(variance), 2 * half0


def _moderated(own: Noise, spread0: float, df0: float, pool: Noise) -> Noise:
    """Return a comparison's own spread drawn towards that of all, by their degrees of freedom."""
    if math.isinf(df0):
        return Noise(spread0, pool.df, Sharing.MODERATED)
    df = own.df + df0
    variance = (own.df * own.spread**2 + df0 * spread0**2) / df
    return Noise(math.sqrt(variance), min(df, pool.df), Sharing.MODERATED)
