"""The spread of a comparison, learnt from all comparisons of its response."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

import numpy as np
from scipy import optimize, special, stats  # type: ignore[import-untyped]  # scipy ships no types

from cgidlab.analysis.intervals import MIN_BLOCKS
from cgidlab.analysis.pairs import Unit
from cgidlab.analysis.trimmed import TRIM_SHARE, TRIM_SHARES, Middle, middle

EQUAL_P = 0.25
"""Spreads are taken for equal from this p on: a test that decides whether to pool has to see small differences, so it
is held at 25 % and not at 5 % (Bancroft 1964, Biometrics 20)."""

CHOICE_FROM_DF = 60
"""From so many degrees of freedom on the trimming is chosen. By fewer a choice is by chance: two cells of twelve to 24
blocks would be covered in 92 to 93 % (docs/statistics.md)."""

Logs = Mapping[Unit, float]
"""A cell's log responses by the unit they were measured in: a block, or a pass of one."""


class Sharing(StrEnum):
    """Where a comparison's spread comes from."""

    OWN = "own"  # there is nothing to share with
    SHARED = "shared"  # one spread for all comparisons of the response
    PLACE = "place"  # one spread for the comparisons at one combination of the other factors
    MODERATED = "moderated"  # its own, drawn towards that of all


@dataclass(frozen=True, slots=True)
class Scatter:
    """The spread of one comparison: as `Middle.spread`, with the degrees of freedom it rests on."""

    spread: float
    df: float
    sharing: Sharing


@dataclass(frozen=True, slots=True)
class Sample:
    """One comparison's within-block differences, their middle, and at which of the places they were made."""

    place: int
    d: Sequence[float]
    middle: Middle | None

    @property
    def able(self) -> bool:
        """Say whether it has enough units for a claim."""
        return self.middle is not None and self.middle.n >= MIN_BLOCKS


def trim_share(places: Sequence[Sequence[Logs]]) -> float:
    """Return how much of a response's differences is left out at either end: of TRIM_SHARES, where errors are smallest.

    Jaeckel 1971 (Annals of Mathematical Statistics 42): trimming is chosen by the error that it is estimated to have.
    Chosen once, by all pairs of cells, so that no comparison takes what suits itself. `places` are as for `noises`.
    """
    pool = _pool(places, TRIM_SHARE)
    if pool is None or pool.df < CHOICE_FROM_DF:
        return TRIM_SHARE
    return min(TRIM_SHARES, key=lambda share: _mean_square_error(places, share))


def _mean_square_error(places: Sequence[Sequence[Logs]], share: float) -> float:
    return float(np.mean([middle(d, share).error ** 2 for cells in places for d in _pairs(cells)]))


def noises(samples: Sequence[Sample], places: Sequence[Sequence[Logs]], share: float) -> tuple[Scatter | None, ...]:
    """Return the spread of each comparison; None where it has fewer than MIN_BLOCKS units.

    One for all of them where neither pairs of cells nor places (combinations of the other factors, of which a heavier
    load is a noisier one) have unequal spreads; else one for each place whose pairs have equal ones; else each one's
    own, moderated. All pairs are asked, since comparisons alone would not show that the reference, which is in each of
    them, is noisier than the others. `places` are the cells of each place, levels that are not compared included: the
    mean variance of the log ratios of all pairs of k cells in n blocks is twice the residual variance of that place's
    randomised blocks, with (k - 1)(n - 1) degrees of freedom, where the comparisons alone, which share the reference,
    would have fewer. `share`: how much was trimmed for the samples' middles.
    """
    able = [s for s in samples if s.able]
    own = [
        Scatter(s.middle.spread, s.middle.df, Sharing.OWN) if s.able and s.middle is not None else None for s in samples
    ]
    pool = _pool(places, share)
    if len(able) < 2 or pool is None:  # noqa: PLR2004 -- one has nothing to share with
        return tuple(own)
    by_place = {p: [s.d for s in able if s.place == p] for p in dict.fromkeys(s.place for s in able)}
    pairs = {p: _pairs(places[p]) for p in by_place}
    alike = _equal([d for group in pairs.values() for d in group])
    if alike and _equal([_centred(group) for group in by_place.values()]):
        return tuple(None if n is None else pool for n in own)
    pools = {p: _pool([places[p]], share) for p in by_place if len(by_place) > 1 and _equal(pairs[p])}
    prior = _prior([s.middle for s in able if s.middle is not None])
    found = []
    for sample, noise in zip(samples, own, strict=True):
        at_place = pools.get(sample.place)
        if noise is None or (at_place is None and prior is None):
            found.append(noise)
        elif at_place is not None:
            found.append(Scatter(at_place.spread, at_place.df, Sharing.PLACE))
        elif prior is not None:
            found.append(_moderated(noise, *prior, pool))
    return tuple(found)


def _pairs(cells: Sequence[Logs]) -> list[list[float]]:
    """Return the differences of all pairs of cells that have enough units for a claim."""
    pairs = ([one[u] - other[u] for u in one if u in other] for one, other in combinations(cells, 2))
    return [d for d in pairs if len(d) >= MIN_BLOCKS]


def _centred(group: Sequence[Sequence[float]]) -> list[float]:
    return [x - float(np.median(d)) for d in group for x in d]


def _pool(places: Sequence[Sequence[Logs]], share: float) -> Scatter | None:
    weighed, total = 0.0, 0.0
    for cells in places:
        middles = [middle(d, share) for d in _pairs(cells)]
        if not middles:
            continue
        each = np.array([m.df for m in middles], dtype=float)
        levels = (1 + math.sqrt(1 + 8 * len(middles))) / 2  # as many cells as make so many pairs
        df = (levels - 1) * float(each.mean())
        weighed += df * float(np.average([m.spread**2 for m in middles], weights=each))
        total += df
    return Scatter(math.sqrt(weighed / total), total, Sharing.SHARED) if total else None


def _equal(samples: Sequence[Sequence[float]]) -> bool:
    """Say whether spreads can be taken for equal: Levene's test about the median (Brown and Forsythe 1974)."""
    if len(samples) == 1 or not any(np.ptp(d) > 0 for d in samples):
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


def _moderated(own: Scatter, spread0: float, df0: float, pool: Scatter) -> Scatter:
    """Return a comparison's own spread drawn towards that of all, by their degrees of freedom."""
    if math.isinf(df0):
        return Scatter(spread0, pool.df, Sharing.MODERATED)
    df = own.df + df0
    variance = (own.df * own.spread**2 + df0 * spread0**2) / df
    return Scatter(math.sqrt(variance), min(df, pool.df), Sharing.MODERATED)
