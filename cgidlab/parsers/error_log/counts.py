"""Counts of mod_cgid's messages: the values a log is turned into, and what they are gathered in."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cgidlab.parsers.error_log.forms import RETRY

REFUSED, MISSING, OTHER = "111", "2", "other"  # errno of a retry: nobody listens, no such socket

_ERRNOS = {b"111": REFUSED, b"2": MISSING}
_KEEP_NS = 60_000_000_000  # a request's retries end within 32 s, so older requests cannot come again
_KEEP_REQUESTS = 100_000


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
class ErrorLog:
    """What a log holds."""

    lines: int
    unreadable_lines: int  # no time in a known form at its beginning
    messages: Mapping[str, int]
    messages_inside: Mapping[str, int]
    before: Retries
    inside: Retries
    after: Retries


class Message(NamedTuple):
    """One line of mod_cgid. A plain tuple: there may be millions."""

    name: str
    errno: bytes | None
    attempt: bytes | None
    request: object  # tells requests apart; None for what is no retry


class Tally:
    """Counts of one stretch of time, in constant memory."""

    def __init__(self) -> None:
        self.messages: Counter[str] = Counter()
        self._by_errno: Counter[str] = Counter({REFUSED: 0, MISSING: 0, OTHER: 0})
        self._by_attempt: Counter[int] = Counter()
        self._requests = 0
        self._recent: set[object] = set()
        self._older: set[object] = set()
        self._turned_ns = 0

    def add(self, messages: Sequence[tuple[str, bytes | None, bytes | None, object]], time_ns: int) -> None:
        """Count some `Message`s, written from `time_ns` on. An empty name is none of the messages."""
        for (name, errno, attempt), n in Counter([m[:3] for m in messages]).items():
            if name:
                self.messages[name] += n
            if name == RETRY:
                self._by_errno[_ERRNOS.get(errno or b"", OTHER)] += n
                if attempt:
                    self._by_attempt[int(attempt)] += n
        if abs(time_ns - self._turned_ns) > _KEEP_NS or len(self._recent) >= _KEEP_REQUESTS:
            self._older, self._recent, self._turned_ns = self._recent, set(), time_ns
        seen = {m[3] for m in messages} - self._recent - {None}
        self._requests += len(seen - self._older)
        self._recent |= seen

    def result(self) -> Retries:
        """Return the counts of the retries as a value."""
        return Retries(dict(self._by_errno), dict(sorted(self._by_attempt.items())), self._requests)
