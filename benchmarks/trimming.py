"""What does choosing how much is trimmed bring, and is it honest? Prints a table of docs/statistics.md.

python -m benchmarks.trimming [--runs N]. Fixed seed; two minutes at the default of 200 runs a row. The runs are
those of benchmarks/answers.py, once with a tenth always and once with the choice. The last rows are two cells that
choose for themselves from twelve blocks on, which `analysis.sharing` does not let them.
"""

import argparse
import math
from itertools import product
from unittest.mock import patch

import numpy as np
from scipy import stats  # type: ignore[import-untyped]  # scipy ships no types

from benchmarks.answers import LOW, Array, asked, error_of, run_of
from benchmarks.window_noise import Maker, noises
from cgidlab.analysis import sharing
from cgidlab.analysis.effects import compared
from cgidlab.analysis.findings import Answer
from cgidlab.analysis.trimmed import middle

TENTH, CHOSEN = "a tenth", "chosen"


def of_runs(noise: Maker, rng: np.random.Generator, runs: int, blocks: int) -> tuple[str, ...]:
    """Return coverage, runs with a false difference, false claims of less, and the error that was had and was said."""
    held = alarms = less = 0
    logs, said = [], []
    question = asked((blocks,))
    for _ in range(runs):
        cells = run_of(noise, rng, blocks, {})
        found = compared(question, cells)
        here = [e for e in found if not e.pooled]
        held += sum(e.interval is not None and e.interval.holds(1.0) for e in here)
        alarms += any(e.differs for e in found)
        logs += [math.log(e.estimate) for e in here if e.estimate]
        said += [error_of(e) for e in here]
        lost = {
            (level, place): {u: v * (1.0 if level == "100" else math.exp(LOW)) for u, v in values.items()}
            for (level, place), values in cells.items()
        }
        less += sum(e.answer is Answer.EQUIVALENT for e in compared(question, lost) if not e.pooled)
    shares = (held / len(logs), alarms / runs, less / len(logs))
    return *(f"{100 * s:.1f}" for s in shares), f"{100 * np.std(logs):.2f} %", f"{100 * np.median(said):.2f} %"


def of_two_cells(rng: np.random.Generator, runs: int, blocks: int) -> str:
    """Return in how many per cent the interval of two cells' ratio holds the truth; normal noise."""
    held = 0
    for _ in range(runs):
        both: Array = rng.normal(size=(2, blocks))
        cells = [[{("h", b, 1): float(v) for b, v in enumerate(row)} for row in both]]
        made = middle(list(both[1] - both[0]), sharing.trim_share(cells))
        held += abs(made.value) < float(stats.t.isf(0.025, made.df)) * made.error
    return f"{100 * held / runs:.1f}"


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    runs = parser.parse_args().runs
    print("| noise | blocks | trimmed | coverage | false difference | false less | error | error said |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for (name, noise), blocks, (how, least) in product(
        noises().items(), (14, 28), ((TENTH, math.inf), (CHOSEN, sharing.CHOICE_FROM_DF))
    ):
        with patch.object(sharing, "CHOICE_FROM_DF", least):
            row = of_runs(noise, np.random.default_rng([20150406, blocks]), runs, blocks)
        print("|", " | ".join((name, str(blocks), how, *row)), "|", flush=True)
    print("\n| blocks | a tenth | chosen for itself |\n| --- | --- | --- |")
    for blocks in (12, 16, 24):
        each = []
        for least in (math.inf, 0):
            with patch.object(sharing, "CHOICE_FROM_DF", least):
                each.append(of_two_cells(np.random.default_rng([20150406, blocks]), 40 * runs, blocks))
        print("|", " | ".join((str(blocks), *each)), "|", flush=True)


if __name__ == "__main__":
    main()
