"""What to do, with the figure it rests on: the only module that advises."""

from collections.abc import Collection, Mapping, Sequence

from cgidlab import figures
from cgidlab.analysis.findings import Analysis, Answer, Effect
from cgidlab.analysis.intervals import MIN_BLOCKS
from cgidlab.verdict import words
from cgidlab.verdict.limits import Limit
from cgidlab.verdict.overflow import CellOverflow, Overflow

_QUEUE_FACTORS = {"listen_backlog", "somaxconn"}

_FOR_LIMIT = {
    "cgid daemon": "only fewer or cheaper forks would raise throughput (FastCGI, mod_proxy, a second instance)",
    "host CPU": "more cores would raise throughput, or a load generator on another host",
    "disk": "a faster disk or less logging would raise throughput",
    "load generator": "put the load on another host before believing any throughput",
    "offered rate": "ask for more requests to find the limit",
    "script time": "a faster script would raise throughput",
    "MaxRequestWorkers": "raise MaxRequestWorkers",
    "TCP accept queue": "raise httpd's ListenBacklog (the TCP one) and net.core.somaxconn",
}

_FOR_STARVED = (
    "it competes for the CPUs: more cores or a load generator on another host would raise throughput, "
    "and so would fewer or cheaper forks"
)


def line(
    analysis: Analysis,
    overflow: Overflow,
    cells: Sequence[CellOverflow],
    costs: Mapping[str, Answer],
    found: Sequence[Limit],
) -> str:
    """Return the advice as a sentence."""
    mixed = _mixed(analysis)
    gain = _best(analysis, Answer.GAINS_AT_LEAST, without=mixed)
    loss = _best(analysis, Answer.COSTS_AT_LEAST, without=mixed)
    of_queue = analysis.rule.factor in _QUEUE_FACTORS
    if overflow is Overflow.INCONCLUSIVE:
        torn = [c for c in cells if c.against]
        what = "find out which witness is wrong" if torn else "get a witness of the queue to run"
        return words.sentence(f"{what} before changing anything")
    parts = []
    if gain is not None:
        parts.append(_take(gain, of_queue=of_queue))
    if loss is not None:
        parts.append(_keep(analysis, loss, without=mixed))
    parts += [_weigh(analysis, level) for level in mixed]
    open_ = [a for a in costs.values() if a is Answer.INCONCLUSIVE]
    saturated = [f for f in found if f.saturated]
    together = [f for f in saturated if not f.behind]
    loader = next((f for f in together if f.name == "load generator"), None)
    if loader is not None:  # it sets the pace whatever the server could do: no throughput is known to be equal
        parts.insert(0, f"{_FOR_LIMIT[loader.name]}: {loader.text}")
    elif not parts and open_:
        parts.append(_repeat(analysis))
    elif not parts:
        parts.append(_leave(analysis, overflow, of_queue=of_queue))
    if loader is None and len(together) > 1:  # to advise on one of them would be a guess
        names = words.listing([f.name for f in together])
        parts.append(f"{names} are saturated together: put the load on another host to see which of them limits")
    elif loader is None and saturated:
        advice = _FOR_STARVED if saturated[0].starved else _FOR_LIMIT[saturated[0].name]
        parts.append(f"since {saturated[0].text}, {advice}")
    return words.sentence("; ".join(parts))


def for_nothing(loader: Limit | None) -> str:
    """Return what to do when no trial is valid; `loader` is the load generator when it was saturated."""
    if loader is not None:
        return "lower the load or put the load generator on another host, then run again"
    return "remove the reason why the trials are not valid, then run again"


def _mixed(analysis: Analysis) -> tuple[str, ...]:
    """Return the levels that gain in one comparison and cost in another: better or worse is for people to say."""
    gain, cost = (
        {e.level for e in analysis.effects if e.answer is answer and not e.pooled}
        for answer in (Answer.GAINS_AT_LEAST, Answer.COSTS_AT_LEAST)
    )
    return tuple(sorted(gain & cost, key=_number))


def _best(
    analysis: Analysis, answer: Answer, *, of: Collection[str] = (), without: Collection[str] = ()
) -> Effect | None:
    """Return the largest effect with this answer, `of` these levels alone where they are named."""
    found = [
        e
        for e in analysis.effects
        if e.answer is answer and not e.pooled and e.estimate and e.level not in without and (not of or e.level in of)
    ]
    return max(found, key=lambda e: abs((e.estimate or 1.0) - 1), default=None)


def _evidence(effect: Effect) -> str:
    return f"{figures.title(effect.response)} at {words.where(effect)}: {words.ratio(effect)}"


def _take(effect: Effect, *, of_queue: bool) -> str:
    if not of_queue:
        return f"prefer {effect.factor}={effect.level} to {effect.reference} ({_evidence(effect)})"
    # The backlog of mod_cgid is fixed when it is built, and listen() cuts it to somaxconn.
    how = "build mod_cgid with -DDEFAULT_CGID_LISTENBACKLOG and set net.core.somaxconn, both"
    if _number(effect.level) < _number(effect.reference):
        return f"lower the backlog from {effect.reference} to {effect.level} ({_evidence(effect)})"
    return f"raise the backlog and somaxconn together: {how} to {effect.level} or more ({_evidence(effect)})"


def _keep(analysis: Analysis, effect: Effect, without: Collection[str]) -> str:
    costly = {e.level for e in analysis.effects if e.answer is Answer.COSTS_AT_LEAST and not e.pooled}
    worse = sorted(costly - set(without), key=_number)
    return f"do not use {effect.factor} {words.listing(worse)} in place of {effect.reference} ({_evidence(effect)})"


def _weigh(analysis: Analysis, level: str) -> str:
    """Return both sides of a level that is better in one comparison and worse in another."""
    sides = (_best(analysis, answer, of=(level,)) for answer in (Answer.GAINS_AT_LEAST, Answer.COSTS_AT_LEAST))
    better, worse = (_evidence(side) if side else "" for side in sides)
    return f"weigh {analysis.rule.factor}={level} against {analysis.rule.reference}: better {better}, but worse {worse}"


def _number(label: str) -> tuple[float, str]:
    try:
        return float(label), label
    except ValueError:
        return float("inf"), label


def _repeat(analysis: Analysis) -> str:
    if analysis.blocks < MIN_BLOCKS:  # a spread of so few blocks predicts nothing
        return f"change nothing yet: set repetitions to {MIN_BLOCKS} or more, which is the least that decides anything"
    more = [e.more_blocks for e in analysis.effects if e.answer is Answer.INCONCLUSIVE and not e.pooled]
    known = [m for m in more if m is not None]
    if not known:
        return "change nothing yet: these blocks do not decide it, and more would probably not"
    some = (
        "" if len(known) == len(more) else f", which would probably decide {len(known)} of {len(more)} open comparisons"
    )
    return f"change nothing yet; run about {words.count(max(known), 'more block')} for a decision{some}"


def _leave(analysis: Analysis, overflow: Overflow, *, of_queue: bool) -> str:
    factor, reference = analysis.rule.factor, analysis.rule.reference
    name = "the backlog" if factor == "listen_backlog" else factor
    smallest = ", ".join(
        f"{words.per_cent(e.share)} of {figures.title(e.response)}" for e in analysis.rule.smallest_effects
    )
    silent = "; an overflow alone is no harm" if of_queue and overflow is Overflow.OBSERVED else ""
    return f"leave {name} at {reference}: no other level changes {smallest} or more{silent}"
