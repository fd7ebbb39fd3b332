"""What is known of one watched socket and what is concluded: values, and what follows from them without words."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from cgidlab.model import TrialRecord
from cgidlab.verdict import programs
from cgidlab.verdict.limits import Limit
from cgidlab.verdict.overflow import CellOverflow, Overflow
from cgidlab.verdict.retrying import RetriesSeen


class Came(StrEnum):
    """Whether anybody came to the queue while it was watched."""

    SOME = "some"
    NOBODY = "nobody"
    UNKNOWN = "unknown"  # connects could not be counted, and no sample met anybody


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of one watched socket beside its figures."""

    httpd: bool  # an httpd's cgid socket; False: another program's
    length_s: float
    events: tuple[str, ...]  # "the socket was replaced", with when
    stopped: bool  # the server was gone at the end
    unseen: Mapping[str, str]  # instrument and why it did not run
    log_level: str  # of mod_cgid's messages; "unknown"
    log: str  # path of the error_log that was read; empty: none
    reason: str  # why nothing was observed; empty when something was
    span: str = ""  # "from 12:00:00 to 12:00:10 UTC"
    process: str = ""  # name of the process that listens
    path: str = ""  # of the socket
    acceptors: int | None = None  # processes that accept from it
    acceptors_cpu: float | None = None  # cores that they used together
    acceptors_runq: float | None = None  # cores that they could have used and waited for
    somaxconn: int | None = None  # of the socket's network namespace

    @property
    def program(self) -> programs.ServerProgram:
        """Return what listens."""
        return programs.CGID if self.httpd else programs.program(self.process, self.path)


@dataclass(frozen=True, slots=True)
class SocketVerdict:
    """The answer for one socket."""

    overflow: Overflow
    cell: CellOverflow
    limits: tuple[Limit, ...]
    retries: RetriesSeen
    came: Came
    lines: tuple[str, str, str, str, str]

    @property
    def text(self) -> str:
        """Return the whole answer as one paragraph."""
        return " ".join(self.lines)


def queue_wait_ms(record: TrialRecord, length_s: float) -> float | None:
    """Return how long a connection waited in the queue on average, by Little's law: mean depth by those taken a second.

    An estimate, since the queue is sampled. None where connects were not counted or none was taken.
    """
    number, depth = taken(record), record.figures.queue_depth_mean
    return None if not number or depth is None or length_s <= 0 else 1000 * depth * length_s / number


def taken(record: TrialRecord) -> int | None:
    """Return how many connects found a place."""
    f = record.figures
    if f.connects is None:
        return None
    return f.connects - (f.connects_turned_away or 0) - (f.connects_refused or 0) - (f.connects_failed_other or 0)
