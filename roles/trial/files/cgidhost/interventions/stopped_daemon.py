"""The daemon stopped for a part of the time."""

from __future__ import annotations

from .base import Intervention
from .stopping import stopped, try_stopping


class StoppedDaemon(Intervention):
    """It takes no request from its queue and forks no script meanwhile; what it forked runs on."""

    name = "stopped_daemon"
    component = "cgid daemon"
    doses = ((0.1, 1), (0.2, 2))

    def probe(self) -> None:
        """Stop it for a moment."""
        try_stopping(self.subject.daemon)

    def perform(self, dose: float, until_ns: int) -> float:
        """Stop it for a share of each 20 ms."""
        return stopped(self.subject.daemon, dose, until_ns)
