"""`calibrate --limits`: the controls of what limits, from their plan to `limits.json`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from cgidlab.calibrate import limit_controls
from cgidlab.design import catalogue as cat
from cgidlab.engine.blocks import one_block
from cgidlab.engine.calibrating import Calibrated, CalibrationRequest, Controls, carried_out, site_of, table
from cgidlab.engine.loading import Loaded
from cgidlab.engine.locking import exclusive
from cgidlab.parsers.host_report import HostReport
from cgidlab.progress import Display
from cgidlab.runs import limiting
from cgidlab.runs.store import RunDirectory


def calibrate_limits(
    request: CalibrationRequest, results: Path, display: Display, cancelled: Callable[[], bool]
) -> Calibrated:
    """Run the controls of what limits on every host of the target and judge them, with the target to oneself.

    Raises `ProvisionError` before any trial ran (or when another run has the target) and `InterruptedRun` when it was
    stopped; then there is no limits.json.
    """
    catalogue = cat.load(request.root / "roles")
    httpd = request.httpds[0]
    catalogue.check("httpd", httpd, "--httpd")
    site = site_of(request)
    plan = limit_controls.make_plan(catalogue, target=request.target, httpd=httpd, names=request.only)
    controls = Controls(limit_controls.FILE, {}, partial(_host, request.only), _text)
    with exclusive(site):
        return carried_out(controls, Loaded(plan, catalogue, site), results, display, cancelled)


def _host(
    names: Sequence[str],
    loaded: Loaded,
    run: RunDirectory,
    host: HostReport,
    place: int,
    display: Display,
    cancelled: Callable[[], bool],
) -> dict[str, Any]:
    """Run the controls asked for on one host and return its entry of limits.json."""
    count = len(loaded.plan.trials)
    trials = tuple(replace(t, number=t.number + place * count) for t in loaded.plan.trials)
    records = one_block(loaded, run, host, trials, display, cancelled)
    last = {r.key: r for r in records}.values()  # one that failed may have been run again
    rows = limit_controls.judge([limiting.of_trial(run, r) for r in last], names)
    return {"host": host.host, "kernel": host.raw["facts"]["kernel"], "rows": [asdict(row) for row in rows]}


def _text(entries: Sequence[Mapping[str, Any]]) -> str:
    lines = []
    for entry in entries:
        lines += [f"{entry['host']}, kernel {entry['kernel']}", *table(entry["rows"], "component")]
    return "\n".join(lines)
