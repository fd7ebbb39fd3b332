"""Stops a process for a part of each period and lets it go on: SIGSTOP and SIGCONT."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from ..waiting import now_ns
from .base import sleep_until

PERIOD_NS = 20_000_000


def stopped(pid: int, share: float, until_ns: int) -> float:
    """Keep a process stopped for a share of each period until a moment, and return the share that it was in truth.

    It goes on however this is left. Raises OSError when it is gone, or is somebody else's.
    """
    begin_ns = period_ns = now_ns()
    stopped_ns = 0
    os.kill(pid, 0)
    while period_ns < until_ns:
        try:
            os.kill(pid, signal.SIGSTOP)
            from_ns = now_ns()
            if share:
                sleep_until(from_ns + int(share * PERIOD_NS))
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        stopped_ns += now_ns() - from_ns
        period_ns += PERIOD_NS
        sleep_until(min(period_ns, until_ns))
    return stopped_ns / max(1, now_ns() - begin_ns)


def try_stopping(pid: int) -> None:
    """Stop a process for one period's beginning; raise OSError where it is refused."""
    stopped(pid, 0.0, now_ns() + 1)
