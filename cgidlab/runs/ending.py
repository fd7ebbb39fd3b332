"""How a run ended, from its state, its plan and its trials, and what to type to go on with it."""

import shlex
from collections import Counter
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from cgidlab.errors import StoreError
from cgidlab.model import SEARCH_PROBES, Experiment, TrialRecord
from cgidlab.runs import status, store
from cgidlab.runs.store import RunDirectory
from cgidlab.starting import command
from cgidlab.verdict.ending import Ending

_BROUGHT = ("local", "vagrant")  # targets that need no name on the command line: the project brings them
_RESULTS = Path("results")


def go_on(run: RunDirectory) -> str:
    """Return the command that goes on with a run: by its id where that is enough, with what else it has to name."""
    return command(f"run {_file(run)}--resume {shlex.quote(_name(run))}{_target(run)}")


def give_back(run: RunDirectory) -> str:
    """Return the command that gives hosts back what the run still holds of them."""
    return command(f"recover {shlex.quote(str(run.path))}{_target(run)}")


def how(run: RunDirectory, experiment: Experiment, records: Sequence[TrialRecord]) -> Ending:
    """Return how far a run came. What cannot be read of it is taken to have ended."""
    state = run.state()
    asked = experiment.repetitions
    try:
        now = status.status(run.path)
    except StoreError:
        return Ending(go_on(run))
    size = max(1, _trials_of_a_block(experiment))
    windows = {(r.block, r.key) for r in records if r.pass_number}
    per_block = Counter(block for block, _ in windows)
    planned = now.expected if now.expected is not None else size * asked.min
    budget = state.get("budget") or {}
    return Ending(
        command=go_on(run),
        interrupted=now.state != store.FINISHED,
        budget_s=budget.get("budget_s"),
        done=now.keys,
        planned=planned,
        whole_blocks=sum(n >= size for n in per_block.values()),  # of a search at least: its blocks differ in size
        planned_blocks=max(1, round(planned / size)),
        most_blocks=asked.max,
        running=now.state == store.RUNNING,
        searching=experiment.search is not None,
    )


def _trials_of_a_block(experiment: Experiment) -> int:
    if experiment.search is not None:
        return SEARCH_PROBES * len(experiment.places)
    named = ([(f.name, level.label) for level in f.levels] for f in experiment.factors)
    cells = sum(not experiment.excludes(cell) for cell in product(*named))
    return cells * experiment.repetitions.passes


def _name(run: RunDirectory) -> str:
    beside = run.path.parent.parent
    return run.run_id if beside == _RESULTS.resolve() else str(run.path)


def _file(run: RunDirectory) -> str:
    """Return the experiment file where it has to be named: what the user's own is taken from no run's directory."""
    try:
        experiment = store.planned(run)
    except StoreError:
        return ""
    if not experiment.files and not experiment.hooks:
        return ""
    likely = Path("experiments") / f"{experiment.name}.yml"  # a run keeps what its file said, not where it lay
    return f"{shlex.quote(str(likely)) if likely.is_file() else 'EXPERIMENT.yml'} "


def _target(run: RunDirectory) -> str:
    try:
        target = store.planned(run).target
    except StoreError:
        return ""
    return "" if target in _BROUGHT else f" --target {shlex.quote(target)}"
