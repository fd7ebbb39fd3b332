"""From a run directory to its derived files: tables, summary.json, report.html. Needs nothing but the directory."""

import os
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

from cgidlab import analyse, files, report, store, verdict
from cgidlab.model import Experiment, Status, TrialRecord
from cgidlab.pipeline import headroom, proven, records, reporting, snapshots, tables, watching
from cgidlab.progress import duration

_WIDTH = 110


@dataclass(frozen=True, slots=True)
class Concluded:
    """What a run's directory says, and where the derived files are."""

    text: str  # the verdict as the terminal shows it
    report: Path
    trials: Mapping[Status, int]
    lacking: int  # planned trials of which no complete record is there, though one was tried


@dataclass(frozen=True, slots=True)
class _Judged:
    """Everything that the derived files are made from."""

    run: store.RunDirectory
    experiment: Experiment
    rows: tuple[TrialRecord, ...]
    analysis: analyse.Analysis
    verdict: verdict.Verdict
    timing: Mapping[str, float | None]

    def summary(self) -> dict[str, Any]:
        found = verdict.summary_json(
            self.analysis, self.verdict, experiment=self.experiment.name, run_id=self.run.run_id, timing=self.timing
        )
        return {**found, "hosts": snapshots.summary(self.run)}

    def report(self) -> report.ReportInput:
        return reporting.report_input(self.run, self.experiment, self.rows, self.analysis, self.verdict, self.timing)


def conclude(run: store.RunDirectory) -> Concluded:
    """Measure, analyse and judge what a run directory holds, and write its derived files."""
    judged = _judge(run)
    tables.write(run.path, judged.rows)
    tables.write_generators(run.path, [(r, row) for r in judged.rows for row in records.generators(run.path, r)])
    files.write_json(run.path / "summary.json", judged.summary())
    page = report.write(judged.report(), run.path, script_cache())
    trials = judged.analysis.trials
    complete = {r.key for r in judged.rows if r.outcome.status is Status.COMPLETE}
    lacking = len({r.key for r in judged.rows} - complete)
    return Concluded(_text(judged.experiment.question, judged.verdict, trials, judged.timing), page, trials, lacking)


def as_text(run: store.RunDirectory, form: Literal["md", "json"]) -> str:
    """Return the report of a run as Markdown or as one JSON object; writes no derived file."""
    judged = _judge(run)
    return report.as_markdown(judged.report()) if form == "md" else report.as_json(judged.report(), judged.summary())


def _judge(run: store.RunDirectory) -> _Judged:
    experiment = store.experiment_of(run)
    provenance = run.read("provenance.json") if (run.path / "provenance.json").exists() else {}
    rows = tuple(headroom.applied(records.load(run.path, stored), provenance) for stored in run.stored_trials())
    complete = [r for r in rows if r.outcome.status is Status.COMPLETE]
    series = {r.key: s for r in complete if (s := records.throughput_series(run.path, r)) is not None}
    if watching.is_observation(run):
        judged = watching.verdict(run, rows)
        return _Judged(run, experiment, rows, analyse.analyse(rows, experiment, series), judged, _timing(rows))
    # What rests on a witness that is not proven is no response either.
    counted, unproven = proven.counted(rows, provenance.get("calibration"))
    analysis = analyse.analyse(counted, experiment, series)
    judged = verdict.judge(analysis, counted, (*_notes(run, experiment), *snapshots.notes(run), *unproven))
    return _Judged(run, experiment, rows, analysis, judged, _timing(rows))


def _notes(run: store.RunDirectory, experiment: Experiment) -> tuple[str, ...]:
    """Return what the run's state says against its verdict."""
    state = run.read("state.json")
    lost = tuple(
        f"the server {entry['host']} was lost in block {entry['block']}, which another one ran ({entry['why']})"
        for entry in state.get(store.LOST, [])
    )
    budget = state.get("budget")
    if not budget:
        return lost
    wanted = experiment.repetitions
    planned = f"{wanted.min}" if wanted.fixed else f"{wanted.min} to {wanted.max}"
    blocks = f"{budget['blocks']} block{'' if budget['blocks'] == 1 else 's'}"
    return (*lost, f"the budget of {duration(budget['budget_s'])} cut the run to {blocks} of the {planned} planned")


def _timing(rows: Sequence[TrialRecord]) -> dict[str, float | None]:
    """Return how long the trials took in all, how much of it was measured, and what a trial costs beside it."""
    overheads = [r.overhead_s for r in rows if r.overhead_s is not None]
    done = [r for r in rows if r.started_s is not None]
    measured_s = sum(float(r.settings["window_s"]) for r in done)
    begin = min((r.started_s - float(r.settings["warmup_s"]) for r in done if r.started_s is not None), default=None)
    end = max((r.started_s + float(r.settings["window_s"]) for r in done if r.started_s is not None), default=None)
    return {
        "wall_s": end - begin if begin is not None and end is not None else None,
        "measured_s": measured_s,
        "overhead_s_per_trial": median(overheads) if overheads else None,
    }


def script_cache() -> Path:
    """Return where the plotting script is kept between reports."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cgidlab"


def _text(
    question: str, judged: verdict.Verdict, trials: Mapping[Status, int], timing: Mapping[str, float | None]
) -> str:
    counts = ", ".join(f"{n} {status}" for status, n in trials.items() if n)
    overhead = timing["overhead_s_per_trial"]
    cost = f"; a trial cost {overhead:.2f} s beside warm-up and window (median)" if overhead is not None else ""
    answers = [
        f"{asked}\n{textwrap.fill(said, _WIDTH, initial_indent='  ', subsequent_indent='  ', break_long_words=False)}"
        for asked, said in zip(report.QUESTIONS, judged.lines, strict=True)
    ]
    return "\n".join([question, "", *answers, "", f"trials: {counts or 'none'}{cost}"])
