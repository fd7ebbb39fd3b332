"""The JSON documents of a trial's directory, checked: result, readback, host and trial (docs/results.md)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from cgidlab.errors import StoreError
from cgidlab.model import SCHEMA_VERSION, FailureKind, Scalar, Settings, Status
from cgidlab.numeric_lines import read

_LARGEST = 2**63  # fs.file-max is one less where nobody set it

InstrumentState = Literal["ran", "unavailable", "off"]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time on CLOCK_MONOTONIC; `end_ns` is not part of it."""

    begin_ns: int
    end_ns: int

    @property
    def length_s(self) -> float:
        """Return its length in seconds."""
        return (self.end_ns - self.begin_ns) / 1e9


@dataclass(frozen=True, slots=True)
class Clock:
    """Both clocks of the host, read at one moment."""

    realtime_ns: int
    monotonic_ns: int

    def to_realtime_ns(self, monotonic_ns: int) -> int:
        """Return the same moment as nanoseconds since 1970."""
        return monotonic_ns + self.realtime_ns - self.monotonic_ns


@dataclass(frozen=True, slots=True)
class Phase:
    """A named stretch of a trial."""

    name: str
    span: Span


@dataclass(frozen=True, slots=True)
class Server:
    """The httpd of a trial. None: not known when the trial ended."""

    cgid_pid: int | None
    cgid_pid_at_end: int | None
    version: str
    socket: str  # path of the cgid socket, empty where there is none


@dataclass(frozen=True, slots=True)
class Load:
    """The load generator of a trial."""

    driver: str
    argv: tuple[str, ...]
    exit_code: int | None
    timed_out: bool


@dataclass(frozen=True, slots=True)
class Instrument:
    """Whether an instrument observed the trial, and what it cost."""

    state: InstrumentState
    reason: str
    cpu_ns: int | None


@dataclass(frozen=True, slots=True)
class Result:
    """`result.json`: how a trial ended on its host. `server` and `load` are None if it ended before them."""

    key: str
    ended: Status
    reason: str
    kind: FailureKind | None
    clock: Clock
    phases: tuple[Phase, ...]
    window: Span | None
    server: Server | None
    load: Load | None
    instruments: Mapping[str, Instrument]
    start_lag_ns: int | None = None  # of a generator: how long after the agreed start its load began


@dataclass(frozen=True, slots=True)
class ReadbackCheck:
    """One setting: what the trial names and what the host says."""

    name: str
    want: str
    found: str
    ok: bool


@dataclass(frozen=True, slots=True)
class Readback:
    """`readback.json`."""

    ok: bool
    checks: tuple[ReadbackCheck, ...]


@dataclass(frozen=True, slots=True)
class HostEdges:
    """`host.json`: counters and gauges of the host at the window's edges; None where not to be had."""

    cpus: int
    clk_tck: int
    begin: Mapping[str, float | None]
    end: Mapping[str, float | None]

    def rise(self, name: str) -> float | None:
        """Return by how much a counter rose in the window, None if either reading is missing."""
        first, last = self.begin.get(name), self.end.get(name)
        return None if first is None or last is None else last - first


@dataclass(frozen=True, slots=True)
class TrialFile:
    """`trial.json`: what a trial was meant to be, as far as measuring needs it."""

    key: str
    settings: Settings


class _Fields:
    """A JSON object whose fields are read by name and type; every complaint names file and field."""

    def __init__(self, value: object, where: str, name: str = "") -> None:
        self._where, self._name = where, name
        if not isinstance(value, dict):
            raise self.error("is not an object")
        self._value = cast("dict[str, Any]", value)

    def error(self, what: str, field: str = "") -> StoreError:
        """Return the error that says what is wrong with a field, or with the object itself."""
        path = ".".join(p for p in (self._name, field) if p)
        return StoreError(f"{path} {what}" if path else f"the document {what}", where=self._where)

    def __contains__(self, field: str) -> bool:
        return field in self._value

    def names(self) -> tuple[str, ...]:
        """Return the names of the fields there are."""
        return tuple(self._value)

    def raw(self, field: str) -> object:
        """Return a field that must be there."""
        if field not in self._value:
            raise self.error("is missing", field)
        return self._value[field]

    def text(self, field: str) -> str:
        """Return a string."""
        value = self.raw(field)
        if not isinstance(value, str):
            raise self.error("is not text", field)
        return value

    def whole(self, field: str) -> int:
        """Return a whole number."""
        value = self.raw(field)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.error("is not a whole number", field)
        if abs(value) > _LARGEST:
            raise self.error("is larger than a clock or counter can be", field)
        return value

    def whole_or_none(self, field: str) -> int | None:
        """Return a whole number, None if the field is null or not there."""
        return None if self._value.get(field) is None else self.whole(field)

    def flag(self, field: str) -> bool:
        """Return true or false."""
        value = self.raw(field)
        if not isinstance(value, bool):
            raise self.error("is not true or false", field)
        return value

    def inside(self, field: str) -> "_Fields":
        """Return an object in a field."""
        return _Fields(self.raw(field), self._where, ".".join(p for p in (self._name, field) if p))

    def list_of(self, field: str) -> list[object]:
        """Return a list."""
        value = self.raw(field)
        if not isinstance(value, list):
            raise self.error("is not a list", field)
        return value

    def objects(self, field: str) -> "list[_Fields]":
        """Return the objects of a list."""
        return [_Fields(v, self._where, f"{field}[{i}]") for i, v in enumerate(self.list_of(field))]

    def numbers(self, field: str) -> dict[str, float | None]:
        """Return an object of numbers and nulls."""
        inner = self.inside(field)
        values = {name: inner.raw(name) for name in inner.names()}
        for name, value in values.items():
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _LARGEST:
                raise inner.error("is not a number", name)
        return cast("dict[str, float | None]", values)


