"""Does a search's interval hold the limit, and what does it cost? Prints a table of docs/statistics.md.

python -m benchmarks.searching [--searches N] [--mlrsearch DIR]. Fixed seed; half an hour. DIR is where
the package MLRsearch 1.2.1 lies, a peer (pip install --no-deps --target DIR MLRsearch==1.2.1).

A server here has a limit somewhere between 10 and 2,000 clients. A trial's response passes the goal where the
logarithm of the level, moved by noise, passes that of the limit: a trial's own noise, and a drift that all trials of
the same time share. A short trial has twice the noise, and a limit of its own that is 4 % higher. The true limit is
where half of the long trials would miss the goal, over the time that the way to search took.
"""

import argparse
import importlib
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cgidlab.analysis.searching import Probe, Search

Array = NDArray[np.float64]

FIRST, LAST, PRECISION, EXCEED = 10, 2000, 0.05, 0.5
STEP = 1 + PRECISION / 2  # between candidates
MOST_BLOCKS = 60
GRID_BLOCKS = 6  # of each level, in a grid of the same precision
SHORT_NOISE, SHORT_BIAS = 2.0, 0.04


@dataclass(frozen=True, slots=True)
class Server:
    """What a search asks: it does not know the limit."""

    limit: float
    noise: float  # standard deviation of a trial's logarithm
    drift: Array  # by block
    rng: np.random.Generator

    def misses(self, level: float, block: int, *, short: bool = False) -> bool:
        """Return whether a trial misses the goal."""
        noise = self.noise * (SHORT_NOISE if short else 1.0) * float(self.rng.standard_t(5)) / math.sqrt(5 / 3)
        moved = float(self.drift[block % self.drift.size]) + (SHORT_BIAS if short else 0.0)
        return math.log(level) + noise > math.log(self.limit) + moved


@dataclass(frozen=True, slots=True)
class Found:
    """What a way to search says."""

    low: float
    high: float
    trials: int  # as long ones: a short one counts as its share of the window
    blocks: int  # or trials one after another, in which the drift goes on


def levels() -> list[float]:
    """Return the candidates."""
    count = int(math.log(LAST / FIRST) / math.log(STEP)) + 1
    return sorted({float(round(FIRST * STEP**n)) for n in range(count + 1)})


def searched(server: Server) -> Found:
    """Search as a run does."""
    candidates = levels()
    search = Search(candidates, exceed=EXCEED, precision=PRECISION)
    cost, block = 0.0, 0
    while block < MOST_BLOCKS and not search.over:
        look = search.next()
        search.learn(
            [
                Probe(("h", block), level, server.misses(candidates[level], block, short=look.short), look.short)
                for level in look.levels
            ]
        )
        cost += len(look.levels)
        block += 1
    low, high = search.interval()
    return Found(
        candidates[low] if low is not None else 0.0,
        candidates[high] if high is not None else math.inf,
        round(cost),
        block,
    )


def bisected(server: Server) -> Found:
    """Bisect with single trials until the bracket is as narrow as asked."""
    low, high, trials = float(FIRST), float(LAST), 0
    while high / low > 1 + PRECISION:
        middle = math.sqrt(low * high)
        if server.misses(middle, trials):
            high = middle
        else:
            low = middle
        trials += 1
    return Found(low, high, trials, trials)


def nighthawk(server: Server) -> Found:
    """Search as Nighthawk's adaptive load controller does: double until a trial misses, then bisect, one trial each."""
    level, trials = float(FIRST), 0
    while level < LAST and not server.misses(level, trials):
        level, trials = 2 * level, trials + 1
    low, high = level / 2, min(level, float(LAST))
    while high / low > 1 + PRECISION:
        middle = (low + high) / 2
        trials += 1
        if server.misses(middle, trials):
            high = middle
        else:
            low = middle
    return Found(low, high, trials + 1, trials + 1)


