"""The commit that changed a response: one interleaved run a step, of good, bad and a commit between them.

Which commit is next and what a run decides is known by `analysis.bisecting`; here commits are built, run and gone on
with.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from cgidlab import files
from cgidlab.analysis.bisecting import Ask, Bisection, Commit, Step, StepShown, narrow, turns
from cgidlab.analysis.intervals import ALPHA
from cgidlab.analysis.looks import planned_looks
from cgidlab.design import bisecting as design
from cgidlab.design.beside import FACTOR
from cgidlab.design.plan import blocks_within, estimated_s
from cgidlab.engine import bisect_state, commits, locking, running
from cgidlab.engine.bisect_state import BisectState, StepRun
from cgidlab.engine.loading import Request, load_plan, new_run_id
from cgidlab.engine.readying import How
from cgidlab.errors import InterruptedRun, ProvisionError, RunError, SpecError, StoreError
from cgidlab.figures import title
from cgidlab.model import FailureKind, Figures, Outcome, Plan, Status, Trial
from cgidlab.progress import Display, duration
from cgidlab.runs import bisecting as reading
from cgidlab.runs import status, store
from cgidlab.runs.store import RunDirectory
from cgidlab.verdict import bisected, words

_OWN_FAULT = frozenset({FailureKind.SUT, FailureKind.TREATMENT})
_NO_BUDGET_S = 1e7
_NO_COMMIT = f"{0:039}1"
_AGAIN = "run the same command again: it goes on where it was"


@dataclass(frozen=True, slots=True)
class BisectRequest:
    """What the command line asks for."""

    request: Request
    good: str
    bad: str
    response: str
    repository: str | None  # None: that of the file's `httpd`
    results: Path
    cache: Path  # where the commits of a URL are kept
    how: How  # the budget is for all steps together
    new: bool = False


class StepDisplay(Display):
    """Progress of a run that also says how many commits are left, and counts which builds never answer."""

    def __init__(self, level: int) -> None:
        super().__init__(level=level)
        self._commits_left = ""
        self._failed: Counter[str] = Counter()
        self._complete: Counter[str] = Counter()

    def begin(self, commits_left: int) -> None:
        """Count anew: another run begins, for so many commits."""
        self._commits_left = f"{words.count(commits_left, 'commit')} left: "
        self._failed.clear()
        self._complete.clear()

    def step(self, text: str) -> None:
        """Show what is being done now."""
        super().step(self._commits_left + text)

    def trial(self, trial: Trial, outcome: Outcome, figures: Figures) -> None:
        """Show that a trial is done."""
        label = trial.cell.label_of(FACTOR)
        self._complete[label] += outcome.status is Status.COMPLETE
        self._failed[label] += outcome.kind in _OWN_FAULT
        super().trial(trial, outcome, figures)

    def is_dead(self, label: str) -> bool:
        """Say whether no trial of a build is complete, and several failed by its own fault."""
        return self._failed[label] >= reading.DEAD_AFTER and not self._complete[label]


def bisect(asked: BisectRequest, display: StepDisplay, cancelled: Callable[[], bool]) -> Bisection:
    """Find the commit that changed a response, or the range of commits that it is in.

    Every step is a run like others below `results/<experiment>-bisect/`; what earlier calls with the same words have
    run is not run again. Raises `SpecError` before anything is touched, `InterruptedRun` where it was stopped, and
    what runs raise.
    """
    plan = load_plan(asked.request).plan
    repository = asked.repository or design.repository_of(tuple(str(c.settings[FACTOR]) for c in plan.cells))
    if not repository:
        raise SpecError(
            "no repository is named", where=str(asked.request.experiment), fix="add --repository URL_OR_PATH"
        )
    repository = commits.located(repository, asked.request.root)
    ends = (("good", _NO_COMMIT), ("bad", _NO_COMMIT[::-1]))
    # Before git sees it: what is no repository, holds a password, or can be compared in no run.
    load_plan(replace(asked.request, builds=design.Builds(repository, ends, "good", asked.response, ALPHA)))
    line = commits.line(repository, asked.good, asked.bad, asked.cache)
    begun = BisectState(repository, asked.response, line[0].hash, line[-1].hash)
    experiment = plan.experiment
    same = [experiment.source, experiment.target, asked.request.overrides, asked.request.only, begun.about]
    name = hashlib.sha256(json.dumps(same).encode()).hexdigest()[:12]
    directory = asked.results / design.name_of(experiment.name)
    files.make_directory(directory)
    with locking.of_run(directory):
        path = directory / f"bisect-{name}.json"
        state = begun if asked.new else bisect_state.read(path, begun)
        return Bisecting(asked, repository, line, display, cancelled, path, state).found()


@dataclass(slots=True)
class Bisecting:
    """One search in this process."""

    asked: BisectRequest
    repository: str
    line: tuple[Commit, ...]
    display: StepDisplay
    cancelled: Callable[[], bool]
    path: Path  # of its state
    state: BisectState
    budget_ended: bool = False

    @property
    def directory(self) -> Path:
        """Return where its runs are."""
        return self.path.parent

    def found(self) -> Bisection:
        """Take the steps that are left, and say what came of all."""
        between = len(self.line) - 1
        self.display.say(
            f"bisect: {words.count(between, 'commit')} after {self.line[0].short} up to {self.line[-1].short}; "
            f"about {words.count(1 + turns(between), 'run')}"
        )
        narrowed = narrow(between, self._measured, self._tell)
        runs = [self.run_of(step.ask) for step in narrowed.steps]
        smallest = load_plan(self._request(narrowed.steps[0].ask)).plan.experiment.rule.smallest_effects[0].share
        return Bisection(
            self.repository,
            self.asked.response,
            smallest,
            self.line,
            narrowed,
            tuple(None if run is None else str(run.path) for run in runs),
            tuple((self.line[n], self.state.why_skipped(self.line[n].hash) or "") for n in narrowed.skipped),
            self.budget_ended,
        )

    def _labels(self, ask: Ask) -> tuple[str, str | None, str]:
        middle = None if ask.middle is None else f"middle {self.line[ask.middle].short}"
        return f"good {self.line[ask.good].short}", middle, f"bad {self.line[ask.bad].short}"

    def _commits(self, ask: Ask) -> tuple[str, str | None, str]:
        middle = None if ask.middle is None else self.line[ask.middle].hash
        return self.line[ask.good].hash, middle, self.line[ask.bad].hash

    def _request(self, ask: Ask) -> Request:
        labels, hashes = self._labels(ask), self._commits(ask)
        levels = tuple((lb, h) for lb, h in zip(labels, hashes, strict=True) if lb is not None and h is not None)
        builds = design.Builds(self.repository, levels, labels[1] or labels[0], self.asked.response, ask.error)
        return replace(self.asked.request, builds=builds)

    def run_of(self, ask: Ask) -> RunDirectory | None:
        """Return the run that a step had, or was to have; None where none was begun."""
        name = self.state.run_of(self._commits(ask))
        return None if name is None else RunDirectory((self.directory / name).resolve())

    def _measured(self, ask: Ask) -> StepShown | None:
        """Return what the run of a step shows, which is run first, or gone on with; None: the middle is skipped."""
        self.budget_ended = False
        middle = None if ask.middle is None else self.line[ask.middle]
        if middle is not None and self.state.why_skipped(middle.hash) is not None:
            return None
        try:
            run = self._whole_run(ask)
            why = "" if run is None else self.why_not_run(ask, run)
        except ProvisionError as err:
            run, why = None, self._why_not_built(ask, err)
            if not why:
                raise
        if middle is not None and why:
            self.state = self.state.with_skipped(middle.hash, why)
            bisect_state.write(self.path, self.state)
            return None
        if run is None:
            self.budget_ended = True
            return StepShown(None if middle is None else reading.NOTHING, reading.NOTHING)
        return reading.shown(run, self.asked.response, *self._labels(ask))

    def _whole_run(self, ask: Ask) -> RunDirectory | None:
        """Return the run of a step when nothing of it is left to do; None where no time is left to begin it."""
        request = self._request(ask)
        plan = load_plan(request).plan
        run = self.run_of(ask)
        if run is not None and not (run.path.is_dir() and reading.is_of(run, plan.experiment)):
            run = None  # it never began, or somebody took it away
        if run is not None and self.is_whole(run, ask, plan):
            return run
        begun = run if run is not None and run.trial_directories() else None
        if begun is None and not self._has_time(ask, plan):
            return None
        self._say_what_is_next(ask)
        return self._run(ask, request, begun)

    def is_whole(self, run: RunDirectory, ask: Ask, plan: Plan) -> bool:
        """Say whether nothing is left to run of a step: it is decided, or all its blocks are done, or the budget is."""
        try:
            state = run.state()
            if status.status(run.path).state != store.FINISHED:
                return False
            shown = reading.shown(run, self.asked.response, *self._labels(ask))
        except StoreError:
            return False
        decided = all(one is None or one.answer.decided for one in (shown.before, shown.after))
        if decided or not state.get("budget"):
            return True
        left_s = self.left_s()
        more = left_s is None or left_s >= estimated_s(plan, 1)
        self.budget_ended = not more
        return not more

    def left_s(self) -> float | None:
        """Return what is left of the budget, None where there is none."""
        budget_s = self.asked.how.budget_s
        return None if budget_s is None else budget_s - sum(_spent_s(self.directory / s.run) for s in self.state.steps)

    def _has_time(self, ask: Ask, plan: Plan) -> bool:
        """Say whether the budget lasts to a step's first look. Raise `SpecError` where the first step's is too far."""
        left_s = self.left_s()
        first = planned_looks(plan.experiment.repetitions)[0]
        if left_s is None or blocks_within(plan, left_s) >= first:
            return True
        if ask.middle is not None:
            return False
        need_s = estimated_s(plan, first)
        raise SpecError(
            f"nothing can be decided in {duration(left_s)}: {first} blocks need about {duration(need_s)}",
            where="--budget",
            fix=f"use --budget {math.ceil(need_s * (1 + turns(ask.bad)) / 60)}m or more: it is for all steps",
        )

    def _run(self, ask: Ask, request: Request, begun: RunDirectory | None) -> RunDirectory:
        """Run a step, or go on with its run, to its verdict. Raise `InterruptedRun` when it was stopped."""
        how, results, left_s, middle = self.asked.how, self.asked.results, self.left_s(), self._labels(ask)[1]

        def cancelled() -> bool:
            return self.cancelled() or (middle is not None and self.display.is_dead(middle))

        self.display.begin(ask.bad - ask.good)
        if begun is not None:
            budget_s = _NO_BUDGET_S if left_s is None else _spent_s(begun.path) + left_s
            again = replace(how, budget_s=budget_s)
            running.resume(begun, request, request.root, results, self.display, cancelled, again)
            run = begun
        else:
            run_id = new_run_id()
            self.state = self.state.with_run(StepRun(*self._commits(ask), run_id))
            bisect_state.write(self.path, self.state)
            running.run(request, results, self.display, cancelled, replace(how, budget_s=left_s), run_id)
            run = RunDirectory((self.directory / run_id).resolve())
        if self.cancelled():
            raise InterruptedRun("stopped; each finished block is kept", where=str(run.path), fix=_AGAIN)
        self.budget_ended = bool(run.state().get("budget"))
        return run

    def why_not_run(self, ask: Ask, run: RunDirectory) -> str:
        """Return why the middle is passed over, "" where it answered. Raise `RunError` where an end did not."""
        middle = self._labels(ask)[1]
        without = reading.dead(run, FACTOR)
        if middle is not None and without == {middle}:
            return bisected.NONE_COMPLETE
        if status.status(run.path).state != store.FINISHED:
            why = run.state().get("stopped") or "it was stopped"
            raise RunError(f"the run of this step ended: {why}", where=str(run.path), fix=f"mend that; {_AGAIN}")
        if without:
            names = ", ".join(sorted(without))
            raise RunError(
                f"no trial of {names} is complete", where=str(run.path), fix="name other ends: --good, --bad"
            )
        return ""

    def _why_not_built(self, ask: Ask, err: ProvisionError) -> str:
        """Return why the middle could not be built, "" where it could. Raise `ProvisionError` where an end is not."""
        good, middle, bad = (c and f"httpd {design.GIT}{self.repository}#{c} (" for c in self._commits(ask))
        if any(end in err.what for end in (good, bad) if end):
            fix = "name ends that can be built: --good, --bad"
            raise ProvisionError(err.what, where=err.where, fix=fix) from err
        if middle is None or middle not in err.what:
            return ""
        said = err.what.partition(middle)[2].partition("): ")[2].partition("fix: ")[0]  # that is for a run by itself
        return " ".join(said.split()) or bisected.NOT_BUILT

    def _say_what_is_next(self, ask: Ask) -> None:
        good, bad = self.line[ask.good], self.line[ask.bad]
        if ask.middle is None:
            self.display.say(
                f"bisect: do {good.short} (good) and {bad.short} (bad) differ in {title(self.asked.response)}?"
            )
            return
        middle, between = self.line[ask.middle], ask.bad - ask.good
        self.display.say(f"bisect: {bisected.progress(good, bad, middle, between, turns(between))}")

    def _tell(self, step: Step) -> None:
        self.display.say(f"bisect: {bisected.step(step, self.line, self.asked.response)}")


def _spent_s(run: Path) -> float:
    """Return how long the blocks of a run took, as it noted after each; nothing where it never began."""
    with suppress(StoreError, KeyError, TypeError):
        return float(RunDirectory(run).state()["spent"]["spent_s"])
    return 0.0
