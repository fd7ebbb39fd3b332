"""Lets one process run before others and not what it forks: nice values and scheduling policies that are not inherited.

The kernel takes a negative nice value and a real-time policy back from whatever a process with SCHED_RESET_ON_FORK
forks (sched(7)). A positive nice value is inherited.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import Iterator

from .process import nice_of


def set_nice(pid: int, nice: int) -> None:
    """Give a process of one thread a nice value, a negative one for itself alone; raise OSError where it is refused."""
    if nice < 0:
        os.sched_setscheduler(pid, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))
    os.setpriority(os.PRIO_PROCESS, pid, nice)


@contextmanager
def kept(pid: int) -> Iterator[None]:
    """Give a process back the policy and the nice value that it has now, unless it is gone by then."""
    policy, parameters, nice = os.sched_getscheduler(pid), os.sched_getparam(pid), nice_of(pid)
    try:
        yield
    finally:
        try:
            os.sched_setscheduler(pid, policy, parameters)
            os.setpriority(os.PRIO_PROCESS, pid, nice)
        except ProcessLookupError:
            pass


def first_in_line(pid: int) -> None:
    """Have a process run before all that is not real-time; raise OSError where it is refused."""
    os.sched_setscheduler(pid, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
