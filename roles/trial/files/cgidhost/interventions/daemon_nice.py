"""The daemon before others, by its nice value."""

from __future__ import annotations

from ..precedence import kept, set_nice
from .base import PRECEDES, Intervention, sleep_until

NICE = -10


class DaemonNice(Intervention):
    """Nice -10 for the daemon; the scripts that it forks are at 0."""

    name = "daemon_nice"
    effect = PRECEDES

    def perform(self, dose: float, until_ns: int) -> float:
        """Give it the value, and then back the one it had."""
        pid = self.subject.daemon
        with kept(pid):
            set_nice(pid, NICE)
            sleep_until(until_ns)
        return dose
