"""`--if-changed`: whether there is a reason to run, and how the run compares with the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cgidlab.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cgidlab.engine.loading import Request
    from cgidlab.engine.looking import Looked
    from cgidlab.runs.store import RunDirectory


def looked(request: Request, results: Path, cancelled: Callable[[], bool], level: int) -> Looked:
    """Look at the target, say what was found in one line, and return it."""
    from cgidlab import progress  # noqa: PLC0415 -- see cgidlab.commands
    from cgidlab.engine import looking  # noqa: PLC0415 -- see cgidlab.commands

    with progress.Display(level=level) as display:
        found = looking.look(request, results, display, cancelled)
    print(looking.told(found), flush=True)
    return found


def beside(latest: RunDirectory, report: Path) -> int:
    """Say what a run with both builds rests on; return 1 when it shows that the new one costs what matters, else 0."""
    from cgidlab.commands import compare  # noqa: PLC0415 -- see cgidlab.commands
    from cgidlab.runs import store  # noqa: PLC0415 -- see cgidlab.commands

    print(
        f"\nThe old build, of {latest.run_id}, and the new one ran in the same blocks, in random order: that is "
        "stronger evidence than two runs side by side, which share neither hour nor noise."
    )
    cost = store.open_run(report.parent).read("summary.json")["verdict"]["cost"]
    return compare.WORSE_EXIT if "costs_at_least" in cost.values() else 0


def compared(latest: RunDirectory, report: Path, note: str = "") -> int:
    """Print how the run that made this report compares with the one before; return 1 when it is worse, else 0.

    `note` is why the old build did not run beside the new one, where one changed.
    """
    from cgidlab.commands import compare  # noqa: PLC0415 -- see cgidlab.commands
    from cgidlab.runs import store  # noqa: PLC0415 -- see cgidlab.commands
    from cgidlab.runs.comparing import compare_runs  # noqa: PLC0415 -- see cgidlab.commands

    try:
        found = compare_runs(latest, store.open_run(report.parent), across=None)
    except SpecError as err:  # nothing in common any more
        print(f"\nnot compared with {latest.run_id}: {err.what}")
        return 0
    if note:
        print(f"\nThe old build did not run beside the new one: {note}. Two runs are weaker evidence.")
    print(f"\n{compare.as_text(found)}")
    return compare.WORSE_EXIT if found.worse else 0
