"""A calibration from its plan to `calibration.json`, and the one that a run makes first where there is none."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from cgidlab import calibrate
from cgidlab.design import catalogue as cat
from cgidlab.design.plan import trial_key, trial_s
from cgidlab.design.systems import has_cgid
from cgidlab.engine import targets
from cgidlab.engine.blocks import one_block
from cgidlab.engine.execute import Site
from cgidlab.engine.loading import Loaded, new_run_id
from cgidlab.engine.locking import exclusive
from cgidlab.engine.provisioning import provisioned
from cgidlab.engine.sources import Tarball
from cgidlab.errors import InterruptedRun, RunError, StoreError
from cgidlab.instruments import WITNESSES
from cgidlab.instruments.controls import IDLE, REFUSED
from cgidlab.model import Plan, Trial
from cgidlab.parsers import documents, versions
from cgidlab.parsers.host_report import HostReport
from cgidlab.progress import Display, duration
from cgidlab.runs import proven, provenance, store
from cgidlab.runs.store import RunDirectory

_LOG_BYTES = 10_000_000  # of an error_log, looked through for one message
_BUILD_S = 15.0  # of controls on one httpd
_AGAIN_S = 30.0  # of provisioning at most, once all is in its cache


@dataclass(frozen=True, slots=True)
class CalibrationRequest:
    """What the user asked for."""

    root: Path  # of the project
    target: str
    httpds: tuple[str, ...] = ("distro",)
    controls_only: bool = False
    tarballs: tuple[Tarball, ...] = ()  # taken in place of a download
    only: tuple[str, ...] = ()  # of the controls of what limits; none named: all


@dataclass(frozen=True, slots=True)
class Calibrated:
    """How a calibration ended, for the command line."""

    document: Mapping[str, Any]  # as in calibration.json
    text: str
    directory: Path
    exit_code: int


def calibrate_hosts(
    request: CalibrationRequest, results: Path, display: Display, cancelled: Callable[[], bool]
) -> Calibrated:
    """Run the controls on every host of the target and judge its witnesses, with the target to oneself.

    Raises `ProvisionError` before any trial ran (or when another run has the target),
    `RunError` when none could be run, and `InterruptedRun` when it was stopped; then there
    is no calibration.json and nothing is proven.
    """
    with exclusive(site_of(request)):
        return _calibrated(request, results, display, cancelled)


def site_of(request: CalibrationRequest) -> Site:
    """Return the files and hosts that are meant."""
    return replace(targets.site(request.target, request.root), tarballs=request.tarballs)


def builds_of(plan: Plan) -> tuple[str, ...]:
    """Return the httpds that run with a daemon in some cell, in the order of the file."""
    return tuple(dict.fromkeys(str(c.settings["httpd"]) for c in plan.cells if has_cgid(c.settings)))


def _calibrated(
    request: CalibrationRequest, results: Path, display: Display, cancelled: Callable[[], bool]
) -> Calibrated:
    catalogue = cat.load(request.root / "roles")
    for httpd in request.httpds:
        catalogue.check("httpd", httpd, "--httpd")
    plan = calibrate.make_plan(
        catalogue, target=request.target, httpds=request.httpds, controls_only=request.controls_only
    )
    controls = Controls(proven.FILE, {"controls_only": request.controls_only}, _host, _text)
    return carried_out(controls, Loaded(plan, catalogue, site_of(request)), results, display, cancelled)


@dataclass(frozen=True, slots=True)
class Controls:
    """What one kind of calibration runs on a host, and where what it found is kept."""

    file: str  # of the run
    more: Mapping[str, Any]  # beside the hosts' entries in it
    on_host: Callable[[Loaded, RunDirectory, HostReport, int, Display, Callable[[], bool]], dict[str, Any]]
    text: Callable[[Sequence[Mapping[str, Any]]], str]


def carried_out(
    controls: Controls, loaded: Loaded, results: Path, display: Display, cancelled: Callable[[], bool]
) -> Calibrated:
    """Run controls on every host and keep what they found. Raises what `calibrate_hosts` does."""
    plan = loaded.plan
    run = store.create(results, plan, new_run_id())
    display.say(f"calibration {run.path}")
    try:
        hosts = provisioned(loaded, run, display, cancelled)
        run.write("provenance.json", provenance.collect(loaded.site.root, plan, hosts))
        display.expect(len(plan.trials) * len(hosts), len(hosts) * sum(trial_s(t.cell.settings) for t in plan.trials))
        entries = [controls.on_host(loaded, run, host, place, display, cancelled) for place, host in enumerate(hosts)]
    except BaseException:
        with suppress(StoreError):  # of a full disk: the error that led here says more
            run.set_state(store.INTERRUPTED)
        raise
    if cancelled():
        run.set_state(store.INTERRUPTED)
        raise InterruptedRun("the calibration was stopped", where=str(run.path))
    document = {"run": run.run_id, "when": store.now(), **controls.more, "hosts": entries}
    run.write(controls.file, document)
    run.set_state(store.FINISHED)
    failed = any(row["state"] == calibrate.State.FAIL for entry in entries for row in entry["rows"])
    whole = versions.stamped(controls.file, document)
    return Calibrated(whole, controls.text(entries), run.path, RunError.exit_code if failed else 0)


def before_run(
    loaded: Loaded,
    hosts: Sequence[HostReport],
    results: Path,
    display: Display,
    cancelled: Callable[[], bool],
    provisioned_s: float = 0.0,
) -> dict[str, Any]:
    """Return what is known of the run's witnesses, for its provenance; calibrate first where that is nothing.

    `provisioned_s` is how long the run's own provisioning took; the calibration finds all built.
    """
    wanted, builds = _wanted(loaded), builds_of(loaded.plan)
    keys = {host.host: _key(host) for host in hosts}
    build_keys = {host.host: {name: host.httpd[name].build_key for name in builds} for host in hosts}

    def known() -> dict[str, proven.Standing]:
        return {name: proven.standing(results, key) for name, key in keys.items()}

    before = known()
    settled = not wanted or all(found.settled(wanted) for found in before.values())
    new = [b for b in builds if any(build_keys[name][b] not in found.builds for name, found in before.items())]
    if wanted and (new or not settled):
        httpds = tuple(new or builds[:1])
        calibration_s = _BUILD_S * len(httpds)
        display.say(
            "calibrating the witnesses on this host, once for this kernel and each httpd: about "
            f"{duration(calibration_s)}, and provisioning before it"
        )
        display.stage(min(provisioned_s, _AGAIN_S) + calibration_s)
        request = CalibrationRequest(
            loaded.site.root,
            loaded.plan.experiment.target,
            httpds,
            controls_only=True,
            tarballs=loaded.site.tarballs,
        )
        calibrated = _calibrated(request, results, display, cancelled)  # the run has the target already
        if calibrated.exit_code:
            display.say(calibrated.text)
    return {
        "hosts": {
            name: {
                "run": found.run,
                "witnesses": {w: dict(said) for w, said in found.witnesses.items()},
                "httpd": {b: dict(found.builds[key]) for b, key in build_keys[name].items() if key in found.builds},
            }
            for name, found in known().items()
        }
    }


def _wanted(loaded: Loaded) -> frozenset[str]:
    """Return the witnesses that a run will use; none where no cell has a queue."""
    cells = [cell.settings for cell in loaded.plan.cells if has_cgid(cell.settings)]
    return frozenset(w.name for w in WITNESSES if any(s.get(w.name, not w.optional) for s in cells))


def _key(host: HostReport) -> dict[str, Any]:
    """Return what a proof holds for: this machine, this kernel, the helper that runs there."""
    facts = host.raw["facts"]
    return {
        "machine_id_sha256": facts["machine_id_sha256"],
        "kernel": facts["kernel"],
        "helper": PurePosixPath(host.helper).parent.name,  # the role `host` names it by its content
    }


def _host(
    loaded: Loaded,
    run: RunDirectory,
    host: HostReport,
    place: int,
    display: Display,
    cancelled: Callable[[], bool],
) -> dict[str, Any]:
    """Run all trials on one host and return its entry of calibration.json."""
    plan = loaded.plan
    blocks = 1 + max(t.block for t in plan.trials)
    trials = [_moved(t, place * (len(plan.trials) + len(plan.cells)), place * blocks) for t in plan.trials]
    controls = tuple(t for t in trials if t.block == trials[0].block)
    observers = tuple(trials[len(controls) :])
    done = one_block(loaded, run, host, controls, display, cancelled)
    lost = {r.number for r in done if not calibrate.ControlTrial(r, {}).usable}
    again = tuple(_moved(t, len(trials), blocks - 1) for t in controls if t.number in lost)
    if again and not cancelled():
        display.say(f"once more, since {len(again)} of {len(controls)} trials did not come to their end")
        done += one_block(loaded, run, host, again, display, cancelled)
    if observers and not cancelled():  # all blocks in one go: what is compared is inside each
        done += one_block(loaded, run, host, observers, display, cancelled)
    observations = [calibrate.ControlTrial(r, _unavailable(run.path / r.directory)) for r in done]
    rows = calibrate.judge(observations)
    builds = [_build(run, host, httpd, [o for o in observations if o.httpd == httpd]) for httpd in builds_of(plan)]
    return {
        "host": host.host,
        **_key(host),
        "witnesses": calibrate.witnesses(rows),
        "builds": builds,
        "rows": [asdict(row) for row in rows],
    }


def _build(
    run: RunDirectory, host: HostReport, httpd: str, observations: Sequence[calibrate.ControlTrial]
) -> dict[str, Any]:
    """Return what was measured of one httpd."""
    logs = [_log(run.path, observations, control) for control in (REFUSED, IDLE)]
    found = host.httpd[httpd]
    return {
        "httpd": httpd,
        "version": found.version,
        "build_key": found.build_key,
        **calibrate.httpd_facts(observations, *logs),
    }


def _moved(trial: Trial, by_number: int, by_block: int) -> Trial:
    """Return a trial under a number and block of its own."""
    block = trial.block + by_block
    return replace(trial, number=trial.number + by_number, block=block, key=trial_key(trial.cell, block))


def _unavailable(directory: Path) -> dict[str, str]:
    path = directory / "result.json"
    if not path.exists():
        return {}
    states = documents.read_result(path).instruments
    return {name: i.reason or "no reason given" for name, i in states.items() if i.state == "unavailable"}


def _log(run: Path, observations: Sequence[calibrate.ControlTrial], control: str) -> list[str]:
    """Return the error_log of the first trial of a control that has one."""
    for observation in observations:
        path = run / observation.record.directory / "logs" / "error_log"
        if observation.control == control and path.exists():
            with path.open(encoding="utf-8", errors="replace") as file:
                return file.readlines(_LOG_BYTES)
    return []


def _text(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return the table, and which witnesses are proven."""
    lines = []
    for entry in entries:
        several = len(entry["builds"]) > 1
        rows = [
            {**row, "control": row["control"] + (f" ({row['httpd']})" if several and row["httpd"] else "")}
            for row in entry["rows"]
        ]
        versions = ", ".join(str(build["version"]) for build in entry["builds"])
        lines.append(f"{entry['host']}, kernel {entry['kernel']}, httpd {versions}")
        lines += table(rows, "witness")
        good = calibrate.proven(entry["witnesses"])
        lines.append(f"proven: {', '.join(w for w in entry['witnesses'] if w in good) or 'no witness'}")
        if missing := [w for w in entry["witnesses"] if w not in good]:
            lines.append(f"not proven, and not counted by a verdict: {', '.join(missing)}")
        for build in entry["builds"]:
            facts = ", ".join(f"{k} {v}" for k, v in build.items() if k not in ("httpd", "version", "build_key"))
            lines.append(f"httpd {build['version']} ({build['httpd']}): {facts}")
    return "\n".join(lines)


def table(rows: Sequence[Mapping[str, Any]], about: str) -> list[str]:
    """Return the lines of a table of rows; `about` is what its `witness` is called."""
    columns = ("state", "control", "kind", "witness", "expected", "found")
    told = [{c: c for c in columns} | {"witness": about}, *({c: str(row[c]) for c in columns} for row in rows)]
    widths = {c: max(len(row[c]) for row in told) for c in columns[:-1]}
    why = ["", *(f" ({row['reason']})" if row["reason"] else "" for row in rows)]
    return [
        "  ".join(row[c].ljust(widths.get(c, 0)) for c in columns).rstrip() + reason
        for row, reason in zip(told, why, strict=True)
    ]
