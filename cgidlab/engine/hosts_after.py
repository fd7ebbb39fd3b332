"""Hosts after a run: they are looked at again, and what differs is kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cgidlab.engine import hoststate
from cgidlab.engine.loading import Loaded
from cgidlab.errors import LabError
from cgidlab.parsers.host_report import HostReport
from cgidlab.progress import Display
from cgidlab.runs import snapshots
from cgidlab.runs.store import RunDirectory


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
    first = run.path / snapshots.DIRECTORY
    return first / snapshots.AGAIN if any(first.glob(f"*.{snapshots.BEGIN}.json")) else first


def _compare_or_say(loaded: Loaded, run: RunDirectory, hosts: tuple[HostReport, ...], display: Display) -> None:
    try:
        _compare(loaded, run, hosts, display)
    except LabError as err:
        display.say(f"warning: the hosts could not be compared with how they were: {err.what}")


def _compare(loaded: Loaded, run: RunDirectory, hosts: tuple[HostReport, ...], display: Display) -> None:
    display.step("comparing the hosts with how they were")
    directory = run.path / snapshots.DIRECTORY
    for host in hosts:  # of an earlier go at the run: what cannot be asked now is not known
        (directory / f"{host.host}.{snapshots.END}.json").unlink(missing_ok=True)
    trouble = hoststate.take_snapshots(loaded.site, hosts, directory, run.ansible(run.unused_ansible("snapshot")))
    document = {host.host: snapshots.compared(run, host.host, trouble) for host in hosts}
    run.write(snapshots.FILE, {"hosts": document})
    for line in snapshots.notes(run):
        display.say(f"warning: {line}")
