"""Reads block.json and checks it: which keys it has and what they may say."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import Any, Mapping, Optional, Union

from .arrivals import Arrivals
from .drivers import DRIVERS
from .ending import BlockError
from .hooks import EVENTS
from .instruments import INSTRUMENTS
from .kernel import SYSCTLS
from .sut import SYSTEMS
from .sut.base import System

SCHEMA_VERSION = 2

Setting = Union[bool, int, float, str]

ACTIONS = tuple(sorted({name for system in SYSTEMS.values() for name in system.faults}))


@dataclass(frozen=True)
class Orderer:
    """The process that ordered the block, on whichever machine."""

    pid: int
    start_ticks: int
    boot_id: str


@dataclass(frozen=True)
class Fault:
    """What is done to the system under test in the window."""

    action: str
    at_s: float
    for_s: float
    every_s: float = 0.0  # from one begin to the next; 0: it comes once

    def moments(self, window_s: float) -> list[tuple[int, int]]:
        """Return each begin and end, counted from the window's begin; all of `every_s` after each begin is in it."""
        at_ns, for_ns, every_ns = (round(seconds * 1e9) for seconds in (self.at_s, self.for_s, self.every_s))
        count = (round(window_s * 1e9) - at_ns) // every_ns if every_ns else 1
        return [(at_ns + n * every_ns, at_ns + n * every_ns + for_ns) for n in range(count)]


@dataclass(frozen=True)
class NamedFile:
    """A file of this host, and what it has to hold."""

    path: str  # of a script: its name below /cgi-bin/
    sha256: str


@dataclass(frozen=True)
class RemoteLoad:
    """Load that other machines make: on which of this host's addresses they find the server, and who they are."""

    address: str
    margin_s: float  # that their load lasts longer than the window, before and after it
    sources: tuple[str, ...]  # the generators' addresses


@dataclass(frozen=True)
class TrialOrder:
    """One trial as the runner wants it."""

    number: int
    key: str
    system: System
    settings: Mapping[str, Setting]
    instruments: tuple[str, ...]
    directives: Mapping[str, str]  # by the setting, the directive of httpd.conf that it is the value of
    httpd_conf: str
    system_files: Mapping[str, str]  # by name, the own files of the system under test, with marks as in httpd.conf
    httpd_binary: str
    httpd_version: str
    module: str
    module_sha256: str
    port: int
    url_path: str
    fault: Optional[Fault]
    remote: Optional[RemoteLoad]  # None: the load is made here
    intervention_slot_s: Optional[float] = None  # how long each thing is held back in the window; None: nothing is
    scripts_dir: str = ""  # what /cgi-bin/ is; "": an older runner does not say
    slowed_dir: str = ""  # slower builds of scripts, by the same names
    script: Optional[NamedFile] = None  # what a path below /cgi-bin/ runs; None: no program of this host
    requests: Optional[NamedFile] = None  # what is asked for, a URI a line; None: url_path alone
    hooks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # the user's own programs, by when they run
    arrivals: Optional[Arrivals] = None  # of an open loop whose driver follows a schedule
    watched: bool = True  # in a pass that is not, only instruments that are factors observe, and free counters are read

    @property
    def name(self) -> str:
        """Return the name of the trial's directory and archive."""
        return f"{self.number:03d}"

    def text(self, option: str) -> str:
        """Return a setting that has to be there, as text."""
        return str(self.settings[option])

    def seconds(self, option: str) -> float:
        """Return a setting that has to be there, as a number."""
        return float(self.settings[option])

    def number_of(self, option: str) -> int:
        """Return a setting that has to be there, as a whole number."""
        return int(self.settings[option])

    @property
    def address(self) -> str:
        """Return the address that httpd listens on: loopback, unless somebody else makes the load."""
        return "127.0.0.1" if self.remote is None else self.remote.address


@dataclass(frozen=True)
class Block:
    """All trials that one process runs on this host, in their order."""

    number: int
    work_dir: str
    host_dir: Optional[str]  # of all blocks of this host, which run one at a time. None: nobody else's business
    server_user: str
    control: Optional[Orderer]
    lease_s: float
    tools: Mapping[str, Optional[str]]
    trials: tuple[TrialOrder, ...]
    generates: bool = False  # this host makes the load of trials whose server is elsewhere

    @property
    def blocks_dir(self) -> str:
        """Return the directory of all blocks that share what is made on this host: this one's where it is alone."""
        return self.work_dir if self.host_dir is None else self.host_dir


