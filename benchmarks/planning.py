"""Time and memory to validate and plan a design of 100,000 trials.

python -m benchmarks.planning [--rounds 5]
"""

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median

from benchmarks import figures
from benchmarks.children import cost_of_runner
from benchmarks.figures import Row, Series

GOAL_S, GOAL_MB = 2.0, 200
EXPERIMENT = """\
schema_version: 1
name: hundred-thousand
question: How long does a plan of 100,000 trials take?
factors:
  listen_backlog: [{backlogs}]
  clients: [{clients}]
settings: {{workers: 400, threads_per_child: 25}}
load: {{loop: closed, driver: h2load}}
repetitions: 250
"""


def main() -> int:
    """Plan and validate, print and keep the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="cgidlab-bench-") as directory:
        path = Path(directory) / "design.yml"
        levels = {name: ", ".join(str(1 + i) for i in range(20)) for name in ("backlogs", "clients")}
        path.write_text(EXPERIMENT.format(**levels))
        costs = {verb: [cost_of_runner(verb, str(path)) for _ in range(rounds)] for verb in ("validate", "plan")}
    rows = []
    for verb, found in costs.items():
        wall_s, peak_mb = [c.wall_s for c in found], [c.peak_mb for c in found]
        rows.append(
            Row(
                f"`runner.py {verb}` of a design of 100,000 trials",
                f"<= {GOAL_S:.0f} s, <= {GOAL_MB} MB",
                median(wall_s) <= GOAL_S and max(peak_mb) <= GOAL_MB,
                (Series("wall", "s", wall_s), Series("memory", "MB", peak_mb)),
            )
        )
    figures.write("planning", rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
