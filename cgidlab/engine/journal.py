"""What a run may be holding of its hosts right now: `journal.json`, written before a host is touched.

The host keeps a journal of its own (cgidhost.undo), with every change. This one says
where to look when the host cannot be asked, and knows the sysctls' values from before
the run should the host's journal be lost. It is empty when nothing is held.
"""

import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from cgidlab import rundir
from cgidlab.engine.execute import BlockNeeds
from cgidlab.model import Trial
from cgidlab.parsers.document import DocumentKind, HostName
from cgidlab.parsers.host_report import HostReport
from cgidlab.runs import hostdiff, snapshots
from cgidlab.runs.store import RunDirectory, now

FILE = "journal.json"
_lock = threading.Lock()  # blocks of several hosts may begin and end at once


@dataclass(frozen=True, slots=True)
class Sysctl:
    """A setting of the host that trials change: its value before, those it is given, and in which boot."""

    setting: str
    old: str
    new: tuple[str, ...]
    boot_id: str


@dataclass(frozen=True, slots=True)
class BlockHolds:
    """What one block may hold of a host."""

    host: HostName
    inventory: str
    work_dir: str
    block: str  # its directory on the host
    sysctls: tuple[Sysctl, ...]
    opened_at: str


@dataclass(frozen=True, slots=True)
class _JournalFile:
    held: tuple[BlockHolds, ...]


JOURNAL = DocumentKind("journal.json", _JournalFile)


def held(run: RunDirectory) -> tuple[BlockHolds, ...]:
    """Return what a run may still hold. Raise `StoreError` if its journal cannot be read."""
    if not rundir.is_there(run.path / FILE):
        return ()
    return JOURNAL.read(run.path / FILE).held


def opened(run: RunDirectory, inventory: str, block: BlockNeeds, trials: Iterable[Trial]) -> None:
    """Write down what a block may change, before it is handed over."""
    entry = BlockHolds(
        block.host.host,
        inventory,
        block.host.work_dir,
        block.host_directory,
        _sysctls(run, block.host, trials),
        now(),
    )
    with _lock:
        _write(run, (*(h for h in held(run) if h.block != entry.block), entry))


def released(run: RunDirectory, block: BlockNeeds) -> None:
    """Write down that nothing of a block is held any more, nor of those before it on its host.

    A block that starts undoes what dead ones left there.
    """
    with _lock:
        _write(run, tuple(h for h in held(run) if h.host != block.host.host))


def forgotten(run: RunDirectory, hosts: Iterable[str]) -> None:
    """Write down that hosts were recovered."""
    gone = set(hosts)
    with _lock:
        _write(run, tuple(h for h in held(run) if h.host not in gone))


def _write(run: RunDirectory, entries: tuple[BlockHolds, ...]) -> None:
    run.write(FILE, {"held": [asdict(entry) for entry in entries]})


def _sysctls(run: RunDirectory, host: HostReport, trials: Iterable[Trial]) -> tuple[Sysctl, ...]:
    """Return the sysctls of the host that its trials set: those of trials without namespaces."""
    settings = [t.cell.settings for t in trials if t.cell.settings["isolation"] == "host"]
    if not settings:
        return ()
    begin = snapshots.begin_of(run, host.host)
    found = []
    for setting, name in hostdiff.TRIAL_SYSCTLS.items():
        new = tuple(sorted({str(s[setting]) for s in settings if setting in s} - {begin.sysctls.get(name)}))
        if new and begin.sysctls.get(name, "").isdigit():
            found.append(Sysctl(setting, begin.sysctls[name], new, begin.boot_id))
    return tuple(found)
