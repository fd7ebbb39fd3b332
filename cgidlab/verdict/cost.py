"""What the factor costs, in words: effects summed up, response by response."""

import math
from collections.abc import Mapping, Sequence

from cgidlab import figures
from cgidlab.analysis.findings import Analysis, Answer, Effect, ObserverEffect, band, unanswered
from cgidlab.analysis.intervals import MIN_BLOCKS
from cgidlab.verdict import words
from cgidlab.verdict.loops import Loop

_TOGETHER = " of a block's windows together"


def answers(analysis: Analysis, loop: Loop) -> dict[str, Answer]:
    """Return one answer a response of the rule.

    It costs if it costs anywhere; a gain anywhere is a gain when nothing costs; a real change near what matters comes
    next; it costs less only if every comparison shows so, by itself or in common with others; else it is inconclusive.
    Throughput of an open loop that served what it was asked for is that rate, and answers nothing; nor does a run
    whose factor has one value.
    """
    found = {}
    for response, compared in _by_response(analysis).items():
        said = {e.answer for e in _speaking(analysis, compared)}
        order = (Answer.COSTS_AT_LEAST, Answer.GAINS_AT_LEAST, Answer.REAL_NEAR, Answer.INCONCLUSIVE)
        first = next((a for a in order if a in said), None)
        less = Answer.EQUIVALENT if said else Answer.INCONCLUSIVE
        given = loop.gives(response) or not analysis.compares
        found[response] = Answer.DESCRIBED if given else first or less
    return found


def _by_response(analysis: Analysis) -> Mapping[str, Sequence[Effect]]:
    """Return the comparisons at each combination of the other factors."""
    named = [e.response for e in analysis.rule.smallest_effects]
    return {r: [e for e in analysis.effects if e.response == r and not e.pooled] for r in named}


def _speaking(analysis: Analysis, compared: Sequence[Effect]) -> list[Effect]:
    """Return the effects that answer for these comparisons: each itself, or its level's common one where that is open.

    A cell that differs by itself is named beside a common effect.
    """
    open_ = set(map(_key, unanswered(analysis.effects)))
    found = []
    for level in dict.fromkeys(e.level for e in compared):
        cells = [e for e in compared if e.level == level]
        by_common = [e for e in cells if e.answer is Answer.INCONCLUSIVE and _key(e) not in open_]
        found += [e for e in cells if e not in by_common and (not by_common or e.answer is not Answer.EQUIVALENT)]
        if by_common:
            found += [e for e in analysis.effects if e.pooled and (e.response, e.level) == (cells[0].response, level)]
    return found


def _key(effect: Effect) -> tuple[object, ...]:
    return effect.response, effect.level, effect.at


def clause(analysis: Analysis, loop: Loop) -> str:
    """Return what was found for every response of the rule, without a capital and a full stop."""
    by_response = _by_response(analysis)
    if by_response and not analysis.compares:
        return f"nothing is compared: {analysis.rule.factor} has one value"
    parts = [_response(analysis, loop, r, compared) for r, compared in by_response.items()]
    return "; ".join(parts) if parts else "no response was asked for"


def _response(analysis: Analysis, loop: Loop, response: str, compared: Sequence[Effect]) -> str:
    name = figures.title(response)
    seen = [e for e in compared if e.blocks]
    if not seen:
        return f"what it does to {name} is not known: no block has the cells to compare"
    if loop.gives(response):
        served = "and was served in every cell" if loop.served else "as far as it was served"
        return f"{name} is what the open loop asked for {served}, so it compares nothing"
    smallest = words.per_cent(seen[0].smallest or 0.0)
    if max(e.blocks for e in seen) < MIN_BLOCKS:
        return (
            f"no 95 % claim is made about {name} below {MIN_BLOCKS} complete blocks ({_range(seen)}, descriptive only)"
        )
    together = analysis.per_block is not None and analysis.per_block.passes > 1 and response in figures.OF_A_BLOCK
    name = f"{name}{_TOGETHER if together else ''}{loop.of(response)}"
    speaking = [e for e in _speaking(analysis, compared) if e.blocks]
    by = {a: [e for e in speaking if e.answer is a] for a in Answer}
    if len(by[Answer.EQUIVALENT]) == len(speaking) and len(seen) == len(compared):
        return _equal(analysis, name, smallest, by[Answer.EQUIVALENT], len(compared))
    parts = []
    for answer in (Answer.COSTS_AT_LEAST, Answer.GAINS_AT_LEAST):
        if by[answer]:
            lower = figures.lower_is_worse(response) == (answer is Answer.COSTS_AT_LEAST)
            parts.append(_shown(name, smallest, by[answer], len(compared), "lower" if lower else "higher"))
    if by[Answer.REAL_NEAR]:
        parts.append(_near(name, smallest, by[Answer.REAL_NEAR]))
    if by[Answer.EQUIVALENT]:
        parts.append(_less("it" if parts else name, smallest, by[Answer.EQUIVALENT], len(compared)))
    if by[Answer.INCONCLUSIVE]:
        parts.append(_open(analysis, name, smallest, by[Answer.INCONCLUSIVE], len(compared)))
    return ", and ".join(parts)


