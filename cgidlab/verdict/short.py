"""The verdict in seven lines: which facts each line is made of. How they are said is in `templates`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from cgidlab import figures
from cgidlab.analysis.findings import Analysis, Answer, CellSummary, Effect, unanswered
from cgidlab.analysis.interventions import LimitsShown
from cgidlab.analysis.thresholds import Fulfilment
from cgidlab.analysis.trimmed import standard_error
from cgidlab.model import FailureKind, Status, TrialRecord
from cgidlab.verdict import limits_found, places, requiring, shown, templates, words
from cgidlab.verdict.limits import Limit
from cgidlab.verdict.loops import RATE_SERVED, Loop
from cgidlab.verdict.overflow import CellOverflow, Overflow, only_unwatched, trouble
from cgidlab.verdict.sentences import Sentence, ShortAnswer
from cgidlab.verdict.sentences import say as _say
from cgidlab.verdict.validity import CellErrors

REAL = {Answer.COSTS_AT_LEAST, Answer.GAINS_AT_LEAST, Answer.REAL_NEAR}
_MOST_EFFECTS = 2  # of one response that are told one by one: the others are counted
_MOST_ACTIONS = 2
_MOST_DOUBTS = 3


@dataclass(frozen=True, slots=True)
class Known:
    """What the lines are made from."""

    analysis: Analysis
    records: Sequence[TrialRecord]  # all trials of the run
    overflow: Overflow
    cells: Sequence[CellOverflow]
    limits: Sequence[Limit]
    loop: Loop
    errors: Sequence[CellErrors]
    retried: int | None  # retry lines in the windows; None: no log could hold one
    actions: Sequence[str]  # what to do, what counts most first
    doubts: Sequence[str]  # what weakens the answer, clauses
    shown: Sequence[LimitsShown] = ()  # by holding things back; utilisation is a hint alone
    required: Sequence[Fulfilment] = ()  # what is shown of each requirement


def lines(known: Known) -> tuple[ShortAnswer, ...]:
    """Return seven lines for two responses: the question's own factor first, errors before all where there are any.

    Where something is required, whether it is shown comes before all.
    """
    responses = [_response(known, s.response, s.share) for s in known.analysis.rule.smallest_effects]
    queue = ShortAnswer("overflow", tuple(_overflow(known)))
    of_queue = known.analysis.rule.factor in places.QUEUE_FACTORS
    first = [queue, *responses] if of_queue or not responses else [*responses, queue]
    errors = ShortAnswer("errors", tuple(_errors(known)))
    found = [
        *([errors, *first] if any(c.fails for c in known.errors) else [*first, errors]),
        ShortAnswer("limit", tuple(_limit(known.limits, known.shown))),
        ShortAnswer("do", tuple(Sentence("clause", {"text": _capital(a)}) for a in known.actions[:_MOST_ACTIONS])),
        ShortAnswer("trust", tuple(_trust(known))),
    ]
    if known.analysis.limits_found:
        found.insert(0, ShortAnswer("found", tuple(limits_found.sentences(known.analysis.limits_found))))
    if known.required:
        found.insert(0, ShortAnswer("required", tuple(requiring.sentences(known.required))))
    said = [line for line in found if line.sentences]
    if said and (warned := disturbed(known.records)):
        said[0] = ShortAnswer(said[0].topic, (warned, *said[0].sentences))
    return tuple(said)


def disturbed(records: Sequence[TrialRecord]) -> Sentence | None:
    """Return what comes before everything else of a run of which most trials were disturbed."""
    trials = [r for r in records if r.pass_number]
    noisy = sum(r.outcome.kind is FailureKind.NOISE for r in trials)
    if 2 * noisy <= len(trials):
        return None
    return _say("mostly_disturbed", some=str(noisy), all=words.count(len(trials), "trial"))


# The queue.


def _overflow(known: Known) -> list[Sentence]:
    if known.overflow is Overflow.INCONCLUSIVE:
        return [_not_known(known.cells)]
    factor, reference = known.analysis.rule.factor, known.analysis.rule.reference
    there = [c for c in known.cells if dict(c.levels).get(factor) == reference]
    default = places.level_of(factor, reference)
    full = [c for c in there if c.overflow is known.overflow is not Overflow.NOT_OBSERVED]
    others = [c for c in known.cells if c not in there and c.overflow is known.overflow is not Overflow.NOT_OBSERVED]
    if full:
        worst = max(full, key=trouble)
        template = "overflow_moment" if known.overflow is Overflow.MOMENT else "overflow_yes"
        said = [_say(template, level=default, at=places.of_cells(full, there, factor), facts=_facts(worst))]
        spared = [c for c in there if c.overflow is Overflow.NOT_OBSERVED]
        if others and factor not in places.QUEUE_FACTORS:
            labels = list(dict.fromkeys(dict(c.levels)[factor] for c in others))
            said.append(_say("overflow_also", level=places.levels_of(factor, labels)))
        if spared:
            said.append(_say("overflow_not_at", at=places.of_cells(spared, there, factor, " with ").strip()))
        return said
    if others:
        worst = max(others, key=trouble)
        levels = places.levels_of(factor, list(dict.fromkeys(dict(c.levels)[factor] for c in others)))
        said = [_say("overflow_no_at_reference", level=default)] if there else []
        return [*said, _say("overflow_elsewhere", level=levels, facts=_facts(worst))]
    deepest = max(known.cells, key=lambda c: (c.depth_max or 0) / (1 + (c.limit or 0)))
    if deepest.depth_max is None:
        return [_say("overflow_no")]
    return [_say("overflow_no_depth", depth=str(deepest.depth_max), limit=str(deepest.limit))]


def _not_known(cells: Sequence[CellOverflow]) -> Sentence:
    torn = next((c for c in cells if c.against), None)
    if torn is not None:
        return _say("overflow_torn", where=words.cell(torn.levels), sides=", but ".join(torn.against))
    if not cells:
        return _say("overflow_unknown", why=templates.NO_VALID_TRIAL)
    return _say("overflow_unknown", why=templates.NOT_WATCHED if only_unwatched(cells) else templates.NO_WITNESS)


def _facts(cell: CellOverflow) -> str:
    found = []
    if cell.observed < cell.trials:
        found.append(templates.SOME_TRIALS.format(some=cell.observed, all=cell.trials))
    if cell.full_share is not None:
        found.append(templates.FULL.format(share=words.per_cent(cell.full_share)))
    if cell.sleepers_max:
        found.append(templates.ASLEEP.format(workers=words.count(cell.sleepers_max, "worker")))
    if cell.connect_max_us is not None and cell.sleepers_max:
        found.append(templates.LONGEST.format(time=_time(cell.connect_max_us / 1e6)))
    return ", ".join(found) or templates.SEEN


# Responses.


def _response(known: Known, response: str, smallest: float) -> ShortAnswer:
    compared = [e for e in known.analysis.effects if e.response == response and not e.pooled]
    topic = response if response in templates.TOPICS else "response"
    said = _compared(known, response, smallest, compared)
    if topic == "response":
        said = [_say("named", name=figures.title(response)), *said]
    return ShortAnswer(topic, tuple(said))


def _compared(known: Known, response: str, smallest: float, compared: Sequence[Effect]) -> list[Sentence]:
    share = words.per_cent(smallest)
    if known.loop.gives(response):
        return _served(known)
    if not known.analysis.compares:
        return _one_value(known, response)
    if not [e for e in compared if e.interval is not None]:
        return [_say("too_few_blocks")]
    real = _told_first([e for e in compared if e.answer in REAL])
    open_ = [e for e in unanswered(known.analysis.effects) if e.response == response]
    equal = [e for e in compared if e not in real and e not in open_]
    said = [_change(known, e) for e in real[:_MOST_EFFECTS]]
    if len(real) > _MOST_EFFECTS:
        said.append(_more(real[_MOST_EFFECTS:], len(compared)))
    if equal:
        said.append(_equal(equal, len(compared), share))
    if open_:
        said.append(_open(open_, len(compared)))
    return said + (_of_loop(known, response) if real or equal else [])


def _of_loop(known: Known, response: str) -> list[Sentence]:
    """Return of which loop a latency is said, and how its requests came; nothing of another response."""
    if not response.startswith("latency_"):
        return []
    per_block = known.analysis.per_block
    template = "loop_together" if per_block is not None and per_block.passes > 1 else "loop"
    came = [_say("came", how=words.listing(known.loop.came))] if known.loop.came else []
    return [_say(template, loop=known.loop.named), *came]


def _one_value(known: Known, response: str) -> list[Sentence]:
    """Return what was measured, from the least cell to the greatest, and that there is nothing to compare."""
    factor = known.analysis.rule.factor
    medians = sorted(m for c in known.analysis.seen if (m := c.median(response)) is not None)
    unit = " requests a second" if response == "throughput_rps" else " ms" if response.endswith("_ms") else ""
    if not medians or not unit:
        return [_say("one_value_unknown", factor=factor)]
    ends = dict.fromkeys(
        words.milliseconds(m).removesuffix(unit) if unit == " ms" else f"{m:,.0f}" for m in (medians[0], medians[-1])
    )
    value = f"{' to '.join(ends)}{unit}"
    return [_say("one_value", value=value, factor=factor), *_of_loop(known, response)]


def _told_first(real: Sequence[Effect]) -> list[Effect]:
    """Return effects, the largest first; right behind it the largest in the other direction, where there is one."""
    by_size = sorted(real, key=lambda e: -abs(_size(e)))
    other = next((e for e in by_size if _size(e) * _size(by_size[0]) < 0), None)
    return by_size if other is None else [by_size[0], other, *(e for e in by_size[1:] if e is not other)]


def _size(effect: Effect) -> float:
    """Return by how much a response is more or less, on a scale on which half is as far from 1 as twice."""
    if effect.estimate is None or effect.scale != "ratio" or effect.estimate <= 0:
        return effect.estimate or 0.0
    return math.log(effect.estimate)


def _equal(equal: Sequence[Effect], compared: int, share: str) -> Sentence:
    """Return where nothing that matters changed, and where only a common effect says so."""
    together = together_only(equal)
    number = {"share": share, "some": str(len(equal)), "all": str(compared)}
    if not together:
        return _say("equal_in", **number) if len(equal) < compared else _say("equal_everywhere", share=share)
    number["factors"] = together_over(together)
    if len(equal) < compared:
        return _say("equal_in_together", **number, together=str(len(together)))
    number["some"] = str(compared - len(together))
    return _say("equal_together", **number, width=_not_ruled_out(together))


def together_only(equal: Sequence[Effect]) -> list[Effect]:
    """Return those of which only a common effect over the other factors says that nothing that matters changed."""
    return [e for e in equal if not e.answer.decided]


def together_over(effects: Sequence[Effect]) -> str:
    """Return the names of the factors over which the common effects are."""
    return words.listing(list(dict.fromkeys(name for e in effects for name, _ in e.at)))


def _served(known: Known) -> list[Sentence]:
    """Return what of an open loop's rates was served: to compare throughput would compare what was asked for."""
    loop = known.loop
    if loop.served:
        return [_say("given")]
    short_of = sorted((share, levels) for levels, share in loop.served_share.items() if share < RATE_SERVED)
    whole = [levels for levels, share in loop.served_share.items() if share >= RATE_SERVED]
    rates = [float(dict(levels).get("rate", "nan")) for levels in whole]
    said = []
    if known.analysis.rule.factor == "rate" and rates and all(len(levels) == 1 for levels in whole):
        said.append(_say("served_up_to", at=places.place("rate", f"{max(rates):g}")))
    worst, levels = short_of[0]
    return [*said, _say("served_short", where=words.cell(levels), share=words.per_cent(worst))]


