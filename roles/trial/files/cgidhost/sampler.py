"""The one process that reads all gauges, each at its own rate on a schedule that does not drift."""

from __future__ import annotations

import gc
import json
import os
import select
import time
from typing import Any, Callable, Mapping, Optional

from . import libc
from .ending import TrialEnd, Unavailable
from .instruments.base import Gauge
from .process import take_precedence
from .waiting import Patience

_NS = 1_000_000_000
_FLUSH_NS = _NS
UNWRITTEN = "writing its file: "  # begins the reason of an instrument of which the disk did not take all
Makers = Mapping[str, Callable[[], Gauge]]


class Sampler:
    """The sampling process as its parent sees it."""

    def __init__(self, makers: Makers) -> None:
        """Fork the process; it makes the gauges itself, so that what they open is its own."""
        order_read, self._order = os.pipe()
        self._answer, answer_write = os.pipe()
        self._names = list(makers)
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                libc.die_with_parent()
                os.close(self._order)
                os.close(self._answer)
                if os.getppid() == parent:
                    _run(makers, order_read, answer_write)
                code = 0
            finally:
                os._exit(code)
        os.close(order_read)
        os.close(answer_write)
        self._text = b""

    def wait_until_ready(self, patience: Patience, timeout_s: float) -> None:
        """Return once every gauge was made, or could not be."""
        self._next_line(patience, timeout_s)

    def watch_load(self, pid: int) -> None:
        """Tell which process is the driver."""
        self._tell(f"load {pid}\n")

    def stop(self, patience: Patience, timeout_s: float) -> dict[str, dict[str, Any]]:
        """Have everything written and return each instrument's entry for result.json."""
        try:
            self._tell("stop\n")
            states: dict[str, dict[str, Any]] = json.loads(self._next_line(patience, timeout_s))
        except (OSError, ValueError, TrialEnd) as error:
            return {name: {"state": "unavailable", "reason": f"the sampler ended: {error}"} for name in self._names}
        return states

    def _tell(self, line: str) -> None:
        try:
            os.write(self._order, line.encode())
        except BrokenPipeError as error:
            raise TrialEnd("infra", "the sampler ended before its time") from error

    def _next_line(self, patience: Patience, timeout_s: float) -> bytes:
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._text:
            if not patience.readable([self._answer], deadline - time.monotonic()):
                raise TrialEnd("timeout", f"the sampler said nothing for {timeout_s:g} s")
            data = os.read(self._answer, 1 << 16)
            if not data:
                raise TrialEnd("infra", "the sampler ended before its time")
            self._text += data
        line, _, self._text = self._text.partition(b"\n")
        return line


def _run(makers: Makers, order_fd: int, answer_fd: int) -> None:
    gauges: list[Gauge] = []
    states: dict[str, dict[str, Any]] = {}
    for name, make in makers.items():
        try:
            gauges.append(make())
        except (Unavailable, OSError) as error:  # noqa: PERF203 -- one gauge less is no reason to end the others
            states[name] = {"state": "unavailable", "reason": str(error)}
    take_precedence()
    gc.disable()  # rows are plain strings: there are no cycles to collect
    os.write(answer_fd, b"ready\n")
    trouble = sample_until_told(gauges, order_fd)
    for gauge in gauges:
        states[gauge.name] = _finish(gauge, trouble)
    os.write(answer_fd, json.dumps(states).encode() + b"\n")


def _finish(gauge: Gauge, trouble: Mapping[str, str]) -> dict[str, Any]:
    reason = trouble.get(gauge.name, "")
    try:
        gauge.finish()
    except OSError as error:
        reason = reason or f"{UNWRITTEN}{error.strerror}"
    return {
        "state": "unavailable" if reason else "ran",
        "reason": reason,
        "cpu_ns": gauge.cpu_ns,
        "samples": gauge.samples,
        "missed": gauge.missed,
        **gauge.more(),
    }


def sample_until_told(gauges: list[Gauge], order_fd: int) -> dict[str, str]:
    """Read every gauge when it is due until a line `stop` or the end of `order_fd`; return what went wrong, by gauge.

    A gauge's n-th sample is due at n periods after the begin, whatever the
    earlier ones took. Times that were slept through are counted as missed and
    not made up for.
    """
    begin_ns = time.monotonic_ns()
    due = dict.fromkeys(gauges, begin_ns)
    flush_ns = begin_ns + _FLUSH_NS
    trouble: dict[str, str] = {}
    while True:
        soonest = min(due.values(), default=flush_ns)
        wait_s = max(0.0, (min(soonest, flush_ns) - time.monotonic_ns()) / _NS)
        if select.select([order_fd], [], [], wait_s)[0] and not _obey(os.read(order_fd, 256), gauges):
            return trouble
        now_ns = time.monotonic_ns()
        for gauge, due_ns in list(due.items()):
            if now_ns < due_ns:
                continue
            problem = _sample(gauge)
            if problem is not None:
                trouble[gauge.name] = problem
                del due[gauge]
                continue
            passed = (time.monotonic_ns() - due_ns) // gauge.period_ns
            gauge.missed += passed
            due[gauge] = due_ns + (passed + 1) * gauge.period_ns
        if now_ns >= flush_ns:
            flush_ns += _FLUSH_NS
            for gauge in gauges:
                _flush(gauge, trouble)


def _sample(gauge: Gauge) -> Optional[str]:
    cpu_ns = time.thread_time_ns()
    try:
        gauge.sample(time.monotonic_ns())
    except (OSError, ValueError, Unavailable) as error:
        return str(error)
    finally:
        gauge.cpu_ns += time.thread_time_ns() - cpu_ns
    return None


def _flush(gauge: Gauge, trouble: dict[str, str]) -> None:
    cpu_ns = time.thread_time_ns()
    try:
        gauge.flush()
    except OSError as error:
        trouble[gauge.name] = f"{UNWRITTEN}{error.strerror}"
    gauge.cpu_ns += time.thread_time_ns() - cpu_ns


def _obey(data: bytes, gauges: list[Gauge]) -> bool:
    """Follow orders; return False when it is time to stop."""
    for line in data.decode().splitlines():
        word, _, argument = line.partition(" ")
        if word == "load":
            for gauge in gauges:
                gauge.watch_load(int(argument))
        elif word == "stop":
            return False
    return bool(data)
