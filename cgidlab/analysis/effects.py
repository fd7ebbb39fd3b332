"""What a level does to a response: the only module that turns blocks of trials into an answer.

Unit: the trial. Pairing: the block. An effect is the geometric mean of the
within-block ratios to the reference level. The mean and not the median, since
its interval keeps its 95 % from six blocks on (docs/statistics.md).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cgidlab import figures
from cgidlab.analysis.findings import Answer, Combination, Effect, band
from cgidlab.analysis.intervals import MIN_BLOCKS, Interval, bootstrap_interval, sign_interval, t_interval, wilcoxon_p
from cgidlab.analysis.looks import nominal_alpha, planned_looks
from cgidlab.analysis.pairs import BlockKey, by_block, cells_of, combinations_of, levels_of
from cgidlab.analysis.power import blocks_needed, mde
from cgidlab.model import Factor, Repetitions, TrialRecord, VerdictRule

ALPHA = 0.05

DESCRIBED = (
    "throughput_rps",
    "latency_p50_ms",
    "latency_p99_ms",
    "latency_p999_ms",
    "errors",
    "connect_wait_per_request_ms",
)
"""Responses that are compared whether or not the rule has a smallest effect for them."""


@dataclass(frozen=True, slots=True)
class _Levels:
    """The errors at which intervals are made."""

    single: float
    family: float


def effects(
    records: Sequence[TrialRecord],
    rule: VerdictRule,
    repetitions: Repetitions,
    declared: Sequence[Factor] = (),
    *,
    registered_only: bool = False,
) -> tuple[Effect, ...]:
    """Return the effect of every level at every combination of the other factors, and pooled over them.

    Labels that share the reference's value are an A/A pair and not compared
    here. `registered_only` leaves out the responses that the rule does not name, the checks and
    the minimum detectable effect: what a decision does not need, in a tenth of the time.
    """
    levels = levels_of(records, rule.factor, declared)
    treated = [lb for lb in levels.values if lb != rule.reference and not levels.same_value(lb, rule.reference)]
    places = combinations_of(records, rule.factor)
    smallest = {e.response: e.share for e in rule.smallest_effects}
    responses = list(smallest) if registered_only else list(dict.fromkeys((*smallest, *DESCRIBED)))
    pooled_too = len(places) > 1
    family = max(1, len(smallest) * len(treated) * (len(places) + pooled_too))
    looks = planned_looks(repetitions.min, repetitions.max)
    errors = _Levels(nominal_alpha(looks, ALPHA), nominal_alpha(looks, ALPHA / family))
    cells = cells_of(records, rule.factor)
    found = []
    for response in responses:
        for level in treated:
            pairs = [pairs_of(cells, level, rule.reference, place, response) for place in places]
            for place, pair in zip(places, pairs, strict=True):
                if pair is not None:
                    found.append(_effect(rule, response, level, place, [pair], errors, checks=not registered_only))
            if pooled_too and all(p is not None for p in pairs):
                whole = [p for p in pairs if p is not None]
                found.append(_effect(rule, response, level, None, whole, errors, checks=not registered_only))
    return tuple(found)


Pairs = dict[BlockKey, tuple[float, float]]  # treated, reference


def pairs_of(
    cells: Mapping[tuple[str, Combination], Sequence[TrialRecord]],
    level: str,
    reference: str,
    place: Combination,
    response: str,
) -> Pairs | None:
    """Return the pairs of one comparison; None when the design lacks one of its cells."""
    if (level, place) not in cells or (reference, place) not in cells:
        return None
    ours = by_block(cells[level, place], response)
    theirs = by_block(cells[reference, place], response)
    return {block: (ours[block], theirs[block]) for block in ours if block in theirs}


def within_blocks(pairs: Sequence[Pairs]) -> tuple[str, list[float]]:
    """Return the scale and the differences of the blocks that are complete in every part, parts averaged."""
    blocks = sorted(set.intersection(*(set(p) for p in pairs)))
    positive = all(a > 0 and b > 0 for p in pairs for a, b in p.values())
    if positive:
        return "ratio", [float(np.mean([math.log(p[b][0] / p[b][1]) for p in pairs])) for b in blocks]
    return "difference", [float(np.mean([p[b][0] - p[b][1] for p in pairs])) for b in blocks]


def _effect(
    rule: VerdictRule,
    response: str,
    level: str,
    place: Combination | None,
    pairs: Sequence[Pairs],
    errors: _Levels,
    *,
    checks: bool,
) -> Effect:
    smallest = next((e.share for e in rule.smallest_effects if e.response == response), None)
    scale, d = within_blocks(pairs)
    n = len(d)
    enough = n >= MIN_BLOCKS
    single = t_interval(d, errors.single) if enough else None
    family = t_interval(d, errors.family) if enough else None
    sd = float(np.std(d, ddof=1)) if n > 1 else None
    ratio = scale == "ratio"
    answer, note = Answer.DESCRIBED, ""
    more = None
    if smallest is not None and not ratio:
        answer, note = Answer.INCONCLUSIVE, "a ratio to 0 is not defined"
    elif smallest is not None:
        answer = answer_of(response, smallest, single, family)
        if answer is Answer.INCONCLUSIVE and sd is not None:
            needed = _needed(float(np.mean(d)), sd, smallest, errors)
            more = None if needed is None else max(1, needed - n)
        elif answer is Answer.INCONCLUSIVE:
            more = MIN_BLOCKS - n
    if not n:
        note = "not known: no block has both cells complete with this figure"
    elif not enough:
        note = f"descriptive only: {n} of the {MIN_BLOCKS} complete blocks that a 95 % claim needs"
    return Effect(
        response=response,
        factor=rule.factor,
        level=level,
        reference=rule.reference,
        at=place or (),
        pooled=place is None,
        scale=scale,
        smallest=smallest,
        blocks=n,
        estimate=_back(float(np.mean(d)), ratio=ratio) if n else None,
        block_sd=sd,
        interval=_out(single, ratio=ratio),
        family_interval=_out(family, ratio=ratio),
        sign_interval=_out(sign_interval(d, ALPHA), ratio=ratio) if checks else None,
        bootstrap_interval=_out(bootstrap_interval(d, ALPHA), ratio=ratio) if checks else None,
        wilcoxon_p=wilcoxon_p(d) if checks else None,
        mde=mde(n, sd, errors.single) if checks and ratio and sd is not None else None,
        answer=answer,
        more_blocks=more,
        note=note,
    )


def answer_of(response: str, smallest: float, single: Interval | None, family: Interval | None) -> Answer:
    """Judge the log-ratio intervals of one comparison: at its own error, and at that of its family.

    "Costs less" is two one-sided tests (Schuirmann 1987) at each comparison's own 95 % interval: that
    every comparison is equivalent is an intersection-union claim and needs no
    correction (Berger 1982). A claimed difference could come from any comparison, so it
    must hold in the interval for all of them together (Bonferroni).
    """
    if single is None or family is None:
        return Answer.INCONCLUSIVE
    low, high = band(smallest)
    if single.inside(low, high):
        return Answer.EQUIVALENT
    if family.high <= low:
        return Answer.COSTS_AT_LEAST if figures.lower_is_worse(response) else Answer.GAINS_AT_LEAST
    if family.low >= high:
        return Answer.GAINS_AT_LEAST if figures.lower_is_worse(response) else Answer.COSTS_AT_LEAST
    return Answer.INCONCLUSIVE


def _needed(mean: float, sd: float, smallest: float, errors: _Levels) -> int | None:
    low, high = band(smallest)
    if low < mean < high:
        return blocks_needed(min(mean - low, high - mean), sd, errors.single)
    return blocks_needed(max(low - mean, mean - high), sd, errors.family)


def _back(value: float, *, ratio: bool) -> float:
    return math.exp(value) if ratio else value


def _out(interval: Interval | None, *, ratio: bool) -> Interval | None:
    return interval.exp() if interval is not None and ratio else interval
