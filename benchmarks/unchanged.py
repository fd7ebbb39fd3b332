"""Whether runs in which nothing differs claim something: false alarms of real runs.

    python -m benchmarks.unchanged [--results DIR] [--runs 10]

The design of experiments/backlog-sweep.yml with cells that differ in nothing that a client can see: queues of 1,024 and
of 2,048, of which 50 and 200 clients fill neither. Each run has a seed of its own. A false alarm is a comparison of
throughput or p99 that a run claims to differ, at one number of clients or over both, and a line of `compare` that says
so of a run and the one before it. With `--results` the runs are kept in DIR, and those that are there already are
counted too.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks import figures
from benchmarks.decides import SWEEP, design, run_of
from benchmarks.figures import ROOT, Row, Series

ALARMS = {"costs_at_least", "gains_at_least", "real_near"}
CELLS = {
    "  listen_backlog": "[1024, 2048]",
    "  clients": "[50, 200]",
    "  reference": "1024",
    "passes": "2",
    "repetitions": "{min: 6, max: 7, until: decided}",
    "limits": "off",
}


def main() -> int:
    """Run, count, print and keep the row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--results", type=Path, help="where the runs are kept")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cgidlab-bench-") as work:
        results = args.results or Path(work) / "results"
        while len(runs := _runs(results / SWEEP.stem)) < args.runs:
            figures.say(f"run {len(runs) + 1} of {args.runs}")
            run_of(design(SWEEP.read_text(), {**CELLS, "seed": str(len(runs) + 1)}), Path(work), results)
        found = row([_claims(run) for run in runs], [_told(a, b) for a, b in pairwise(runs)])
    figures.write("unchanged", [found])
    return 0


def _runs(kept: Path) -> list[Path]:
    """Return the runs that have come to their end, in the order in which they were begun."""
    return sorted(path.parent for path in kept.glob("2*/summary.json"))


def _claims(run: Path) -> int:
    return alarms(json.loads((run / "summary.json").read_text())["effects"])


def _told(a: Path, b: Path) -> int:
    command = [sys.executable, str(ROOT / "runner.py"), "compare", str(a), str(b), "--format", "json"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode not in {0, 1}:
        raise SystemExit(f"{' '.join(command)} exited with {done.returncode}: {done.stderr[-2000:]}")
    return alarms(json.loads(done.stdout)["ratios"])


def alarms(comparisons: list[dict[str, Any]]) -> int:
    """Return how many comparisons are claimed to differ."""
    return sum(c["answer"] in ALARMS for c in comparisons)


def row(claims: list[int], told: list[int]) -> Row:
    """Return what was claimed, run by run and pair by pair."""
    return Row(
        "false alarms of real runs in which nothing differs, of throughput and p99 at 50 and 200 clients",
        "none in ten runs",
        len(claims) >= 10 and not any(claims) and not any(told),  # noqa: PLR2004 -- the goal
        (Series("a run", "", claims), Series("`compare`, a run and the one before it", "", told)),
    )


if __name__ == "__main__":
    sys.exit(main())
