"""What an experiment's verdict advises, with the figure it rests on."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from cgidlab import figures
from cgidlab.analysis.findings import Analysis, Answer, Combination, Effect, FoundLimit, Side, unanswered
from cgidlab.analysis.intervals import MIN_BLOCKS
from cgidlab.analysis.interventions import LimitsShown, LimitWord
from cgidlab.verdict import places, programs, reloading, shown, validity, words
from cgidlab.verdict.ending import Ending, more
from cgidlab.verdict.limits import Limit
from cgidlab.verdict.loops import Loop
from cgidlab.verdict.overflow import CellOverflow, Overflow, only_unwatched
from cgidlab.verdict.templates import COUNTED
from cgidlab.verdict.validity import CellErrors

_MOST_MINUTES = 8 * 60  # more than a working day is no advice
_OF_LOAD = {"rate", "clients", "burst_requests"}

_FOR_LIMIT = {
    "cgid daemon": "only fewer or cheaper forks would raise throughput (FastCGI, mod_proxy, a second instance)",
    "host CPU": "more cores would raise throughput, or a driver on another host",
    "disk": "a faster disk or less logging would raise throughput",
    "driver": "put the load on another host before believing any throughput",
    "offered rate": "ask for more requests to find the limit",
    "script time": "a faster script would raise throughput",
    "MaxRequestWorkers": "raise MaxRequestWorkers",
    "TCP accept queue": "raise httpd's ListenBacklog (the TCP one) and net.core.somaxconn",
}

_FOR_SHOWN = _FOR_LIMIT | {
    "host CPU": "more cores or cheaper scripts would raise throughput",
    "scripts": _FOR_LIMIT["script time"],
}
_WHATEVER_THE_SCRIPTS = _FOR_SHOWN | {"host CPU": "more cores would raise throughput"}

_GO_FIRST = (
    "let the daemon run before its scripts: chrt --reset-on-fork --other --pid 0 PID, then renice -n -10 -p PID, "
    "each time that it was started"
)

_FOR_STARVED = (
    "it competes for the CPUs: more cores or a driver on another host would raise throughput, "
    "and so would fewer or cheaper forks"
)


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do."""

    text: str
    evidence: str = ""  # the figure it rests on; empty where the text has it

    @property
    def told(self) -> str:
        """Return both."""
        return f"{self.text} ({self.evidence})" if self.evidence else self.text


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a verdict found, on which its advice rests."""

    analysis: Analysis
    overflow: Overflow
    cells: Sequence[CellOverflow]
    costs: Mapping[str, Answer]
    found: Sequence[Limit]
    loop: Loop
    errors: Sequence[CellErrors]
    tried: Sequence[LimitsShown] = ()
    ending: Ending | None = None  # None: not known
    handlers: Mapping[Combination, str] = field(default_factory=dict)  # what stood behind httpd, by cell


def actions(grounds: Grounds) -> tuple[Action, ...]:
    """Return what to do, what counts most first."""
    torn = [c for c in grounds.cells if c.against]
    of_queue = grounds.analysis.rule.factor in places.QUEUE_FACTORS and not grounds.analysis.limits_found
    if grounds.overflow is Overflow.INCONCLUSIVE and (torn or of_queue):
        if only_unwatched(grounds.cells):
            if grounds.ending is not None and grounds.ending.interrupted:
                return (Action(grounds.ending.to_its_end),)
            return (Action("get a valid trial that is watched before changing anything"),)
        what = "find out which witness is wrong" if torn else "get a witness of the queue to run"
        return (Action(f"{what} before changing anything"),)
    # Where requests fail, throughput and latency are those of failing: nothing is preferred for them.
    failing = validity.advice(grounds.errors, grounds.analysis.rule.factor)
    parts = [Action(failing)] if failing else _searched(grounds) or _choices(grounds)
    said = shown.limiting(grounds.tried)
    # What was held back and changed nothing is no limit, however busy it is.
    saturated = [f for f in grounds.found if f.saturated and said.get(f.name) is not LimitWord.DOES_NOT]
    together = [f for f in saturated if not f.behind]
    driver = next((f for f in together if f.name == "driver"), None)
    if driver is not None:  # it sets the pace whatever the server could do: no throughput is known to be equal
        parts.insert(0, Action(f"{_FOR_LIMIT[driver.name]}: {driver.text}"))
    elif not parts and Answer.INCONCLUSIVE in grounds.costs.values():
        parts.append(Action(_repeat(grounds)))
    elif not parts and grounds.analysis.compares and grounds.analysis.rule.factor not in _OF_LOAD:
        parts.append(Action(_leave(grounds, of_queue=of_queue)))
    if said:
        return (*parts, *_shown(grounds, said, besides=() if driver is None else ("driver",)))
    if driver is None and len(together) > 1:  # to advise on one of them would be a guess
        names = words.listing([f.name for f in together])
        how = _how_to_hold(grounds)
        parts.append(Action(f"hold each back to see which of them limits ({how}): {names} are saturated together"))
    elif driver is None and saturated:
        advice = _FOR_STARVED if saturated[0].starved else _FOR_LIMIT[saturated[0].name]
        parts.append(Action(advice, saturated[0].text))
    return tuple(parts) or (Action("nothing: this is how the server answers at each load"),)


def _how_to_hold(grounds: Grounds) -> str:
    if grounds.analysis.limits_found:
        return "experiments/what-limits.yml"  # a search has no `limits`
    once = any(t.held for t in grounds.tried)  # and did not show it
    return "limits: cells" if once else "limits: once"


def _shown(grounds: Grounds, said: Mapping[str, LimitWord], besides: Collection[str]) -> list[Action]:
    """Return what follows from what was shown to limit, `besides` left out, and from what helped while it was tried."""
    found = []
    for name, effect in shown.gains(grounds.tried)[:1]:
        if effect.ratio > 1:
            found.append(Action(_GO_FIRST, f"{name}: {shown.change(effect)} throughput"))
    advice = _WHATEVER_THE_SCRIPTS if said.get("scripts") is LimitWord.DOES_NOT else _FOR_SHOWN
    for component, word in said.items():
        limits = word in (LimitWord.LIMITS, LimitWord.IN_PART)
        if limits and component not in besides and component in advice:
            evidence = f"holding back {shown.name_of(component)} costs throughput"
            found.append(Action(advice[component], evidence))
    return found


def _searched(grounds: Grounds) -> list[Action]:
    """Return what follows from the limits that were searched for; empty where none was."""
    found, ending = grounds.analysis.limits_found, grounds.ending
    if not found:
        return []
    if not all(limit.known for limit in found):
        said = "these blocks do not show the limit as well as was asked"
        if ending is not None:
            longer = replace(ending, command=f"{ending.command} --until decided --budget 30m")
            said += f", {(ending if ending.interrupted else longer).to_its_end}"
        return [Action(f"change nothing yet: {said}")]
    return [_within(limit, several=len(found) > 1) for limit in found]


def _within(limit: FoundLimit, *, several: bool) -> Action:
    where = f" with {words.cell(limit.at)}" if several else ""
    if limit.keeps is None:
        aside = f",{where}" if where else ""
        begin = f"{limit.factor}={limit.first}, where the search begins"
        return Action(f"look beyond {begin}{aside}: no trial there kept the goal")
    if limit.factor in _OF_LOAD:
        return Action(f"plan for at most {float(limit.keeps):,.0f} {COUNTED[limit.factor]} on such a host{where}")
    return Action(f"take {'at most' if limit.rising else 'at least'} {limit.factor}={limit.keeps}{where}")


def _choices(grounds: Grounds) -> list[Action]:
    """Return which levels to take, to leave and to weigh; empty where no effect says so."""
    analysis = grounds.analysis
    if analysis.rule.factor in _OF_LOAD:  # how much is asked of a server is nothing to prefer
        return _capacity(analysis)
    mixed = _mixed(analysis)
    gain = _best(analysis, Answer.GAINS_AT_LEAST, without=mixed)
    loss = _best(analysis, Answer.COSTS_AT_LEAST, without=mixed)
    parts = []
    if gain is not None:
        parts.append(_take(grounds, gain, without=mixed))
    if loss is not None:
        parts.append(_keep(analysis, loss, without=mixed))
    parts += [_weigh(analysis, level) for level in mixed]
    near = _best(analysis, Answer.REAL_NEAR)
    if not parts and near is not None:
        parts.append(
            Action(
                f"take or leave {words.where(near)} for what else it does: it is {words.change(near)} "
                f"{figures.title(near.response)}, near the {words.per_cent(near.smallest or 0.0)} that matter"
            )
        )
    return parts


def _capacity(analysis: Analysis) -> list[Action]:
    """Return up to which load the values that are not to be passed are kept; nothing where none was named."""
    known = [b for b in analysis.bounds if _number(b.level)[0] < math.inf]
    kept, passed = ([b for b in known if b.side is side] for side in (Side.KEPT, Side.PASSED))
    within = [b for b in kept if all(float(p.level) > float(b.level) for p in passed if p.at == b.at)]
    if not within or not passed:
        return []
    most = min(max(float(b.level) for b in within if b.at == at) for at in {b.at for b in within})
    return [Action(f"plan for at most {most:,.0f} {COUNTED[analysis.rule.factor]} on such a host")]


def for_nothing(driver: Limit | None, ending: Ending | None) -> str:
    """Return what to do when no trial is valid.

    `driver` is the driver when it was saturated, `ending` how the run came to its end when no trial was run.
    """
    if ending is not None and ending.interrupted:
        return ending.to_its_end
    if driver is not None:
        return "lower the load or put the driver on another host, then run again"
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
        if e.answer is answer and not e.pooled and e.level not in without and (not of or e.level in of)
    ]
    return max(found, key=lambda e: abs((e.estimate or 0.0) - 1), default=None)


def _evidence(effect: Effect) -> str:
    said = words.ratio(effect) if effect.estimate else effect.note
    return f"{figures.title(effect.response)} at {words.where(effect)}: {said}"


def _take(grounds: Grounds, effect: Effect, *, without: Collection[str]) -> Action:
    if grounds.analysis.rule.factor not in places.QUEUE_FACTORS:
        if handler := programs.HANDLERS.get(effect.level) if effect.factor == "handler" else None:
            instead = f"{handler.name} to {places.place('handler', effect.reference)}"
            return Action(f"prefer {instead}: {handler.takes}", _evidence(effect))
        return Action(f"prefer {effect.factor}={effect.level} to {effect.reference}", _evidence(effect))
    when, used = _when(grounds, effect, without), _used(grounds, effect.level)
    # Each listener has a setting of its own for its queue, and listen() cuts it to somaxconn.
    how = _program(grounds, effect).both
    if _number(effect.level) < _number(effect.reference):
        return Action(f"lower the backlog{when} from {effect.reference} to {effect.level}{used}", _evidence(effect))
    to = f"{effect.level}{used}{reloading.price(grounds.analysis, effect)}"
    return Action(f"raise the backlog and somaxconn together{when}: {how} to {to}", _evidence(effect))


def _program(grounds: Grounds, effect: Effect) -> programs.ServerProgram:
    """Return whose queue an effect is of."""
    meant = {(effect.factor, effect.level), *effect.at}
    found = (programs.HANDLERS.get(name) for levels, name in grounds.handlers.items() if meant <= {*levels})
    return next((h.program for h in found if h is not None and h.program is not None), programs.CGID)


def _when(grounds: Grounds, effect: Effect, without: Collection[str]) -> str:
    """Return for which loads advice on a queue holds: it does nothing for one that never fills."""
    shown = [
        e
        for e in grounds.analysis.effects
        if e.answer is effect.answer and not e.pooled and e.level == effect.level and e.level not in without
    ]
    always = grounds.loop.always(shown)
    if always is None and grounds.loop.in_bursts:
        return " for the bursts that came here (open loop)"
    if always is None:
        return " for the rate that was asked for here (open loop)"
    many = " to ".join(f"{n:,}" for n in dict.fromkeys(always))  # no more than was tried
    return f" if {many} requests are always under way, as in this closed loop"


def _used(grounds: Grounds, level: str) -> str:
    """Return how much of the queue at a level of it was used: one that was tried may be longer than it needs to be."""
    there = [c for c in grounds.cells if dict(c.levels).get(grounds.analysis.rule.factor) == level]
    if any(c.overflow in (Overflow.OBSERVED, Overflow.MOMENT) for c in there):
        return ", which was full at times"
    deepest = max((c.depth_max for c in there if c.depth_max is not None), default=None)
    return "" if deepest is None else f", {words.count(deepest, 'place')} of it used at most"


def _keep(analysis: Analysis, effect: Effect, without: Collection[str]) -> Action:
    costly = {e.level for e in analysis.effects if e.answer is Answer.COSTS_AT_LEAST and not e.pooled}
    worse = sorted(costly - set(without), key=_number)
    return Action(
        f"do not use {effect.factor} {words.listing(worse)} in place of {effect.reference}", _evidence(effect)
    )


def _weigh(analysis: Analysis, level: str) -> Action:
    """Return both sides of a level that is better in one comparison and worse in another."""
    sides = (_best(analysis, answer, of=(level,)) for answer in (Answer.GAINS_AT_LEAST, Answer.COSTS_AT_LEAST))
    better, worse = (_evidence(side) if side else "" for side in sides)
    factor, reference = analysis.rule.factor, analysis.rule.reference
    evidence = f"better {better}, but worse {worse}"
    if handler := programs.HANDLERS.get(level) if factor == "handler" else None:
        return Action(f"weigh {handler.name} against {places.place(factor, reference)}: {handler.takes}", evidence)
    return Action(f"weigh {factor}={level} against {reference}", evidence)


def _number(label: str) -> tuple[float, str]:
    try:
        return float(label), label
    except ValueError:
        return float("inf"), label


def _repeat(grounds: Grounds) -> str:
    """Return what decides a run that did not: by why it did not, with the command and the time that it takes here."""
    analysis, ending = grounds.analysis, grounds.ending
    open_ = unanswered(analysis.effects)
    if ending is not None and ending.interrupted:
        left = max(0, ending.planned_blocks - ending.whole_blocks)
        said = f"{ending.to_its_end}{_takes(analysis, left)}"
    elif lacking := [c for c in analysis.cells if 2 * c.n <= c.planned and _concerns(c.levels, open_, analysis)]:
        worst = min(lacking, key=lambda c: c.n / max(1, c.planned))  # more blocks would be lost alike
        why = f" ({analysis.reasons[0][0]})" if analysis.reasons and analysis.reasons[0][0] else ""
        lost = f"{worst.planned - worst.n} of {words.count(worst.planned, 'trial')} of {words.cell(worst.levels)}"
        said = f"remove what made {lost} count for nothing{why}, more blocks would be lost alike"
    elif analysis.blocks < MIN_BLOCKS:  # a spread of so few blocks predicts nothing
        said = f"{MIN_BLOCKS} blocks are the least that decides anything{_least(analysis, ending)}"
    else:
        said = _more_time(analysis, open_, ending)
    return f"change nothing yet: {said}"


def _more_time(analysis: Analysis, open_: Sequence[Effect], ending: Ending | None) -> str:
    """Return how much longer the run would have to be, by the spread that it has."""
    known = sorted(m for e in open_ if (m := analysis.more_minutes(e)) is not None)
    if not known or not analysis.block_s:
        return "these blocks do not decide it"
    what = "it" if len(known) == len(open_) else f"{len(known)} of {len(open_)} comparisons"
    takes = f"{words.minutes(known[-1])} more would probably decide {what}"
    if known[-1] > _MOST_MINUTES:
        wide = max((e.half_width for e in open_ if e.half_width is not None), default=None)
        as_is = f", or take it as known to \N{PLUS-MINUS SIGN}{words.per_cent(wide)}" if wide else ""
        return f"{takes}; take fewer levels or a larger smallest effect{as_is}"
    blocks = math.ceil(60 * known[-1] / analysis.block_s)
    return takes if ending is None else f"`{more(ending, blocks, analysis.block_s)}`, {takes}"


def _least(analysis: Analysis, ending: Ending | None) -> str:
    """Return how a run that ended too early gets the blocks it lacks: what cut it is what has to give way."""
    lacks = MIN_BLOCKS - analysis.blocks
    if ending is None:
        return ""
    cut = f", and the budget cut the run to {analysis.blocks}" if ending.budget_s is not None else ""
    typed = f"{cut}: `{more(ending, lacks, analysis.block_s)}`{_takes(analysis, lacks)}"
    return typed if cut else f"{typed}, or set repetitions to {MIN_BLOCKS} or more in the file"


def _takes(analysis: Analysis, blocks: int) -> str:
    """Return the time of so many blocks here; nothing where no block's was measured."""
    return f", {words.minutes(blocks * analysis.block_s / 60)} here" if analysis.block_s and blocks else ""


def _concerns(levels: Combination, found: Sequence[Effect], analysis: Analysis) -> bool:
    """Say whether a cell is one side of one of these comparisons."""
    labels = dict(levels)
    label = labels.get(analysis.rule.factor)
    others = tuple(pair for pair in levels if pair[0] != analysis.rule.factor)
    return any(label in {e.level, e.reference} and set(e.at) == set(others) for e in found)


def _leave(grounds: Grounds, *, of_queue: bool) -> str:
    analysis = grounds.analysis
    factor, reference = analysis.rule.factor, analysis.rule.reference
    name = "the backlog" if factor == "listen_backlog" else factor
    smallest = ", ".join(
        f"{words.per_cent(e.share)} of {figures.title(e.response)}" for e in analysis.rule.smallest_effects
    )
    silent = "; an overflow alone is no harm" if of_queue and grounds.overflow is Overflow.OBSERVED else ""
    used = _used(grounds, reference) if of_queue else ""
    return f"leave {name} at {reference}{used}: no other level changes {smallest} or more{silent}"
