"""Are changes between runs found, and few that are none? Prints a table of docs/statistics.md.

python -m benchmarks.changes [--series N] [--jumpavg DIR]. Fixed seed, about a minute.

Series of 40 runs whose response varies from run to run by so much; in half of them the level falls by 5 % after 20
runs. DIR is where the package jumpavg 0.4.2 lies, the peer (pip install --no-deps --target DIR jumpavg==0.4.2).
"""

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence

import numpy as np

from cgidlab.analysis.change_points import change_points

RUNS, STEP_AT, STEP = 40, 20, 0.95
Finder = Callable[[Sequence[float]], list[tuple[int, int]]]


def ours(values: Sequence[float]) -> list[tuple[int, int]]:
    """Return where changes are, and with which run each was seen."""
    return [(c.at, c.seen_at) for c in change_points(values)]


def jumpavg(directory: str) -> Finder:
    """Return the peer's rule, asked after each run."""
    sys.path.insert(0, directory)
    classify = importlib.import_module("jumpavg").classify

    def find(values: Sequence[float]) -> list[tuple[int, int]]:
        seen: dict[int, int] = {}
        for end in range(2, len(values) + 1):
            begin = 0
            for group in classify(list(values[:end])):
                if begin and not any(abs(begin - known) <= 1 for known in seen):
                    seen[begin] = end - 1
                begin += len(group.run_list)
        return sorted(seen.items())

    return find


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=400)
    parser.add_argument("--jumpavg", metavar="DIR")
    asked = parser.parse_args()
    finders: dict[str, Finder] = {"cgidlab": ours}
    if asked.jumpavg:
        finders["jumpavg 0.4.2"] = jumpavg(asked.jumpavg)
    print("| run to run | rule | false alarms in 100 runs | step of 5 % seen within 3 runs | within 6 |")
    print("| --- | --- | ---: | ---: | ---: |")
    for spread in (0.005, 0.01, 0.015, 0.02, 0.03):
        for name, find in finders.items():
            rng = np.random.default_rng(7)
            alarms = within_3 = within_6 = 0
            for _ in range(asked.series):
                noise = np.exp(rng.normal(0, spread, RUNS))
                alarms += len(find([float(v) for v in noise]))
                stepped = noise * np.where(np.arange(RUNS) >= STEP_AT, STEP, 1.0)
                seen = [s for at, s in find([float(v) for v in stepped]) if abs(at - STEP_AT) <= 1]
                within_3 += bool(seen) and seen[0] < STEP_AT + 3
                within_6 += bool(seen) and seen[0] < STEP_AT + 6
            print(
                f"| {100 * spread:.1f} % | {name} | {100 * alarms / asked.series / RUNS:.2f} | "
                f"{100 * within_3 / asked.series:.0f} % | {100 * within_6 / asked.series:.0f} % |",
                flush=True,
            )


if __name__ == "__main__":
    main()
