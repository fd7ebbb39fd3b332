"""How fast this host is at the moment: a little fixed work on each core, all at once.

Rounds of arithmetic, memory and system calls, as real-time work where that is allowed: so a neighbour does not look
like a slow host, while throttling, a hypervisor that takes the core away and a lower clock do.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import suppress
from statistics import mean, median
from typing import Callable, Mapping

from . import libc
from .process import take_precedence

_TEXT = bytes(1 << 17)
_FROM, _TO = memoryview(bytearray(1 << 21)), memoryview(bytearray(1 << 21))


def _arithmetic() -> None:
    hashlib.sha256(_TEXT).digest()


def _memory() -> None:
    _TO[:] = _FROM


def _system_calls() -> None:
    for _ in range(400):
        os.getppid()


_KINDS: Mapping[str, Callable[[], None]] = {
    "arithmetic": _arithmetic,
    "memory": _memory,
    "system_calls": _system_calls,
}
_ROUNDS = 5


def probe() -> dict[str, list[list[int]]]:
    """Return, for each kind of work, how many ns its rounds took on each core that the caller may use.

    Takes about 10 ms. A core whose probe did not answer is left out.
    """
    running = [_started(core) for core in sorted(os.sched_getaffinity(0))]
    found: dict[str, list[list[int]]] = {name: [] for name in _KINDS}
    for pid, answer in running:
        with open(answer, "rb") as pipe:
            data = pipe.read()
        os.waitpid(pid, 0)
        with suppress(ValueError):
            for name, took in json.loads(data).items():
                found[name].append(took)
    return found


def middle_ns(rounds_ns: Mapping[str, list[list[int]]]) -> dict[str, float]:
    """Return how long a round of each kind took: the middle round of a core, the mean of all cores."""
    return {name: mean(median(took) for took in cores) for name, cores in rounds_ns.items() if cores}


def _started(core: int) -> tuple[int, int]:
    answer, write = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid:
        os.close(write)
        return pid, answer
    try:
        libc.die_with_parent()
        if os.getppid() == parent:
            os.sched_setaffinity(0, {core})
            take_precedence()
            os.write(write, json.dumps({name: _rounds_ns(work) for name, work in _KINDS.items()}).encode())
    finally:
        os._exit(0)


def _rounds_ns(work: Callable[[], None]) -> list[int]:
    work()  # pages that are touched for the first time are no measure of speed
    took = []
    for _ in range(_ROUNDS):
        begin_ns = time.perf_counter_ns()
        work()
        took.append(time.perf_counter_ns() - begin_ns)
    return took
