"""From a run directory to its derived files: tables, summary.json, report.html. Needs nothing but the directory."""

import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from cgidlab import files, gathered, junit, report, rundir, verdict
from cgidlab.analysis import analyse
from cgidlab.errors import SpecError, StoreError
from cgidlab.model import Experiment, FailureKind, Status, TrialRecord
from cgidlab.progress import duration
from cgidlab.report.say import IN_ENGLISH, Say
from cgidlab.runs import (
    blockwise,
    ending,
    headroom,
    limiting,
    planless,
    proven,
    provenance,
    records,
    reporting,
    snapshots,
    store,
    tables,
    watching,
)
from cgidlab.terminal import columns, folded
from cgidlab.verdict.ending import Ending

JUNIT = "junit.xml"
_WIDTH = 110
_NARROW = 60


@dataclass(frozen=True, slots=True)
class Concluded:
    """What a run's directory says, and where the derived files are."""

    text: str  # the verdict as the terminal shows it
    report: Path
    trials: Mapping[Status, int]
    lacking: int  # planned trials of which no complete record is there, though one was tried
    damaged: tuple[store.Damage, ...] = ()  # files that are left out of all of it
    required: bool | None = None  # whether all that the file requires is shown; None: it requires nothing


@dataclass(frozen=True, slots=True)
class _Judged:
    """Everything that the derived files are made from."""

    run: store.RunDirectory
    experiment: Experiment
    rows: tuple[TrialRecord, ...]
    analysis: analyse.Analysis
    verdict: verdict.Verdict
    timing: Mapping[str, float | None]
    damaged: tuple[store.Damage, ...]
    generators: tuple[tuple[TrialRecord, Mapping[str, Any]], ...]
    whole_blocks: tuple[TrialRecord, ...] = ()  # a cell's windows of a block as one
    ending: Ending | None = None  # None: a server was watched

    def summary(self) -> dict[str, Any]:
        kinds = Counter(r.outcome.kind for r in self.rows if r.outcome.kind is not None)
        found = verdict.summary_json(
            self.analysis,
            self.verdict,
            experiment=self.experiment.name,
            run_id=self.run.run_id,
            timing=self.timing,
            failures={kind.value: kinds[kind] for kind in FailureKind},
            damaged=[asdict(d) for d in self.damaged],
        )
        cpu = {store.CONTROL_CPU: _control_cpu(self.run)}
        return {**found, **cpu, "hosts": snapshots.summary(self.run)}

    @property
    def required(self) -> bool | None:
        """Say whether all that is required is shown; None where nothing is."""
        return None if self.experiment.rule.required.nothing else verdict.passes(self.verdict.required)

    def junit(self) -> str:
        return junit.suite(self.experiment.name, verdict.cases(self.verdict.required), self.run.run_id)

    def report(self, say: Say = IN_ENGLISH) -> report.ReportInput:
        return reporting.report_input(
            self.run,
            self.experiment,
            (*self.rows, *self.whole_blocks),
            self.analysis,
            self.verdict,
            self.timing,
            self.damaged,
            say,
        )


def conclude(
    run: store.RunDirectory,
    *,
    verify: bool = False,
    output: Path | None = None,
    details: bool = False,
    say: Say = IN_ENGLISH,
) -> Concluded:
    """Measure, analyse and judge what a run directory holds, and write its derived files.

    They are written to `output`, and nothing then into the run. What is damaged is left out and named; with `verify`
    every file is read for that. Raises `StoreError` when neither the plan nor any trial can be read.
    """
    into = run.path if output is None else output
    judged, page = _shown(run, into, say, verify=verify, keep=output is None)
    tables.write(into, judged.rows)
    tables.write_generators(into, judged.generators)
    files.write_json(into / "summary.json", judged.summary())
    trials = judged.analysis.trials
    complete = {r.key for r in judged.rows if r.outcome.status is Status.COMPLETE}
    lacking = len({r.key for r in judged.rows} - complete)
    text = _text(judged, details=details, say=say)
    if judged.required is not None:
        files.write_text(into / JUNIT, judged.junit())
    return Concluded(text, page, trials, lacking, judged.damaged, judged.required)


