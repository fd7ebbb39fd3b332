"""What every instrument is: the base class, and what it is given and gives back."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

from cgidlab.arrays import Flags, Floats, Ints, np
from cgidlab.instruments.controls import Expectation
from cgidlab.instruments.gauges import Held, hold
from cgidlab.model import Check, Figures, Settings, skipped
from cgidlab.numeric_lines import ABSENT
from cgidlab.parsers.documents import InstrumentReport as State
from cgidlab.parsers.documents import Result, Span
from cgidlab.rundir import read

OFF = State("off", "", None)


@dataclass(frozen=True, slots=True)
class Series:
    """A figure over time: `times_s` counts from the window's begin; a None value was not observed.

    A gauge is given at the moment of its sample, a rate at the middle of the stretch it was counted over.
    """

    times_s: Sequence[float]
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Answered:
    """The requests of a trial that were answered in its window, and how long each had taken."""

    at_s: Floats  # of the answer, since the window's begin
    latency_ms: Floats
    window_s: float
    exact: bool  # False: a request's time is known to the second only


@dataclass(frozen=True, slots=True)
class TrialDetail:
    """What one trial's instruments saw over its window, as a report draws it. None: the instrument did not run."""

    queue_depth: Series | None = None
    queue_limit: int | None = None
    workers_in_connect: Series | None = None
    worker_states: Mapping[str, float] | None = None  # mean number of threads by `worker_states.STATES`


def together(parts: Iterable[TrialDetail]) -> TrialDetail:
    """Return what several instruments saw, as one."""
    known: dict[str, Any] = {}
    for part in parts:
        known |= {f.name: value for f in fields(part) if (value := getattr(part, f.name)) is not None}
    return TrialDetail(**known)


@dataclass(frozen=True, slots=True)
class Need:
    """What an instrument needs of a host: a row of `doctor`."""

    check: str
    probe: str  # key of what the helper's probe answers
    lost: str  # what cannot be seen without it, and what to do


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one trial left behind, for an instrument to read. Every reading that falls short is noted in `checks`."""

    directory: Path
    result: Result
    window: Span
    settings: Settings = field(default_factory=dict)
    requests: int | None = None  # of the load, in the window
    reloads: int = 0  # of httpd, in the window, each proved
    checks: list[Check] = field(default_factory=list)

    def data(self, name: str, file: str) -> bytes | None:
        """Return an instrument's file, None if it did not run; its absence although it ran is noted."""
        if self.result.instruments.get(name, OFF).state != "ran":
            return None
        path = self.directory / "instruments" / file
        if not path.exists():
            self.note(name, f"{file} is missing although the instrument ran")
            return None
        return read(path)

    def edges(self, name: str, file: str) -> bytes | None:
        """Return what an instrument read at the window's edges; in an unwatched pass that is all of it."""
        if self.result.instruments.get(name, OFF).state != "edges":
            return self.data(name, file)
        path = self.directory / "instruments" / file
        return read(path) if path.exists() else None

    def note(self, name: str, reason: str) -> None:
        """Record that an instrument says less than it should."""
        self.checks.append(skipped(name, reason))

    def held(self, name: str, times_ns: Ints) -> Held | None:
        """Return how long each sample stood for; too few are noted."""
        held = hold(times_ns, self.window)
        if held is None:
            self.note(name, "its samples cover less than 90 % of the window")
        return held

    def inside(self, times_ns: Ints) -> Flags:
        """Return which moments are in the window."""
        return np.asarray((times_ns >= self.window.begin_ns) & (times_ns < self.window.end_ns))

    def series(self, times_ns: Ints, values: Ints) -> Series:
        """Return the samples of the window."""
        inside = self.inside(times_ns)
        times: list[float] = ((times_ns[inside] - self.window.begin_ns) / 1e9).tolist()
        return Series(times, [None if v == ABSENT else float(v) for v in values[inside].tolist()])

    def where(self, file: str) -> str:
        """Return the path of an instrument's file, for complaints."""
        return str(self.directory / "instruments" / file)


class Instrument(ABC):
    """Something that observes a trial, as the control machine knows it: what its files say.

    To add one:

    1. A module here, named as the instrument: a subclass with `name` and `figures()`, and a function that parses its
       file. Files lie in `instruments/` of a trial's directory; `Evidence.data` reads one if the instrument ran.
       `figures()` returns what it knows and no more: a figure whose samples do not cover the window, or whose
       events were lost, stays None, and `Evidence.note` says why. A file that is not what its header should say is
       a `StoreError`. The registry is this folder; the subclass is also the option by which an experiment turns it on
       or off, with the first line of its docstring as what is said of it.
    2. Its half on the host: a module of the same name in roles/trial/files/cgidhost/instruments/. A program that has
       to be installed for it is named in roles/instruments/vars/main.yml.
    3. Its figures in `cgidlab/figures.py`, with its name as their source; `python -m scripts.write_docs`.
    4. docs/instruments.md: what it proves, how it can lie, what it costs.

    Everything else is asked of this class: `measure` loops over the registry for figures, `report` for `detail()`,
    `calibrate` for `expectations` and `cost_row`, `observe` for `observes`, `doctor` for `needs`.
    tests/contract/test_registries.py walks the registry and says what was forgotten.
    """

    name: ClassVar[str]
    optional: ClassVar[bool] = True  # an experiment turns it on or off; False: it is always there
    on_by_default: ClassVar[bool] = True
    observes: ClassVar[bool] = True  # a server that runs, without touching it
    cost_row: ClassVar[str] = ""  # of a calibration's observer effect: those of one name are on together; "": in none
    expectations: ClassVar[tuple[Expectation, ...]] = ()  # what it must show in controls, if a verdict rests on it
    needs: ClassVar[tuple[Need, ...]] = ()

    @abstractmethod
    def figures(self, evidence: Evidence) -> Figures:
        """Return what it knows of a trial's window. Raise `StoreError` for a file that is not what it should be."""

    def detail(self, evidence: Evidence) -> TrialDetail:
        """Return what it saw over the window, for a report to draw."""
        del evidence
        return TrialDetail()

    def unpack(self, directory: Path) -> None:
        """Write the file that a trial would have, where watching a server sends another form of it home."""
        del directory
