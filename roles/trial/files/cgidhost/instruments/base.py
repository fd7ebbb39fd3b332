"""What an instrument is, and how to add one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, ClassVar, Mapping, Optional

from ..ending import TrialEnd, Unavailable
from ..process import Program, read_text

if TYPE_CHECKING:
    from ..server import Server
    from ..waiting import Patience

State = Mapping[str, object]
_STOP_S = 5.0
_INTERRUPT = 2
_INTERRUPTED = (0, -_INTERRUPT, 128 + _INTERRUPT)


@dataclass(frozen=True)
class Scene:
    """What the instruments of a trial may look at, and where they write."""

    directory: str
    tools: Mapping[str, Optional[str]]  # path of each program that was provided, None where it cannot be had
    kept: Mapping[str, object]  # by instrument, what its `keep` returned
    server: Optional[Server]  # None on a generator, where an instrument sees the host alone
    load_pid: Optional[int] = None  # the driver's, once it runs on this host

    @property
    def the_server(self) -> Server:
        """Return the trial's server; raise Unavailable on a generator."""
        if self.server is None:
            raise Unavailable("the server is on another machine")
        return self.server


class Instrument:
    """Something that observes a trial. Each is the one such class of a module here, and bears its name.

    To add one, copy a file, and choose how it observes:

    - `Gauge` is read many times a second into `NAME.csv`, in one process with all other gauges: give it `columns`,
      `period_ns`, `read`, and `prepared`, which makes it (cgid_daemon.py is the shortest).
    - `Attached` is a program that runs beside the server: give it `program`, `arguments` and `is_ready` (strace.py).
    - Either may add `at_edge`, read at the begin and the end of the window into `NAME.json` (host.py).

    What reads its file, and the option that turns it on, is a module of the same name in cgidlab/instruments. A program
    that it needs is named in roles/instruments/vars/main.yml.

    Whatever cannot run raises `Unavailable` with a reason, which ends that instrument and not the trial. Nothing is
    replaced by something dearer: whoever wants that asks for it by name.
    """

    name: str
    needs_queue: ClassVar[bool] = False  # has nothing to look at where the system under test has none
    needs_daemon: ClassVar[bool] = False  # same, where no single process accepts from it
    on_generators: ClassVar[bool] = False  # has something to look at where the load is made
    free_at_edges: ClassVar[bool] = False  # what it reads there costs the window nothing: read in unwatched passes too

    @classmethod
    def why_not(cls, scene: Scene) -> str:
        """Return why it cannot run in this trial, '' where nothing is known against it."""
        if scene.server is None:
            return ""
        system = scene.server.system
        return (cls.needs_queue and system.why_no_queue) or (cls.needs_daemon and system.why_no_daemon) or ""

    @classmethod
    def keep(cls, kept: object, prefix: str, *, wanted: bool) -> object:
        """Return what the block's process keeps for the next trial, whose sockets begin with `prefix`.

        For what takes longer to attach than a trial should wait; `kept` is what the
        last call returned, None at first.
        """
        del kept, prefix, wanted
        return None

    @classmethod
    def at_edge(cls, scene: Scene) -> Optional[dict[str, Any]]:
        """Return what is read once at an edge of the window; None: nothing is."""
        del scene
        return None

    @classmethod
    def edges_document(cls, begin: Mapping[str, Any], end: Mapping[str, Any]) -> dict[str, Any]:
        """Return what `NAME.json` says of what was read at both edges."""
        raise NotImplementedError

    @classmethod
    def probes(cls) -> Mapping[str, Callable[[], str]]:
        """Return what `cgidhost probe` tries of the host on its behalf, by the answer's name.

        Each is called in a process of its own and returns why the instrument cannot run, '' where it can; it may
        raise OSError.
        """
        return {}


class Gauge(Instrument):
    """Something read many times a second into one CSV file."""

    columns: str = ""  # the CSV header, after monotonic_ns
    period_ns: int

    @classmethod
    def prepared(cls, scene: Scene) -> Callable[[], Gauge]:
        """Return what makes the gauge in the sampler's process; called in the trial's, which may look at more."""
        raise NotImplementedError

    def __init__(self, directory: str) -> None:
        """Open the file; a subclass raises Unavailable where it cannot run."""
        path = os.path.join(directory, f"{self.name}.csv")
        self._file_fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        self._lines = [self.header()]
        self.cpu_ns = 0
        self.samples = 0
        self.missed = 0

    def header(self) -> str:
        """Return the file's first line."""
        return f"monotonic_ns,{self.columns}\n"

    def read(self) -> str:
        """Return the fields of one row, without its time."""
        raise NotImplementedError

    def more(self) -> dict[str, Any]:
        """Return what else result.json should say of this instrument."""
        return {}

    def watch_load(self, pid: int) -> None:
        """Take note of the driver's process, once it runs on this host."""

    def sample(self, now_ns: int) -> None:
        """Add one row."""
        self._lines.append(f"{now_ns},{self.read()}\n")
        self.samples += 1

    def flush(self) -> None:
        """Write out what was gathered; raise OSError."""
        data = "".join(self._lines).encode()
        self._lines.clear()
        while data:
            data = data[os.write(self._file_fd, data) :]

    def finish(self) -> None:
        """Write the rest."""
        self.flush()
        os.close(self._file_fd)


class Attached(Instrument):
    """A program that runs beside the server from before the load until after it."""

    program: ClassVar[str]

    @classmethod
    def why_not(cls, scene: Scene) -> str:
        """Return, besides, that the program is not there."""
        there = scene.tools.get(cls.program) is not None
        return super().why_not(scene) or ("" if there else f"{cls.program} is not installed")

    def __init__(self, scene: Scene) -> None:
        """Start the program; raise Unavailable where it cannot be."""
        self._said = os.path.join(scene.directory, f"{self.name}.stderr")
        try:
            self._running = Program([str(scene.tools[self.program]), *self.arguments(scene)], self._said, self._said)
        except TrialEnd as error:
            raise Unavailable(error.reason) from error

    def arguments(self, scene: Scene) -> list[str]:
        """Return the program's arguments."""
        raise NotImplementedError

    def is_ready(self) -> bool:
        """Say whether it observes by now."""
        raise NotImplementedError

    def wait_until_ready(self, patience: Patience, timeout_s: float) -> None:
        """Return once it observes; raise Unavailable with its own words where it ends before, or takes too long."""

        def ready() -> bool:
            if self._running.exit_code() is not None:
                with open(self._said, encoding="utf-8", errors="replace") as file:
                    raise Unavailable(file.read(300).strip() or f"{self.program} ended")
            return self.is_ready()

        try:
            patience.until(f"{self.program} attaching", ready, timeout_s)
        except TrialEnd as error:
            if error.kind != "timeout":
                raise
            self._running.kill()
            raise Unavailable(error.reason) from error

    def stop(self) -> State:
        """End it, so that its file is complete, and return the entry for result.json."""
        self._running.kill(_INTERRUPT)
        code = self._running.reap(_STOP_S)
        reason = "" if code in _INTERRUPTED else f"{self.program} ended with {code}"
        return {"state": "ran", "reason": reason, "cpu_ns": None}


def reads(path: str) -> Callable[[], str]:
    """Return what tries to read a file of /proc, for `probes`."""

    def probe() -> str:
        read_text(path)
        return ""

    return probe


def read_again(fd: int, limit: int = 4096) -> bytes:
    """Return a /proc file's present text through a descriptor that stays open; raise OSError when its process ended."""
    return os.pread(fd, limit, 0)
