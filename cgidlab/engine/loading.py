"""From the command line's words to a plan: everything that is checked before a host is touched."""

import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from cgidlab.design import beside, bisecting, own_files, spec, strict_yaml
from cgidlab.design import catalogue as cat
from cgidlab.design import plan as planning
from cgidlab.design.bisecting import Builds
from cgidlab.design.catalogue import Catalogue
from cgidlab.engine import sources, targets
from cgidlab.engine.execute import Site
from cgidlab.errors import SpecError
from cgidlab.model import Plan


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked for."""

    experiment: Path
    root: Path  # of the project: roles, playbooks, inventories
    overrides: tuple[tuple[str, str], ...] = ()
    only: tuple[tuple[str, tuple[str, ...]], ...] = ()
    target: str | None = None
    sources: Path | None = None  # directory of tarballs
    refresh: bool = False  # look for newer sources of httpd although some are in the cache
    old: tuple[str, str] | None = None  # a source of httpd, and the key of what it built before: see `design.beside`
    builds: Builds | None = None  # commits that take the place of the file's httpd: see `design.bisecting`


@dataclass(frozen=True, slots=True)
class Loaded:
    """A plan that can be run, and what it will be run with."""

    plan: Plan
    catalogue: Catalogue
    site: Site


def load_plan(request: Request) -> Loaded:
    """Read and check an experiment file and plan its trials. Touches no host; raises `SpecError`."""
    catalogue = cat.load(request.root / "roles")
    document = strict_yaml.read(request.experiment)
    experiment = spec.build(
        document,
        catalogue,
        overrides=request.overrides,
        only=request.only,
        target=request.target,
    )
    own = own_files.read(document, experiment)
    experiment = replace(experiment, files=own_files.of(own))
    if request.old is not None:
        experiment = beside.with_old(experiment, *request.old)
    if request.builds is not None:
        experiment = bisecting.with_builds(experiment, request.builds)
        spec.check(experiment, catalogue, "--repository")
    plan = planning.make(experiment, catalogue)
    tarballs = sources.read(request.sources) if request.sources else ()
    found = targets.site(experiment.target, request.root, named_by_user=request.target is not None)
    if experiment.search is not None and len(found.servers) > 1:
        raise SpecError(
            f"a search is for the limit of one server, and the target has {len(found.servers)}",
            where=experiment.target,
            fix="name an inventory with one host in the group `servers`",
        )
    site = replace(found, tarballs=tarballs, refresh=request.refresh, own=own)
    return Loaded(plan, catalogue, site)


def new_run_id() -> str:
    """Return a name that sorts by time and that no other run has."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
