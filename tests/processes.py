"""What tests ask of processes that they started: one that is killed is over when it gets a CPU, and no sooner."""

import time
from pathlib import Path


def alive(pid: int) -> bool:
    """Say whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def ends(pid: int, timeout_s: float = 60.0) -> bool:
    """Say whether a process is over, within so long."""
    until = time.monotonic() + timeout_s
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.01)  # nothing announces the end of another's child
    return not alive(pid)
