"""The user's own programs beside a trial, as result.json has them: what they cost, and which went wrong."""

from cgidlab.instruments.base import Evidence, Instrument
from cgidlab.model import Figures

_IN_WINDOW = "during_window"


class Hooks(Instrument):
    """The programs that an experiment names under `hooks`. What they leave is for the user to read."""

    name = "hooks"
    optional = False
    observes = False

    def figures(self, evidence: Evidence) -> Figures:
        """Return what the one that ran in the window used of the CPU. One that went wrong is noted, and no more."""
        for event, report in evidence.result.hooks.items():
            if report.reason:
                evidence.note(self.name, f"{event}: {report.reason}")
        one = evidence.result.hooks.get(_IN_WINDOW)
        return Figures(hook_cpu_ms=None if one is None or one.exit_code is None else one.cpu_ns / 1e6)
