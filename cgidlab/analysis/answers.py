"""What an effect's intervals say of the smallest effect that matters."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from scipy import stats  # type: ignore[import-untyped]  # scipy ships no types

from cgidlab import figures
from cgidlab.analysis.dunnett import critical
from cgidlab.analysis.findings import Answer, Effect, NoiseFloor, band
from cgidlab.analysis.intervals import ALPHA, MIN_BLOCKS, Interval
from cgidlab.analysis.looks import nominal_alpha
from cgidlab.analysis.pairs import Pairs


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many standard errors each kind of interval is wide, given what a run compares and when it looks."""

    looks: tuple[int, ...]
    responses: int  # that the rule names
    levels: int  # that are compared with the reference
    groups: int  # places, and one more for the effect over all of them
    error: float = ALPHA  # 5 % is what "95 %" stands for; less where the rule asks for less

    @property
    def single(self) -> float:
        """Return the error of one comparison's 95 % interval at each look."""
        return nominal_alpha(self.looks, self.error)

    def of(self, df: float, *, shared: bool) -> tuple[float, float, float]:
        """Return the bounds of a comparison's 95 % and 90 % intervals, and of the 95 % interval of all comparisons.

        `shared` says whether all comparisons of a response have one spread, as Dunnett's distribution asks for; where
        they have not, each is bounded as if it were independent of the others (Sidak 1967).
        """
        return _bounds(self, df, shared=shared)


@lru_cache(maxsize=1024)
def _bounds(bounds: Bounds, df: float, *, shared: bool) -> tuple[float, float, float]:
    comparisons = bounds.responses * bounds.levels * bounds.groups
    # At each look; the looks' correlation is taken where one of so many comparisons has its bound.
    together = comparisons * nominal_alpha(bounds.looks, bounds.error / comparisons)
    a_response = 1 - (1 - together) ** (1 / bounds.responses)
    a_comparison = 1 - (1 - together) ** (1 / comparisons)
    return (
        float(stats.t.isf(bounds.single / 2, df)),
        float(stats.t.isf(nominal_alpha(bounds.looks, 2 * bounds.error) / 2, df)),
        critical(a_response, bounds.levels, bounds.groups, df) if shared else float(stats.t.isf(a_comparison / 2, df)),
    )


def answer_of(response: str, smallest: float, equivalence: Interval | None, family: Interval | None) -> Answer:
    """Judge the log-ratio intervals of one comparison: the 90 % one, and that of all comparisons together.

    "Costs less" is two one-sided tests at 5 % (Schuirmann 1987), that is the 90 % interval inside the band: that
    every comparison is equivalent is an intersection-union claim and needs no
    correction (Berger 1982). A claimed difference could come from any comparison, so it
    must hold in the interval for all of them together. One that leaves out "no change" and not the
    smallest effect is real, and near what matters.
    """
    if equivalence is None or family is None:
        return Answer.INCONCLUSIVE
    low, high = band(smallest)
    if equivalence.inside(low, high):
        return Answer.EQUIVALENT
    if family.high <= low:
        return Answer.COSTS_AT_LEAST if figures.lower_is_worse(response) else Answer.GAINS_AT_LEAST
    if family.low >= high:
        return Answer.GAINS_AT_LEAST if figures.lower_is_worse(response) else Answer.COSTS_AT_LEAST
    return Answer.INCONCLUSIVE if family.holds(0.0) else Answer.REAL_NEAR


def of_outage(effect: Effect, pairs: Pairs) -> Effect:
    """Return the effect, judged where one side served nothing in most of its blocks and the other always something.

    Nothing served is no value near others that noise could have made; below MIN_BLOCKS nothing is claimed as elsewhere.
    """
    if not figures.lower_is_worse(effect.response) or not pairs:
        return effect
    ours, theirs = (sum(pair[side] == 0 for pair in pairs.values()) for side in (0, 1))
    where = f"{effect.level if ours else effect.reference} served nothing in {ours or theirs} of {len(pairs)} trials"
    if ours and theirs:
        return replace(effect, note="both levels served nothing in some trials")
    told = replace(effect, note=where, scale="ratio", estimate=None, interval=None, family_interval=None,
                   equivalence_interval=None)  # fmt: skip
    if 2 * max(ours, theirs) <= len(pairs) or len(pairs) < MIN_BLOCKS:
        return told
    if ours:
        return replace(told, answer=Answer.COSTS_AT_LEAST, estimate=0.0)
    return replace(told, answer=Answer.GAINS_AT_LEAST)


def barred(found: Sequence[Effect], floors: Sequence[NoiseFloor]) -> tuple[Effect, ...]:
    """Return the effects, without the claims that are smaller than what two names of one level differ by.

    The pair at the same place counts; where there is none, the loudest of the response.
    """
    return tuple(_barred(effect, floors) for effect in found)


def _barred(effect: Effect, floors: Sequence[NoiseFloor]) -> Effect:
    loud = [f for f in floors if f.response == effect.response]
    near = [f for f in loud if (f.at, f.pooled) == (effect.at, effect.pooled)]
    floor = max((f for f in near or loud if f.too_high), key=lambda f: abs(math.log(f.ratio)), default=None)
    if floor is None or not effect.answer.decided or not effect.estimate:
        return effect
    if abs(math.log(effect.estimate)) > abs(math.log(floor.ratio)):
        return effect
    names = " and ".join(floor.labels)
    note = f"not claimed: {names} are names of one level and differ by a ratio of {floor.ratio:.2f}"
    return replace(effect, answer=Answer.INCONCLUSIVE, more_blocks=None, note=note)
