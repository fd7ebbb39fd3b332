"""What the helper says of a host that it watched (`observation.json` beside its archives), and of each socket there."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cgidlab.parsers.document import Count, DocumentKind, Number, Size, Whole
from cgidlab.parsers.documents import Clock
from cgidlab.parsers.listeners import Listener, ToldListener, listener
from cgidlab.rundir import read as read_file


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """Something that happened to a watched server."""

    what: str
    at_ns: Whole


@dataclass(frozen=True, slots=True)
class SleepersRequests:
    """Whose requests slept in connect(): sums, the largest first."""

    seen: Count
    why_none: str
    unknown: Count = 0
    whole: bool = False
    vhosts: tuple[tuple[str, Count], ...] = ()
    requests: tuple[tuple[str, Count], ...] = ()
    clients: tuple[tuple[str, Count], ...] = ()


@dataclass(frozen=True, slots=True)
class ObservedProgram:
    """What is known of a watched server."""

    process: str | None = None
    binary: str | None = None
    version: str | None = None
    mpm: str | None = None
    log_level: str | None = None
    processes: Count | None = None
    threads_per_child: Count | None = None
    server_limit: Count | None = None
    thread_limit: Count | None = None
    max_request_workers: Count | None = None
    somaxconn: Count | None = None
    requests: SleepersRequests | None = None
    status: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class ObservedAcceptors:
    """Number and CPU of those who accept."""

    processes: Count | None = None
    cpu_cores: Size | None = None
    runq_cores: Size | None = None


@dataclass(frozen=True, slots=True)
class ObservedTarget:
    """`observed.json`: one socket, or one httpd without one, as the host tells it."""

    socket: str
    pid: Count | None
    httpd: bool
    stopped: bool
    events: tuple[ServerEvent, ...]
    notes: tuple[str, ...]
    about: ObservedProgram
    network: Any
    error_log: str | None = None
    acceptors: ObservedAcceptors | None = None


@dataclass(frozen=True, slots=True)
class _ServerTold(ObservedTarget):
    label: str = ""
    archive: str = ""


@dataclass(frozen=True, slots=True)
class _Facts:
    uid: Count
    utc_offset_s: Number


@dataclass(frozen=True, slots=True)
class _ObservationFile:
    ended: str
    clock: Clock
    begin_ns: Whole
    end_ns: Whole
    targets: tuple[_ServerTold, ...]
    notes: tuple[str, ...]
    listeners: tuple[str, ...]
    cost: Mapping[str, Number | None]
    facts: _Facts
    every: tuple[ToldListener, ...] = ()


@dataclass(frozen=True, slots=True)
class SeenTarget:
    """One socket, or one httpd without one, as the host tells it."""

    label: str  # the same after a restart of the server
    archive: str  # name of its archive
    pid: int | None
    raw: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Observation:
    """One host's observation."""

    host: str
    ended: str  # duration, full, stopped or nothing
    length_s: float
    begin: datetime  # of its window
    end: datetime
    targets: tuple[SeenTarget, ...]
    notes: tuple[str, ...]  # what could not be seen of the host
    listeners: tuple[str, ...]  # all unix sockets that could have been named
    every: tuple[Listener, ...]  # of `--all`, else none
    cost: Mapping[str, float | None]  # cpu_share, cpu_s, set_up_cpu_s, packing_cpu_s, limit
    raw: Mapping[str, Any]

    @property
    def window(self) -> dict[str, str]:
        """Return begin and end of its window in UTC, as JSON has them."""
        return {"begin": moment(self.begin), "end": moment(self.end)}


HOST = DocumentKind("observed host", _ObservationFile)
TARGET = DocumentKind("observed.json", ObservedTarget)


def read(path: Path, host: str) -> Observation:
    """Return a host's `observation.json`. Raise `StoreError` when it is not one."""
    found, raw = HOST.parse_both(read_file(path), where=str(path))
    return Observation(
        host=host,
        ended=found.ended,
        length_s=(found.end_ns - found.begin_ns) / 1e9,
        begin=found.clock.to_utc(found.begin_ns),
        end=found.clock.to_utc(found.end_ns),
        targets=tuple(
            SeenTarget(t.label, Path(t.archive).name, t.pid, told)
            for t, told in zip(found.targets, raw["targets"], strict=True)
        ),
        notes=found.notes,
        listeners=found.listeners,
        every=tuple(listener(row, host) for row in found.every),
        cost=found.cost,
        raw=raw,
    )


def span(begin: datetime, end: datetime) -> str:
    """Return when a window began and ended, for a sentence; its dates where they differ."""
    form = "%H:%M:%S" if begin.date() == end.date() else "%Y-%m-%d %H:%M:%S"
    return f"from {begin:{form}} to {end:{form}} UTC"


def moment(at: datetime) -> str:
    """Return a time as documents have it, ISO 8601 to the millisecond."""
    return at.isoformat(timespec="milliseconds")
