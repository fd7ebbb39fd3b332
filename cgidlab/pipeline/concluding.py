"""From a run directory to its derived files: trials.csv, summary.json, report.html. Needs nothing but the directory."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from cgidlab import analyse, files, measure, report, store, verdict
from cgidlab.model import Status, TrialRecord
from cgidlab.pipeline import records, reporting


@dataclass(frozen=True, slots=True)
class Concluded:
    """What a run's directory says, and where the derived files are."""

    text: str  # the verdict as the terminal shows it
    report: Path
    trials: Mapping[Status, int]


def conclude(run: store.RunDirectory) -> Concluded:
    """Measure, analyse and judge what a run directory holds, and write its derived files."""
    experiment = store.experiment_of(run)
    rows = [records.load(run.path, stored) for stored in run.stored_trials()]
    series = {r.key: s for r in rows if (s := measure.throughput_series(run.path / r.directory)) is not None}
    analysis = analyse.analyse(rows, experiment, series)
    judged = verdict.judge(analysis, rows)
    timing = _timing(rows)
    records.write_csv(run.path / "trials.csv", rows)
    summary = verdict.summary_json(analysis, judged, experiment=experiment.name, run_id=run.run_id, timing=timing)
    files.write_json(run.path / "summary.json", summary)
    page = report.write(
        reporting.report_input(run, experiment, rows, analysis, judged, timing), run.path, _script_cache()
    )
    return Concluded(_text(experiment.question, judged, analysis.trials, timing), page, analysis.trials)


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


def _script_cache() -> Path:
    """Return where the plotting script is kept between reports."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cgidlab"


def _text(
    question: str, judged: verdict.Verdict, trials: Mapping[Status, int], timing: Mapping[str, float | None]
) -> str:
    counts = ", ".join(f"{n} {status}" for status, n in trials.items() if n)
    overhead = timing["overhead_s_per_trial"]
    cost = f"; a trial cost {overhead:.2f} s beside warm-up and window (median)" if overhead is not None else ""
    return "\n".join([question, "", *(f"  {line}" for line in judged.lines), "", f"trials: {counts or 'none'}{cost}"])