def read(path: str) -> Block:
    """Return the block in `path`; raise BlockError with what is wrong with it."""
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
    except (OSError, ValueError) as error:
        raise BlockError(f"cannot read {path}: {error}") from error
    try:
        return parse(data)
    except KeyError as error:
        raise BlockError(f"{path}: {error.args[0]} is missing") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise BlockError(f"{path}: {error}") from error


def parse(data: Mapping[str, Any]) -> Block:
    """Return the block that `data` describes; raise KeyError, TypeError or ValueError with what is wrong."""
    if data["schema_version"] != SCHEMA_VERSION:
        raise ValueError(f"schema_version is {data['schema_version']}, this program reads {SCHEMA_VERSION}")
    work_dir = str(data["work_dir"])
    if not os.path.isabs(work_dir):
        raise ValueError(f"work_dir is not an absolute path: {work_dir}")
    host_dir = data.get("host_dir")
    if host_dir is not None and os.path.dirname(os.path.normpath(work_dir)) != os.path.normpath(host_dir):
        raise ValueError(f"work_dir {work_dir} is not in host_dir {host_dir}")
    control = data.get("control")
    trials = tuple(_trial(t) for t in data["trials"])
    if len({t.number for t in trials}) != len(trials):
        raise ValueError("two trials have the same number")
    return Block(
        number=int(data["block"]),
        work_dir=work_dir,
        host_dir=None if host_dir is None else str(host_dir),
        server_user=str(data["server_user"]),
        control=None
        if control is None
        else Orderer(int(control["pid"]), int(control["start_ticks"]), str(control["boot_id"])),
        lease_s=float(data["lease_s"]),
        tools={name: None if path is None else _path(path) for name, path in data["tools"].items()},
        trials=trials,
        generates=bool(data.get("generates", False)),
    )


STATIC_PATH = "/static/hello"  # what httpd.conf has an Alias for
_QUERIES = {"sleep": "sleep_ms", "burn": "burn_ms", "bytes": "size_bytes"}
_NEEDED = (
    *SYSCTLS,
    "listen_backlog",
    "mpm",
    "workers",
    "threads_per_child",
    "tcp_backlog",
    "extra_directives",
    "driver",
    "loop",
    "clients",
    "rate",
    "isolation",
    "cgid_nice",
    "children",
    "warmup_s",
    "window_s",
)


def _trial(data: Mapping[str, Any]) -> TrialOrder:
    settings = dict(data["settings"])
    for option in _NEEDED:
        if option not in settings:
            raise KeyError(f"setting {option} of trial {data['number']}")
    if settings["isolation"] not in ("namespaces", "host"):
        raise ValueError(f"isolation is neither namespaces nor host: {settings['isolation']}")
    _known("driver", str(settings["driver"]), DRIVERS)
    instruments = tuple(str(name) for name in data["instruments"])
    for name in instruments:
        _known("instrument", name, INSTRUMENTS)
    directives = {str(option): str(name) for option, name in data["directives"].items()}
    for option in directives:
        if option not in settings:
            raise KeyError(f"setting {option} of trial {data['number']}")
    return TrialOrder(
        number=int(data["number"]),
        key=str(data["key"]),
        system=SYSTEMS[_known("system", str(data["system"]), SYSTEMS)],
        settings=settings,
        instruments=tuple(name for name in INSTRUMENTS if name in instruments),
        directives=directives,
        httpd_conf=str(data["httpd_conf"]),
        system_files=_files(data.get("system_files", {})),
        httpd_binary=str(data["httpd_binary"]),
        httpd_version=str(data["httpd_version"]),
        module=str(data["module"]),
        module_sha256=str(data["module_sha256"]),
        port=int(data.get("port", 8080)),
        url_path=str(data.get("url_path") or _url_path(settings)),
        fault=_fault(data.get("fault"), float(settings["window_s"])),
        remote=_remote(data.get("remote"), str(settings["isolation"])),
        intervention_slot_s=_slot_s(data.get("intervention_slot_s"), float(settings["window_s"])),
        scripts_dir=_path(data.get("scripts_dir", "")),
        slowed_dir=_path(data.get("slowed_dir", "")),
        script=_named(data.get("script"), "file"),
        requests=_named(data.get("requests"), "path"),
        hooks=_hooks(data.get("hooks", {})),
        arrivals=_arrivals(data.get("arrivals")),
        watched=bool(data.get("watched", True)),
    )


