"""Noise of windows of one cell after the other, made or recorded, for simulated runs: a series in the order of time."""

import csv
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Maker = Callable[[np.random.Generator, int], Array]
"""Returns so many log deviations."""

RECORDED = Path(__file__).resolve().parent.parent / "tests" / "data"


def one_over_f(rng: np.random.Generator, n: int) -> Array:
    """Return n windows of 1 s, 2.2 s apart: 1/f with a standard deviation of 5 %, a server's own effect, its jitter.

    Neighbours' log ratios then vary by 5 to 6 %, as they were measured to.
    """
    size = 2 * n
    frequencies = np.fft.rfftfreq(size)[1:]
    waves = (rng.standard_normal(frequencies.size) + 1j * rng.standard_normal(frequencies.size)) / np.sqrt(frequencies)
    series = np.fft.irfft(np.concatenate([[0], waves]), size)[:n]
    jitter = 0.012 * rng.standard_normal(n) + 0.02 * rng.standard_t(3, n) / math.sqrt(3)
    return np.asarray(0.05 * (series - series.mean()) / series.std() + jitter, dtype=float)


def heavy(rng: np.random.Generator, n: int) -> Array:
    """Return white noise with the tails of t3, and one window in twenty that lost up to 40 % to a neighbour."""
    lost = (rng.random(n) < 0.05) * rng.uniform(0, 0.5, n)  # noqa: PLR2004 -- one in twenty
    return np.asarray(0.03 * rng.standard_t(3, n) / math.sqrt(3) - lost, dtype=float)


def recorded(path: Path) -> Array:
    """Return a recorded run's throughput in the order of time, as log deviations from each cell's median."""
    with path.open(newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["status"] == "complete" and float(r["throughput_rps"] or 0) > 0]
    rows.sort(key=lambda r: float(r["started_s"]))
    factors = [n for n in rows[0] if n in {"listen_backlog", "clients", "mpm", "httpd"}]
    cells = [tuple(r[n] for n in factors) for r in rows]
    logs = np.log([float(r["throughput_rps"]) for r in rows])
    middles = {cell: float(np.median(logs[[c == cell for c in cells]])) for cell in set(cells)}
    return np.asarray(logs - [middles[c] for c in cells], dtype=float)


def replayed(series: Array) -> Maker:
    """Return a maker of noise from a recorded series, which is joined to its own mirror image where it is too short."""

    def make(rng: np.random.Generator, n: int) -> Array:
        whole = series[:: rng.choice((1, -1))] * rng.choice((1.0, -1.0))
        ring = np.concatenate([whole, whole[::-1]])
        return np.asarray(np.take(ring, rng.integers(ring.size) + np.arange(n), mode="wrap"), dtype=float)

    return make


def noises() -> dict[str, Maker]:
    """Return every kind of noise by its name."""
    found: dict[str, Maker] = {"1/f": one_over_f, "white, heavy tails": heavy}
    for name, path in (
        ("recorded, 10 s windows", RECORDED / "verdict" / "overflow_with_cost" / "trials.csv"),
        ("recorded, 1 s windows, quiet", RECORDED / "noise" / "sweep-quiet.csv"),
        ("recorded, 1 s windows, restless", RECORDED / "noise" / "sweep-restless.csv"),
        ("recorded, 1 s windows, busy", RECORDED / "noise" / "trials.csv"),
    ):
        if path.exists():
            found[name] = replayed(recorded(path))
    return found
