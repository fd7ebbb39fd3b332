"""What a level does to a response.

Unit: the trial. Pairing: the block, or its pass. An effect is the trimmed mean of the within-block log ratios to the
reference level, its spread is shared by the comparisons of a response, and its bounds are those of all comparisons of
the rule together (docs/statistics.md).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats  # type: ignore[import-untyped]  # scipy ships no types

from cgidlab.analysis.answers import Bounds, answer_of, barred, of_outage
from cgidlab.analysis.cut_short import unclaimed
from cgidlab.analysis.findings import Answer, Combination, Effect
from cgidlab.analysis.floors import noise_floors
from cgidlab.analysis.intervals import ALPHA, MIN_BLOCKS, Interval, bootstrap_interval, sign_interval, wilcoxon_p
from cgidlab.analysis.looks import planned_looks
from cgidlab.analysis.pairs import Pairs, Unit, by_unit, cells_of, combinations_of, levels_of, paired, within_blocks
from cgidlab.analysis.power import blocks_to_decide, mde
from cgidlab.analysis.sharing import Sample, Scatter, Sharing, noises, trim_share
from cgidlab.analysis.trimmed import Middle, middle
from cgidlab.model import Factor, Repetitions, TrialRecord, VerdictRule

DESCRIBED = (
    "throughput_rps",
    "latency_p50_ms",
    "latency_p99_ms",
    "latency_p999_ms",
    "errors",
    "connect_wait_per_request_ms",
)
"""Responses that are compared whether or not the rule has a smallest effect for them."""

Cells = Mapping[tuple[str, Combination], Mapping[Unit, float]]
"""A response of every cell, by its level and combination of the other factors, unit by unit."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is compared with what, for one response."""

    response: str
    factor: str
    reference: str
    levels: tuple[str, ...]  # that are compared with the reference
    places: tuple[Combination, ...]
    smallest: float | None
    bounds: Bounds
    checks: bool  # whether sign interval, bootstrap, Wilcoxon and minimum detectable effect are asked for


@dataclass(frozen=True, slots=True)
class _Comparison:
    level: str
    place: Combination
    pairs: Pairs
    scale: str
    d: Sequence[float]
    middle: Middle | None


def effects(
    records: Sequence[TrialRecord],
    rule: VerdictRule,
    repetitions: Repetitions,
    declared: Sequence[Factor] = (),
    *,
    registered_only: bool = False,
) -> tuple[Effect, ...]:
    """Return the effect of every level at every combination of the other factors, and the common one over them.

    Labels that share the reference's value are an A/A pair and not compared
    here; an effect that is no larger than what was found between them is not claimed. `registered_only` leaves out the
    responses that the rule does not name, the checks and
    the minimum detectable effect: what a decision does not need, in a tenth of the time.
    """
    levels = levels_of(records, rule.factor, declared)
    treated = [lb for lb in levels.values if lb != rule.reference and not levels.same_value(lb, rule.reference)]
    places = combinations_of(records, rule.factor)
    smallest = {e.response: e.share for e in rule.smallest_effects}
    responses = list(smallest) if registered_only else list(dict.fromkeys((*smallest, *DESCRIBED)))
    bounds = Bounds(
        looks=planned_looks(repetitions),
        responses=max(1, len(smallest)),
        levels=max(1, len(treated)),
        groups=max(1, len(places) + (len(places) > 1)),
        error=rule.error,
    )
    cells = cells_of(records, rule.factor)
    found: list[Effect] = []
    for response in responses:
        asked = Question(
            response, rule.factor, rule.reference, tuple(treated), places, smallest.get(response), bounds,
            checks=not registered_only,
        )  # fmt: skip
        found += compared(asked, {key: by_unit(trials, response) for key, trials in cells.items()})
    return unclaimed(barred(found, noise_floors(records, rule, declared)), records)


