"""The five questions of a verdict and the five sentences that answer them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cgidlab.analysis.cut_short import cut_short
from cgidlab.analysis.findings import Analysis, Answer
from cgidlab.analysis.interventions import LimitsShown
from cgidlab.analysis.thresholds import Fulfilment
from cgidlab.design import systems
from cgidlab.model import Status, TrialRecord
from cgidlab.verdict import (
    advice,
    answered,
    cost,
    hosts,
    limits,
    overflow,
    reloading,
    requiring,
    retrying,
    short,
    shown,
    templates,
    validity,
    words,
)
from cgidlab.verdict.ending import Ending
from cgidlab.verdict.limits import Limit
from cgidlab.verdict.loops import loop_of
from cgidlab.verdict.overflow import CellOverflow, Overflow, trouble
from cgidlab.verdict.retrying import RetriesSeen
from cgidlab.verdict.sentences import ShortAnswer
from cgidlab.verdict.validity import CellErrors


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer and what it rests on."""

    overflow: Overflow
    cells: tuple[CellOverflow, ...]
    retries: RetriesSeen
    cost: Mapping[str, Answer]  # by response of the rule
    limits: tuple[Limit, ...]  # best evidence first; those not saturated after those that are
    warnings: tuple[str, ...]  # what weakens the answer
    lines: tuple[str, str, str, str, str]  # overflow, retries, cost, what limits, what to do
    errors: tuple[CellErrors, ...] = ()  # by cell; empty where no driver counted requests
    answers: tuple[ShortAnswer, ...] = ()  # the same in seven lines; empty where a server was watched
    required: tuple[Fulfilment, ...] = ()  # what is shown of each requirement; empty: the file has none
    shown: tuple[LimitsShown, ...] = ()  # what limits, by holding things back; empty where that was not tried

    @property
    def text(self) -> str:
        """Return the whole verdict as one paragraph."""
        return " ".join(self.lines)


def judge(
    analysis: Analysis,
    records: Sequence[TrialRecord],
    notes: Sequence[str] = (),
    tried: Sequence[LimitsShown] = (),
    ending: Ending | None = None,
    whole: Sequence[TrialRecord] = (),
) -> Verdict:
    """Return the verdict on a run: `records` are all its trials, `analysis` what was found in them.

    `notes` are clauses about how the run went that weaken the answer, such as a budget that cut it; `tried` is what
    trials beside it show of what limits; `ending` is how far it came, from which advice follows. `whole` has, where
    blocks have several passes, each cell's windows of a block as one.
    """
    valid = [r for r in records if r.outcome.status is Status.COMPLETE]
    place = {c.levels: i for i, c in enumerate(analysis.cells)}
    cells = tuple(sorted(overflow.by_cell(records), key=lambda c: place[c.levels]))
    answer = overflow.of_run(cells)
    retries = _retries(valid)
    loop = loop_of(valid)
    errors = validity.by_cell(valid)
    costs = cost.answers(analysis, loop)
    loaded = {c.levels for c in cells if c.overflow is Overflow.OBSERVED} or {c.levels for c in cells}
    searched = {limit.factor for limit in analysis.limits_found}
    found = limits.limits([r for r in valid if r.levels in loaded], searched)
    lower = validity.lower_bounds(cut_short((*records, *whole)))
    doubts = (*lower, *cost.warnings(analysis), *hosts.warnings(analysis), *notes)
    warnings = (*cost.wandering(analysis), *doubts)
    warned = short.disturbed(records)
    distinct = _distinct(cells, valid, analysis.rule.reference)
    if valid:
        handlers = {r.levels: systems.system_of({"mpm": "", **r.settings}) for r in valid}
        grounds = advice.Grounds(analysis, answer, cells, costs, found, loop, errors, tried, ending, handlers)
        actions = advice.actions(grounds)
        lines = (
            " ".join(
                part
                for part in (
                    "" if warned is None else warned.text,
                    validity.line(errors, analysis.rule.factor),
                    _overflow_line(answer, distinct, analysis),
                )
                if part
            ),
            _retries_line(retries),
            words.sentence("; ".join((cost.clause(analysis, loop), *reloading.clauses(analysis), *warnings))),
            _limits_line(found, costs, tried),
            words.sentence("; ".join(a.told for a in actions)),
        )
    else:
        found = limits.limits(records)
        lines = _nothing(analysis, len(records), found, ending)
        actions = (advice.Action(lines[-1].removesuffix(".")),)
    todo = [a.text for a in actions]
    required = requiring.fulfilments(analysis, (*records, *whole), cells)
    known = short.Known(
        analysis, records, answer, distinct, found, loop, errors, retries.in_window, todo, doubts, tried, required
    )
    told = answered.lines(known)
    return Verdict(answer, cells, retries, costs, found, warnings, lines, errors, told, required, tuple(tried))


