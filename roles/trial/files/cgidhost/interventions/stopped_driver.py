"""The driver stopped for a part of the time."""

from __future__ import annotations

from ..ending import Unavailable
from .base import Intervention
from .stopping import stopped, try_stopping


class StoppedDriver(Intervention):
    """It sends no request and reads no answer meanwhile."""

    name = "stopped_driver"
    component = "driver"
    doses = ((0.2, 2),)

    def probe(self) -> None:
        """Stop it for a moment."""
        try_stopping(self._pid)

    def perform(self, dose: float, until_ns: int) -> float:
        """Stop it for a share of each 20 ms."""
        return stopped(self._pid, dose, until_ns)

    @property
    def _pid(self) -> int:
        if self.subject.load_pid is None:
            raise Unavailable("other machines make the load")
        return self.subject.load_pid