def _change(known: Known, effect: Effect) -> Sentence:
    """Return one effect: in its unit before the ratio, the interval that decides, and where."""
    level = places.level_of(effect.factor, effect.level)
    at = places.at_place(effect.at)
    before, after = (_median(known.analysis.cells, effect, label) for label in (effect.reference, effect.level))
    direction = templates.MORE if (effect.estimate or 1.0) > 1 else templates.LESS
    change = words.change(effect)
    near = templates.NEAR if effect.answer is Answer.REAL_NEAR else ""
    if effect.response.endswith("_ms") and before is not None and after is not None:
        template = "change_in_unit"
        values = {"before": f"{before:,.0f}", "after": f"{after:,.0f}", "unit": "ms"}
    else:
        template, values = "change", {}
    return _say(template, direction=direction, change=change, level=level, at=at, near=near, **values)


def _more(rest: Sequence[Effect], compared: int) -> Sentence:
    worse = sum((_size(e) < 0) == figures.lower_is_worse(e.response) for e in rest)
    return _say("more_effects", some=str(len(rest)), all=str(compared), worse=str(worse))


def _open(open_: Sequence[Effect], compared: int) -> Sentence:
    number = {"some": str(len(open_)), "all": str(compared)}
    width = _not_ruled_out(open_)
    if not width:
        return _say("not_decided_few", **number)
    return _say("not_decided" if compared > 1 else "not_decided_one", **number, width=width)