def _distinct(cells: Sequence[CellOverflow], valid: Sequence[TrialRecord], reference: str) -> tuple[CellOverflow, ...]:
    """Return the cells without second names of one value: of an A/A pair the reference, or where it overflowed more."""
    same: dict[tuple[object, ...], list[CellOverflow]] = {}
    values = {r.levels: tuple((n, r.settings.get(n, label)) for n, label in r.levels) for r in valid}
    for cell in cells:
        same.setdefault(values[cell.levels], []).append(cell)
    rank = (Overflow.OBSERVED, Overflow.INCONCLUSIVE, Overflow.MOMENT, Overflow.NOT_OBSERVED)
    return tuple(
        min(group, key=lambda c: (rank.index(c.overflow), reference not in dict(c.levels).values()))
        for group in same.values()
    )


def _sum(records: Sequence[TrialRecord], figure: str) -> int | None:
    values = [v for r in records if (v := getattr(r.figures, figure)) is not None]
    return sum(values) if values else None


def _retries(valid: Sequence[TrialRecord]) -> RetriesSeen:
    return RetriesSeen(
        in_window=_sum(valid, "retries_in_window"),
        refused=_sum(valid, "retries_refused_in_window"),
        enoent=_sum(valid, "retries_enoent_in_window"),
        outside_window=_sum(valid, "retries_outside_window"),
        connects_refused=_sum(valid, "connects_refused"),
        gave_up_503=_sum(valid, "gave_up_503"),
        restarts=_sum(valid, "cgid_restarts"),
    )


def _nothing(
    analysis: Analysis, trials: int, found: Sequence[Limit], ending: Ending | None
) -> tuple[str, str, str, str, str]:
    """Return the lines of a run without a valid trial."""
    why = "; ".join(f"{n} x {reason}" for reason, n in analysis.reasons[:3] if reason) or "no reason was recorded"
    count = "no trial was run" if not trials else f"none of {words.count(trials, 'trial')} is valid"
    driver = next((f for f in found if f.name == "driver" and f.saturated), None)
    return (
        words.sentence(f"whether the queue overflowed is not known: {count} ({why})"),
        "Whether workers retried is not known.",
        "What it costs is not known.",
        words.sentence(f"{driver.text}, so it set the pace and not the server")
        if driver
        else "What limits throughput is not known.",
        words.sentence(advice.for_nothing(driver, None if trials else ending)),
    )


