"""Does `bisect` hold what it says? Prints its table of docs/statistics.md.

python -m benchmarks.bisecting [--runs N] [--commits N]. Fixed seed; some minutes at the default of 200 searches a row.

A response changes once at a random commit. Each step is a run of good, bad and a commit between, in random order within
each block, over the noise of benchmarks.answers, judged and stopped as `bisect` does it. The truth of the rows below
the line is none or comes in two steps.
"""

import argparse
import math
from collections import Counter
from collections.abc import Callable
from itertools import product

import numpy as np
from numpy.typing import NDArray

from benchmarks.window_noise import noises
from cgidlab.analysis.answers import Bounds
from cgidlab.analysis.bisecting import Ask, BuildRatio, Measure, Narrowed, StepShown, narrow
from cgidlab.analysis.effects import Cells, Question, compared
from cgidlab.analysis.findings import unanswered
from cgidlab.analysis.looks import planned_looks
from cgidlab.model import Repetitions

Array = NDArray[np.float64]
SMALLEST = 0.05
REPETITIONS = Repetitions(6, 60)
RESPONSE = "throughput_rps"
NAMES = ("middle", "good", "bad")


def measure_of(noise: Callable[[np.random.Generator, int], Array], rng: np.random.Generator, truth: Array,
               smallest: float = SMALLEST, blocks: list[int] | None = None) -> Measure:  # fmt: skip
    """Return what runs of commits with these true log responses would show; `blocks` gets how many each took."""

    def measure(ask: Ask) -> StepShown:
        ends = {"good": ask.good, "bad": ask.bad}
        builds = ends if ask.middle is None else {"middle": ask.middle, **ends}
        reference = next(iter(builds))
        looks = planned_looks(REPETITIONS)
        series = noise(rng, REPETITIONS.max * len(builds)).reshape(REPETITIONS.max, len(builds))
        values = np.take_along_axis(series, rng.random(series.shape).argsort(1), 1)
        levels = tuple(name for name in builds if name != reference)
        bounds = Bounds(looks, 1, len(levels), 1, ask.error)
        asked = Question(RESPONSE, "httpd", reference, levels, ((),), smallest, bounds, checks=False)
        for look in looks:
            cells: Cells = {
                (name, ()): {("h", b + 1, 1): math.exp(values[b, i] + truth[place]) for b in range(look)}
                for i, (name, place) in enumerate(builds.items())
            }
            found = compared(asked, cells)
            if not unanswered(found):
                break
        if blocks is not None:
            blocks.append(look)
        by_level = {e.level: BuildRatio(e.answer, e.estimate, e.interval) for e in found}
        before = by_level["good"].inverted() if ask.middle is not None else None
        return StepShown(before, by_level["bad"])

    return measure


def stepped(commits: int, *steps: tuple[int, float]) -> Array:
    """Return the true log response of good and the commits after it, which changes by a share with each step."""
    truth = np.zeros(commits + 1)
    for at, share in steps:
        truth[at:] += math.log1p(share)
    return truth


def said(found: Narrowed, changed: set[int]) -> str:
    """Return how an answer stands to the truth: right, range, wrong, or apart where the ends were not told apart.

    A range that holds none of the commits that changed something is wrong.
    """
    if not found.sign:
        return "apart"
    suspects = set(range(found.good + 1, found.bad + 1))
    if not suspects & changed:
        return "wrong"
    return "right" if found.found else "range"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--commits", type=int, default=32)
    args = parser.parse_args()
    rng = np.random.default_rng(20)
    truths: dict[str, Callable[[], tuple[tuple[int, float], ...]]] = {
        "-5 %": lambda: ((int(rng.integers(1, args.commits + 1)), -0.05),),
        "-7 %": lambda: ((int(rng.integers(1, args.commits + 1)), -0.07),),
        "-10 %": lambda: ((int(rng.integers(1, args.commits + 1)), -0.10),),
        "none": tuple,
        "-5 % twice": lambda: tuple(
            (int(n), -0.05) for n in rng.choice(np.arange(1, args.commits + 1), 2, replace=False)
        ),
    }
    names = (
        "noise",
        "true change",
        "right",
        "a range that holds it",
        "wrong",
        "cannot be told apart",
        "runs",
        "blocks",
    )
    print("| " + " | ".join(names) + " |\n" + "| --- " * len(names) + "|")
    for (noise_name, noise), (name, steps) in product(noises().items(), truths.items()):
        counts: Counter[str] = Counter()
        steps_taken, blocks = [], []
        for _ in range(args.runs):
            where, took = steps(), list[int]()
            truth = stepped(args.commits, *where)
            found = narrow(args.commits, measure_of(noise, rng, truth, blocks=took))
            counts[said(found, {at for at, _ in where})] += 1
            steps_taken.append(len(took))
            blocks.append(sum(took))
        shares = (f"{100 * counts[kind] / args.runs:.1f} %" for kind in ("right", "range", "wrong", "apart"))
        medians = (f"{np.median(values):.0f}" for values in (steps_taken, blocks))
        print("| " + " | ".join([noise_name, name, *shares, *medians]) + " |", flush=True)


if __name__ == "__main__":
    main()
