"""Do the intervals, looks and powers hold what they say? Prints the tables of docs/statistics.md.

python benchmarks/coverage.py [--runs N]. Fixed seed; about two minutes at the default of 4,000 runs.
"""

import argparse
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats  # type: ignore[import-untyped]  # scipy ships no types

from cgidlab.analysis.looks import nominal_alpha, planned_looks
from cgidlab.analysis.power import mde
from cgidlab.model import Repetitions

Array = NDArray[np.float64]
CELLS = 4


def _ar1(rng: np.random.Generator, runs: int, n: int) -> Array:
    noise = rng.standard_normal((runs, n))
    for i in range(1, n):
        noise[:, i] = 0.8 * noise[:, i - 1] + 0.6 * noise[:, i]
    return noise


NOISE: dict[str, Callable[[np.random.Generator, int, int], Array]] = {
    "normal": lambda g, r, n: g.standard_normal((r, n)),
    "skewed": lambda g, r, n: g.exponential(size=(r, n)) - 1,
    "heavy tails (t3)": lambda g, r, n: g.standard_t(3, (r, n)),
    "heavy tails (t2.2)": lambda g, r, n: g.standard_t(2.2, (r, n)),
    "5 % outliers": lambda g, r, n: g.standard_normal((r, n)) / 2 - (g.random((r, n)) < 0.05) * 4 * g.random((r, n)),  # noqa: PLR2004 -- the share of outliers
    "autocorrelated (0.8)": _ar1,
    "skewed in one cell": lambda g, r, n: g.standard_normal((r, n)),
    "skewed in one cell alone": lambda g, r, n: 0.3 * g.standard_normal((r, n)),
}


def differences(kind: str, rng: np.random.Generator, runs: int, blocks: int) -> Array:
    """Return runs x blocks of within-block differences, true mean 0.

    Noise comes in the order of time, cells in random order within a block,
    every block has an effect of its own (t3, twice the noise) and the host drifts.
    """
    noise = NOISE[kind](rng, runs, blocks * CELLS).reshape(runs, blocks, CELLS)
    order = rng.random((runs, blocks, CELLS)).argsort(-1)
    cells = np.take_along_axis(noise, order, -1)
    cells += 2 * rng.standard_t(3, (runs, blocks, 1)) + np.linspace(0, 5, blocks)[None, :, None]
    if kind.startswith("skewed in one"):
        cells[..., 1] += rng.exponential(size=(runs, blocks)) - 1
    result: Array = cells[..., 1] - cells[..., 0]
    return result


def t_covers(d: Array, alpha: float = 0.05) -> float:
    """Return how often Student's interval holds 0."""
    n = d.shape[1]
    half = stats.t.isf(alpha / 2, n - 1) * d.std(1, ddof=1) / math.sqrt(n)
    return float(np.mean(np.abs(d.mean(1)) <= half))


def bootstrap_covers(d: Array, method: str, rng: np.random.Generator, *, expanded: bool) -> float:
    """Return how often a bootstrap interval over blocks holds 0."""
    n = d.shape[1]
    z = math.sqrt(n / (n - 1)) * stats.t.isf(0.025, n - 1) if expanded else stats.norm.isf(0.025)
    interval = stats.bootstrap(
        (d,), np.mean, axis=1, n_resamples=1999, method=method, confidence_level=1 - 2 * stats.norm.sf(z),
        batch=50, rng=rng,
    ).confidence_interval  # fmt: skip
    return float(np.mean((interval.low <= 0) & (interval.high >= 0)))


def false_alarms(kind: str, rng: np.random.Generator, runs: int, looks: tuple[int, ...], alpha: float) -> float:
    """Return how often a run without any effect shows one at some look, each at two-sided error `alpha`."""
    d = differences(kind, rng, runs, looks[-1])
    alarm = np.zeros(runs, dtype=bool)
    for n in looks:
        seen = d[:, :n]
        t = np.abs(seen.mean(1)) / (seen.std(1, ddof=1) / math.sqrt(n))
        alarm |= t > stats.t.isf(alpha / 2, n - 1)
    return float(alarm.mean())


def _row(*cells: object) -> None:
    print("| " + " | ".join(str(c) for c in cells) + " |")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=4000)
    runs = parser.parse_args().runs
    rng = np.random.default_rng(20150406)

    print("Coverage of 95 % intervals, %\n")
    _row("data", "blocks", "Student's t", "percentile, expanded", "BCa", "BCa, expanded")
    _row(*["---"] * 6)
    for kind in NOISE:
        for n in (6, 8, 10, 20, 30):
            d = differences(kind, rng, runs, n)
            part = d[: max(500, runs // 2)]
            found = [t_covers(d)]
            for method, expanded in (("percentile", True), ("BCa", False), ("BCa", True)):
                found.append(bootstrap_covers(part, method, rng, expanded=expanded))
            _row(kind, n, *(f"{100 * f:.1f}" for f in found))

    print("\nFalse alarms on A/A data, %\n")
    looks = planned_looks(Repetitions(6, 30))
    _row("data", "every block, 5 % each", f"looks {looks}, 5 % each", f"looks {looks}, as used")
    _row(*["---"] * 4)
    nominal = nominal_alpha(looks)
    for kind in NOISE:
        if kind.startswith("skewed in one"):
            continue  # its two cells differ, so it is not A/A
        every = false_alarms(kind, rng, runs, tuple(range(6, 31)), 0.05)
        plain = false_alarms(kind, rng, runs, looks, 0.05)
        used = false_alarms(kind, rng, 4 * runs, looks, nominal)
        _row(kind, *(f"{100 * f:.1f}" for f in (every, plain, used)))

    print("\nMinimum detectable effect (chance 80 %) and the chance that was found with it\n")
    _row("blocks", "spread 2 %", "spread 5 %", "chance found, %")
    _row(*["---"] * 4)
    for n in (6, 10, 20, 30):
        small, large = mde(n, 0.02) or 0.0, mde(n, 0.05) or 0.0
        d = rng.standard_normal((4 * runs, n)) * 0.05 + math.log1p(large)
        low = d.mean(1) - stats.t.isf(0.025, n - 1) * d.std(1, ddof=1) / math.sqrt(n)
        _row(n, f"{100 * small:.1f} %", f"{100 * large:.1f} %", f"{100 * np.mean(low > 0):.1f}")


if __name__ == "__main__":
    main()