def _overflow_line(answer: Overflow, cells: Sequence[CellOverflow], analysis: Analysis) -> str:
    reference = analysis.rule.reference
    torn = [c for c in cells if c.against]
    dumb = [c for c in cells if c.overflow is Overflow.INCONCLUSIVE and not c.against]
    parts = [*_overflowed(answer, cells, analysis), *_lost(analysis)]
    if torn:
        example = next((c for c in torn if dict(c.levels).get(analysis.rule.factor) == reference), torn[0])
        more = f" and in {words.count(len(torn) - 1, 'more cell')}" if len(torn) > 1 else ""
        sides = ", but ".join(example.against)
        parts.append(f"witnesses contradict each other at {words.cell(example.levels)} ({sides}){more}")
    for why, where in (
        (templates.NOT_WATCHED, [c for c in dumb if not c.watched]),
        (templates.NO_WITNESS, [c for c in dumb if c.watched]),
    ):
        some = f" in {len(where)} of {words.count(len(cells), 'cell')} ({_places(where, cells, analysis)})"
        parts += [f"{why}{'' if len(where) == len(cells) else some}"] if where else []
    shown = [c for c in cells if c.overflow is answer]
    agree = [w for w in overflow.WITNESSES if shown and 2 * sum(w in c.agree for c in shown) > len(shown)]
    silent = [w for w in overflow.WITNESSES if all(w in c.silent for c in cells)]
    if agree:
        parts.append(f"{words.listing(agree)} agree" if len(agree) > 1 else f"only the witness {agree[0]} says so")
    if silent and not (dumb and len(dumb) == len(cells)):
        parts.append(f"not observed: {words.listing(silent)}")
    return words.sentence("; ".join(parts))


def _overflowed(answer: Overflow, cells: Sequence[CellOverflow], analysis: Analysis) -> list[str]:
    """Return where the queue overflowed, with an example, and where for moments only."""
    full = [c for c in cells if c.overflow is Overflow.OBSERVED]
    brief = [c for c in cells if c.overflow is Overflow.MOMENT]
    parts = []
    if full and answer is Overflow.OBSERVED:
        # The reference level is what most readers run: it is the example where it overflowed, and where it was worst.
        at_reference = [c for c in full if dict(c.levels).get(analysis.rule.factor) == analysis.rule.reference]
        parts.append(_example(max(at_reference or full, key=trouble)))
        if len(cells) > 1:
            places = _places(full, cells, analysis)
            parts.append(f"the queue overflowed in {len(full)} of {len(cells)} cells ({places})")
    elif answer is Overflow.MOMENT:
        return [_moment(max(brief, key=trouble)), "in no trial did it overflow for longer"]
    elif answer is Overflow.NOT_OBSERVED:
        deepest = max(cells, key=lambda c: (c.depth_max or 0) / (1 + (c.limit or 0)))
        depth = f": it held at most {deepest.depth_max} of {deepest.limit}" if deepest.depth_max is not None else ""
        parts.append(f"the queue did not overflow in any of {words.count(len(cells), 'cell')}{depth}")
    else:
        parts.append("whether the queue overflowed cannot be said")
    if brief:
        parts.append(f"for moments only in {words.count(len(brief), 'cell')} ({_places(brief, cells, analysis)})")
    return parts


def _places(some: Sequence[CellOverflow], cells: Sequence[CellOverflow], analysis: Analysis) -> str:
    return words.group([c.levels for c in some], [c.levels for c in cells], analysis.rule.factor)


def _lost(analysis: Analysis) -> list[str]:
    """Return which planned cells say nothing."""
    if not analysis.lost:
        return []
    named = "; ".join(words.cell(levels) for levels in analysis.lost[:3])
    more = f"; {len(analysis.lost) - 3} more" if len(analysis.lost) > 3 else ""  # noqa: PLR2004 -- as many are named
    planned = len(analysis.lost) + len(analysis.seen)
    have = "has" if len(analysis.lost) == 1 else "have"
    return [f"{len(analysis.lost)} of {planned} planned cells {have} no complete trial ({named}{more})"]


def _example(cell: CellOverflow) -> str:
    queue = f"the queue of {cell.limit}" if cell.limit is not None else "the queue"
    held = f" ({cell.depth_max} of {cell.limit})" if cell.depth_max is not None else ""
    if cell.observed == cell.trials:
        share = f" for {words.per_cent(cell.full_share)} of the window" if cell.full_share is not None else ""
    else:
        most = f" for up to {words.per_cent(cell.full_share_max)} of the window" if cell.full_share_max else ""
        share = f" in {cell.observed} of {words.count(cell.trials, 'trial')}{most}"
    asleep = f" and up to {words.count(cell.sleepers_max, 'worker')} slept in connect()" if cell.sleepers_max else ""
    timed = asleep and cell.connect_max_us is not None
    longest = f" for up to {words.milliseconds((cell.connect_max_us or 0.0) / 1000)}" if timed else ""
    away = f" and {words.turned_away(cell.turned_away, cell.connects)}" if cell.turned_away else ""
    return f"{queue} was full{held}{share}{asleep}{longest}{away} at {words.cell(cell.levels)}"