def _range(found: Sequence[Effect]) -> str:
    if any(e.scale != "ratio" for e in found):
        return "a ratio to 0 is not defined"
    values = [e.estimate for e in found if e.estimate is not None]
    if not values:
        return "no ratio is known"
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return f"ratio {low}" if low == high else f"ratios from {low} to {high}"


def _equal(analysis: Analysis, name: str, smallest: str, found: Sequence[Effect], compared: int) -> str:
    factor = "the backlog" if analysis.rule.factor == "listen_backlog" else analysis.rule.factor
    far = max(found, key=_distance)
    most = "" if compared == 1 else f" at {words.where(far)}, the farthest of {words.count(len(found), 'comparison')}"
    return (
        f"{name} did not change with {factor} by {smallest} or more ({words.equivalence(far)}{most}){_together(found)}"
    )


def _less(name: str, smallest: str, found: Sequence[Effect], compared: int) -> str:
    cells = [e for e in found if not e.pooled]
    share = [f"{len(cells)} of {compared} comparisons"] if cells else []
    levels = [f"{e.factor}={e.level}" for e in found if e.pooled]
    share += [f"all cells of {words.listing(levels)} together"] if levels else []
    return f"{name} changed by less than {smallest} in {words.listing(share)}{_together(found)}"


def _together(found: Sequence[Effect]) -> str:
    """Return on what a common effect rests."""
    return ", where no difference between the cells is shown" if any(e.pooled for e in found) else ""


def _distance(effect: Effect) -> float:
    interval = effect.interval
    return 0.0 if interval is None else max(abs(interval.low - 1), abs(interval.high - 1))


def _shown(name: str, smallest: str, found: Sequence[Effect], compared: int, direction: str) -> str:
    far = max(found, key=lambda e: math.inf if not e.estimate else abs(e.estimate - 1))
    more = "" if len(found) == 1 else f", the largest of {len(found)} such in {compared} comparisons"
    if not far.estimate:  # nothing was served on one side
        return f"{name} is {direction} at {words.where(far)} than at {far.reference} ({far.note}{more})"
    change = f"{name} is at least {smallest} {direction}"
    return f"{change} at {words.where(far)} than at {far.reference} ({words.ratio(far)}{more})"


def _near(name: str, smallest: str, found: Sequence[Effect]) -> str:
    each = [f"{words.change(e)} at {words.where(e)}" for e in found[:3]]
    more = [words.count(len(found) - 3, "more such change")] if len(found) > 3 else []  # noqa: PLR2004 -- as many are shown
    return f"what it does to {name} is real, near the {smallest} that matter: {words.listing([*each, *more])}"


def _open(analysis: Analysis, name: str, smallest: str, found: Sequence[Effect], compared: int) -> str:
    wide = max(found, key=_distance)
    share = f" in {len(found)} of {compared} comparisons" if compared > 1 else ""
    text = f"whether {name} changes by {smallest} is not decided{share}"
    text += f" ({words.where(wide)}: {words.ratio(wide)}{_decides(wide)}{_known_to(wide)})"
    few = sum(e.blocks < MIN_BLOCKS for e in found)  # trials that were not valid took blocks away
    has = f"{few} of them have" if len(found) > 1 else "it has"
    lost = f" ({has} fewer than the {MIN_BLOCKS} complete blocks that a claim needs)" if few else ""
    barred = next((e.note for e in found if e.note.startswith("not claimed")), "")
    minutes = sorted(m for e in found if (m := analysis.more_minutes(e)) is not None)
    if not minutes:
        return f"{text}{f', {barred}' if barred else ''}{lost}"
    some = f"{len(minutes)} of " if len(minutes) < len(found) else ""
    return f"{text}, {some}which {words.minutes(minutes[-1])} more would probably decide{lost}"


