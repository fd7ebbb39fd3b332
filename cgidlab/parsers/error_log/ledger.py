"""What messages and events are gathered in while a log is read: bounded, whatever the log names."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cgidlab.parsers.error_log.counts import MISSING, OTHER, REFUSED, LogCounts, LogFile, Retries
from cgidlab.parsers.error_log.errnos import Errno
from cgidlab.parsers.error_log.messages import LISTED, RETRY, Said, event_of
from cgidlab.parsers.error_log.timeline import Timeline
from cgidlab.parsers.error_log.times import NO_TIME
from cgidlab.parsers.error_log.wrappings import HEADING, OTHERS, STRANGE

_ERRNOS = {b"111": REFUSED, b"2": MISSING}
_RETRY_KINDS = {"ECONNREFUSED": "retry_refused", "ENOENT": "retry_missing"}
_KEEP_NS = 60_000_000_000  # a request's retries end within 32 s, so older requests cannot come again
_KEEP_REQUESTS = 100_000
_KEEP_KEYS = 1000  # of what a log may name at will: numbers, sockets, attempts
_SECOND_NS = 1_000_000_000
_NO_SECOND = NO_TIME // _SECOND_NS
_EXAMPLE = 300

Told = tuple[str, Errno | None, bytes | None]  # a `Said` of a message without its request: name, error, attempt
Times = NDArray[np.int64]
Codes = NDArray[np.int64]
_T = TypeVar("_T")


class Numbered(dict[_T, int]):
    """Numbers what it is asked for in the order in which that came first."""

    def __missing__(self, key: _T) -> int:
        """Return the next number."""
        self[key] = number = len(self)
        return number


class Tally:
    """Counts of one stretch of time, in constant memory."""

    def __init__(self) -> None:
        self.messages: Counter[str] = Counter()
        self.errors: Counter[tuple[str, Errno]] = Counter()
        self._by_errno: Counter[str] = Counter({REFUSED: 0, MISSING: 0, OTHER: 0})
        self._by_attempt: Counter[int] = Counter()
        self._requests = 0
        self._recent: set[object] = set()
        self._older: set[object] = set()
        self._turned_ns = 0

    def add(self, told: Sequence[Told], codes: Codes, who: Sequence[object], time_ns: int, times: int = 1) -> None:
        """Count messages, written from `time_ns` on: message i is told[codes[i]], of the request who[i] if a retry."""
        for (name, error, attempt), n in zip(told, np.bincount(codes, minlength=len(told)).tolist(), strict=True):
            if not n:
                continue
            n *= times  # noqa: PLW2901 -- the same count, of lines that came several times
            self.messages[name] += n
            if error and ((name, error) in self.errors or len(self.errors) < _KEEP_KEYS):
                self.errors[name, error] += n
            if name == RETRY:
                self._by_errno[_ERRNOS.get(error.number if error else b"", OTHER)] += n
                if attempt and (int(attempt) in self._by_attempt or len(self._by_attempt) < _KEEP_KEYS):
                    self._by_attempt[int(attempt)] += n
        if abs(time_ns - self._turned_ns) > _KEEP_NS or len(self._recent) >= _KEEP_REQUESTS:
            self._older, self._recent, self._turned_ns = self._recent, set(), time_ns
        seen = set(who).difference(self._recent, (None,))
        self._requests += len(seen - self._older)
        self._recent |= seen

    def result(self) -> Retries:
        """Return the counts of the retries as a value."""
        return Retries(dict(self._by_errno), dict(sorted(self._by_attempt.items())), self._requests)


class Ledger:
    """All that was counted so far. Times are nanoseconds since 1970; None for no bound; `end_ns` is outside."""

    def __init__(self, begin_ns: int | None, end_ns: int | None) -> None:
        self._begin_ns, self._end_ns = begin_ns, end_ns
        self._before, self._inside, self._after, self._untimed = Tally(), Tally(), Tally(), Tally()
        self._queue_full: Counter[str] = Counter()
        self._first_ns, self._last_ns = -NO_TIME - 1, NO_TIME
        self.lines = self.cut_lines = 0
        self.kinds: Counter[str] = Counter()
        self.example = b""
        self.other = b""  # a line of another program
        self.files: list[LogFile] = []
        self.timeline = Timeline()

    @contextmanager
    def file(self, name: str) -> Iterator[None]:
        """Count what is read within as a file's."""
        lines, example, understood = self.lines, self.example, self._understood()
        self.example = self.other = b""
        yield
        read = self.lines - lines
        self.files.append(LogFile(name, read, read == 0 or self._understood() > understood, self.example or self.other))
        self.example = example or self.example

    def _understood(self) -> int:
        return sum(n for kind, n in self.kinds.items() if kind not in (STRANGE, OTHERS, HEADING))

    def result(self) -> LogCounts:
        """Return what was counted so far."""
        tallies = (self._before, self._inside, self._after, self._untimed)
        total, inside = Counter(dict.fromkeys(LISTED, 0)), Counter(dict.fromkeys(LISTED, 0))
        by_errno: dict[str, dict[Errno, int]] = {}
        for tally in tallies:
            total.update(tally.messages)
            for (name, error), n in tally.errors.items():
                counts = by_errno.setdefault(name, {})
                counts[error] = counts.get(error, 0) + n
        inside.update(self._inside.messages)
        return LogCounts(
            self.lines,
            self.cut_lines,
            self.kinds[STRANGE] + self.kinds[OTHERS],
            dict(sorted(total.items())),
            dict(sorted(inside.items())),
            self._before.result(),
            self._inside.result(),
            self._after.result(),
            sum(self._untimed.messages.values()),
            {kind: n for kind, n in self.kinds.most_common() if n},
            self.example,
            tuple(self.files),
            by_errno,
            dict(self._queue_full),
            self.timeline,
            (self._first_ns, self._last_ns) if self._last_ns != NO_TIME else None,
        )

    def add_lines(self, lines: Sequence[bytes], kinds: Sequence[str]) -> None:
        """Count lines by their kind; the first one that says something and is not understood is the example."""
        self.kinds.update(kinds)
        if not self.example and STRANGE in kinds:
            some = (line for line, kind in zip(lines, kinds, strict=True) if kind == STRANGE)
            self.example = next((line[:_EXAMPLE] for line in some if line.strip(b" \t\r\n\0")), b"")
        if not self.other and OTHERS in kinds:
            self.other = lines[kinds.index(OTHERS)][:_EXAMPLE]

    def count(self, told: Sequence[Told], codes: Codes, who: Sequence[object], times_ns: Times, times: int = 1) -> None:
        """Count messages where their times put them: message i is told[codes[i]], of the request who[i] if a retry."""
        timed = times_ns != NO_TIME
        if self._begin_ns is None and self._end_ns is None:
            self._inside.add(told, codes, who, int(times_ns[0]), times)
        else:
            before = timed & (times_ns < (NO_TIME if self._begin_ns is None else self._begin_ns))
            after = timed & ~before & (times_ns >= (-NO_TIME - 1 if self._end_ns is None else self._end_ns))
            for tally, those in (
                (self._before, before),
                (self._inside, timed & ~before & ~after),
                (self._after, after),
                (self._untimed, ~timed),
            ):
                at = np.flatnonzero(those)
                if len(at):
                    some = who if len(at) == len(who) else [who[i] for i in at.tolist()]
                    tally.add(told, codes[at], some, int(times_ns[at[0]]), times)
        kinds = Numbered[str]()
        kind = np.array([kinds[_event(name, error)] for name, error, _ in told])[codes]
        seconds = times_ns // _SECOND_NS
        names = list(kinds)
        for (k, second), n in Counter(zip(kind.tolist(), seconds.tolist(), strict=True)).items():
            if names[k]:
                self.timeline.add(names[k], None if second == _NO_SECOND else second, n * times)
        self._seen(times_ns[timed])

    def happened(self, said: Said, time_ns: int, times: int = 1) -> None:
        """Count an event that is none of the messages."""
        self.timeline.add(said.kind, None if time_ns == NO_TIME else time_ns // _SECOND_NS, times)
        if said.socket is not None and (said.socket in self._queue_full or len(self._queue_full) < _KEEP_KEYS):
            self._queue_full[said.socket] += times
        self._seen(np.array([] if time_ns == NO_TIME else [time_ns], np.int64))

    def _seen(self, times_ns: Times) -> None:
        if len(times_ns):
            self._first_ns = min(self._first_ns, int(times_ns.min()))
            self._last_ns = max(self._last_ns, int(times_ns.max()))


def _event(name: str, error: Errno | None) -> str:
    """Return the kind of event that a message is, "" for none."""
    return _RETRY_KINDS.get(error.name if error else "", "retry_other") if name == RETRY else event_of(name)
