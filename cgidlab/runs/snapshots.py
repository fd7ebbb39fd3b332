"""How hosts were before and after a run, from its snapshots: what differs, and what the report says of it."""

from collections.abc import Mapping
from typing import Any

from cgidlab import rundir
from cgidlab.errors import StoreError
from cgidlab.parsers.host_snapshot import Snapshot, read_snapshot
from cgidlab.runs import hostdiff
from cgidlab.runs.hostdiff import Sense
from cgidlab.runs.store import RunDirectory

FILE = "differences.json"
DIRECTORY = "snapshots"
BEGIN, END = "begin", "end"
AGAIN = "again"
_SHOWN = 10


def begin_of(run: RunDirectory, host: str) -> Snapshot:
    """Return how a host was before the run, or when it went on if the host was booted since. Raise `StoreError`."""
    first = run.path / DIRECTORY / f"{host}.{BEGIN}.json"
    later = run.path / DIRECTORY / AGAIN / first.name
    if not rundir.is_there(later):
        return read_snapshot(first)
    again = read_snapshot(later)
    try:
        begun = read_snapshot(first)
    except StoreError:
        return again
    return begun if begun.boot_id == again.boot_id else again


def compared(run: RunDirectory, host: str, trouble: str) -> dict[str, Any]:
    """Return what `differences.json` holds of a host; `trouble` says why it could not be looked at, or is empty."""
    try:
        begin, end = begin_of(run, host), read_snapshot(run.path / DIRECTORY / f"{host}.{END}.json")
    except StoreError as err:
        return {"differences": [], "unknown": f"how the host is now is not known: {trouble or err.what}"}
    found = hostdiff.differences(begin, end, run.run_id)
    return {"differences": [_document(d) for d in found], "unknown": ""}


def _document(difference: hostdiff.HostChange) -> Mapping[str, str]:
    return {"what": difference.what, "text": difference.text, "sense": difference.sense.value}


def notes(run: RunDirectory) -> tuple[str, ...]:
    """Return what the report has to say about the hosts: one line a host that is not as it was."""
    document = summary(run)
    return tuple(
        text for host, found in (document or {}).items() if (text := _line(host, found["run"], found["unknown"]))
    )


def summary(run: RunDirectory) -> dict[str, Any] | None:
    """Return what differs by host: texts of the senses `run` and `unknown`, the number of `others`.

    None: the hosts were not looked at.
    """
    if not rundir.is_there(run.path / FILE):
        return None
    found: dict[str, Any] = {}
    try:
        for host, entry in run.read(FILE)["hosts"].items():
            by_sense = {s: [d["text"] for d in entry["differences"] if d["sense"] == s] for s in Sense}
            unseen = [entry["unknown"]] if entry["unknown"] else []
            found[host] = {
                "run": by_sense[Sense.RUN],
                "unknown": by_sense[Sense.UNKNOWN] + unseen,
                "others": len(by_sense[Sense.OTHERS]),
            }
    except StoreError:
        return None  # a derived file that is damaged says nothing of the trials
    return found


def _line(host: str, ours: list[str], unknown: list[str]) -> str:
    parts = []
    if ours:
        parts.append(f"the run left {_few(ours)}")
    if unknown:
        parts.append(
            f"and nothing tells whose this is: {_few(unknown)}" if ours else f"perhaps of the run: {_few(unknown)}"
        )
    return f"the host {host} is not as it was: {'; '.join(parts)}" if parts else ""


def _few(texts: list[str]) -> str:
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more