def _shown(run: store.RunDirectory, into: Path, say: Say, *, verify: bool, keep: bool) -> tuple[_Judged, Path]:
    """Judge a run and write its page; a trial whose raw files the page finds to be damaged is then left out of both."""
    without: dict[str, store.Damage] = {}
    while True:
        judged = _judge(run, verify=verify, keep=keep, without=without)
        unread: dict[str, store.Damage] = {}
        page = report.write(reporting.noting(judged.report(say), run, unread), into, script_cache())
        if not unread:
            return judged, page
        without |= unread


def as_text(
    run: store.RunDirectory, form: Literal["md", "json", "junit"], say: Say = IN_ENGLISH
) -> tuple[str, tuple[store.Damage, ...]]:
    """Return a run's report as Markdown, one JSON object or JUnit's XML, and what is left out of it; writes nothing.

    Markdown alone is said in another language.

    Raise `SpecError` for JUnit of an experiment that requires nothing.
    """
    judged = _judge(run, verify=True, keep=False)
    if form == "md":
        return report.as_markdown(judged.report(say)), judged.damaged
    if form == "junit":
        if judged.required is None:
            raise SpecError(
                "the experiment requires nothing", where=str(run.path), fix="JUnit shows what `require:` names"
            )
        return judged.junit(), judged.damaged
    return report.as_json(judged.report(), judged.summary()), judged.damaged


def _judge(
    run: store.RunDirectory, *, verify: bool, keep: bool, without: Mapping[str, store.Damage] | None = None
) -> _Judged:
    """Return what a run says; `without` names directories of trials that are left out, and what is damaged there."""
    recorded, left_out = provenance.of(run), without or {}
    whole, trouble = records.load_whole(run, verify=verify, keep=keep)
    loaded = [record for record, _ in whole if record.directory not in left_out]
    measured = {record.directory: kept for record, kept in whole}
    experiment, lost = planless.experiment_of(run, loaded, str(recorded.get("experiment_sha256") or ""))
    fitting, unfit = planless.fitting(experiment, loaded)
    rows = tuple(headroom.applied(r, recorded) for r in fitting)
    damaged = (*lost, *_unreadable(run), *trouble, *unfit, *left_out.values())
    complete = [r for r in rows if r.outcome.status is Status.COMPLETE]
    series = {r.key: s for r in complete if (s := measured[r.directory].throughput_rps)}
    generators = tuple((r, row) for r in rows for row in measured[r.directory].generators)
    if watching.is_observation(run):
        judged, rows, more = watching.verdict(run, rows)
        damaged = (*damaged, *more)
        return _Judged(
            run, experiment, rows, analyse.analyse(rows, experiment, series), judged, _timing(rows), damaged, generators
        )
    # What rests on a witness that is not proven is no response either.
    counted, unproven = proven.counted(rows, recorded.get("calibration"))
    whole_blocks, torn = blockwise.Blockwise(run.path).of(counted)
    damaged = (*damaged, *(run.damage(err) for err in torn))
    analysis = analyse.analyse((*counted, *whole_blocks), experiment, series)
    tried, unread = limiting.shown(run, verify=verify, keep=keep)
    damaged = (*damaged, *unread)
    ended = ending.how(run, experiment, rows)
    notes = (*_notes(run, experiment, damaged), *snapshots.notes(run), *unproven)
    judged = verdict.judge(analysis, counted, notes, tried, ended, whole_blocks)
    return _Judged(run, experiment, rows, analysis, judged, _timing(rows), damaged, generators, whole_blocks, ended)


def _unreadable(run: store.RunDirectory) -> tuple[store.Damage, ...]:
    """Return which of the run's own files, beside its plan, are there and cannot be read."""
    found = []
    for name in ("provenance.json", "state.json", "differences.json"):
        try:
            if rundir.is_there(run.path / name):
                run.read(name)
        except StoreError as err:
            found.append(run.damage(err))
    return tuple(found)


