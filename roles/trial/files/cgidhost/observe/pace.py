"""Keeps what the observation costs below what was allowed, by the CPU time it really used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable

_NS = 1_000_000_000
_AIM = 0.9  # of what is allowed: the rest is for what was not foreseen
_MOST, _AHEAD_NS = 0.95, 3_000_000  # with how much CPU time the allowance may be overdrawn for a moment
_SLOWER, _FASTER = 1.25, 0.95


@dataclass
class Meter:
    """How often one thing is done: its part of the allowance by what it costs each time."""

    part: float  # of the allowance
    shortest_ns: int
    longest_ns: int
    cost_ns: float  # of one time, smoothed; at first a guess that is rather too high
    period_ns: int = 0

    def spent(self, cpu_ns: int) -> None:
        """Take note of what one time cost."""
        self.cost_ns += 0.1 * (cpu_ns - self.cost_ns)


class Pace:
    """Gives every meter its period."""

    def __init__(self, share: float, meters: Iterable[Meter], now_ns: int, cpu_ns: int) -> None:
        """Allow `share` of one core for all meters together from now on."""
        self._share = share
        self._meters = list(meters)
        self._begin = self._last = (now_ns, cpu_ns)
        self._factor = 1.0
        self._give()

    def adjust(self, now_ns: int, cpu_ns: int) -> None:
        """Adjust all periods to what was used since the last time and since the begin."""
        used = max(self._rate(self._last, now_ns, cpu_ns), self._rate(self._begin, now_ns, cpu_ns))
        self._last = (now_ns, cpu_ns)
        if used > _AIM * self._share:
            self._factor = min(1000.0, self._factor * _SLOWER)
        else:
            self._factor = max(1.0, self._factor * _FASTER)
        self._give()

    def _give(self) -> None:
        for meter in self._meters:
            wanted = self._factor * meter.cost_ns / (_AIM * self._share * meter.part)
            meter.period_ns = int(min(meter.longest_ns, max(meter.shortest_ns, wanted)))

    def rest_s(self, now_ns: int, cpu_ns: int) -> float:
        """Return how long to do nothing at all, so that no stretch costs more than was allowed."""
        used_ns = cpu_ns - self._begin[1] - _AHEAD_NS
        return (used_ns / (_MOST * self._share) - (now_ns - self._begin[0])) / _NS

    @staticmethod
    def _rate(since: tuple[int, int], now_ns: int, cpu_ns: int) -> float:
        return (cpu_ns - since[1]) / max(1, now_ns - since[0])