def compared(asked: Question, cells: Cells) -> tuple[Effect, ...]:
    """Return the effects on one response, level by level: at each place, then over all of them."""
    logs = [
        [
            {u: math.log(v) for u, v in values.items()}
            for (_, at), values in cells.items()
            if at == place and _able(values)
        ]
        for place in asked.places
    ]
    share = trim_share(logs)
    made = {
        (level, place): _comparison(level, place, paired(cells[level, place], cells[asked.reference, place]), share)
        for level in asked.levels
        for place in asked.places
        if (level, place) in cells and (asked.reference, place) in cells
    }
    ratios = [c for c in made.values() if c.scale == "ratio" and c.d]
    shared = dict(
        zip(
            [(c.level, c.place) for c in ratios],
            noises([Sample(asked.places.index(c.place), c.d, c.middle) for c in ratios], logs, share),
            strict=True,
        )
    )
    found = []
    for level in asked.levels:
        here = [made[level, place] for place in asked.places if (level, place) in made]
        known = [(c, shared[c.level, c.place] if c in ratios else _own(c.middle)) for c in here]
        found += [_effect(asked, c, noise) for c, noise in known]
        if len(asked.places) > 1 and len(here) == len(asked.places):
            found.append(_common(asked, level, known))
    return _believed(found)


def _believed(found: Sequence[Effect]) -> tuple[Effect, ...]:
    """Return effects without the time that would decide them, where most open comparisons have none.

    In noise that decides nothing a few have one by chance, and most of these are wrong (docs/statistics.md).
    """
    open_ = [e for e in found if e.answer is Answer.INCONCLUSIVE and e.blocks >= MIN_BLOCKS]
    if 2 * sum(e.more_blocks is not None for e in open_) >= len(open_):
        return tuple(found)
    return tuple(replace(e, more_blocks=None) if e in open_ else e for e in found)


def _able(values: Mapping[Unit, float]) -> bool:
    return len(values) > 0 and all(v > 0 for v in values.values())


def _own(found: Middle | None) -> Scatter | None:
    return Scatter(found.spread, found.df, Sharing.OWN) if found is not None and found.n >= MIN_BLOCKS else None


def _comparison(level: str, place: Combination, pairs: Pairs, share: float) -> _Comparison:
    scale, d = within_blocks(pairs)
    return _Comparison(level, place, pairs, scale, d, middle(d, share) if len(d) > 1 else None)


def _effect(asked: Question, found: _Comparison, noise: Scatter | None) -> Effect:
    d, n, ratio = found.d, len(found.d), found.scale == "ratio"
    center = found.middle
    value = center.value if center is not None else float(np.mean(d)) if d else None
    effect = _judged(
        asked, found.level, found.place, found.scale, n,
        value, noise, None if center is None or noise is None else noise.spread / math.sqrt(center.kept),
    )  # fmt: skip
    if not ratio and asked.smallest is not None:
        effect = of_outage(effect, found.pairs)
    cut = 0 if center is None else (center.n - center.kept) // 2
    sd = noise.spread if noise is not None else None if center is None else center.spread
    kept = n - 2 * cut
    checks = asked.checks
    if not n:
        effect = replace(effect, note="not known: no block has both cells complete with this figure")
    elif noise is None:
        effect = replace(effect, note=f"descriptive only: {n} of the {MIN_BLOCKS} complete blocks that a claim needs")
    return replace(
        effect,
        block_sd=sd,
        sign_interval=_out(sign_interval(d, ALPHA), ratio=ratio) if checks else None,
        bootstrap_interval=_out(bootstrap_interval(d, ALPHA), ratio=ratio) if checks else None,
        wilcoxon_p=wilcoxon_p(d) if checks else None,
        mde=mde(kept, sd, asked.bounds.single, df=None if noise is None else noise.df)
        if checks and ratio and sd is not None
        else None,
        trimmed=cut,
        mean=_back(center.mean, ratio=ratio) if center is not None and cut else None,
        mean_apart=center is not None and center.apart,
    )


