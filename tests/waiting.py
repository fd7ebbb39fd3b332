"""Conditions that nothing announces: a process that is killed is over when it gets a CPU, and no sooner."""

import time
from collections.abc import Callable
from pathlib import Path


def eventually(condition: Callable[[], object], timeout_s: float = 120.0) -> bool:
    """Say whether a condition comes true in time."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.007)  # no divisor of a period that tests look at
    return True


def alive(pid: int) -> bool:
    """Say whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def ends(pid: int, timeout_s: float = 60.0) -> bool:
    """Say whether a process is over in time."""
    return eventually(lambda: not alive(pid), timeout_s)
