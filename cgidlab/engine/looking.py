"""Whether a target changed since an experiment's latest run: provisions, and runs nothing."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from cgidlab import files
from cgidlab.compare import Difference, Recorded, differing
from cgidlab.compare.fields import Verb
from cgidlab.engine.loading import Request, load_plan
from cgidlab.engine.locking import exclusive
from cgidlab.engine.provisioning import provisioned
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
        shutil.rmtree(scratch.path, ignore_errors=True)
    latest = changes.latest_finished(experiments_runs)
    if latest is None:
        return Looked(None, (), changes.describe(now))
    found = differing.between(changes.of(latest), Recorded(store.plan_json(loaded.plan), now), Verb.IF_CHANGED)
    return Looked(latest, found, changes.describe(now))


def told(looked: Looked) -> str:
    """Return what was found, as one line: for a log that somebody reads after a night of cron."""
    if looked.latest is None:
        return f"no finished run yet, so this is the first ({looked.state})"
    said = "; ".join(map(str, differing.worth_telling(looked.differences)))
    if looked.reason_to_run:
        return f"changed since {looked.latest.run_id}: {said}"
    beside = f"; no reason to run: {said}" if said else ""
    return f"nothing changed since {looked.latest.run_id}, so nothing is run ({looked.state}{beside})"
