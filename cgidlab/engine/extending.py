"""More blocks for a run that has ended: how many, and what its looks become. Touches no host."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cgidlab.design.plan import blocks_within
from cgidlab.design.spec import MAX_TRIALS
from cgidlab.design.specform import MAX_BLOCKS
from cgidlab.engine.pacing import spent_s
from cgidlab.errors import SpecError
from cgidlab.model import Experiment, Plan, TrialRecord
from cgidlab.runs.store import RunDirectory


@dataclass(frozen=True, slots=True)
class More:
    """What the command line asks a run to go on for: so many blocks, or until all is decided within a budget."""

    blocks: int | None = None
    budget_s: float | None = None  # for these blocks alone


def extended(
    experiment: Experiment, more: More, run: RunDirectory, plan: Plan, done: Sequence[TrialRecord]
) -> Experiment:
    """Return the experiment with more blocks than it had.

    The looks that were taken stay, and the last block that is there counts as one: whoever extends a run has seen it.
    All looks share one error. Raises `SpecError` where nothing is there to extend, or where nothing more fits.
    """
    from cgidlab.analysis.looks import planned_looks  # noqa: PLC0415 -- scipy takes a second to load

    had = experiment.repetitions
    blocks = max((r.block for r in done), default=0)
    if not blocks:
        raise SpecError("no block of it was run yet", where=str(run.path), fix="leave out --blocks and --until")
    looked = tuple(sorted({*had.looked, *(n for n in planned_looks(had) if n <= blocks), blocks}))
    most = min(MAX_BLOCKS, MAX_TRIALS // plan.block_trials)
    least, last = _span(more, blocks, most, plan, spent_s(run, done) / blocks)
    if last > most:
        raise SpecError(
            f"{blocks} blocks are there, and more than {most} cannot be planned",
            where="--blocks",
            fix=f"use --blocks +{most - blocks}" if most > blocks else "begin another run",
        )
    asked = had.asked or (had.min, had.max)
    return replace(experiment, repetitions=replace(had, min=least, max=last, looked=looked, asked=asked))


def _span(more: More, blocks: int, most: int, plan: Plan, pace_s: float) -> tuple[int, int]:
    if more.blocks is not None:
        return blocks + more.blocks, blocks + more.blocks
    budget_s = more.budget_s or 0.0
    fit = int(budget_s // pace_s) if pace_s else blocks_within(plan, budget_s)
    if fit < 1:
        raise SpecError(
            f"no further block fits: one takes about {pace_s:.0f} s here", where="--budget", fix="give it more time"
        )
    return blocks + 1, min(most, blocks + fit)


def numbered(plan: Plan, stored: Mapping[str, Any], run: RunDirectory) -> Plan:
    """Return the plan with its trials under the numbers that plan.json has, and new ones beyond all that were used.

    Each block in the order of its numbers: a run goes on in the order that it was begun in, whichever a version of
    this program would give it. Trials that were run again have numbers of their own, which no plan knows.
    """
    known = {(t["block"], t.get("pass_number", 1), t["cell"]): int(t["number"]) for t in stored.get("trials", ())}
    last = max([*known.values(), *run.trial_numbers()], default=0)
    trials = []
    for trial in plan.trials:
        number = known.get((trial.block, trial.pass_number, trial.cell.id))
        if number is None:
            last += 1
            number = last
        trials.append(replace(trial, number=number))
    return replace(plan, trials=tuple(sorted(trials, key=lambda t: (t.block, t.number))))
