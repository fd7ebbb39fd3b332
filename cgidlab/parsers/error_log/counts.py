"""What a log says, counted: the values that it is turned into."""

from collections.abc import Mapping
from dataclasses import dataclass

from cgidlab.parsers.error_log import errnos
from cgidlab.parsers.error_log.errnos import Errno
from cgidlab.parsers.error_log.messages import RETRY
from cgidlab.parsers.error_log.timeline import Timeline

REFUSED, MISSING, OTHER = "111", "2", "other"  # errno of a retry as Linux has it: nobody listens, no such socket


@dataclass(frozen=True, slots=True)
class Retries:
    """The retry lines (AH01256) of one stretch of time."""

    by_errno: Mapping[str, int]  # "111", "2", "other": always all three
    by_attempt: Mapping[int, int]  # "connect #3 to cgi daemon failed": 3
    requests: int  # distinct: by request id, or by process, thread and client where none is logged

    @property
    def total(self) -> int:
        """Return the number of retry lines."""
        return sum(self.by_errno.values())


@dataclass(frozen=True, slots=True)
class LogFile:
    """One of the files that were read."""

    name: str
    lines: int
    recognised: bool  # at least one line is of a known kind, or there is none
    example: bytes  # the first line that is not understood


@dataclass(frozen=True, slots=True)
class LogCounts:
    """What a log holds, or several in order of time.

    `messages` are all, `messages_inside` those within the window; one that bears no time is
    inside only where there is no window.
    """

    lines: int
    cut_lines: int  # longer than the buffer: only their beginnings were read
    unreadable_lines: int  # of no known kind
    messages: Mapping[str, int]
    messages_inside: Mapping[str, int]
    before: Retries
    inside: Retries
    after: Retries
    untimed: int  # messages without a time, which a window cannot be cut for
    kinds: Mapping[str, int]  # lines by what they are
    example: bytes  # the first line that is not understood, or the beginning of it
    files: tuple[LogFile, ...]  # in the order they were read
    by_errno: Mapping[str, Mapping[Errno, int]]  # of each message
    queue_full: Mapping[str, int]  # other listeners' full queues, by socket; "" where the line does not name it
    timeline: Timeline
    times_ns: tuple[int, int] | None  # of the first and the last message or event

    @property
    def recognised(self) -> bool:
        """Say whether each file has a line of a known kind; an empty one hides nothing."""
        return all(file.recognised for file in self.files)

    @property
    def refused_retries(self) -> int:
        """Return the retries after a refusal, by any system's number."""
        return self.errors_named(RETRY, errnos.REFUSED)

    @property
    def system(self) -> str:
        """Return whose errno these look like, "" if they do not say."""
        return errnos.system(e for counts in self.by_errno.values() for e in counts)

    def errors_named(self, message: str, name: str) -> int:
        """Return how often a message came with an error of this name."""
        return sum(n for e, n in self.by_errno.get(message, {}).items() if e.name == name)
