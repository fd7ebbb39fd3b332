"""Whether a target changed since an experiment's latest run: provisions, and runs nothing."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cgidlab import files
from cgidlab.compare import Difference, Recorded, differing
from cgidlab.compare.fields import Verb
from cgidlab.engine.loading import Request, load_plan
from cgidlab.engine.locking import exclusive
from cgidlab.engine.provisioning import provisioned
from cgidlab.errors import ProvisionError
from cgidlab.model import Plan
from cgidlab.progress import Display
from cgidlab.runs import changes, provenance, store
from cgidlab.runs.store import RunDirectory

_LOOKING = ".looking"


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at the target found."""

    latest: RunDirectory | None  # None: there is no finished run
    differences: tuple[Difference, ...]
    state: str  # what the target runs now, in words
    old: tuple[str, str] | None = (
        None  # a source of httpd and the key of its build before, to be run beside the new one
    )
    note: str = ""  # why an old build is not, where one changed

    @property
    def reason_to_run(self) -> bool:
        """Say whether a run would tell anything new."""
        return self.latest is None or any(d.decides for d in self.differences)


def look(request: Request, results: Path, display: Display, cancelled: Callable[[], bool]) -> Looked:
    """Provision the target with the newest sources, run nothing, and say what differs from the latest finished run.

    Raises what provisioning raises; its log is then in `.looking` beside the runs.
    """
    loaded = load_plan(replace(request, refresh=True))
    experiments_runs = results / loaded.plan.experiment.name
    scratch = RunDirectory(experiments_runs / _LOOKING)
    with exclusive(loaded.site):
        shutil.rmtree(scratch.path, ignore_errors=True)
        files.make_directory(scratch.path)
        hosts = provisioned(loaded, scratch, display, cancelled)
        now = provenance.collect(request.root, loaded.plan, hosts)
        looked = since(experiments_runs, loaded.plan, now)
        if looked.old is not None and looked.reason_to_run:
            note = _why_not_there(replace(request, old=looked.old), scratch, display, cancelled)
            looked = replace(looked, old=None if note else looked.old, note=note)
        shutil.rmtree(scratch.path, ignore_errors=True)
    return looked


def since(runs: Path, plan: Plan, now: Mapping[str, Any]) -> Looked:
    """Say what of a plan, and of what its hosts are `now` (as a provenance), differs from the latest finished run."""
    latest, state = changes.latest_finished(runs), changes.describe(now)
    if latest is None:
        return Looked(None, (), state)
    before, asked = changes.asked(latest), Recorded(store.plan_json(plan), now)
    old, note = changes.old_build(before, asked)
    return Looked(latest, differing.between(before, asked, Verb.IF_CHANGED), state, old, note)


def _why_not_there(request: Request, scratch: RunDirectory, display: Display, cancelled: Callable[[], bool]) -> str:
    """Return why the old build cannot be run on every host of the target, '' where it can."""
    try:
        provisioned(load_plan(request), scratch, display, cancelled)
    except ProvisionError as err:
        return err.what
    return ""


def told(looked: Looked) -> str:
    """Return what was found, as one line: for a log that somebody reads after a night of cron."""
    if looked.latest is None:
        return f"no finished run yet, so this is the first ({looked.state})"
    said = "; ".join(map(str, differing.worth_telling(looked.differences)))
    if looked.reason_to_run:
        beside = ""
        if looked.old is not None:
            beside = f"; the build that {looked.old[0]} was before runs beside the new one, in the same blocks"
        elif looked.note:
            beside = f"; no old build runs beside the new one ({looked.note}), so that two runs are compared"
        return f"changed since {looked.latest.run_id}: {said}{beside}"
    beside = f"; no reason to run: {said}" if said else ""
    return f"nothing changed since {looked.latest.run_id}, so nothing is run ({looked.state}{beside})"