def _moment(cell: CellOverflow) -> str:
    queue = f"the queue of {cell.limit}" if cell.limit is not None else "the queue"
    length = f" of {words.milliseconds(cell.full_longest_ms)} at most" if cell.full_longest_ms else ""
    asleep = f" ({words.count(cell.sleepers_max, 'worker')} asleep at most)" if cell.sleepers_max else ""
    trials = f"{cell.observed} of {words.count(cell.trials, 'trial')}"
    return f"{queue} was full for moments{length} in {trials} at {words.cell(cell.levels)}{asleep}"


def _retries_line(retries: RetriesSeen) -> str:
    gave_up = f"; {words.count(retries.gave_up_503, 'request')} gave up with 503" if retries.gave_up_503 else ""
    if retries.in_window is None and retries.connects_refused is not None:
        told = retrying.by_kernel(retries.connects_refused, None)
        return words.sentence(f"{told} (no log was read that could hold a retry line){gave_up}; {retrying.REMINDER}")
    if retries.in_window is None:
        return words.sentence(
            "whether workers retried is not known: no log was read that could hold a retry line "
            f"(LogLevel debug writes it){gave_up}; {retrying.REMINDER}"
        )
    if not retries.in_window:
        refused = "no connect was refused and " if retries.connects_refused == 0 else ""
        outside = f" ({retries.outside_window:,} outside the windows)" if retries.outside_window else ""
        return words.sentence(f"{refused}no worker retried in the windows{outside}{gave_up}; {retrying.REMINDER}")
    died = f"; the daemon was restarted {words.count(retries.restarts, 'time')}" if retries.restarts else ""
    retried = words.count(retries.in_window, "time")
    split = retrying.kinds(retries)
    return words.sentence(f"workers retried {retried} in the windows{split}{gave_up}{died}; {retrying.REMINDER}")


def _in_cells(limit: Limit) -> str:
    """Return a limit's figure, and in how many cells it held where that was not all of them."""
    everywhere = limit.cells == limit.cells_known
    return limit.text if everywhere else f"{limit.text} (in {limit.cells} of {limit.cells_known} cells)"


def _limits_line(found: Sequence[Limit], costs: Mapping[str, Answer], tried: Sequence[LimitsShown]) -> str:
    if tried and not shown.reason(tried):
        hint = " and ".join(_in_cells(f) for f in found if f.saturated and not f.behind)
        return words.sentence(shown.clause(tried) + (f"; a hint beside it: {hint}" if hint else ""))
    told = shown.clause(tried)
    return (words.sentence(told) + " " if told else "") + _hint(found, costs)


def _hint(found: Sequence[Limit], costs: Mapping[str, Answer]) -> str:
    full = [f for f in found if f.saturated]
    missing = limits.unobserved(found)
    unseen = f"; not observed: {words.listing(missing)}" if missing else ""
    lead = ", beside the backlog" if Answer.COSTS_AT_LEAST in costs.values() else ""
    if not full:
        near = [f.text for f in found[:3]]
        figures = f": nothing that was observed is at its limit ({'; '.join(near)})" if near else ""
        return words.sentence(f"what limits throughput is not known{figures}{unseen}")
    first = [f for f in full if not f.behind]
    behind = [f for f in full if f.behind]
    evidence = " and ".join(_in_cells(f) for f in (first or behind))
    parts = [f"{evidence}{lead}"]
    if len(first) > 1:
        parts.append("they are saturated at the same time, so these figures cannot say which one alone limits")
    if first and behind:
        parts.append(f"{' and '.join(f.text for f in behind)}, which may be a consequence")
    return words.sentence("; ".join(parts) + unseen)
