"""The control of the method: an untouched slot between untouched ones."""

from __future__ import annotations

from .base import CONTROL, Intervention, sleep_until


class Nothing(Intervention):
    """What the noise of slots makes of no difference (A/A)."""

    name = "nothing"
    effect = CONTROL

    def perform(self, dose: float, until_ns: int) -> float:
        """Wait."""
        sleep_until(until_ns)
        return dose
