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


def looked(request: Request, results: Path, cancelled: Callable[[], bool]) -> Looked:
    """Look at the target, say what was found in one line, and return it."""
    from cgidlab import progress  # noqa: PLC0415 -- see cgidlab.commands
    from cgidlab.engine import looking  # noqa: PLC0415 -- see cgidlab.commands

    with progress.Display() as display:
        found = looking.look(request, results, display, cancelled)
    print(looking.told(found), flush=True)
    return found


def compared(latest: RunDirectory, report: Path) -> int:
    """Print how the run that made this report compares with the one before; return 1 when it is worse, else 0."""
    from cgidlab.commands import compare  # noqa: PLC0415 -- see cgidlab.commands
    from cgidlab.runs import store  # noqa: PLC0415 -- see cgidlab.commands
    from cgidlab.runs.comparing import compare_runs  # noqa: PLC0415 -- see cgidlab.commands

    try:
        found = compare_runs(latest, store.open_run(report.parent), across=None)
    except SpecError as err:  # nothing in common any more
        print(f"\nnot compared with {latest.run_id}: {err.what}")
        return 0
    print(f"\n{compare.as_text(found)}")
    return compare.WORSE_EXIT if found.worse else 0
