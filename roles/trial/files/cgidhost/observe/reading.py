"""Reads gauges when they are due and sleeps in between, within what it may cost."""

from __future__ import annotations

import time
from typing import Iterable

from .gauges import AnyGauge
from .pace import Meter, Pace

_NS = 1_000_000_000
_EVERY_NS = _NS  # look after files, lease and pace
_LONGEST_SLEEP_S = 0.5
_LONGEST_REST_S = 3.0


class Reading:
    """When which gauge is due. Whoever holds it loops: read, look after what is its own, sleep."""

    def __init__(self, meters: dict[AnyGauge, Meter], cost_share: float, begin_ns: int) -> None:
        self._meters = meters
        self._pace = Pace(cost_share, meters.values(), begin_ns, time.process_time_ns())
        self._due = dict.fromkeys(meters, begin_ns)
        self._look_ns = begin_ns + _EVERY_NS

    @property
    def gauges(self) -> Iterable[AnyGauge]:
        """Return all of them."""
        return self._meters

    def read_what_is_due(self) -> None:
        """Read gauges whose time has come. Times slept through are counted as missed and not made up for."""
        now_ns = time.monotonic_ns()
        for gauge, due_ns in self._due.items():
            if now_ns < due_ns:
                continue
            meter = self._meters[gauge]
            sample(gauge, meter)
            passed = max(0, time.monotonic_ns() - due_ns) // meter.period_ns
            gauge.missed += passed
            self._due[gauge] = due_ns + (passed + 1) * meter.period_ns

    def may_look(self, now_ns: int) -> bool:
        """Say whether it is time, once a second, to look after other things; `adjust` has to follow."""
        return now_ns >= self._look_ns

    def adjust(self, now_ns: int) -> None:
        """Adjust how often gauges are read to what was used; a period that became shorter counts at once."""
        self._pace.adjust(time.monotonic_ns(), time.process_time_ns())
        for gauge, due_ns in self._due.items():
            self._due[gauge] = min(due_ns, now_ns + self._meters[gauge].period_ns)
        self._look_ns += (max(0, now_ns - self._look_ns) // _EVERY_NS + 1) * _EVERY_NS

    def idle_s(self) -> float:
        """Return how long there is nothing to do, or nothing may be done."""
        now_ns = time.monotonic_ns()
        until_due_s = (min(self._look_ns, *self._due.values()) - now_ns) / _NS
        rest_s = self._pace.rest_s(now_ns, time.process_time_ns())
        return max(0.0, min(_LONGEST_SLEEP_S, until_due_s), min(_LONGEST_REST_S, rest_s))


def sample(gauge: AnyGauge, meter: Meter) -> None:
    """Read one gauge and take note of what that cost."""
    cpu_ns = time.thread_time_ns()
    gauge.sample(time.monotonic_ns())
    cpu_ns = time.thread_time_ns() - cpu_ns
    gauge.cpu_ns += cpu_ns
    meter.spent(cpu_ns)