def _not_ruled_out(found: Sequence[Effect]) -> str:
    """Return how large a change can be in one of these, by the intervals of all comparisons together.

    That is no half width, which is of one comparison alone and about its own ratio ("known to"). "" where one of them
    has no interval.
    """
    spans = [e.family_interval or e.interval for e in found if e.scale == "ratio"]
    ends = [max(span.high - 1, 1 - span.low) for span in spans if span is not None]
    return words.per_cent(max(ends)) if ends and len(ends) == len(found) else ""


def _median(cells: Sequence[CellSummary], effect: Effect, label: str) -> float | None:
    wanted = {*effect.at, (effect.factor, label)}
    return next((c.median(effect.response) for c in cells if set(c.levels) == wanted), None)


# Errors, limit, trust.


def _errors(known: Known) -> list[Sentence]:
    if not known.errors:
        return [_say("errors_unknown")]
    worst = max(known.errors, key=lambda c: c.share)
    if worst.errors:
        kind = templates.OF_503.format(number=f"{worst.unavailable:,}") if worst.unavailable else ""
        said = [_say("errors_some", share=words.per_cent(worst.share), where=words.cell(worst.levels), kind=kind)]
    else:
        said = [_say("errors_none")]
    if known.retried is None:
        said.append(_say("retries_unknown"))
    elif known.retried:
        said.append(_say("retries_some", times=words.count(known.retried, "time")))
    elif known.overflow is Overflow.OBSERVED:
        said.append(_say("retries_none_asleep"))
    else:
        said.append(_say("retries_none"))
    return said


