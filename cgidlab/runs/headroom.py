"""What the driver can do when no CGI is in its way: read from the trials that a run keeps of it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cgidlab.model import FailureKind, Status, TrialRecord
from cgidlab.runs import records
from cgidlab.runs.store import RunDirectory

KEY = "load_headroom"  # in provenance.json
DIRECTORY = "headroom"
FACTOR = "driver"


def found(run: RunDirectory, host: str) -> dict[str, Any]:
    """Return, by driver, how many answers a second it got on a host.

    Empty when its trial did not come home, or cannot be read. Where one did not come to its end, the entry has a
    `reason` and no figure: a run goes on without.
    """
    rows, _damaged = records.load_all(directory(run, host))
    return {str(r.settings[FACTOR]): _entry(r) for r in rows if {FACTOR, "clients"} <= r.settings.keys()}


def directory(run: RunDirectory, host: str) -> RunDirectory:
    """Return where the trials on a host are kept."""
    return RunDirectory(run.path / DIRECTORY / host)


def _entry(record: TrialRecord) -> dict[str, Any]:
    outcome, figures = record.outcome, record.figures
    # That the generator is saturated, the client's fault, is what is wanted here.
    usable = outcome.status is Status.COMPLETE or outcome.kind is FailureKind.CLIENT
    if not usable or not figures.throughput_rps:
        return {"reason": outcome.reason or "it gave no figure"}
    return {
        "throughput_rps": round(figures.throughput_rps, 1),
        "clients": record.settings["clients"],
        "driver_cpu_share": figures.driver_cpu_share,
        "host_cpu_share": figures.host_cpu_share,
    }


def said(host: str, driver: str, entry: Mapping[str, Any]) -> str:
    """Return what was found of one driver, in a line for people."""
    if "throughput_rps" not in entry:
        return f"warning: the headroom of {driver} on {host} is not known: {entry['reason']}"
    return f"headroom: {driver} gets {entry['throughput_rps']:,.0f} answers/s for a static file of httpd on {host}"


def applied(record: TrialRecord, provenance: Mapping[str, Any]) -> TrialRecord:
    """Return a trial with `driver_headroom_share`: its answers a second by what its driver can do on its host."""
    entry = provenance.get(KEY, {}).get(record.host, {}).get(str(record.settings.get(FACTOR)), {})
    most, got = entry.get("throughput_rps"), record.figures.throughput_rps
    if not most or got is None:
        return record
    return replace(record, figures=replace(record.figures, driver_headroom_share=got / most))
