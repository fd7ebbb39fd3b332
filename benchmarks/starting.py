"""How long `runner.py --help` takes, next to a Python that does nothing.

python -m benchmarks.starting [--rounds 20]
"""

import argparse
import subprocess
import sys
import time
from statistics import median

from benchmarks import figures
from benchmarks.figures import ROOT, Row, Series

GOAL_S = 0.25


def main() -> int:
    """Start both in turns, print and keep the row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(_took([sys.executable, str(ROOT / "runner.py"), "--help"]))
        theirs.append(_took([sys.executable, "-c", "pass"]))
    figures.write(
        "starting",
        [
            Row(
                "start of `./runner.py --help`",
                f"<= {GOAL_S} s",
                median(ours) <= GOAL_S,
                (Series("", "s", ours),),
                (Series("`python -c pass`", "s", theirs),),
            )
        ],
    )
    return 0


def _took(words: list[str]) -> float:
    began_s = time.monotonic()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began_s


if __name__ == "__main__":
    sys.exit(main())