def parse_result(data: bytes, *, where: str) -> Result:
    """Return `result.json`. Raise `StoreError` naming the field that is missing or wrong."""
    top = _document(data, where)
    clock, kind, ended = top.inside("clock"), top.raw("kind"), top.text("ended")
    if ended not in tuple(Status):
        raise top.error(f"is {ended!r}", "ended")
    if kind is not None and kind not in tuple(FailureKind):
        raise top.error(f"is {kind!r}", "kind")
    instruments = top.inside("instruments")
    return Result(
        key=top.text("key"),
        ended=Status(ended),
        reason=top.text("reason"),
        kind=None if kind is None else FailureKind(cast("str", kind)),
        clock=Clock(clock.whole("realtime_ns"), clock.whole("monotonic_ns")),
        phases=tuple(Phase(p.text("name"), _span(p)) for p in top.objects("phases")),
        window=_span(top.inside("window")) if _there(top, "window") else None,
        server=_server(top.inside("server")) if _there(top, "server") else None,
        load=_load(top.inside("load")) if _there(top, "load") else None,
        instruments={name: _instrument(instruments.inside(name)) for name in instruments.names()},
        start_lag_ns=_start_lag_ns(top.inside("start")) if _there(top, "start") else None,
    )


def read_result(path: Path) -> Result:
    """Return `result.json` at `path`. Raise `StoreError` if it cannot be read; see `parse_result`."""
    return parse_result(read(path), where=str(path))


def parse_readback(data: bytes, *, where: str) -> Readback:
    """Return `readback.json`. Raise `StoreError` naming the field that is missing or wrong."""
    top = _document(data, where)
    return Readback(
        top.flag("ok"),
        tuple(
            ReadbackCheck(c.text("name"), c.text("want"), c.text("found"), c.flag("ok")) for c in top.objects("checks")
        ),
    )


def parse_host_edges(data: bytes, *, where: str) -> HostEdges:
    """Return `host.json`. Raise `StoreError` naming the field that is missing or wrong."""
    top = _document(data, where)
    return HostEdges(top.whole("cpus"), top.whole("clk_tck"), top.numbers("begin"), top.numbers("end"))


def parse_trial(data: bytes, *, where: str) -> TrialFile:
    """Return `trial.json`. Raise `StoreError` naming the field that is missing or wrong."""
    top = _document(data, where)
    settings = top.inside("settings")
    values = {name: settings.raw(name) for name in settings.names()}
    for name, value in values.items():
        if not isinstance(value, bool | int | float | str):
            raise settings.error("is not a single value", name)
    return TrialFile(top.text("key"), cast("dict[str, Scalar]", values))


def _document(data: bytes, where: str) -> _Fields:
    try:
        top = _Fields(json.loads(data), where)
    except (ValueError, RecursionError) as err:
        raise StoreError(f"this is not JSON: {err}", where=where) from err
    version = top.whole("schema_version")
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"schema_version is {version}; this program reads up to {SCHEMA_VERSION}",
            where=where,
            fix="use the version of cgidlab that wrote it, or a newer one",
        )
    if version < 1:
        raise top.error(f"is {version}", "schema_version")
    return top


def _there(top: _Fields, field: str) -> bool:
    """Say whether a field holds something: a trial that ended early leaves null or an empty object."""
    return field in top and top.raw(field) not in (None, {})


def _span(fields: _Fields) -> Span:
    span = Span(fields.whole("begin_ns"), fields.whole("end_ns"))
    if span.end_ns < span.begin_ns:
        raise fields.error("ends before it begins")
    return span


def _start_lag_ns(fields: _Fields) -> int:
    return fields.whole("began_ns") - fields.whole("agreed_ns")


def _server(fields: _Fields) -> Server:
    return Server(
        fields.whole_or_none("cgid_pid"),
        fields.whole_or_none("cgid_pid_at_end"),
        fields.text("version") if _there(fields, "version") else "",
        fields.text("socket") if _there(fields, "socket") else "",
    )


def _load(fields: _Fields) -> Load:
    argv = fields.list_of("argv")
    if not all(isinstance(a, str) for a in argv):
        raise fields.error("is not a list of texts", "argv")
    return Load(
        fields.text("driver"),
        tuple(cast("list[str]", argv)),
        fields.whole_or_none("exit_code"),
        fields.flag("timed_out"),
    )


def _instrument(fields: _Fields) -> Instrument:
    state = fields.text("state")
    if state not in ("ran", "unavailable", "off"):
        raise fields.error(f"is {state!r}", "state")
    return Instrument(cast("InstrumentState", state), fields.text("reason"), fields.whole_or_none("cpu_ns"))
