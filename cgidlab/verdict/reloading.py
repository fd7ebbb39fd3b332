"""What a reload costs, as a verdict says it: of the cells in which this run reloaded httpd, and of no others."""

from collections.abc import Sequence

from cgidlab.analysis.findings import Analysis, Combination, Effect
from cgidlab.analysis.reload_cost import ReloadCost
from cgidlab.design import faults
from cgidlab.verdict import places, templates, words
from cgidlab.verdict.sentences import Sentence
from cgidlab.verdict.sentences import say as _say

_FAULT = "fault"
_WHOLE = 10  # requests from which on no digit behind the point is worth reading


def sentences(analysis: Analysis) -> list[Sentence]:
    """Return what is lost at each kind of reload under the most load; empty where httpd was not reloaded."""
    factor = _compared(analysis)
    measured = list(dict.fromkeys(_place(cost, factor) for cost in analysis.reloads))
    if not measured:
        return []
    busiest = max(measured, key=_load)
    said = []
    for kind in faults.RELOADS:
        costs = [c for c in analysis.reloads if c.kind == kind and _place(c, factor) == busiest]
        if costs:
            told = "; ".join(_costs(sorted(costs, key=lambda c: _rank(_label(c, factor))), factor))
            said.append(_say("reload_lost", kind=templates.RELOAD_KINDS[kind], at=places.at_place(busiest), costs=told))
    return said


def clauses(analysis: Analysis) -> list[str]:
    """Return what is lost in each cell, a clause a cell."""
    return [
        f"each {templates.RELOAD_KINDS[c.kind]} lost {_requests(c)} at {words.cell(c.levels)}{_retries(c)}"
        for c in ordered(analysis.reloads)
    ]


def price(analysis: Analysis, effect: Effect) -> str:
    """Return what a longer queue costs at each reload, beside the reference; empty where this run did not measure both.

    Of several kinds of reload the gentlest that was measured: it is what a deployment does.
    """
    at = tuple(pair for pair in effect.at if pair[0] != _FAULT)
    for kind in faults.RELOADS:
        found = {
            _label(c, effect.factor): c.lost
            for c in analysis.reloads
            if c.kind == kind and c.lost is not None and _place(c, effect.factor) == at
        }
        longer, now = found.get(effect.level), found.get(effect.reference)
        if longer is not None and now is not None:
            return templates.RELOAD_PRICE.format(
                kind=templates.RELOAD_KINDS[kind],
                level=effect.level,
                n=_number(longer),
                reference=effect.reference,
                m=_number(now),
            )
    return ""


def _compared(analysis: Analysis) -> str:
    """Return the factor whose levels are told side by side: the queue, where the kinds of reload are compared."""
    rule = analysis.rule
    if rule.factor != _FAULT:
        return rule.factor
    names = [name for cost in analysis.reloads for name, _ in cost.levels]
    return next((name for name in names if name in places.QUEUE_FACTORS), "")


def _place(cost: ReloadCost, factor: str) -> Combination:
    return tuple(pair for pair in cost.levels if pair[0] not in (factor, _FAULT))


def _label(cost: ReloadCost, factor: str) -> str:
    return dict(cost.levels).get(factor, "")


def _load(place: Combination) -> float:
    """Return how much is asked of the server there."""
    labels = [label for name, label in place if name in ("clients", "rate") and places.is_number(label)]
    return max(map(float, labels), default=0.0)


def _rank(label: str) -> tuple[float, str]:
    return (float(label), label) if places.is_number(label) else (float("inf"), label)


def _costs(costs: Sequence[ReloadCost], factor: str) -> list[str]:
    """Return what is lost at each level; levels of which the same is said are told together."""
    levels: dict[str, list[str]] = {}
    for cost in costs:
        label = _label(cost, factor)
        levels.setdefault(_requests(cost), []).extend([places.level_of(factor, label)] if label else [])
    return [said + (templates.WITH.format(level=words.listing(at)) if at else "") for said, at in levels.items()]


def _requests(cost: ReloadCost) -> str:
    """Return how many requests are lost, with the interval; or how rare it is that any is."""
    if cost.lost is None:
        return templates.LOST_UNKNOWN
    if cost.interval is not None:
        low, high = _number(cost.interval.low), _number(cost.interval.high)
        return templates.LOST.format(n=_number(cost.lost), low=low, high=high)
    if cost.rarest is not None:
        return templates.LOST_NONE.format(
            reloads=words.count(cost.reloads, "reload"), share=words.per_cent(cost.rarest)
        )
    return templates.LOST_ROUGHLY.format(n=_number(cost.lost), blocks=words.count(cost.blocks, "block"))


def _retries(cost: ReloadCost) -> str:
    return "" if cost.enoent is None else f" ({_number(cost.enoent)} retries with ENOENT)"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= _WHOLE or value == int(value) else f"{value:.1f}"


def ordered(costs: Sequence[ReloadCost]) -> tuple[ReloadCost, ...]:
    """Return the costs by kind of reload, and by their levels."""
    return tuple(sorted(costs, key=lambda c: (faults.RELOADS.index(c.kind), *map(_rank, dict(c.levels).values()))))
