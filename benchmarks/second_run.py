"""How long a second run takes to its first trial when there is nothing to do, next to `ansible-playbook --version`.

    python -m benchmarks.second_run [--rounds 3]

The first run provisions and calibrates; each later one is timed from its start to the begin of its first trial.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks import figures
from benchmarks.figures import ROOT, Row, Series

GOAL_S = 6.0
EXPERIMENT = """\
schema_version: 1
name: second-run
question: How long until the first trial?
factors: {listen_backlog: [100]}
settings: {workers: 100, threads_per_child: 25}
load: {loop: closed, driver: h2load, clients: 20}
warmup_s: 0.3
window_s: 0.5
noise: ignore
repetitions: 1
"""


def main() -> int:
    """Run in turns, print and keep the row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="cgidlab-bench-"))
    try:
        (work / "second-run.yml").write_text(EXPERIMENT)
        _to_first_trial(work)
        ours, theirs = [], []
        for _ in range(args.rounds):
            ours.append(_to_first_trial(work))
            theirs.append(_ansible())
    finally:
        shutil.rmtree(work, ignore_errors=True)
    figures.write(
        "second_run",
        [
            Row(
                "second run, nothing to do, to the first trial",
                f"<= {GOAL_S:.0f} s",
                median(ours) <= GOAL_S,
                (Series("", "s", ours),),
                (Series("`ansible-playbook --version`", "s", theirs),),
            )
        ],
    )
    return 0


def _to_first_trial(work: Path) -> float:
    """Run the experiment; return the seconds from its start to its trial's first phase."""
    began_ns = time.monotonic_ns()  # the clock of the phases, on this one machine
    words = [sys.executable, str(ROOT / "runner.py"), str(work / "second-run.yml"), "--results", str(work / "results")]
    ran = subprocess.run(words, check=False, capture_output=True, text=True)
    if ran.returncode != 0:
        raise SystemExit(f"the run failed: {ran.stderr[-2000:]}")
    latest = (work / "results" / "second-run" / "latest").resolve()
    results = [json.loads(path.read_text()) for path in latest.glob("trials/*/result.json")]
    return float(min(p["begin_ns"] for r in results for p in r["phases"]) - began_ns) / 1e9


def _ansible() -> float:
    began_s = time.monotonic()
    subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "--version"], check=True, stdout=subprocess.DEVNULL
    )
    return time.monotonic() - began_s


if __name__ == "__main__":
    sys.exit(main())
