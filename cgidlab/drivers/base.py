"""What every driver is: the base class, and the rows and totals that all of them are read into."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from cgidlab.arrays import Flags, Ints, np
from cgidlab.model import LoopKind
from cgidlab.numeric_lines import check_rows, pieces

UNKNOWN = 0  # status of a request whose log does not say
FAILED = 400  # the first status that is no success
MAX_STATUS = 999


@dataclass(frozen=True, slots=True)
class Requests:
    """Every answered request a driver logged, warm-up included where it logs that."""

    start_us: Ints  # since 1970
    status: Ints
    latency_us: Ints
    exact: bool  # False: starts are known to the second only
    timed: bool = True  # False: only when each was answered is known; `start_us` is that, and `latency_us` is 0

    @property
    def end_us(self) -> Ints:
        """Return when each was answered; to the second where `exact` is False."""
        return self.start_us + self.latency_us

    @property
    def latencies_us(self) -> Ints:
        """Return how long each took; none where that is not known."""
        return self.latency_us if self.timed else self.latency_us[:0]

    def within(self, span_us: tuple[int, int]) -> "Requests":
        """Return those answered in a span; without exact starts, those that began in it."""
        at = self.end_us if self.exact else self.start_us
        begin, end = self.span(span_us)
        inside = (at >= begin) & (at < end)
        return Requests(self.start_us[inside], self.status[inside], self.latency_us[inside], self.exact, self.timed)

    def span(self, span_us: tuple[int, int]) -> tuple[int, int]:
        """Return a span as its requests can be cut to it: without exact starts, at the nearest whole seconds."""
        if self.exact:
            return span_us
        begin, end = (round(edge / 1_000_000) * 1_000_000 for edge in span_us)
        return begin, end

    @property
    def failed(self) -> Flags:
        """Return which got an answer that is no success."""
        return self.status >= FAILED


def read_pieces(path: Path, parse: Callable[[bytes], Requests]) -> Requests:
    """Return the rows of a log of any size, parsed in pieces. Raise `StoreError` if it cannot be read."""
    parts = [parse(b"")]
    count = 0
    for piece in pieces(path):
        parts.append(parse(piece))
        count += len(parts[-1].status)
        check_rows(count, path)
    start, status, latency = (
        np.concatenate([getattr(p, name) for p in parts]) for name in ("start_us", "status", "latency_us")
    )
    return Requests(start, status, latency, parts[0].exact, parts[0].timed)


@dataclass(frozen=True, slots=True)
class Sendings:
    """Every request that a driver sent by a schedule, answered or not."""

    due_us: Ints  # since 1970
    lag_us: Ints  # by how much later it was sent

    def within(self, span_us: tuple[int, int]) -> "Sendings":
        """Return those that were due in a span."""
        inside = (self.due_us >= span_us[0]) & (self.due_us < span_us[1])
        return Sendings(self.due_us[inside], self.lag_us[inside])


@dataclass(frozen=True, slots=True)
class Totals:
    """What a driver says at its end that it did while it logged."""

    done: int  # requests answered or given up
    unanswered: int  # of these, those without an answer: they have no row


class Driver(ABC):
    """A program that makes load, as the control machine knows it: what it can do, and what its output says.

    To add one:

    1. A module here, named as the program: a subclass, and a function that parses its log. The registry is this
       folder. Say of it what is true: `exact` only if a row can be placed to the
       microsecond on its host's clock, `timed` only if each row says how long that very request took. Percentiles
       that a program computes itself are not taken: they are over its warm-up too, and some are not measured.
    2. Its command line: a module of the same name in roles/trial/files/cgidhost/drivers/.
    3. Its name among the choices of roles/load. A package of another name than its program's, and an option other than
       --version, are said in roles/load/vars/main.yml.
    4. docs/instruments.md, "Driver (rows)": what its log leaves out, and how it can lie.

    What a driver cannot do is refused before a run (`design.plan`), and an unknown one is an error with its name.
    tests/contract/test_registries.py walks the registry and says what was forgotten.
    """

    name: ClassVar[str]
    loops: ClassVar[frozenset[LoopKind]]
    rate_step: ClassVar[int] = 1  # an open loop's rate has to be a multiple of it
    schedules: ClassVar[bool] = (
        False  # in an open loop it sends each request at a moment that it was given: any arrivals
    )
    exact: ClassVar[bool]
    timed: ClassVar[bool] = True
    many_paths: ClassVar[bool] = False  # asks for one URI of a list after the other, whichever client is next
    why_one_path: ClassVar[str] = ""  # where it does not: what it does
    can_be_slowed: ClassVar[bool] = False  # in a closed loop it uses CPU time of its own where it is told to

    @property
    def merges(self) -> bool:
        """Say whether the logs of several of them, on machines with different clocks, make one."""
        return self.exact

    @abstractmethod
    def requests(self, path: Path) -> Requests:
        """Return the rows of its log. Raise `StoreError` for a file that is not what it should be."""

    def sendings(self, rows: Path) -> Sendings | None:
        """Return what it logged beside its rows of when requests were due and sent, None if it keeps no schedule."""
        del rows
        return None

    def totals(self, stdout: bytes) -> Totals | None:
        """Return what it printed at its end, None if it did not come so far or prints none."""
        del stdout
        return None

    def unanswered(self, argv: Sequence[str], rows: int) -> int:
        """Return how many requests have no row, where it printed no totals."""
        del argv, rows
        return 0

    def clients(self, argv: Sequence[str]) -> int | None:
        """Return how many clients its command line asks for, None if it does not say."""
        return int(argv[argv.index("-c") + 1]) if "-c" in argv[:-1] else None

    def path(self, argv: Sequence[str]) -> str | None:
        """Return the one path that its command line asks for, without its query; None where it asks for many."""
        return next((urlsplit(word).path for word in argv if word.startswith("http")), None)

    def rate(self, argv: Sequence[str]) -> float | None:
        """Return the rate a second that its command line asks for, None for a closed loop."""
        del argv
        return None