def _notes(run: store.RunDirectory, experiment: Experiment, damaged: Sequence[store.Damage]) -> tuple[str, ...]:
    """Return what the run's state and its files say against its verdict."""
    said = [f"{len(damaged)} damaged file{'s are' if len(damaged) > 1 else ' is'} left out"] if damaged else []
    return (*said, *_cut(run, experiment))


def _cut(run: store.RunDirectory, experiment: Experiment) -> tuple[str, ...]:
    state = run.state()
    lost = tuple(
        f"the server {entry['host']} was lost in block {entry['block']}, which another one ran ({entry['why']})"
        for entry in state.get(store.LOST, [])
    )
    budget = state.get("budget")
    wanted = experiment.repetitions
    asked = wanted.asked if experiment.search is None else None  # a search looks after each block as it is
    grown = f"it was extended from {asked[1]} to {wanted.max} blocks after it had been looked at" if asked else ""
    extended = (f"{grown}, which makes its error of 5 % up to 7 %",) if grown else ()
    if not budget:
        return (*lost, *extended)
    planned = f"{wanted.min}" if wanted.fixed else f"{wanted.min} to {wanted.max}"
    blocks = f"{budget['blocks']} block{'' if budget['blocks'] == 1 else 's'}"
    cut = f"the budget of {duration(budget['budget_s'])} cut the run to {blocks} of the {planned} planned"
    return (*lost, *extended, cut)


def _control_cpu(run: store.RunDirectory) -> dict[str, float] | None:
    """Return what runner and Ansible used a trial, and within windows, of the machine that the trials shared."""
    said = run.state().get(store.CONTROL_CPU)
    if not said or not said["trials"] or not said["windows_s"]:
        return None
    return {
        "s_per_trial": said["cpu_s"] / said["trials"],
        "share_in_windows": said["in_windows_s"] / said["windows_s"] / said["cores"],
    }


def _timing(rows: Sequence[TrialRecord]) -> dict[str, float | None]:
    """Return how long the trials took in all, how much of it was measured, and what a trial costs beside it."""
    done = [r for r in rows if r.started_s is not None]
    measured_s = sum(float(r.settings["window_s"]) for r in done)
    begin = min((r.started_s - float(r.settings["warmup_s"]) for r in done if r.started_s is not None), default=None)
    end = max((r.started_s + float(r.settings["window_s"]) for r in done if r.started_s is not None), default=None)
    return {
        "wall_s": end - begin if begin is not None and end is not None else None,
        "measured_s": measured_s,
        "overhead_s_per_trial": gathered.overhead_s(rows),
    }


def script_cache() -> Path:
    """Return where the plotting script is kept between reports."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cgidlab"


def _text(run: _Judged, *, details: bool, say: Say) -> str:
    """Return the verdict as a terminal shows it: seven lines, or with `details` five questions and their answers.

    Of a run that is not at its end that comes first, and what goes on with it.
    """
    judged, trials, timing = run.verdict, run.analysis.trials, run.timing
    counts = ", ".join(f"{n} {say(status.value)}" for status, n in trials.items() if n)
    overhead = timing["overhead_s_per_trial"]
    cost = ""
    if overhead is not None:
        cost = say("; a trial cost {s} s beside warm-up and window (median)", s=f"{overhead:.2f}")
    width = min(_WIDTH, max(_NARROW, shutil.get_terminal_size((_WIDTH, 24)).columns))
    if judged.answers and not details:
        answers = [line.told_in(say.language) for line in judged.answers]
        column = max(columns(name) for name, _ in answers) + 2
        told = [folded(text, width, name + " " * (column - columns(name)), " " * column) for name, text in answers]
    else:
        answered = zip(report.QUESTIONS, judged.lines, strict=True)
        told = [f"{asked}\n{folded(said, width, '  ', '  ')}" for asked, said in answered]
    ended = [folded(line, width, "", "  ") for line in run.ending.lines_in(say.language)] if run.ending else []
    trials_said = say("trials: {counts}", counts=counts or say("none")) + cost
    return "\n".join([*ended, *([""] if ended else []), run.experiment.question, "", *told, "", trials_said])
