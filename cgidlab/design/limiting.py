"""Which cells are asked what limits throughput there, and the trials that find out. Pure."""

from cgidlab.design.faults import NONE
from cgidlab.design.plan import estimated_s, trial_key, trial_s
from cgidlab.model import Cell, LimitTrials, Plan, Settings, Trial

SLOT_S = 1.0
SLOTS = 129  # four rounds of all that is tried, each slot between untouched ones
FIRST = 2_000_001  # its number in a block; no trial of a run has one like it
BESIDE: Settings = {
    # Whatever the run's trials do to the host: this one is to change nothing there.
    "isolation": "namespaces",
    "fault": NONE,
    "warmup_s": 2.0,
    "window_s": SLOTS * SLOT_S + 0.5,  # the last slot is over before it
    "host": True,
}
"""What such a trial has instead of its cell's own settings."""


def trials(plan: Plan) -> tuple[Trial, ...]:
    """Return a trial for each cell that the experiment asks about: the cell's settings, without its instruments."""
    off = dict.fromkeys(plan.experiment.instruments, False)
    cells = [Cell(c.id, c.levels, {**c.settings, **off, **BESIDE}) for c in asked(plan)]
    return tuple(of_cell(cell, number) for number, cell in enumerate(cells, start=FIRST))


def of_cell(cell: Cell, number: int, block: int = 1) -> Trial:
    """Return the trial of a cell in which things are held back."""
    return Trial(number, block, cell, trial_key(cell, block), intervention_slot_s=SLOT_S)


def asked(plan: Plan) -> tuple[Cell, ...]:
    """Return the cells that are asked about: none, all, or that of the reference level with the most clients."""
    experiment = plan.experiment
    able = [c for c in plan.cells if c.settings["fault"] == NONE]
    if experiment.limits is LimitTrials.OFF or not able:
        return ()
    if experiment.limits is LimitTrials.CELLS:
        distinct: dict[str, Cell] = {}
        for cell in able:  # of an A/A pair one
            distinct.setdefault(str(sorted(cell.settings.items())), cell)
        return tuple(distinct.values())
    rule = experiment.rule
    there = [c for c in able if c.label_of(rule.factor) == rule.reference] or able
    return (max(there, key=lambda c: int(c.settings["clients"])),)


def extra_s(plan: Plan) -> float:
    """Return how long they take on a host beside the run's own trials, in seconds."""
    return sum(trial_s(t.cell.settings) for t in trials(plan))


def fits(plan: Plan, budget_s: float | None) -> bool:
    """Say whether a budget has room for them beside the fewest blocks: these come first."""
    return budget_s is None or estimated_s(plan) + extra_s(plan) <= budget_s
