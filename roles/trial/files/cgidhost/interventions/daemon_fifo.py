"""The daemon before all that is not real-time."""

from __future__ import annotations

from ..precedence import first_in_line, kept
from .base import PRECEDES, Intervention, sleep_until


class DaemonFifo(Intervention):
    """SCHED_FIFO for the daemon; the scripts that it forks are not real-time."""

    name = "daemon_fifo"
    effect = PRECEDES

    def perform(self, dose: float, until_ns: int) -> float:
        """Give it the policy, and then back the one it had."""
        pid = self.subject.daemon
        with kept(pid):
            first_in_line(pid)
            sleep_until(until_ns)
        return dose