def _limit(found: Sequence[Limit], tried: Sequence[LimitsShown]) -> list[Sentence]:
    """Return what was shown to limit; without that what is at its limit, as a hint: filling up shows no limit."""
    why = shown.reason(tried)
    if tried and not why:
        told = [_say("limit_shown", where=shown.where(tried), parts="; ".join(shown.parts(tried)))]
        gains = shown.gains(tried)[:1]
        return told + [
            _say("limit_first", name=name[:1].upper() + name[1:], change=shown.change(e)) for name, e in gains
        ]
    return ([_say("limit_not_shown", why=why)] if why else []) + _hint(found)


def _hint(found: Sequence[Limit]) -> list[Sentence]:
    full = [f for f in found if f.saturated and not f.behind] or [f for f in found if f.saturated]
    if not full:
        return [_say("limit_unknown")]
    return [_say("limit_hint", facts=" and ".join(f.text for f in full[:2]))]


def _trust(known: Known) -> list[Sentence]:
    total = len(known.records)
    noisy = sum(r.outcome.kind is FailureKind.NOISE for r in known.records)
    failed = sum(r.outcome.status is not Status.COMPLETE for r in known.records) - noisy
    said = [_say("trials", number=words.count(total, "trial"))]
    if noisy:
        said = [_say("trials_disturbed", some=str(noisy), all=words.count(total, "trial"))]
    if failed:
        said.append(_say("trials_failed", some=str(failed), all=words.count(total, "trial"), why=_why(known.analysis)))
    unknown = sum(r.figures.outsider_cpu_share is None for r in known.records if r.outcome.status is Status.COMPLETE)
    if unknown and unknown < total - noisy - failed:
        said.append(_say("noise_unknown_some", some=words.count(unknown, "trial")))
    elif unknown:
        said.append(_say("noise_unknown"))
    said += _speed(known.analysis)
    return said + [_say("clause", text=_capital(d)) for d in known.doubts[:_MOST_DOUBTS]]


def _why(analysis: Analysis) -> str:
    """Return the reason that most of the trials which are not valid have, and how many have it."""
    if not analysis.reasons or not analysis.reasons[0][0]:
        return ""
    reason, number = analysis.reasons[0]
    often = f" ({number} x)" if len(analysis.reasons) > 1 else ""
    return templates.WHY.format(reason=" ".join(reason.split()), number=often)


def _speed(analysis: Analysis) -> list[Sentence]:
    """Return how far the host's speed wandered: by its fixed work, or what is known only from before there was one."""
    drift, pace = analysis.drift, analysis.pace
    known = pace.range if pace is not None else drift.range if drift is not None and drift.flagged else None
    said = [] if known is None else [_say("wandered", range=words.per_cent(known))]
    spread = _restless(analysis)
    if spread is not None:
        said.append(_say("restless_too" if said else "restless", spread=words.per_cent(spread)))
    return said


def _restless(analysis: Analysis) -> float | None:
    """Return by what share equal windows next to each other differ, where that leaves something open and is much.

    The standard deviation of the log ratio of two of them, which pairing has taken what it can from. It is told by what
    all of them leave of the estimate's error, so that it does not depend on how many are left out at either end.
    """
    open_ = [e for e in unanswered(analysis.effects) if e.response not in figures.OF_A_BLOCK and e.scale == "ratio"]
    known = [(_apart(e), e.smallest) for e in open_ if e.block_sd is not None and e.smallest is not None]
    large = [spread for spread, smallest in known if spread > smallest]
    return median(large) if large else None


def _apart(effect: Effect) -> float:
    error = standard_error(effect.block_sd or 0.0, effect.blocks, effect.trimmed)
    return math.expm1(error * math.sqrt(effect.blocks))


def _capital(text: str) -> str:
    begin = text.partition(" ")[0]
    name = "_" in begin or begin.startswith("p9")  # an instrument's, or p99
    return (text if name else text[:1].upper() + text[1:]) + ("" if text.endswith(".") else ".")


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 0.1 else words.milliseconds(1000 * seconds)  # noqa: PLR2004 -- below, "ms" reads better
