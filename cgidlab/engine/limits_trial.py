"""The trials that hold back, for a second at a time, what may limit throughput: once a host, beside a block."""

from cgidlab.design.limiting import trials
from cgidlab.engine.blocks import Beside
from cgidlab.model import Plan
from cgidlab.runs.limiting import directory, done
from cgidlab.runs.store import RunDirectory


def beside(plan: Plan, run: RunDirectory, host: str) -> Beside | None:
    """Return the trials that a host has not made yet, for a block to end with; they are kept below `limits/`."""
    over = done(run, host)
    lacking = tuple(t for t in trials(plan) if t.key not in over)
    return Beside(directory(run, host), lacking) if lacking else None