def _common(asked: Question, level: str, known: Sequence[tuple[_Comparison, Scatter | None]]) -> Effect:
    """Return the effect over all places: the mean of theirs, with the error that follows from their errors."""
    values = [c.middle.value for c, _ in known if c.middle is not None]
    scale = "ratio" if all(c.scale == "ratio" for c, _ in known) else "difference"
    one_scale = scale == "ratio" or all(c.scale == "difference" for c, _ in known)
    blocks = min(len(c.d) for c, _ in known)
    value = float(np.mean(values)) if len(values) == len(known) and one_scale else None
    parts = [
        (n.spread**2 / c.middle.kept, n) for c, n in known if n is not None and c.middle is not None
    ]  # squared errors
    if value is None or len(parts) < len(known):
        note = f"descriptive only: {blocks} of the {MIN_BLOCKS} complete blocks that a claim needs"
        return replace(_judged(asked, level, None, scale, blocks, value, None, None), note=note)
    total = sum(v for v, _ in parts)
    shared = all(n.sharing is Sharing.SHARED for _, n in parts)
    # Satterthwaite 1946 (Biometrics Bulletin 2), where the errors do not come from one spread.
    df = parts[0][1].df if shared or not total else total**2 / sum(v * v / n.df for v, n in parts)
    error = math.sqrt(total) / len(parts)
    kept = min(c.middle.kept for c, _ in known if c.middle is not None)
    noise = Scatter(error * math.sqrt(kept), df, parts[0][1].sharing)
    p = _interaction_p(values, [v for v, _ in parts], df)
    effect = _judged(asked, level, None, scale, blocks, value, noise, error)
    return replace(
        effect,
        block_sd=noise.spread,
        mde=mde(kept, noise.spread, asked.bounds.single, df=df) if asked.checks and scale == "ratio" else None,
        interaction_p=p,
        interaction=p is not None and p < ALPHA,
    )


def _interaction_p(values: Sequence[float], variances: Sequence[float], df: float) -> float | None:
    """Return the p of "the effect is equal at every place": an F test of the places' effects by their errors."""
    if min(variances) <= 0:
        return None
    weight = 1 / np.asarray(variances)
    middle_of_all = float(np.average(values, weights=weight))
    between = float((weight * (np.asarray(values) - middle_of_all) ** 2).sum()) / (len(values) - 1)
    return float(stats.f.sf(between, len(values) - 1, df))


def _judged(  # one comparison has that many sides
    asked: Question,
    level: str,
    place: Combination | None,
    scale: str,
    blocks: int,
    value: float | None,
    noise: Scatter | None,
    error: float | None,
) -> Effect:
    ratio = scale == "ratio"
    single = equivalence = family = None
    answer, note, more = Answer.DESCRIBED, "", None
    if value is not None and noise is not None and error is not None:
        shared = noise.sharing is Sharing.SHARED
        single, equivalence, family = (
            Interval(value - bound * error, value + bound * error) for bound in asked.bounds.of(noise.df, shared=shared)
        )
    if asked.smallest is not None and not ratio:
        answer, note = Answer.INCONCLUSIVE, "a ratio to 0 is not defined"
    elif asked.smallest is not None:
        answer = answer_of(asked.response, asked.smallest, equivalence, family)
        if answer is Answer.INCONCLUSIVE and (value is None or noise is None or error is None):
            more = MIN_BLOCKS - blocks if 0 < blocks < MIN_BLOCKS else None
        elif answer is Answer.INCONCLUSIVE and value is not None and noise is not None and error is not None:
            _, *decisive = asked.bounds.of(noise.df, shared=noise.sharing is Sharing.SHARED)
            more = blocks_to_decide(value, error, blocks, asked.smallest, (decisive[0], decisive[1]))
    return Effect(
        response=asked.response,
        factor=asked.factor,
        level=level,
        reference=asked.reference,
        at=place or (),
        pooled=place is None,
        scale=scale,
        smallest=asked.smallest,
        blocks=blocks,
        estimate=None if value is None else _back(value, ratio=ratio),
        block_sd=None,
        interval=_out(single, ratio=ratio),
        family_interval=_out(family, ratio=ratio),
        sign_interval=None,
        bootstrap_interval=None,
        wilcoxon_p=None,
        mde=None,
        answer=answer,
        more_blocks=more,
        note=note,
        equivalence_interval=_out(equivalence, ratio=ratio),
        sharing=noise.sharing.value if noise is not None else "",
        df=noise.df if noise is not None else None,
    )


def _back(value: float, *, ratio: bool) -> float:
    return math.exp(value) if ratio else value


def _out(interval: Interval | None, *, ratio: bool) -> Interval | None:
    return interval.exp() if interval is not None and ratio else interval