def _known_to(effect: Effect) -> str:
    """Return how well the ratio is known."""
    if effect.half_width is None:
        return f": {effect.note}" if effect.note and effect.estimate is None else ""
    return f", known to \N{PLUS-MINUS SIGN}{words.per_cent(effect.half_width)}"


def _decides(effect: Effect) -> str:
    """Return the interval that decides, for an effect whose own interval looks as if it had decided already."""
    single, family = effect.interval, effect.family_interval
    if single is None or family is None or effect.smallest is None or effect.note:
        return ""
    low, high = (math.exp(end) for end in band(effect.smallest))
    if single.high > low and single.low < high and single.holds(1.0):
        return ""
    return f" by itself, {family.low:.2f} to {family.high:.2f} with all comparisons together"


def wandering(analysis: Analysis) -> tuple[str, ...]:
    """Return what a host whose pace changed makes of the figures; nothing where it kept it."""
    drift = analysis.drift
    if drift is None or not drift.flagged:
        return ()
    span = f"from {100 * drift.low:+.0f} to {100 * drift.high:+.0f} % of its median"
    said = f"the host's speed wandered by {words.per_cent(drift.range)} over the run"
    return (
        f"{said} (throughput of the reference level, {span}); ratios within blocks bear that, plain medians do not",
    )


def _told_apart(one: float, other: float) -> tuple[str, str]:
    """Return two ratios that differ so that they are seen to."""
    digits = next((n for n in (2, 3) if f"{one:.{n}f}" != f"{other:.{n}f}"), 4)
    return f"{one:.{digits}f}", f"{other:.{digits}f}"


def _watching(effect: ObserverEffect) -> str:
    """Return what instruments did to a response: what they saw is then of another server than what was measured."""
    low, high = (100 * (end - 1) for end in (effect.interval.low, effect.interval.high)) if effect.interval else (0, 0)
    return (
        f"watching changed {figures.title(effect.response)} by {100 * (effect.ratio - 1):+.0f} % "
        f"({low:+.0f} to {high:+.0f}): responses are those of passes that nothing watched, "
        "but what was seen of the queue is of watched ones"
    )


def warnings(analysis: Analysis) -> tuple[str, ...]:
    """Return what else weakens the cost: a noise floor, single pairs, instruments that cost, a short warm-up."""
    found = []
    loud = [f for f in analysis.noise_floor if f.too_high]
    if loud:
        worst = max(loud, key=lambda f: abs(math.log(f.ratio)))
        found.append(
            f"two names of one level ({worst.labels[0]} and {worst.labels[1]}) differ in "
            f"{figures.title(worst.response)} by a ratio of {worst.ratio:.2f}: here an effect of that size is noise, "
            "and none that is smaller is claimed"
        )
    apart = [e for e in analysis.effects if e.mean_apart and e.smallest is not None and not e.pooled]
    if apart:
        worst_apart = max(apart, key=lambda e: abs(math.log((e.mean or 1.0) / (e.estimate or 1.0))))
        more = f" and in {words.count(len(apart) - 1, 'more comparison')}" if len(apart) > 1 else ""
        mean, trimmed = _told_apart(worst_apart.mean or 1.0, worst_apart.estimate or 1.0)
        found.append(
            f"single pairs make the mean of {figures.title(worst_apart.response)} at {words.where(worst_apart)}"
            f"{more}: ratio {mean}, and {trimmed} "
            f"without {worst_apart.trimmed} of {worst_apart.blocks} at either end"
        )
    found += [_watching(o) for o in analysis.observer if o.matters]
    if analysis.repetitions.watch_every > 1 and analysis.per_block is not None and not analysis.per_block.unwatched:
        found.append("no pass was run that nothing watched: responses are of a watched server")
    series = analysis.series
    if series is not None and series.warm_up_short and series.start_ratio is not None:
        found.append(
            f"the warm-up was too short: the first quarter of the windows ran at {series.start_ratio:.2f} of the rest"
        )
    return tuple(found)
