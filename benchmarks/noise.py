"""What equal cells differ by on this host, and what of it the host's pace explains. Records, and prints a table.

python -m benchmarks.noise --record     runs tests/data/noise/experiment.yml and replaces trials.csv beside it: root,
                                        10 minutes, on a machine on which nothing else runs
python -m benchmarks.noise [TRIALS.CSV] how much of the variance of log throughput within blocks each figure explains

Within blocks, since the rule compares there: what is common to a block is taken out already. Each figure alone, by
least squares, cross-validated over blocks: a figure that explains nothing is below 0.
"""

import argparse
import csv
import math
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "tests" / "data" / "noise"
PACES = ("pace_arithmetic_per_s", "pace_memory_per_s", "pace_system_calls_per_s")
COLUMNS = (
    *("trial", "block", "listen_backlog", "clients", "host", "status", "started_s", "requests", "errors"),
    *("throughput_rps", "latency_p50_ms", "latency_p99_ms", "host_cpu_share", "host_steal_share"),
    *("outsider_cpu_share", "outsider_wanted_cpu_share", *PACES, "slowdown_share"),
)
USEFUL = 0.25
"""From this share of the variance on a covariate would pay for the degree of freedom and the words it costs."""

Array = NDArray[np.float64]


def rows_of(path: Path) -> list[dict[str, str]]:
    """Return the complete trials of a trials.csv."""
    with path.open(newline="") as file:
        return [r for r in csv.DictReader(file) if r["status"] == "complete" and float(r["throughput_rps"] or 0) > 0]


def covariates(rows: list[dict[str, str]]) -> dict[str, Array]:
    """Return what could stand beside throughput, by name: the logs of paces, their mean, and shares as they are."""
    found: dict[str, Array] = {}
    for name in (*PACES, "outsider_cpu_share", "outsider_wanted_cpu_share", "host_steal_share"):
        values = [r.get(name) or "" for r in rows]
        if all(values):
            numbers = np.array([float(v) for v in values])
            found[name] = np.log(numbers) if name in PACES else numbers
    if all(name in found for name in PACES):
        found["all three paces"] = np.mean([found[name] for name in PACES], axis=0)
    return found


def explained(rows: list[dict[str, str]], covariate: Array) -> float:
    """Return the share of the variance within blocks that a covariate explains in blocks it was not fitted on."""
    cells = [(r["listen_backlog"], r["clients"]) for r in rows]
    logs = np.array([math.log(float(r["throughput_rps"])) for r in rows])
    blocks = np.array([r["block"] for r in rows])
    y, x = (_inside(_inside(values, cells), blocks.tolist()) for values in (logs, covariate))
    left = 0.0
    for block in np.unique(blocks):
        rest = blocks != block
        power = float(x[rest] @ x[rest])
        slope = float(x[rest] @ y[rest]) / power if power else 0.0
        left += float(np.sum((y[~rest] - slope * x[~rest]) ** 2))
    return 1 - left / float(np.sum(y**2))


def _inside(values: Array, groups: Sequence[object]) -> Array:
    """Return values less their group's mean."""
    means = {g: float(np.mean([v for v, own in zip(values, groups, strict=True) if own == g])) for g in set(groups)}
    return np.asarray(values - np.array([means[g] for g in groups]), dtype=float)


def record() -> int:
    """Run the experiment and keep the columns that are replayed; return the run's exit status."""
    with tempfile.TemporaryDirectory() as results:
        words = [str(KEPT / "experiment.yml"), "--uncalibrated", "--results", results]
        ran = subprocess.run([sys.executable, str(ROOT / "runner.py"), *words], check=False)
        if ran.returncode:
            return ran.returncode
        (path,) = Path(results).glob("noise/2*/trials.csv")
        with path.open(newline="") as file, (KEPT / "trials.csv").open("w", newline="") as kept:
            writer = csv.DictWriter(kept, COLUMNS, extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(csv.DictReader(file))
    return 0


def main() -> int:
    """Record, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trials", nargs="?", type=Path, default=KEPT / "trials.csv")
    parser.add_argument("--record", action="store_true")
    args = parser.parse_args()
    if args.record:
        return record()
    rows = rows_of(args.trials)
    print(f"{len(rows)} trials; a covariate is of use from {USEFUL:.0%}\n\n| figure | explains |\n| --- | --- |")
    for name, values in covariates(rows).items():
        print(f"| `{name}` | {explained(rows, values):.1%} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
