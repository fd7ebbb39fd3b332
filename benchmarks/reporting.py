"""Time, memory and size of `report` for a run of 216 and one of 10,000 synthetic trials.

    python -m benchmarks.reporting [--trials 216 10000]

The runs are made by scripts/make_synthetic_run.py. A run measures each trial when it comes home and keeps that in
the trial's figures.json; what is timed against the goal is such a run, whose own derived files are removed. A
`report` of the raw files alone, which a version with other figures has to make once, stands beside it.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import figures
from benchmarks.children import cost_of_runner
from benchmarks.figures import ROOT, Row, Series

# Trials: seconds, MB of memory, MB of report.html
GOALS = {216: (5.0, 600.0, 6.0), 10_000: (20.0, 600.0, 10.0)}
DERIVED = ("trials.csv", "trials.parquet", "summary.json", "report.html")


def main() -> int:
    """Make the runs, report on each, print and keep the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=list(GOALS), choices=list(GOALS))
    sizes = parser.parse_args().trials
    rows = []
    for trials in sizes:
        with tempfile.TemporaryDirectory(prefix="cgidlab-bench-") as directory:
            rows.append(_row(trials, Path(directory)))
    figures.write("reporting", rows)
    return 0


def _row(trials: int, directory: Path) -> Row:
    figures.say(f"making {trials} trials")
    script = [sys.executable, str(ROOT / "scripts" / "make_synthetic_run.py")]
    subprocess.run(
        [*script, "--trials", str(trials), "--results", str(directory)], check=True, stdout=subprocess.DEVNULL
    )
    run = next(path.parent for path in directory.glob("*/*/plan.json")).resolve()
    figures.say(f"reporting on {trials} trials")
    _remove_derived(run)
    raw = cost_of_runner("report", str(run))  # a synthetic run has no figures.json before
    _remove_derived(run)
    cost = cost_of_runner("report", str(run))
    size_mb = (run / "report.html").stat().st_size / 1e6
    shutil.rmtree(run)
    goal_s, goal_memory_mb, goal_size_mb = GOALS[trials]
    return Row(
        f"`report` of a run of {trials:,} trials (synthetic), its derived files deleted before",
        f"<= {goal_s:.0f} s, <= {goal_memory_mb:.0f} MB, report <= {goal_size_mb:.0f} MB",
        cost.wall_s <= goal_s and max(cost.peak_mb, raw.peak_mb) <= goal_memory_mb and size_mb <= goal_size_mb,
        (
            Series("wall", "s", [cost.wall_s]),
            Series("wall, from the raw files alone", "s", [raw.wall_s]),
            Series("memory", "MB", [cost.peak_mb]),
            Series("memory, from the raw files alone", "MB", [raw.peak_mb]),
            Series("report.html", "MB", [size_mb]),
        ),
        note=f"Measuring takes {1000 * (raw.wall_s - cost.wall_s) / trials:.1f} ms a trial, done as it comes home.",
    )


def _remove_derived(run: Path) -> None:
    for name in DERIVED:
        (run / name).unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