def mlrsearch(directory: str) -> Callable[[Server], Found]:
    """Return the search of the package MLRsearch, which takes 21 trials (of a second) for a decision."""
    sys.path.insert(0, directory)
    package = importlib.import_module("MLRsearch")

    def search(server: Server) -> Found:
        trials = 0

        class Measurer(package.AbstractMeasurer):  # type: ignore[name-defined,misc]  # the package is there at run time
            def measure(self, intended_duration: float, intended_load: float) -> object:
                nonlocal trials
                missed = server.misses(intended_load, trials, short=intended_duration < 1)
                trials += 1
                return package.MeasurementResult(
                    intended_duration=intended_duration,
                    intended_load=intended_load,
                    offered_count=1000,
                    forwarding_count=0 if missed else 1000,
                )

        goal = package.SearchGoal(loss_ratio=0.5, exceed_ratio=EXCEED, relative_width=PRECISION, fail_fast=False)
        config = package.Config(goals=[goal], min_load=FIRST, max_load=LAST, search_duration_max=1e9)
        found = package.MultipleLossRatioSearch(config=config).search(measurer=Measurer(), debug=lambda _: None)[goal]
        low, high = found.relevant_lower_bound, found.relevant_upper_bound
        return Found(0.0 if low is None else float(low), math.inf if high is None else float(high), trials, trials)

    return search


def one_over_f(rng: np.random.Generator, n: int, sd: float) -> Array:
    """Return a drift of n blocks: 1/f, with mean 0 over them."""
    frequencies = np.fft.rfftfreq(2 * n)[1:]
    waves = (rng.standard_normal(frequencies.size) + 1j * rng.standard_normal(frequencies.size)) / np.sqrt(frequencies)
    series = np.fft.irfft(np.concatenate([[0], waves]), 2 * n)[:n]
    return np.asarray(sd * (series - series.mean()) / series.std(), dtype=float)


KINDS: Mapping[str, tuple[float, Callable[[np.random.Generator], Array]]] = {
    "no drift, noise 3 %": (0.03, lambda _rng: np.zeros(MOST_BLOCKS)),
    "no drift, noise 10 %": (0.10, lambda _rng: np.zeros(MOST_BLOCKS)),
    "1/f drift 3 %, noise 3 %": (0.03, lambda rng: one_over_f(rng, MOST_BLOCKS, 0.03)),
    "1/f drift 5 %, noise 5 %": (0.05, lambda rng: one_over_f(rng, MOST_BLOCKS, 0.05)),
    "steep, noise 0.5 %, 1/f drift 2 %": (0.005, lambda rng: one_over_f(rng, MOST_BLOCKS, 0.02)),
}
WAYS: Mapping[str, Callable[[Server], Found]] = {"cgidlab": searched, "bisection": bisected, "Nighthawk's": nighthawk}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--searches", type=int, default=400)
    parser.add_argument("--ways", nargs="*", default=list(WAYS))
    parser.add_argument("--mlrsearch", metavar="DIR")
    asked = parser.parse_args()
    searches = asked.searches
    ways = dict(WAYS)
    if asked.mlrsearch:
        ways["MLRsearch 1.2.1"] = mlrsearch(asked.mlrsearch)
    grid = math.ceil(math.log(LAST / FIRST) / math.log(1 + PRECISION)) * GRID_BLOCKS
    print(f"a grid of the same precision: {grid} trials")
    print("| noise | way | holds the limit | trials | of a grid | half width |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for kind, (noise, drifts) in KINDS.items():
        for name, way in ((n, w) for n, w in ways.items() if n in asked.ways or n not in WAYS):
            rng = np.random.default_rng(19)
            holds, trials, widths = 0, [], []
            for _ in range(searches):
                limit = float(np.exp(rng.uniform(np.log(1.2 * FIRST), np.log(LAST / 1.2))))
                drift = drifts(rng)
                found = way(Server(limit, noise, drift, rng))
                truth = limit * math.exp(float(np.resize(drift, found.blocks).mean()))
                holds += found.low <= truth <= found.high
                trials.append(found.trials)
                if found.low > 0 and math.isfinite(found.high):
                    widths.append(found.high / found.low - 1)
            mean = float(np.mean(trials))
            print(
                f"| {kind} | {name} | {100 * holds / searches:.1f} % | {mean:.0f} | {mean / grid:.0%} | "
                f"{50 * float(np.median(widths)):.1f} % |",
                flush=True,
            )


if __name__ == "__main__":
    main()
