"""What the reloads in a trial's window cost its load: from reloads.json, and the requests that failed."""

from pathlib import Path

from cgidlab import rundir
from cgidlab.design import faults
from cgidlab.model import Check, FailureKind, Figures, Settings, failed, skipped
from cgidlab.parsers import reloads
from cgidlab.parsers.documents import Span

_SAYS_HOW_MANY = ("fault_at_s", "fault_for_s", "fault_every_s", "window_s")


def made_in(directory: Path, window: Span) -> int:
    """Return how many reloads were proved in a trial's window, 0 where none was ordered.

    Raises `StoreError` for a file that is not what it should be.
    """
    path = directory / reloads.FILE
    if not rundir.is_there(path):
        return 0
    return sum(window.begin_ns <= one.sent_ns < window.end_ns for one in reloads.DOCUMENT.read(path).reloads)


def cost(made: int, lost: int | None) -> Figures:
    """Return how many reloads there were, and how many requests failed for each; None: not all that fail are known."""
    if not made:
        return Figures()
    return Figures(reloads=made, lost_per_reload=None if lost is None else lost / made)


def check(settings: Settings, made: int, lost: int | None) -> tuple[Check, ...]:
    """Check that as many reloads were proved as were ordered; say where what they cost is not known."""
    name = "reloads"
    if not faults.is_reload(settings):
        return ()
    if not all(isinstance(settings.get(option), (int, float)) for option in _SAYS_HOW_MANY):
        return (failed(name, "its settings do not say how many reloads were ordered", FailureKind.INFRA),)
    found = faults.fault_of(settings)
    ordered = 0 if found is None else found.count(float(settings["window_s"]))
    if made != ordered:
        said = f"reloads proved: {made} of {ordered}"
        return (failed(name, said, FailureKind.TREATMENT),)
    if lost is None:
        return (skipped(name, "the driver does not say how many requests got no answer"),)
    return (Check(name, "passed"),)
