"""The documents of a trial's directory as types: result, readback, host and trial (docs/results.md)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from cgidlab.model import FailureKind, Status
from cgidlab.parsers.document import Count, DocumentKind, Number, Positive, Reason, Single, Size, Whole
from cgidlab.rundir import read

_LONGEST_S = 1e7  # four months
_TIMES_S = {
    "warmup_s": (0, _LONGEST_S),
    "window_s": (0, _LONGEST_S),
    "max_start_lag_s": (0, _LONGEST_S),
    "log_utc_offset_s": (-86_399, 86_399),
}

InstrumentState = Literal["ran", "unavailable", "off", "edges"]  # edges: of it only what is read there for nothing


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time on CLOCK_MONOTONIC; `end_ns` is not part of it."""

    begin_ns: Whole
    end_ns: Whole

    def __post_init__(self) -> None:
        """Refuse a stretch that ends before it begins."""
        if self.end_ns < self.begin_ns:
            raise ValueError("ends before it begins")

    @property
    def length_s(self) -> float:
        """Return its length in seconds."""
        return (self.end_ns - self.begin_ns) / 1e9


@dataclass(frozen=True, slots=True)
class Clock:
    """Both clocks of the host, read at one moment."""

    realtime_ns: Whole
    monotonic_ns: Whole

    def to_realtime_ns(self, monotonic_ns: int) -> int:
        """Return the same moment as nanoseconds since 1970."""
        return monotonic_ns + self.realtime_ns - self.monotonic_ns

    def to_utc(self, monotonic_ns: int) -> datetime:
        """Return the same moment as a time in UTC."""
        return datetime.fromtimestamp(self.to_realtime_ns(monotonic_ns) / 1e9, UTC)


@dataclass(frozen=True, slots=True)
class Phase(Span):
    """A named stretch of a trial."""

    name: str

    @property
    def span(self) -> Span:
        """Return the stretch alone."""
        return Span(self.begin_ns, self.end_ns)


@dataclass(frozen=True, slots=True)
class Server:
    """The httpd of a trial. None: not known when the trial ended."""

    cgid_pid: Count | None = None
    cgid_pid_at_end: Count | None = None
    version: str = ""
    socket: str = ""  # path of the cgid socket, empty where there is none


@dataclass(frozen=True, slots=True)
class DriverRun:
    """The driver of a trial."""

    driver: str
    argv: tuple[str, ...]
    timed_out: bool
    exit_code: Whole | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """When a generator was to begin, and when it did, on its own clock."""

    agreed_ns: Whole
    began_ns: Whole


@dataclass(frozen=True, slots=True)
class InstrumentReport:
    """Whether an instrument observed the trial, and what it cost."""

    state: InstrumentState
    reason: str
    cpu_ns: Count | None = None


@dataclass(frozen=True, slots=True)
class HookReport:
    """How a program of the user's ended; `reason` is empty where it did as it should."""

    argv: tuple[str, ...] = ()
    exit_code: Whole | None = None
    reason: Reason = ""
    cpu_ns: Count = 0


@dataclass(frozen=True, slots=True)
class Result:
    """`result.json`: how a trial ended on its host. `server` and `load` are None if it ended before them."""

    key: str
    ended: Status
    reason: str
    kind: FailureKind | None
    clock: Clock
    phases: tuple[Phase, ...]
    instruments: Mapping[str, InstrumentReport]
    window: Span | None = None
    server: Server | None = None
    load: DriverRun | None = None
    start: Start | None = None  # of a generator
    hooks: Mapping[str, HookReport] = field(default_factory=dict)

    @property
    def start_lag_ns(self) -> int | None:
        """Return how long after the agreed start a generator's load began; None on a server."""
        return None if self.start is None else self.start.began_ns - self.start.agreed_ns


@dataclass(frozen=True, slots=True)
class HostEdges:
    """`host.json`: counters and gauges of the host at the window's edges; None where not to be had."""

    cpus: Positive
    clk_tck: Positive
    begin: Mapping[str, Number | None]
    end: Mapping[str, Number | None]

    def rise(self, name: str) -> float | None:
        """Return by how much a counter rose in the window, None if either reading is missing."""
        first, last = self.begin.get(name), self.end.get(name)
        return None if first is None or last is None else last - first