def _named(data: Optional[Mapping[str, Any]], key: str) -> Optional[NamedFile]:
    return None if data is None else NamedFile(_path(data[key]), str(data["sha256"]))


def _hooks(data: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    for event, words in data.items():
        _known("hook", event, dict.fromkeys(EVENTS))
        if not words or not all(isinstance(word, str) for word in words):
            raise ValueError(f"the hook {event} is no command")
    return {event: tuple(words) for event, words in data.items()}


def _known(what: str, name: str, registry: Mapping[str, object]) -> str:
    """Return a name that is in a registry; raise ValueError with those that are."""
    if name not in registry:
        raise ValueError(f"no {what} is called {name}: there are {', '.join(registry)}")
    return name


def _remote(data: Optional[Mapping[str, Any]], isolation: str) -> Optional[RemoteLoad]:
    if data is None:
        return None
    if isolation != "host":
        raise ValueError("other machines cannot reach a trial's own namespaces: isolation has to be host")
    return RemoteLoad(str(data["address"]), float(data["margin_s"]), tuple(str(a) for a in data["sources"]))


def _arrivals(data: Optional[Mapping[str, Any]]) -> Optional[Arrivals]:
    if data is None:
        return None
    return Arrivals(
        kind=str(data["kind"]),
        rate=float(data["rate"]),
        burst_requests=int(data["burst_requests"]),
        rate_from=float(data["rate_from"]),
        stages=tuple((float(rate), float(length_s)) for rate, length_s in data["stages"]),
        seed=str(data["seed"]),
        margin_s=float(data.get("margin_s", 0.0)),
        part=int(data.get("part", 0)),
        parts=int(data.get("parts", 1)),
    )


def _files(data: Mapping[str, Any]) -> dict[str, str]:
    """Return files by name; raise ValueError for a name that would lead out of their directory."""
    for name in data:
        if os.path.basename(name) != name or name in ("", ".", ".."):
            raise ValueError(f"{name!r} is no name of a file of the system under test")
    return {name: str(text) for name, text in data.items()}


def _path(value: Any) -> str:  # noqa: ANN401 -- JSON of any shape
    if not isinstance(value, str):
        raise TypeError(f"a path is not a string: {value!r}")
    return value


def _url_path(settings: Mapping[str, Setting]) -> str:
    """Return what the load asks for: the script, told in the query how long or how much, or a plain file."""
    script = str(settings.get("script", "hello"))
    if script == "static":
        return STATIC_PATH
    option = _QUERIES.get(script)
    return f"/cgi-bin/{script}" if option is None else f"/cgi-bin/{script}?{settings[option]}"


def _slot_s(value: Any, window_s: float) -> Optional[float]:  # noqa: ANN401 -- JSON of any shape
    if value is None:
        return None
    slot_s = float(value)
    if not 0 < 3 * slot_s <= window_s:
        raise ValueError(f"a window of {window_s} s has no three slots of {slot_s} s")
    return slot_s


def _fault(data: Optional[Mapping[str, Any]], window_s: float) -> Optional[Fault]:
    if data is None:
        return None
    fault = Fault(
        str(data["action"]), float(data["at_s"]), float(data.get("for_s") or 0), float(data.get("every_s") or 0)
    )
    if fault.action not in ACTIONS:
        raise ValueError(f"fault action {fault.action} is none of {', '.join(ACTIONS)}")
    if not 0 <= fault.at_s < window_s:
        raise ValueError(f"fault at {fault.at_s} s is outside the window of {window_s} s")
    if fault.every_s and not fault.for_s <= fault.every_s <= window_s - fault.at_s:
        raise ValueError(
            f"fault every {fault.every_s} s, for {fault.for_s} s, does not go into a window of {window_s} s"
        )
    return fault
