"""The control of what stops: the daemon is sent the signals and not kept stopped."""

from __future__ import annotations

from .base import CONTROL, Intervention
from .stopping import stopped, try_stopping


class Signals(Intervention):
    """What SIGSTOP and SIGCONT cost by themselves."""

    name = "signals"
    effect = CONTROL

    def probe(self) -> None:
        """Send them once."""
        try_stopping(self.subject.daemon)

    def perform(self, dose: float, until_ns: int) -> float:
        """Send both each 20 ms, one right after the other."""
        return stopped(self.subject.daemon, dose, until_ns)
