"""What the factor costs, in words: the only module that sums up effects, response by response."""

import math
from collections.abc import Mapping, Sequence

from cgidlab import figures
from cgidlab.analysis.findings import Analysis, Answer, Effect, band
from cgidlab.analysis.intervals import MIN_BLOCKS
from cgidlab.verdict import words


def answers(analysis: Analysis) -> dict[str, Answer]:
    """Return one answer a response of the rule.

    It costs if it costs anywhere; it costs less only if every comparison shows
    so; a gain anywhere is a gain when nothing costs; else inconclusive.
    """
    found = {}
    for response, compared in _by_response(analysis).items():
        said = {e.answer for e in compared}
        if Answer.COSTS_AT_LEAST in said:
            found[response] = Answer.COSTS_AT_LEAST
        elif Answer.GAINS_AT_LEAST in said:
            found[response] = Answer.GAINS_AT_LEAST
        elif said == {Answer.EQUIVALENT}:
            found[response] = Answer.EQUIVALENT
        else:
            found[response] = Answer.INCONCLUSIVE
    return found


def _by_response(analysis: Analysis) -> Mapping[str, Sequence[Effect]]:
    """Return the comparisons at each combination; pooled ones would hide what differs between them."""
    named = [e.response for e in analysis.rule.smallest_effects]
    return {r: [e for e in analysis.effects if e.response == r and not e.pooled] for r in named}


def clause(analysis: Analysis) -> str:
    """Return what was found for every response of the rule, without a capital and a full stop."""
    parts = [_response(analysis, r, compared) for r, compared in _by_response(analysis).items()]
    return "; ".join(parts) if parts else "no response was asked for"


def _response(analysis: Analysis, response: str, compared: Sequence[Effect]) -> str:
    name = figures.title(response)
    seen = [e for e in compared if e.estimate is not None]
    if not seen:
        return f"what it does to {name} is not known: no block has the cells to compare"
    smallest = words.per_cent(seen[0].smallest or 0.0)
    if max(e.blocks for e in seen) < MIN_BLOCKS:
        return (
            f"no 95 % claim is made about {name} below {MIN_BLOCKS} complete blocks ({_range(seen)}, descriptive only)"
        )
    by = {a: [e for e in seen if e.answer is a] for a in Answer}
    if len(by[Answer.EQUIVALENT]) == len(compared):
        return _equal(analysis, name, smallest, by[Answer.EQUIVALENT])
    parts = []
    for answer in (Answer.COSTS_AT_LEAST, Answer.GAINS_AT_LEAST):
        if by[answer]:
            lower = figures.lower_is_worse(response) == (answer is Answer.COSTS_AT_LEAST)
            parts.append(_shown(name, smallest, by[answer], len(compared), "lower" if lower else "higher"))
    if by[Answer.EQUIVALENT]:
        share = f"{len(by[Answer.EQUIVALENT])} of {len(compared)} comparisons"
        parts.append(f"{'it' if parts else name} changed by less than {smallest} in {share}")
    if by[Answer.INCONCLUSIVE]:
        parts.append(_open(name, smallest, by[Answer.INCONCLUSIVE], len(compared)))
    return ", and ".join(parts)


def _range(found: Sequence[Effect]) -> str:
    if any(e.scale != "ratio" for e in found):
        return "a ratio to 0 is not defined"
    values = [e.estimate for e in found if e.estimate is not None]
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return f"ratio {low}" if low == high else f"ratios from {low} to {high}"


def _equal(analysis: Analysis, name: str, smallest: str, found: Sequence[Effect]) -> str:
    factor = "the backlog" if analysis.rule.factor == "listen_backlog" else analysis.rule.factor
    far = max(found, key=_distance)
    most = "" if len(found) == 1 else f" at {words.where(far)}, the farthest of {len(found)} comparisons"
    return f"{name} did not change with {factor} by {smallest} or more ({words.ratio(far)}{most})"


def _distance(effect: Effect) -> float:
    interval = effect.interval
    return 0.0 if interval is None else max(abs(interval.low - 1), abs(interval.high - 1))


def _shown(name: str, smallest: str, found: Sequence[Effect], compared: int, direction: str) -> str:
    far = max(found, key=lambda e: abs((e.estimate or 1.0) - 1))
    more = "" if len(found) == 1 else f", the largest of {len(found)} such in {compared} comparisons"
    change = f"{name} is at least {smallest} {direction}"
    return f"{change} at {words.where(far)} than at {far.reference} ({words.ratio(far)}{more})"


def _open(name: str, smallest: str, found: Sequence[Effect], compared: int) -> str:
    wide = max(found, key=_distance)
    share = f" in {len(found)} of {compared} comparisons" if compared > 1 else ""
    text = f"whether {name} changes by {smallest} is not decided{share}"
    text += f" ({words.where(wide)}: {words.ratio(wide)}{_together(wide)})"
    few = sum(e.blocks < MIN_BLOCKS for e in found)  # trials that were not valid took blocks away
    has = f"{few} of them have" if len(found) > 1 else "it has"
    lost = f" ({has} fewer than the {MIN_BLOCKS} complete blocks that a claim needs)" if few else ""
    known = sorted(m for e in found if (m := e.more_blocks) is not None)
    if not known:
        return f"{text}, and more blocks would probably not decide it: the change is too near to {smallest}{lost}"
    blocks = words.count(known[-1], "more block")
    about = f"about {blocks}" if known[0] == known[-1] else f"{known[0]:,} to {blocks}"
    some = f"{len(known)} of " if len(known) < len(found) else ""
    return f"{text}, {some}which {about} would probably decide{lost}"


def _together(effect: Effect) -> str:
    """Return the interval that decides, for an effect whose own interval looks as if it had decided already."""
    single, family = effect.interval, effect.family_interval
    if single is None or family is None or effect.smallest is None:
        return ""
    low, high = (math.exp(end) for end in band(effect.smallest))
    if single.high > low and single.low < high:
        return ""
    return f" by itself, {family.low:.2f} to {family.high:.2f} with all comparisons together"


def warnings(analysis: Analysis) -> tuple[str, ...]:
    """Return what weakens the cost: drift, a noise floor above the smallest effect, a short warm-up."""
    found = []
    drift = analysis.drift
    if drift is not None and drift.flagged:
        found.append(
            f"the host drifted: throughput of the reference level changed by {100 * drift.change:+.0f} % over the run, "
            f"more than the {words.per_cent(drift.smallest)} that matter; "
            "ratios within blocks bear that, plain medians do not"
        )
    loud = [f for f in analysis.noise_floor if f.too_high]
    if loud:
        worst = max(loud, key=lambda f: abs(f.ratio - 1))
        found.append(
            f"two names of one level ({worst.labels[0]} and {worst.labels[1]}) differ in "
            f"{figures.title(worst.response)} by a ratio of {worst.ratio:.2f}: here an effect of that size is noise"
        )
    series = analysis.series
    if series is not None and series.warm_up_short and series.start_ratio is not None:
        found.append(
            f"the warm-up was too short: the first quarter of the windows ran at {series.start_ratio:.2f} of the rest"
        )
    return tuple(found)
