"""What a trial costs beside its warm-up and window over SSH, against the same trial on this machine. Needs root.

    python benchmarks/ssh.py [--rounds 3] [--trials 8]

Runs one block of trials on this machine and one on an SSH host made of namespaces here, in turns, as whole runs of
runner.py. Both share CPUs and kernel, so what differs is the way there and back. Prints medians, and the time of a
round trip as `runner.py doctor` finds it.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.rigs import ssh_hosts  # noqa: E402 -- the path has to be set first

WARMUP_S, WINDOW_S = 0.2, 1.0
EXPERIMENT = """\
schema_version: 1
name: ssh
question: What does a trial cost over SSH?
factors: {{listen_backlog: [{levels}]}}
settings: {{workers: 100, threads_per_child: 25}}
load: {{loop: closed, driver: h2load, clients: 20}}
warmup_s: {warmup}
window_s: {window}
repetitions: 1
noise: ignore
"""


def main() -> int:
    """Print what was measured, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=8)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ssh_hosts.Rig(1, disk_mb=2048) as rig:
        directory = Path(name)
        file = directory / "ssh.yml"
        levels = ", ".join(str(100 + n) for n in range(args.trials))
        file.write_text(EXPERIMENT.format(levels=levels, warmup=WARMUP_S, window=WINDOW_S))
        found: dict[str, list[float]] = {"local": [], "ssh": []}
        for _ in range(args.rounds):
            for way, target in (("local", "local"), ("ssh", str(rig.inventory))):
                found[way] += _overheads_s(file, target, directory / "results")
        print(json.dumps({**_summary(found), "round_trip": _round_trip(str(rig.inventory))}, indent=1))
    return 0


def _overheads_s(file: Path, target: str, results: Path) -> list[float]:
    """Return, for each trial of a run but the first, the time from outcome to outcome beside warm-up and window."""
    argv = [sys.executable, "runner.py", str(file), "--target", target, "--results", str(results), "--uncalibrated"]
    subprocess.run(argv, cwd=ROOT, check=True, capture_output=True)
    outcomes = (results / "ssh" / "latest").glob("trials/*/outcome.json")
    ended_s = sorted(path.stat().st_mtime for path in outcomes)
    return [later - earlier - WARMUP_S - WINDOW_S for earlier, later in pairwise(ended_s)]


def _summary(found: dict[str, list[float]]) -> dict[str, Any]:
    return {
        way: {"trials": len(s), "overhead_s_median": round(median(s), 3), "overhead_s_max": round(max(s), 3)}
        for way, s in found.items()
    }


def _round_trip(target: str) -> str:
    argv = [sys.executable, "runner.py", "doctor", "--target", target, "--format", "json"]
    said = json.loads(subprocess.run(argv, cwd=ROOT, check=False, capture_output=True, text=True).stdout)
    return next(str(row["found"]) for row in said["hosts"][0]["rows"] if row["check"] == "round trip")


if __name__ == "__main__":
    sys.exit(main())
