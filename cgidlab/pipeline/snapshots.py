"""Hosts before and after a run: takes the later snapshot, compares, and keeps what differs in `differences.json`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cgidlab import hostdiff, hoststate
from cgidlab.errors import LabError, StoreError
from cgidlab.hostdiff import Difference, Sense
from cgidlab.parsers.host_report import HostReport
from cgidlab.parsers.host_snapshot import Snapshot, read_snapshot
from cgidlab.pipeline.loading import Loaded
from cgidlab.progress import Display
from cgidlab.store import RunDirectory

FILE = "differences.json"
DIRECTORY = "snapshots"
BEGIN, END = "begin", "end"
AGAIN = "again"
_SHOWN = 10


@contextmanager
def compared(loaded: Loaded, run: RunDirectory, hosts: tuple[HostReport, ...], display: Display) -> Iterator[None]:
    """Compare the hosts with how they were when provisioning found them, however the block ends.

    Says what differs and is not somebody else's, and leaves `differences.json`. Raises nothing of its own: a
    host that cannot be looked at is said to be unknown.
    """
    try:
        yield
    except KeyboardInterrupt:  # the user's second: leave at once
        raise
    except BaseException:
        _compare_or_say(loaded, run, hosts, display)
        raise
    _compare_or_say(loaded, run, hosts, display)


def directory_for_begin(run: RunDirectory) -> Path:
    """Return where provisioning writes down how hosts are: a resumed run keeps what it was begun with."""
    first = run.path / DIRECTORY
    return first / AGAIN if any(first.glob(f"*.{BEGIN}.json")) else first


def begin_of(run: RunDirectory, host: str) -> Snapshot:
    """Return how a host was before the run, or when it went on if the host was booted since. Raise `StoreError`."""
    first = run.path / DIRECTORY / f"{host}.{BEGIN}.json"
    later = run.path / DIRECTORY / AGAIN / first.name
    if not later.exists():
        return read_snapshot(first)
    again = read_snapshot(later)
    try:
        begun = read_snapshot(first)
    except StoreError:
        return again
    return begun if begun.boot_id == again.boot_id else again


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
    if not (run.path / FILE).exists():
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
    except (StoreError, KeyError, TypeError, AttributeError):
        return None  # a derived file that is damaged says nothing of the trials
    return found


def _compare_or_say(loaded: Loaded, run: RunDirectory, hosts: tuple[HostReport, ...], display: Display) -> None:
    try:
        _compare(loaded, run, hosts, display)
    except LabError as err:
        display.say(f"warning: the hosts could not be compared with how they were: {err.what}")


def _compare(loaded: Loaded, run: RunDirectory, hosts: tuple[HostReport, ...], display: Display) -> None:
    display.step("comparing the hosts with how they were")
    directory = run.path / DIRECTORY
    for host in hosts:  # of an earlier go at the run: what cannot be asked now is not known
        (directory / f"{host.host}.{END}.json").unlink(missing_ok=True)
    trouble = hoststate.take_snapshots(loaded.site, hosts, directory, run.ansible(run.unused_ansible("snapshot")))
    document = {host.host: _host(run, host.host, trouble) for host in hosts}
    run.write(FILE, {"hosts": document})
    for line in notes(run):
        display.say(f"warning: {line}")


def _host(run: RunDirectory, host: str, trouble: str) -> dict[str, Any]:
    try:
        begin, end = begin_of(run, host), read_snapshot(run.path / DIRECTORY / f"{host}.{END}.json")
    except StoreError as err:
        return {"differences": [], "unknown": f"how the host is now is not known: {trouble or err.what}"}
    found = hostdiff.differences(begin, end, run.run_id)
    return {"differences": [_document(d) for d in found], "unknown": ""}


def _document(difference: Difference) -> Mapping[str, str]:
    return {"what": difference.what, "text": difference.text, "sense": difference.sense.value}


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