@dataclass(frozen=True, slots=True)
class Counters:
    """The host's /proc/stat in clock ticks, and what of it was the trial's own: `used_ns`, None where not known."""

    monotonic_ns: Whole
    user: Count
    nice: Count
    system: Count
    idle: Count
    iowait: Count
    irq: Count
    softirq: Count
    steal: Count
    used_ns: Count | None = None


@dataclass(frozen=True, slots=True)
class WindowEdge(Counters):
    """What is read, besides, at an edge of the window."""

    pswpin: Count | None = None
    pswpout: Count | None = None
    throttled_us: Count | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """The host between two trials: counters, and how long rounds of fixed work took, core by core."""

    begin: Counters
    end: Counters
    rounds_ns: Mapping[str, tuple[tuple[Positive, ...], ...]]


@dataclass(frozen=True, slots=True)
class SentinelDocument:
    """`sentinel.json`: the host around a trial and at its window's edges."""

    clk_tck: Positive
    cpus: Positive
    group: str  # kind of the control group that the trial was in; "" where none could be made
    why_no_group: str
    own_stat: bool  # /proc/stat is one that a container is given: it shows nothing of the host
    before: Gap
    begin: WindowEdge
    end: WindowEdge
    after: Gap
    usual_ns: Mapping[str, Size]  # a round in the middle one of the block's gaps until then
    irq_apart: bool | None = None  # the kernel keeps interrupts out of what a process used; None: not known


@dataclass(frozen=True, slots=True)
class TrialFile:
    """`trial.json`: what a trial was meant to be, as far as measuring needs it."""

    key: str
    settings: Mapping[str, Single]

    def __post_init__(self) -> None:
        """Refuse settings that are read as numbers and are none."""
        for name, (least, most) in _TIMES_S.items():
            value = self.settings.get(name, 0)
            if isinstance(value, bool | str) or not least <= value <= most:
                raise ValueError(f"has a setting {name} of {value!r:.40}")


_MAY_BE_EMPTY = ("window", "server", "load", "start")


def _nothing_is_absent(result: dict[str, Any]) -> dict[str, Any]:
    """Leave out what a trial that ended early has as null or as an empty object."""
    empty = {name for name in _MAY_BE_EMPTY if result.get(name, "") in (None, {})}
    server = result.get("server")
    unknown = {name for name in server if server[name] is None} if isinstance(server, dict) else set()
    if not empty and not unknown:
        return result
    known = {name: value for name, value in result.items() if name not in empty}
    if unknown and "server" in known:
        known["server"] = {name: value for name, value in known["server"].items() if name not in unknown}
    return known


RESULT = DocumentKind("result.json", Result, tidied=_nothing_is_absent)
HOST_EDGES = DocumentKind("host.json", HostEdges)
SENTINEL = DocumentKind("sentinel.json", SentinelDocument)
TRIAL = DocumentKind("trial.json", TrialFile)


def parse_result(data: bytes, *, where: str) -> Result:
    """Return `result.json`. Raise `StoreError` naming the field that is missing or wrong."""
    return RESULT.parse(data, where=where)


def read_result(path: Path) -> Result:
    """Return `result.json` at `path`. Raise `StoreError` if it cannot be read; see `parse_result`."""
    return parse_result(read(path), where=str(path))


def parse_host_edges(data: bytes, *, where: str) -> HostEdges:
    """Return `host.json`. Raise `StoreError` naming the field that is missing or wrong."""
    return HOST_EDGES.parse(data, where=where)


def parse_sentinel(data: bytes, *, where: str) -> SentinelDocument:
    """Return `sentinel.json`. Raise `StoreError` naming the field that is missing or wrong."""
    return SENTINEL.parse(data, where=where)


def parse_trial(data: bytes, *, where: str) -> TrialFile:
    """Return `trial.json`. Raise `StoreError` naming the field that is missing or wrong."""
    return TRIAL.parse(data, where=where)
