"""When each request of an open loop is due: made before the load begins, from what was ordered and a seed alone."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Iterable

_US = 1_000_000


@dataclass(frozen=True)
class Arrivals:
    """How requests come, in an open loop whose driver follows a schedule."""

    kind: str  # constant, poisson, bursts, ramp or stages
    rate: float  # requests a second: the mean; of a ramp at its end
    burst_requests: int
    rate_from: float  # of a ramp, at its begin
    stages: tuple[tuple[float, float], ...]  # rate and seconds of each
    seed: str
    margin_s: float = 0.0  # that the load lasts longer than the window, before and after it
    part: int = 0  # of so many machines that make it, from 0
    parts: int = 1


def due_us(arrivals: Arrivals, warmup_s: float, window_s: float, spare_s: float) -> list[int]:
    """Return when requests are due, in microseconds from the load's start, in order; of several parts its own.

    A ramp, stages and bursts are of the window: before it the load is as at its begin, after it as at its end. Of
    several machines each takes its turn in one schedule, so that together they send what one would.
    """
    begin_s = warmup_s + arrivals.margin_s
    own_s = window_s - 2 * arrivals.margin_s
    end_s = warmup_s + window_s + spare_s
    if arrivals.kind == "poisson":
        moments = _poisson(arrivals.rate, end_s, arrivals.seed)
    elif arrivals.kind == "bursts":
        moments = _bursts(arrivals, begin_s, end_s)
    else:
        moments = _even(_pieces(arrivals, own_s), begin_s, end_s)
    return sorted(round(at_s * _US) for at_s in moments)[arrivals.part :: arrivals.parts]


def _poisson(rate: float, end_s: float, seed: str) -> Iterable[float]:
    rng = random.Random(seed)  # noqa: S311 -- a schedule, not a secret
    at_s = rng.expovariate(rate)
    while at_s < end_s:
        yield at_s
        at_s += rng.expovariate(rate)


def _bursts(arrivals: Arrivals, begin_s: float, end_s: float) -> Iterable[float]:
    """Yield each burst in the middle of its period, so that none is at an edge of the window."""
    every_s = arrivals.burst_requests / arrivals.rate
    first = -math.floor(begin_s / every_s + 0.5)
    for n in range(first, math.ceil((end_s - begin_s) / every_s) + 1):
        at_s = begin_s + (n + 0.5) * every_s
        if 0 <= at_s < end_s:
            yield from [at_s] * arrivals.burst_requests


def _pieces(arrivals: Arrivals, window_s: float) -> list[tuple[float, float, float]]:
    """Return the rate at the begin and the end of each part of the window, and how long that lasts."""
    if arrivals.kind == "ramp":
        return [(arrivals.rate_from, arrivals.rate, window_s)]
    if arrivals.kind == "stages":
        return [(rate, rate, length_s) for rate, length_s in arrivals.stages]
    return [(arrivals.rate, arrivals.rate, window_s)]


def _even(pieces: list[tuple[float, float, float]], begin_s: float, end_s: float) -> Iterable[float]:
    """Yield moments such that n requests are due while the rates add up to n, with half of one before the first."""
    last_s = end_s - begin_s - sum(length_s for _, _, length_s in pieces)
    first, last = pieces[0][0], pieces[-1][1]
    whole = [(first, first, begin_s), *pieces, (last, last, last_s)]
    from_s, wanted = 0.0, 0.5
    for low, high, length_s in whole:
        bend = (high - low) / length_s if length_s else 0.0
        count = (low + high) / 2 * length_s
        while wanted <= count:
            # low t + bend t^2 / 2 = wanted, in the form that does not cancel
            yield from_s + 2 * wanted / (low + math.sqrt(low * low + 2 * bend * wanted))
            wanted += 1
        wanted -= count
        from_s += length_s
