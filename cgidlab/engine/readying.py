"""Hosts made ready for the trials of one session, and written down as what they are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgidlab import files
from cgidlab.compare import Recorded, differing
from cgidlab.engine import calibrating, resuming, sending
from cgidlab.engine.extending import More
from cgidlab.engine.foretelling import Foretelling
from cgidlab.engine.loading import Loaded
from cgidlab.engine.pacing import session_s
from cgidlab.engine.provisioning import provisioned
from cgidlab.engine.resuming import Continued
from cgidlab.errors import StoreError
from cgidlab.model import TrialRecord
from cgidlab.parsers.host_report import HostReport
from cgidlab.progress import Display
from cgidlab.report.say import IN_ENGLISH, Say
from cgidlab.runs import headroom, provenance, store
from cgidlab.runs.store import RunDirectory


@dataclass(frozen=True, slots=True)
class How:
    """What the command line says about how to run, beside what."""

    budget_s: float | None = None  # for all trials together, provisioning not counted
    uncalibrated: bool = False
    fail_fast: bool = False
    accepted: tuple[str, ...] = ()  # fields that may have changed in a resumed run
    more: More | None = None  # blocks that a resumed run gets beside its own
    say: Say = IN_ENGLISH  # the verdict and the report of it


@dataclass(frozen=True, slots=True)
class RunSession:
    """One go at a run: what its blocks need."""

    loaded: Loaded
    run: RunDirectory
    results: Path
    display: Display
    cancelled: Callable[[], bool]
    how: How
    before: tuple[TrialRecord, ...] = ()  # of earlier sessions, as far as they count


@dataclass(frozen=True, slots=True)
class Ready:
    """Hosts that trials can run on, and the name of the environment that each of them is."""

    hosts: tuple[HostReport, ...]
    environments: Mapping[str, str]  # by host


def new(session: RunSession) -> Ready:
    """Make the hosts of a new run ready."""
    foretold = _foretold(session)
    hosts = provisioned(session.loaded, session.run, session.display, session.cancelled)
    _tell_unconfined(session, hosts)
    calibration = _calibration(session, hosts, foretold, uncalibrated=session.how.uncalibrated)
    return _written(session, hosts, calibration, {}, [])


def again(session: RunSession, continued: Continued) -> Ready:
    """Make the hosts of a run ready that goes on, and put away what is not done of it.

    Raises `SpecError`, with the run directory as it was, when something else than was accepted has changed.
    """
    run = session.run
    found_in = run.ansible(run.unused_ansible("provision")) / "hosts"
    foretold = _foretold(session)
    hosts = provisioned(session.loaded, run, session.display, session.cancelled, found_in)
    _tell_unconfined(session, hosts)
    now = resuming.now(continued, provenance.collect(session.loaded.site.root, session.loaded.plan, hosts))
    differences = (*continued.differences, *resuming.host_differences(continued, now))
    resuming.refuse(continued, differences, session.how.accepted)
    if told := [str(d) for d in differing.worth_telling(differences) if not d.decides]:
        session.display.say(f"since the run was begun: {'; '.join(told)}")
    resuming.tidy(run, continued.undone)
    if continued.extended:
        run.write("plan.json", store.plan_json(continued.loaded.plan))
    run.set_state(store.RUNNING, asked_budget_s=session.how.budget_s, budget=None, stopped=None)
    take_over(found_in, run.path / "hosts")
    before = provenance.of(run)
    entry = {
        "at": store.now(),
        "done": len(continued.done),
        "run_again": [{"directory": path.name, "why": why} for path, why in continued.undone],
        "accepted": [{"field": d.word, "what": d.what, "before": d.before, "now": d.now} for d in differences],
    }
    uncalibrated = session.how.uncalibrated or before.get("calibration", {}).get("skipped", False)
    calibration = _calibration(session, hosts, foretold, uncalibrated=uncalibrated)
    generators = before.get(headroom.KEY, {})  # as an earlier session of the run measured it
    return _written(session, hosts, calibration, generators, [*before.get("resumed", []), entry])


def _tell_unconfined(session: RunSession, hosts: Sequence[HostReport]) -> None:
    for host in hosts:
        for name, built in host.httpd.items():
            if built.unconfined:
                session.display.say(f"{host.host}: {name} was built without namespaces around it: {built.unconfined}")


def take_over(found_in: Path, hosts: Path) -> None:
    """Put what hosts have answered now in the place of all that a run's directory says of hosts, generators included.

    Their programs are started by the paths that are in it. Raises `StoreError` when that cannot be kept.
    """
    files.remove_tree(hosts)
    try:
        files.move(found_in, hosts)
    except OSError as err:
        raise StoreError(f"cannot keep what hosts answered: {err.strerror}", where=str(hosts)) from err


def _foretold(session: RunSession) -> Foretelling:
    plan = session.loaded.plan
    trials_s = session_s(plan, session.results, session.how.budget_s, session.before)
    return Foretelling(plan, session.run, session.display, trials_s)


def _calibration(
    session: RunSession, hosts: Sequence[HostReport], foretold: Foretelling, *, uncalibrated: bool
) -> dict[str, Any]:
    foretold.calibrating(len(hosts))
    found: dict[str, Any] = {"skipped": True}
    if not uncalibrated:
        found = calibrating.before_run(
            session.loaded, hosts, session.results, session.display, session.cancelled, foretold.provisioned_s
        )
    foretold.over(len(hosts))
    return found


def _written(
    session: RunSession,
    hosts: tuple[HostReport, ...],
    calibration: Mapping[str, Any],
    generators: Mapping[str, Any],
    resumed: Sequence[Mapping[str, Any]],
) -> Ready:
    """Write provenance.json and return the hosts."""
    plan, root = session.loaded.plan, session.loaded.site.root
    collected = provenance.collect(root, plan, hosts)
    sending.keep_lists(session.loaded.site.own, session.run.path / "requests")
    names = {h.host: differing.identity(Recorded(store.plan_json(plan), collected), h.host) for h in hosts}
    session.run.write(
        "provenance.json",
        {
            **collected,
            "environments": {host: {"id": name} for host, name in names.items()},
            "calibration": calibration,
            headroom.KEY: generators,
            **({"resumed": resumed} if resumed else {}),
        },
    )
    return Ready(hosts, names)
