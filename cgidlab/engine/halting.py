"""When failures end a run: after the first one if the user wants it, after so many that are all the same."""

from dataclasses import dataclass

from cgidlab.errors import RunError
from cgidlab.failures import SAME_IN_A_ROW, way
from cgidlab.model import FailureKind, Outcome, Status
from cgidlab.runs.store import RunDirectory

# Noise has its own rule, and what was stopped did not fail.
_NOT_COUNTED = frozenset({FailureKind.NOISE, FailureKind.INTERRUPTED})


@dataclass(slots=True)
class StopRule:
    """Sees every outcome of a run in its order; `stop` says why the run should end, None while it should not."""

    fail_fast: bool = False
    same_in_a_row: int = SAME_IN_A_ROW
    stop: str | None = None
    _way: str = ""
    _times: int = 0

    def saw(self, outcome: Outcome) -> None:
        """Count one outcome."""
        if outcome.kind in _NOT_COUNTED or self.stop is not None:
            return
        if outcome.status is Status.COMPLETE:
            self._times = 0
            return
        self._times = self._times + 1 if way(outcome) == self._way else 1
        self._way = way(outcome)
        if self.fail_fast:
            self.stop = f"stopped at the first trial that is {outcome.status} (--fail-fast): {outcome.reason}"
        elif self._times >= self.same_in_a_row:
            self.stop = f"stopped after {self._times} trials in a row that ended in the same way: {outcome.reason}"

    def check(self, run: RunDirectory) -> None:
        """Raise `RunError` if the run should end."""
        if self.stop is not None:
            raise RunError(
                self.stop, where=str(run.path), fix=f"mend that, then go on with --resume {run.run_id}, or --new"
            )
