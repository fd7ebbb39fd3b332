"""Which p99 is it? Prints the table of docs/statistics.md about percentiles of short windows.

python -m benchmarks.percentiles [--runs N]. Fixed seed; two minutes at the default of 200 runs a row.

Requests are made one by one: windows of 1,200 answers, three of each cell a block that nothing watches, 1/f noise over
all windows of the run (`window_noise.one_over_f`). With a queue, one request in fifty waits about as long again as one
takes, in one window more and in another less: as where a queue overflows. Two truths: the ratio of the 99th percentiles
of endlessly many requests, and that of blocks as long as these.
"""

import argparse
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.answers import CLIENTS, LEVELS, PLACES, Cells
from benchmarks.window_noise import one_over_f
from cgidlab.analysis.answers import Bounds
from cgidlab.analysis.effects import Question, compared
from cgidlab.analysis.findings import Answer, Effect
from cgidlab.instruments.gauges import percentile_ms

if TYPE_CHECKING:
    from collections.abc import Callable

Array = NDArray[np.float64]
REQUESTS = 1200
WINDOWS = 3
SMALLEST = 0.2


@dataclass(frozen=True)
class Scene:
    """Which levels have a queue that overflows."""

    name: str
    queued: frozenset[str]


SCENES = (
    Scene("nothing differs", frozenset()),
    Scene("a queue everywhere", frozenset(LEVELS)),
    Scene("a queue at the reference alone", frozenset({"100"})),
)


def requests(rng: np.random.Generator, pace: Array, *, queued: bool) -> Array:
    """Return the latencies of windows, a row each, in milliseconds; `pace` is each window's log speed."""
    size = (pace.size, REQUESTS)
    each = 40 * np.exp(0.25 * rng.standard_normal(size) - pace[:, None])
    if queued:
        share = np.minimum(0.5, 0.02 * np.exp(0.8 * rng.standard_normal(pace.size)))
        each = each + (rng.random(size) < share[:, None]) * rng.exponential(60.0, size)
    return np.asarray(each, dtype=float)


def truth(scene: Scene, level: str, *, of_blocks: bool) -> float:
    """Return the ratio of the 99th percentiles of endlessly many requests, or of endlessly many blocks."""
    rng = np.random.default_rng(7)

    def p99(*, queued: bool) -> float:
        paces = np.concatenate([one_over_f(rng, 360) for _ in range(30)])
        made = requests(rng, paces, queued=queued)
        if not of_blocks:
            return float(np.quantile(made, 0.99))
        blocks = made.reshape(-1, WINDOWS * REQUESTS)
        return float(np.exp(np.mean([np.log(_p99(row)) for row in blocks])))

    if (level in scene.queued) == ("100" in scene.queued):
        return 1.0
    return p99(queued=level in scene.queued) / p99(queued="100" in scene.queued)


def run_of(scene: Scene, rng: np.random.Generator, blocks: int) -> tuple[Cells, Cells]:
    """Return a run's p99 by cell: of each window, and of each block's windows together."""
    names = list(product(LEVELS, CLIENTS))
    series = one_over_f(rng, blocks * WINDOWS * len(names)).reshape(blocks * WINDOWS, len(names))
    paces = np.take_along_axis(series, rng.random(series.shape).argsort(1), 1)
    each: Cells = {}
    together: Cells = {}
    for place, (level, clients) in enumerate(names):
        made = requests(rng, paces[:, place], queued=level in scene.queued)
        key = level, (("clients", clients),)
        each[key] = {("h", n // WINDOWS + 1, n % WINDOWS + 1): _p99(row) for n, row in enumerate(made)}
        whole = made.reshape(blocks, WINDOWS * REQUESTS)
        together[key] = {("h", n, 0): _p99(row) for n, row in enumerate(whole, start=1)}
    return each, together


def _p99(latency_ms: Array) -> float:
    return percentile_ms((1000 * latency_ms).astype(np.int64), 0.99)


def asked(blocks: int) -> Question:
    """Return the question about p99."""
    bounds = Bounds((blocks,), 2, len(LEVELS) - 1, len(PLACES) + 1)
    return Question("latency_p99_ms", "listen_backlog", "100", LEVELS[1:], PLACES, SMALLEST, bounds, checks=False)


def _row(*cells: object) -> None:
    print("| " + " | ".join(str(c) for c in cells) + " |", flush=True)


def main(runs: int) -> None:
    """Print the table."""
    kinds = "mean of windows' p99", "windows together"
    _row("levels", "blocks", "true ratio", "true of blocks", *(f"{kind}: {what}" for kind in kinds for what in
         ("ratio", "coverage, %", "coverage of blocks, %", "false answers, %")))  # fmt: skip
    _row(*["---"] * 12)
    rng = np.random.default_rng(20)
    for scene, blocks in product(SCENES, (6, 10)):
        right, of_blocks = ({lv: truth(scene, lv, of_blocks=b) for lv in LEVELS[1:]} for b in (False, True))
        found: tuple[list[Effect], list[Effect]] = ([], [])
        for _ in range(runs):
            for into, cells in zip(found, run_of(scene, rng, blocks), strict=True):
                into += [e for e in compared(asked(blocks), cells) if not e.pooled]
        told: list[str] = []
        for some in found:
            ratio = float(np.median([e.estimate for e in some if e.estimate is not None]))
            held, own = ([e.interval is not None and e.interval.holds(t[e.level]) for e in some]
                         for t in (right, of_blocks))  # fmt: skip
            false = [_is_false(e, right[e.level]) for e in some]
            told += [f"{ratio:.3f}", *(f"{100 * np.mean(part):.1f}" for part in (held, own, false))]
        _row(scene.name, blocks, f"{right['1']:.3f}", f"{of_blocks['1']:.3f}", *told)


def _is_false(effect: Effect, right: float) -> bool:
    """Say whether an effect claims what is not true."""
    claims: dict[Answer, Callable[[float], bool]] = {
        Answer.EQUIVALENT: lambda r: 1 - SMALLEST < r < 1 + SMALLEST,
        Answer.COSTS_AT_LEAST: lambda r: r >= 1 + SMALLEST,
        Answer.GAINS_AT_LEAST: lambda r: r <= 1 - SMALLEST,
        Answer.REAL_NEAR: lambda r: r != 1.0,
    }
    return effect.answer in claims and not claims[effect.answer](right)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    main(parser.parse_args().runs)
