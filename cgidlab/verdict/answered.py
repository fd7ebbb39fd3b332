"""The answer to the question that was asked, where that is not the queue's: from the rule's factor and responses.

A factor whose levels have an order is answered in its own terms: up to which level a response stays where it
was, or on its side of a value that the question names.
"""

from collections.abc import Sequence

from cgidlab import figures
from cgidlab.analysis.findings import BoundAnswer, Combination, Effect, Side, unanswered
from cgidlab.analysis.intervals import MIN_BLOCKS
from cgidlab.model import SmallestEffect
from cgidlab.verdict import places, reloading, short, templates, words
from cgidlab.verdict.sentences import Sentence, ShortAnswer
from cgidlab.verdict.sentences import say as _say
from cgidlab.verdict.short import REAL, Known

_MOST_PLACES = 3  # combinations of the other factors that are told one by one


def lines(known: Known) -> tuple[ShortAnswer, ...]:
    """Return the lines of a verdict, with the question's own answer before them where they do not begin with it.

    What is required stays before it: the outcome rests on that. The answer of a search is what it found.
    """
    found = short.lines(known)
    told = [
        ShortAnswer(topic, tuple(said))
        for topic, said in (("reload", reloading.sentences(known.analysis)), ("answer", _sentences(known)))
        if said
    ]
    if not told or not found:
        return found
    if found[0].topic == "required":
        return (found[0], *told, *found[1:])
    warned, *rest = found
    if warned.sentences[0].template == "mostly_disturbed":  # it stays before everything else
        told[0] = ShortAnswer(told[0].topic, (warned.sentences[0], *told[0].sentences))
        found = (ShortAnswer(warned.topic, warned.sentences[1:]), *rest)
    return (*told, *found)


def _sentences(known: Known) -> list[Sentence]:
    rule = known.analysis.rule
    if known.analysis.limits_found:
        return []
    bounds = [s for response, _ in rule.bounds for s in _bounds(known, response)]
    if bounds:
        return (
            [*bounds, _say("on_this_host")] if any(b.side is not Side.OPEN for b in known.analysis.bounds) else bounds
        )
    if rule.factor in places.QUEUE_FACTORS:
        return []
    return _matters(known)


# A value that is not to be passed.


def _bounds(known: Known, response: str) -> list[Sentence]:
    found = [b for b in known.analysis.bounds if b.response == response]
    places = list(dict.fromkeys(b.at for b in found))
    if not any(b.interval for b in found):
        return [_say("bound_unknown", blocks=str(MIN_BLOCKS))] if found else []
    return [s for at in places[:_MOST_PLACES] for s in _at_one_place([b for b in found if b.at == at], at)]


def _at_one_place(found: Sequence[BoundAnswer], at: Combination) -> list[Sentence]:
    """Return up to which level the value is not passed, with the other factors as they are."""
    ordered = all(places.is_number(b.level) for b in found)
    by_level = sorted(found, key=lambda b: float(b.level)) if ordered else list(found)
    kept, passed, open_ = ([b for b in by_level if b.side is side] for side in (Side.KEPT, Side.PASSED, Side.OPEN))
    first = found[0]
    name = figures.title(first.response)
    named = f"{name[:1].upper()}{name[1:]}" if not name.startswith("p") else name
    lower = figures.lower_is_worse(first.response)
    values = {
        "response": f"{named}{f', at {words.cell(at)},' if at else ''}",
        "bound": _amount(first.response, first.bound),
        "below": templates.ABOVE if lower else templates.BELOW,
        "beyond": templates.BELOW if lower else templates.ABOVE,
    }
    said = []
    rising = ordered and _follow(by_level, (Side.KEPT, Side.OPEN, Side.PASSED))
    falling = ordered and _follow(by_level, (Side.PASSED, Side.OPEN, Side.KEPT))
    if not passed and kept and not open_:
        said.append(_say("kept_everywhere", **values, at=_levels(kept[-1:]), value=_value(kept[-1])))
    elif passed and not kept and not open_:
        nearest = min(passed, key=lambda b: abs((b.value or 0.0) - b.bound))
        said.append(_say("passed_everywhere", **values, at=_levels([nearest]), value=_value(nearest)))
    elif kept and (rising or falling):
        last = kept[-1] if rising else kept[0]
        template = "kept_up_to" if rising else "kept_down_to"
        said.append(_say(template, **values, at=_levels([last]), value=_value(last)))
        said += _beyond(passed[:1] if rising else passed[-1:], values)
    elif kept and passed:
        said.append(_say("kept_at", **values, at=_levels(kept), beyonds=_levels(passed)))
    else:
        said += _beyond(passed, values)
    if open_:
        alone = f": {_value(open_[0])}" if len(open_) == 1 and open_[0].value is not None else ""
        said.append(_say("bound_open", at=_levels(open_), value=alone))
    return said


def _beyond(passed: Sequence[BoundAnswer], values: dict[str, str]) -> list[Sentence]:
    return [_say("passed_at", at=_levels([b]), beyond=values["beyond"], value=_value(b)) for b in passed]


