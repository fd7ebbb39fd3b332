"""What the trials of a run say: cells, effects, noise. Pure: values in, values out.

`analyse` is the whole of it, `decide` asks after a block whether to go on.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np

from cgidlab.analysis.bounds import bound_answers
from cgidlab.analysis.conditions import block_s, drift, pace, series_check
from cgidlab.analysis.effects import effects
from cgidlab.analysis.findings import (
    Analysis,
    Answer,
    CellSummary,
    Combination,
    Decision,
    Drift,
    Effect,
    FoundLimit,
    NoiseFloor,
    PerBlock,
    SeriesCheck,
    Spread,
)
from cgidlab.analysis.floors import noise_floors
from cgidlab.analysis.hosts import hosts_apart
from cgidlab.analysis.intervals import Interval
from cgidlab.analysis.limit_searches import found_limits
from cgidlab.analysis.looks import planned_looks
from cgidlab.analysis.observer import observer_effects
from cgidlab.analysis.pairs import cells_of, combinations_of, complete, levels_of, value_of
from cgidlab.analysis.reloads import reload_costs
from cgidlab.analysis.remedies import remedies
from cgidlab.analysis.stopping import decide
from cgidlab.failures import likeness
from cgidlab.figures import COLUMNS
from cgidlab.gathered import answering, known
from cgidlab.model import Experiment, Status, TrialRecord

__all__ = [
    "Analysis",
    "Answer",
    "CellSummary",
    "Decision",
    "Drift",
    "Effect",
    "Interval",
    "NoiseFloor",
    "SeriesCheck",
    "Spread",
    "analyse",
    "decide",
]


def analyse(
    records: Sequence[TrialRecord], experiment: Experiment, series: Mapping[str, Sequence[float]] | None = None
) -> Analysis:
    """Return the analysis of a run's trials.

    Responses come from the passes in which nothing watched, and what instruments saw from the watched ones; where every
    pass is watched, from all. `records` hold, where blocks have several passes, one more of each cell and block: its
    windows as one (pass 0). `series` is requests per second, second by second of the window, by the
    trial's key; without it nothing is said about warm-up and autocorrelation.
    """
    rule = experiment.rule
    asked = answering(records)
    windows = [r for r in records if r.pass_number]
    open_windows = [r for r in asked if r.pass_number]
    counts = Counter(r.outcome.status for r in windows)
    return Analysis(
        rule=rule,
        repetitions=experiment.repetitions,
        looks=planned_looks(experiment.repetitions),
        trials={s: counts[s] for s in Status},
        reasons=_reasons(windows),
        blocks=len({(r.host, r.block) for r in complete(windows)}),
        cells=_cells(records, experiment),
        effects=effects(asked, rule, experiment.repetitions, experiment.factors),
        noise_floor=noise_floors(asked, rule, experiment.factors),
        drift=drift(open_windows, rule),
        series=series_check(open_windows, rule, series or {}),
        hosts=hosts_apart(asked, rule, experiment.factors),
        block_s=block_s(windows),
        pace=pace(windows),
        per_block=_per_block(windows, open_windows),
        lost=_lost(open_windows, experiment),
        observer=observer_effects(windows, rule),
        bounds=bound_answers(asked, rule, experiment.repetitions, experiment.factors) if rule.bounds else (),
        limits_found=_limits_found(records, experiment),
        reloads=reload_costs(open_windows, planned_looks(experiment.repetitions)),
        remedies=remedies(records, experiment),
        compares=_compares(records, experiment),
    )


def _compares(records: Sequence[TrialRecord], experiment: Experiment) -> bool:
    """Say whether the rule's factor has several values, as it was planned or, where no plan says so, in the trials."""
    factor = experiment.rule.factor
    planned = {level.value for f in experiment.factors if f.name == factor for level in f.levels}
    return len(planned or set(levels_of(records, factor).values.values())) != 1


def _per_block(windows: Sequence[TrialRecord], answer: Sequence[TrialRecord]) -> PerBlock | None:
    blocks = {(r.host, r.block) for r in windows}
    passes = {(r.host, r.block, r.pass_number) for r in answer}
    if not passes:
        return None
    return PerBlock(
        passes=max(r.pass_number for r in windows),
        answering_passes=len(passes) / len(blocks),
        answering_blocks=len({unit[:2] for unit in passes}) / len(blocks),
        unwatched=not answer[0].watched,
    )


def _limits_found(records: Sequence[TrialRecord], experiment: Experiment) -> tuple[FoundLimit, ...]:
    search = experiment.search
    if search is None:
        return ()
    return found_limits(search, experiment.hardest_last, experiment.places, records)


def _lost(records: Sequence[TrialRecord], experiment: Experiment) -> tuple[Combination, ...]:
    """Return the cells of the design that have no complete trial among these, whether or not one was tried."""
    if experiment.search is not None:
        return ()  # what a search does not try it does not need
    whole = product(*([(f.name, level.label) for level in f.levels] for f in experiment.factors))
    planned = [cell for cell in whole if cell and not experiment.excludes(cell)]
    have = {frozenset(r.levels) for r in complete(records)}
    return tuple(cell for cell in planned if frozenset(cell) not in have)


def _reasons(records: Sequence[TrialRecord]) -> tuple[tuple[str, int], ...]:
    """Count reasons that differ in their figures alone as one, and quote its first."""
    quoted: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for record in records:
        if record.outcome.status is not Status.COMPLETE:
            kind = likeness(record.outcome.reason)
            quoted.setdefault(kind, record.outcome.reason)
            counts[kind] += 1
    return tuple((quoted[kind], number) for kind, number in counts.most_common())


def _cells(records: Sequence[TrialRecord], experiment: Experiment) -> tuple[CellSummary, ...]:
    factor = experiment.rule.factor
    cells = cells_of(records, factor)
    order = [
        (label, place)
        for place in combinations_of(records, factor)
        for label in levels_of(records, factor, experiment.factors).values
        if (label, place) in cells
    ]
    return tuple(_summary(cells[key]) for key in order)


def _summary(trials: Sequence[TrialRecord]) -> CellSummary:
    able = {name: [r for r in complete(trials) if value_of(r, name) is not None] for name in COLUMNS}
    spreads = {}
    for name in COLUMNS:
        values = known(able[name], name)
        if values:
            low, q1, median, q3, high = (float(v) for v in np.percentile(values, [0, 25, 50, 75, 100]))
            spreads[name] = Spread(len(values), median, Interval(q1, q3), Interval(low, high))
    windows = [r for r in trials if r.pass_number]
    return CellSummary(windows[0].levels, len(complete(windows)), len(windows), spreads)
