"""What the run of one step shows, from its directory alone."""

from collections import Counter

from cgidlab.analysis.bisecting import BuildRatio, StepShown
from cgidlab.analysis.findings import Answer
from cgidlab.analysis.intervals import Interval
from cgidlab.errors import StoreError
from cgidlab.model import Experiment, Status
from cgidlab.parsers.run_documents import SUMMARY, SummaryEffect
from cgidlab.runs import store
from cgidlab.runs.store import RunDirectory

NOTHING = BuildRatio(Answer.INCONCLUSIVE)
DEAD_AFTER = 3
"""Trials of a build that failed, where none is complete: its httpd does not run."""


def shown(run: RunDirectory, response: str, good: str, middle: str | None, bad: str) -> StepShown:
    """Return what a run shows of a response; builds are named by their labels. Raise `StoreError` for damage."""
    found = {e.level: _compared(e) for e in SUMMARY.read(run.path / "summary.json").effects
             if e.response == response and not e.pooled}  # fmt: skip
    after = found.get(bad, NOTHING)
    return StepShown(None if middle is None else found.get(good, NOTHING).inverted(), after)


def _compared(effect: SummaryEffect) -> BuildRatio:
    answer = Answer(effect.answer)
    estimate, ends = effect.estimate, effect.interval
    if effect.scale != "ratio" or estimate is None or ends is None or not 0 < ends[0] <= estimate <= ends[1]:
        return BuildRatio(answer)
    return BuildRatio(answer, estimate, Interval(*ends))


def dead(run: RunDirectory, factor: str) -> frozenset[str]:
    """Return the levels of which several trials were run and none is complete."""
    trials, _damaged = run.stored_trials()
    tried: Counter[str] = Counter()
    complete: Counter[str] = Counter()
    for trial in trials:
        label = dict(trial.levels).get(factor, "")
        tried[label] += 1
        complete[label] += trial.outcome.status is Status.COMPLETE
    return frozenset(label for label, number in tried.items() if number >= DEAD_AFTER and not complete[label])


def is_of(run: RunDirectory, experiment: Experiment) -> bool:
    """Say whether a directory holds a run of this very experiment: levels, rule, settings and file."""
    try:
        return store.experiment_of(run) == experiment
    except StoreError:
        return False
