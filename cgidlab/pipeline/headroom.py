"""What the load generator can do when no CGI is in its way: measured once a run, kept in its provenance."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cgidlab.model import Cell, FailureKind, Level, Settings, Status, Trial, TrialRecord
from cgidlab.pipeline import records
from cgidlab.pipeline.blocks import Beside
from cgidlab.pipeline.loading import Loaded
from cgidlab.plan import trial_key
from cgidlab.store import RunDirectory

KEY = "load_headroom"  # in provenance.json
DIRECTORY = "headroom"
_FACTOR = "driver"
_FIRST = 1_000_001  # its number in a block; no trial of a run has one like it
_LOAD: Settings = {
    # Whatever the run's trials do to the host: this one is to change nothing there.
    "isolation": "namespaces",
    "script": "static",
    "loop": "closed",
    "fault": "none",
    "warmup_s": 0.3,
    "window_s": 1.5,
    "log_level": "warn",  # a line a request would be measured with it
    "host": True,
}


def beside(loaded: Loaded, run: RunDirectory, host: str) -> Beside:
    """Return a trial a driver, for a block to end with: the load generator asks for a static file of the same httpd.

    It has the most clients that the run will have, and is kept below `headroom/`.
    """
    return Beside(_directory(run, host), _trials(loaded))


def found(run: RunDirectory, host: str) -> dict[str, Any]:
    """Return, by driver, how many answers a second the load generator of a host got.

    Empty when its trial did not come home. Where one did not come to its end, the entry has a
    `reason` and no figure: a run goes on without.
    """
    own = _directory(run, host)
    stored, _damaged = own.stored_trials()
    return {str(r.settings[_FACTOR]): _entry(r) for r in (records.load(own.path, trial) for trial in stored)}


def _directory(run: RunDirectory, host: str) -> RunDirectory:
    return RunDirectory(run.path / DIRECTORY / host)


def _trials(loaded: Loaded) -> tuple[Trial, ...]:
    """Return a trial a driver: the settings of the cell with the most clients, without its instruments and its CGI."""
    most: dict[str, Settings] = {}
    for cell in loaded.plan.cells:
        driver = str(cell.settings[_FACTOR])
        if driver not in most or int(cell.settings["clients"]) > int(most[driver]["clients"]):
            most[driver] = cell.settings
    off = dict.fromkeys(loaded.plan.experiment.instruments, False)
    cells = [
        Cell(f"{_FACTOR}={driver}", ((_FACTOR, Level(driver, driver)),), {**settings, **off, **_LOAD})
        for driver, settings in sorted(most.items())
    ]
    return tuple(Trial(n, 1, cell, trial_key(cell, 1)) for n, cell in enumerate(cells, start=_FIRST))


def _entry(record: TrialRecord) -> dict[str, Any]:
    outcome, figures = record.outcome, record.figures
    # That the generator is saturated, the client's fault, is what is wanted here.
    usable = outcome.status is Status.COMPLETE or outcome.kind is FailureKind.CLIENT
    if not usable or not figures.throughput_rps:
        return {"reason": outcome.reason or "it gave no figure"}
    return {
        "throughput_rps": round(figures.throughput_rps, 1),
        "clients": record.settings["clients"],
        "loadgen_cpu_share": figures.loadgen_cpu_share,
        "host_cpu_share": figures.host_cpu_share,
    }


def said(host: str, driver: str, entry: Mapping[str, Any]) -> str:
    """Return what was found of one load generator, in a line for people."""
    if "throughput_rps" not in entry:
        return f"warning: the headroom of {driver} on {host} is not known: {entry['reason']}"
    return f"headroom: {driver} gets {entry['throughput_rps']:,.0f} answers/s for a static file of httpd on {host}"


def applied(record: TrialRecord, provenance: Mapping[str, Any]) -> TrialRecord:
    """Return a trial with `loadgen_headroom_share`: its answers a second by what its generator can do on its host."""
    entry = provenance.get(KEY, {}).get(record.host, {}).get(str(record.settings.get(_FACTOR)), {})
    most, got = entry.get("throughput_rps"), record.figures.throughput_rps
    if not most or got is None:
        return record
    return replace(record, figures=replace(record.figures, loadgen_headroom_share=got / most))
