"""`snapshots/<host>.begin.json` and `.end.json`: how a host was, as its helper says it (docs/results.md)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cgidlab.parsers.document import Count, DocumentKind, Number
from cgidlab.rundir import read


@dataclass(frozen=True, slots=True)
class Process:
    """A process; `run` is the directory of the block it belongs to, "cache" if only its program says so, or empty."""

    pid: Count
    start_ticks: Count
    parent: Count
    uid: Count
    name: str
    run: str


@dataclass(frozen=True, slots=True)
class ListeningSocket:
    """A listening socket."""

    protocol: str
    address: str
    pid: Count | None  # None: of a process that cannot be seen


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One host at one moment."""

    boot_id: str
    taken_s: Number
    work_dir: str
    sysctls: Mapping[str, str]
    processes: tuple[Process, ...]
    listeners: tuple[ListeningSocket, ...]
    mounts: frozenset[tuple[str, str, str]]  # point, type, source
    services: Mapping[str, str]
    files: Mapping[str, str]  # path to the directory of the block it belongs to, or ""
    bpf_programs: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class _Mount:
    point: str
    type: str
    source: str


@dataclass(frozen=True, slots=True)
class _Left:
    path: str
    run: str


@dataclass(frozen=True, slots=True)
class _BpfProgram:
    id: Count
    name: str


@dataclass(frozen=True, slots=True)
class _SnapshotFile:
    boot_id: str
    taken_s: Number
    work_dir: str
    sysctls: Mapping[str, str]
    processes: tuple[Process, ...]
    listeners: tuple[ListeningSocket, ...]
    mounts: tuple[_Mount, ...]
    services: Mapping[str, str]
    files: tuple[_Left, ...]
    bpf_programs: tuple[_BpfProgram, ...]


SNAPSHOT = DocumentKind("snapshot", _SnapshotFile)


def read_snapshot(path: Path) -> Snapshot:
    """Return the snapshot in `path`. Raise `StoreError` if it is missing or not what a helper writes."""
    return parse_snapshot(read(path), where=str(path))


def parse_snapshot(data: bytes, *, where: str) -> Snapshot:
    """Return a snapshot from its bytes; as `read_snapshot`."""
    found = SNAPSHOT.parse(data, where=where)
    return Snapshot(
        boot_id=found.boot_id,
        taken_s=found.taken_s,
        work_dir=found.work_dir,
        sysctls=found.sysctls,
        processes=found.processes,
        listeners=found.listeners,
        mounts=frozenset((m.point, m.type, m.source) for m in found.mounts),
        services=found.services,
        files={f.path: f.run for f in found.files},
        bpf_programs={p.id: p.name for p in found.bpf_programs},
    )