def _follow(found: Sequence[BoundAnswer], order: Sequence[Side]) -> bool:
    """Say whether the sides come in this order and none comes back."""
    places = [order.index(b.side) for b in found]
    return places == sorted(places)


def _levels(found: Sequence[BoundAnswer]) -> str:
    factor = found[0].factor
    if len(found) > 1 and factor in templates.COUNTED:
        return f"{words.listing([places.grouped(b.level) for b in found])} {templates.COUNTED[factor]}"
    return words.listing([places.place(factor, b.level) for b in found])


def _value(found: BoundAnswer) -> str:
    if found.value is None:
        return ""
    span = found.interval
    ends = "" if span is None else f", {_plain(span.low)} to {_plain(span.high)}"
    return f"{_amount(found.response, found.value)}{ends}"


def _amount(response: str, value: float) -> str:
    unit = figures.COLUMNS[response].unit if response in figures.COLUMNS else ""
    return f"{_plain(value)} {unit}".rstrip()


def _plain(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.2g}"  # noqa: PLR2004 -- two digits are enough


# Whether the factor matters.


def _matters(known: Known) -> list[Sentence]:
    """Return whether the factor matters, response by response; nothing where nothing was compared."""
    rule = known.analysis.rule
    if not known.analysis.compares:
        return []
    asked = [s for s in rule.smallest_effects if not known.loop.gives(s.response)]
    changes, equal, open_ = [], [], []
    for smallest in asked:
        compared = [e for e in known.analysis.effects if e.response == smallest.response and not e.pooled]
        if not any(e.interval for e in compared):
            open_.append(figures.title(smallest.response))
        elif any(e.answer in REAL for e in compared):
            changes.append(f"{figures.title(smallest.response)} {_change(known, compared, smallest.share)}")
        elif any(e.response == smallest.response for e in unanswered(known.analysis.effects)):
            open_.append(figures.title(smallest.response))
        else:
            equal.append(_unchanged(compared, smallest))
    name = templates.FACTORS.get(rule.factor, rule.factor)
    first = name if name == rule.factor else f"{name[:1].upper()}{name[1:]}"  # of a sentence; an option keeps its name
    shares = f" {templates.OR} ".join(equal)
    if changes:
        said = [_say("matters", factor=first, changes="; ".join(changes))]
        return said + ([_say("the_others", shares=shares)] if equal else []) + _open(open_)
    if equal and not open_:
        return [_say("matters_not", factor=first, shares=shares)]
    return [_say("matters_open", factor=name), *([_say("the_others", shares=shares)] if equal else []), *_open(open_)]


def _unchanged(compared: Sequence[Effect], smallest: SmallestEffect) -> str:
    """Return by how much a response does not change, and over what together if only that is shown."""
    named = {"response": figures.title(smallest.response), "share": words.per_cent(smallest.share)}
    together = short.together_only(compared)
    if not together:
        return templates.BY_SHARE.format(**named)
    return templates.BY_SHARE_TOGETHER.format(**named, factors=short.together_over(together))


def _open(responses: Sequence[str]) -> list[Sentence]:
    return [_say("still_open", responses=words.listing(responses))] if responses else []


def _change(known: Known, compared: Sequence[Effect], share: float) -> str:
    """Return from which level on a response changes, where levels and change have an order; else the largest."""
    real = [e for e in compared if e.answer in REAL]
    stepped = _step(compared, {e.reference for e in compared}, known)
    if stepped is not None:
        template, last, first = stepped
        at = {"last": places.place(first.factor, last), "first": places.place(first.factor, first.level)}
        return template.format(share=words.per_cent(share), change=words.change(first), **at)
    largest = max(real, key=lambda e: abs((e.estimate or 1.0) - 1))
    where = f" at {words.cell(largest.at)}" if largest.at else ""
    return templates.AT_MOST.format(
        change=words.change(largest), level=places.place(largest.factor, largest.level), at=where
    )


def _step(compared: Sequence[Effect], references: set[str], known: Known) -> tuple[str, str, Effect] | None:
    """Return how to say it, the last level like the reference and the first that differs; None where there is no step.

    The reference has to be the lowest or the highest level, and none that is open may lie between.
    """
    if len(references) != 1 or len({e.at for e in compared}) != 1:
        return None
    reference = next(iter(references))
    if not all(places.is_number(label) for label in (reference, *(e.level for e in compared))):
        return None
    open_ = unanswered(known.analysis.effects)
    for template, sign in ((templates.UP_TO, 1), (templates.DOWN_TO, -1)):
        away = sorted(compared, key=lambda e: sign * float(e.level))
        if any(sign * float(e.level) < sign * float(reference) for e in away) or any(e in open_ for e in away):
            continue
        begin = next((i for i, e in enumerate(away) if e.answer in REAL), len(away))
        if begin and begin < len(away) and all(e.answer in REAL for e in away[begin:]):
            return template, away[begin - 1].level, away[begin]
    return None
