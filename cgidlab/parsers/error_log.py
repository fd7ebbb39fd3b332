"""httpd's error_log: what mod_cgid said, when, and how often. The only module that knows the forms of its lines.

Read are the trial's own format (docs/results.md) and the default formats of httpd
2.2 and 2.4, with and without microseconds. A message is counted under its AH
number; the texts of httpd 2.2, which has no numbers, under the number the same
text got in 2.4. The texts were read in mod_cgid.c and log.c of 2.2 and 2.4.68.

Memory is constant: one buffer, and the requests of the last minute or two.
"""

import re
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

RETRY = "AH01256"
TIMED_OUT = "Script timed out"  # the one message of interest that has no number
LISTED = (
    *(f"AH{n}" for n in ("01239", "01243", "01244", "01245", "01252", "01256", "01257", "01258")),
    *(f"AH{n}" for n in ("02833", "10245", "10246", "01259", "01260")),
    TIMED_OUT,
)
"""Messages that are always in `ErrorLog.messages`, with 0 if they were not found; others only if found."""

REFUSED, MISSING, OTHER = "111", "2", "other"  # errno of a retry: nobody listens, no such socket
_RETRY = RETRY.encode()
_ERRNOS = {b"111": REFUSED, b"2": MISSING}

_CHUNK = 1 << 21
_HEAD = 1 << 14  # of a line longer than a chunk; httpd itself cuts lines at 8 kB
_ZERO, _NINE = ord("0"), 9
_WORD, _MANTISSA_BITS, _EXPONENT_BIAS = 8, 52, 1023
_ROOM = 64  # behind a chunk: a look at a line's first bytes may reach past the last line
_KEEP_NS = 60_000_000_000  # a request's retries end within 32 s, so older requests cannot come again
_KEEP_REQUESTS = 100_000
_KEEP_MINUTES = 10_000

# A line is a time in brackets, of one of four widths, then another bracket:
# "[...] [cgid:debug] ..." or, in 2.2, "[...] [debug] ..."
_COLON_1, _COLON_2 = 14, 17  # offsets of the colons of the time of day, the same in all four
_NEWLINE, _OPEN, _CLOSE, _COLON = b"\n[]:"
_TAG = b"cgid:"
_TAG_AT = len("] [")  # behind the end of the time


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a line begins."""

    width: int  # offset of the bracket that closes the time
    ctime: bool  # "Mon Nov 23 15:04:05.123456 2026", else "2026-11-23 15:04:05.123456"
    microseconds: bool


_OF_22 = _Layout(25, ctime=True, microseconds=False)  # 2.4 writes it too, if told to
_LAYOUTS = (
    _Layout(27, ctime=False, microseconds=True),
    _Layout(32, ctime=True, microseconds=True),
    _OF_22,
    _Layout(20, ctime=False, microseconds=False),
)
# both begin behind "[time] "; possessive quantifiers because a line is matched in one way or not at all
_MODERN = re.compile(
    rb"\[cgid:\w++\] (?P<thread>\[pid [^\]\n]*+\] )?(?:\[request (?P<request>[^\]\n]*+)\] )?"
    rb"(?:[\w.]++\(\d++\): )?(?:-: )?(?:\((?P<errno>\d++)\)[^\[:\n]*+: )?"
    rb"(?:\[(?:client|remote) (?P<client>[^\]\n]*+)\] )?(?:(?P<number>AH\d{5}): )?"
    rb"(?:connect #(?P<attempt>\d{1,9}+) to cgi daemon failed|(?P<timed_out>Script timed out))?"
)
_TEXTS_OF_22 = {
    b"connect #": RETRY,
    b"unable to connect to cgi daemon after multiple tries": "AH01257",
    b"cgid daemon is gone; is Apache terminating?": "AH01258",
    b"cgid daemon process died, restarting": "AH01239",
    b"cgid daemon failed to initialize": "AH01238",
    b"Couldn't unlink unix domain socket ": "AH01240",
    b"Couldn't create unix domain socket": "AH01242",
    b"Couldn't bind unix domain socket ": "AH01243",
    b"Couldn't set permissions on unix domain socket ": "AH01244",
    b"Couldn't listen on unix domain socket": "AH01245",
    b"Couldn't change owner of unix domain socket ": "AH01246",
    b"Error accepting on cgid socket": "AH01247",
    b"Error reading request on cgid socket": "AH01248",
    b"CGI request received from wrong server instance": "AH01249",
    b"couldn't set child process attributes: ": "AH01251",
    b"couldn't create child process: ": "AH01252",  # mod_cgi of 2.2 writes the same words
    b"mod_cgid: Couldn't spawn cgid daemon process": "AH01253",
    b"unable to create socket to cgi daemon": "AH01255",
    b"CGI process ": "AH01259",
    b"daemon couldn't find CGI process for connection ": "AH01261",
    TIMED_OUT.encode(): TIMED_OUT,
}
_OLD = re.compile(
    rb"\[\w++\] (?:[\w.]++\(\d++\): )?(?:\[client (?P<client>[^\]\n]*+)\] )?(?:\((?P<errno>\d++)\)[^\[:\n]*+: )?(?:"
    rb"connect #(?P<attempt>\d{1,9}+) to cgi daemon failed"
    rb"|CGI process \d++ didn't exit, sending SIGKILL(?P<again> again)?"
    rb"|(?P<text>" + b"|".join(re.escape(t) for t in _TEXTS_OF_22 if t not in (b"connect #", b"CGI process ")) + rb"))"
)
# one of these is in every text of 2.2: finding them at once is faster than a pattern on each line
_NEEDLES_OF_22 = (b"cgi daemon", b"cgid", b"unix domain socket", b"CGI process", b"child process", TIMED_OUT.encode())


class Stream(Protocol):
    """What a scan reads from: a plain file, or one that is unpacked on the way."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill the buffer and return how many bytes, 0 at the end."""


@dataclass(frozen=True, slots=True)
class Window:
    """The stretch of time that counts as inside, in nanoseconds since 1970; `end_ns` is not part of it."""

    begin_ns: int | None = None  # None: from the beginning
    end_ns: int | None = None


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


def parse_error_log(
    path: Path, window: Window | None = None, *, zone: tzinfo = UTC, open_stream: "Opener | None" = None
) -> ErrorLog:
    """Return what mod_cgid said in a log, of any size. Times in the log are local to `zone`.

    Raise OSError if the file cannot be read. `open_stream` unpacks what is not plain text.
    """
    scan = _Scan(window or Window(), zone)
    with open_stream(path) if open_stream else path.open("rb", buffering=0) as stream:
        scan.read(stream)
    return scan.result()


class Opener(Protocol):
    """Opens a file as plain text."""

    def __call__(self, path: Path, /) -> AbstractContextManager[Stream]:
        """Return the stream; it is closed on leaving the context."""


class _Tally:
    """Counts of one stretch of time."""

    def __init__(self) -> None:
        self.messages: Counter[str] = Counter()
        self.by_errno: Counter[str] = Counter({REFUSED: 0, MISSING: 0, OTHER: 0})
        self.by_attempt: Counter[int] = Counter()
        self.requests = 0
        self._lines: list[tuple[bytes | None, bytes | None]] = []  # of the chunk being read
        self._recent: set[bytes] = set()
        self._older: set[bytes] = set()
        self._turned_ns = 0

    def retry(self, errno: bytes | None, attempt: bytes | None, request: bytes, time_ns: int) -> None:
        """Count one retry line."""
        self._lines.append((errno, attempt))
        if request in self._recent:
            return
        if abs(time_ns - self._turned_ns) > _KEEP_NS or len(self._recent) >= _KEEP_REQUESTS:
            self._older, self._recent, self._turned_ns = self._recent, set(), time_ns
        self.requests += request not in self._older
        self._recent.add(request)

    def settle(self) -> None:
        """Add up the lines noted since the last call."""
        for (errno, attempt), n in Counter(self._lines).items():
            self.messages[RETRY] += n
            self.by_errno[_ERRNOS.get(errno or b"", OTHER)] += n
            if attempt:
                self.by_attempt[int(attempt)] += n
        self._lines.clear()

    def result(self) -> Retries:
        """Return the counts as a value."""
        self.settle()
        return Retries(dict(self.by_errno), dict(sorted(self.by_attempt.items())), self.requests)


class _Scan:
    """One pass over a log."""

    def __init__(self, window: Window, zone: tzinfo) -> None:
        self._begin_ns, self._end_ns = window.begin_ns, window.end_ns
        self._zone = zone
        self._lines = self._unreadable = 0
        self._before, self._inside, self._after = _Tally(), _Tally(), _Tally()
        self._minutes: dict[bytes, int] = {}  # times are dear to read, and many lines share a minute
        self._layout = _LAYOUTS[0]

    def result(self) -> ErrorLog:
        """Return what was counted so far."""
        for tally in (self._before, self._inside, self._after):
            tally.settle()
        total = Counter(dict.fromkeys(LISTED, 0))
        for tally in (self._before, self._inside, self._after):
            total.update(tally.messages)
        inside = Counter(dict.fromkeys(LISTED, 0))
        inside.update(self._inside.messages)
        return ErrorLog(
            self._lines,
            self._unreadable,
            dict(sorted(total.items())),
            dict(sorted(inside.items())),
            self._before.result(),
            self._inside.result(),
            self._after.result(),
        )

    def read(self, stream: Stream) -> None:
        """Read to the end. Whatever a line's length, memory is that of the buffer."""
        buffer = bytearray(_CHUNK + _ROOM)
        view = memoryview(buffer)
        text = np.frombuffer(buffer, np.uint8)
        kept, skipping = 0, False
        while count := stream.readinto(view[kept:_CHUNK]):
            end = kept + count
            begin = 0
            if skipping:
                begin = buffer.find(b"\n", 0, end) + 1
                if not begin:
                    continue
                skipping = False
            last = buffer.rfind(b"\n", begin, end) + 1
            if last:
                self._chunk(buffer, text, begin, last)
            else:
                last = begin
            if last == 0 and end == _CHUNK:  # a line longer than the buffer: its head says all
                buffer[_HEAD] = _NEWLINE
                self._chunk(buffer, text, 0, _HEAD + 1)
                kept, skipping = 0, True
                continue
            kept = end - last
            view[:kept] = bytes(view[last:end])
        if kept and not skipping:  # a last line without its newline
            buffer[kept] = _NEWLINE
            self._chunk(buffer, text, 0, kept + 1)

    def _chunk(self, buffer: bytearray, text: NDArray[np.uint8], begin: int, end: int) -> None:
        """Count whole lines, a step of Python only for those that may be mod_cgid's."""
        ends = _newlines(text, begin, end)
        starts = np.empty_like(ends)
        starts[0] = begin
        starts[1:] = ends[:-1] + 1
        self._lines += len(ends)
        for layout in sorted(_LAYOUTS, key=lambda a: a is not self._layout):  # the one seen last first
            tag = layout.width + _TAG_AT
            known = ends - starts > tag
            places = ((0, _OPEN), (_COLON_1, _COLON), (_COLON_2, _COLON), (layout.width, _CLOSE), (tag - 1, _OPEN))
            for offset, byte in places:
                known &= text[starts + offset] == byte
            strange = np.flatnonzero(~known)
            if len(strange) == len(starts):
                continue
            self._layout = layout
            ours = np.flatnonzero(known & (text[starts + tag] == _TAG[0]))
            for offset, byte in enumerate(_TAG[1:], start=tag + 1):
                ours = ours[text[starts[ours] + offset] == byte]
            self._modern_lines(_lines(buffer, starts[ours], ends[ours]), layout)
            if layout is _OF_22:
                self._old_lines(buffer, begin, end)
            starts, ends = starts[strange], ends[strange]
            if not len(starts):
                break
        self._unreadable += len(starts)
        for tally in (self._before, self._inside, self._after):
            tally.settle()

    def _old_lines(self, buffer: bytearray, begin: int, end: int) -> None:
        """Count the messages of httpd 2.2, whose lines do not name their module."""
        found = set()
        for needle in _NEEDLES_OF_22:
            at = buffer.find(needle, begin, end)
            while at >= 0:
                stop = buffer.find(b"\n", at, end)
                found.add((max(buffer.rfind(b"\n", begin, at) + 1, begin), stop))
                at = buffer.find(needle, stop, end)
        head = _OF_22.width + len("] ")
        lines = [bytes(buffer[start:stop]) for start, stop in sorted(found)]
        matches = [(line, match) for line in lines if (match := _OLD.match(line, head)) and line[head - 2] == _CLOSE]
        for match, time_ns in zip(
            [m for _, m in matches], self._times_ns([line for line, _ in matches], _OF_22), strict=True
        ):
            if time_ns is None:
                self._unreadable += 1
                continue
            client, errno, attempt, again, text = match.groups()
            tally = self._tally(time_ns)
            if attempt:
                tally.retry(errno, attempt, client or b"", time_ns)
            else:
                tally.messages[_TEXTS_OF_22[text] if text else "AH01260" if again else "AH01259"] += 1

    def _modern_lines(self, lines: list[bytes], layout: _Layout) -> None:
        """Count lines that name the module."""
        head = layout.width + len("] ")
        for line, time_ns in zip(lines, self._times_ns(lines, layout), strict=True):
            match = _MODERN.match(line, head)
            if match is None or time_ns is None:
                self._unreadable += 1
                continue
            thread, request, errno, client, number, attempt, timed_out = match.groups()
            if number == _RETRY or (attempt and not number):
                if not request or request == b"-":
                    request = b"%b%b" % (thread or b"", client or b"")
                self._tally(time_ns).retry(errno, attempt, request, time_ns)
            elif number:
                self._tally(time_ns).messages[number.decode()] += 1
            elif timed_out:
                self._tally(time_ns).messages[TIMED_OUT] += 1

    def _tally(self, time_ns: int) -> _Tally:
        """Return the counts of the stretch that a moment lies in."""
        if self._begin_ns is not None and time_ns < self._begin_ns:
            return self._before
        if self._end_ns is not None and time_ns >= self._end_ns:
            return self._after
        return self._inside

    def _times_ns(self, lines: list[bytes], layout: _Layout) -> list[int | None]:
        """Return the lines' times in nanoseconds since 1970, None where there is no such moment.

        Digits are read for all lines at once; the calendar is asked once a minute.
        """
        if not lines:
            return []
        text = np.frombuffer(b"".join([line[: layout.width] for line in lines]), np.uint8).reshape(len(lines), -1)
        minute_at = [*range(5, 18), *range(layout.width - 4, layout.width)] if layout.ctime else range(1, 18)
        minutes = text[:, list(minute_at)]
        first = np.concatenate(([True], (minutes[1:] != minutes[:-1]).any(axis=1)))
        begins = [self._minute_s(bytes(row), layout) for row in minutes[first]]
        digits = text[:, [18, 19, *(range(21, 27) if layout.microseconds else ())]] - np.uint8(_ZERO)
        scale = np.array([10_000_000, 1_000_000, 100_000, 10_000, 1000, 100, 10, 1][: digits.shape[1]])
        within_ns = (digits * scale).sum(axis=1) * 1000
        valid: list[bool] = np.asarray((digits <= _NINE).all(axis=1)).tolist()
        return [
            None if begin is None or not ok else begin * 1_000_000_000 + ns
            for begin, ok, ns in zip(
                map(begins.__getitem__, (np.cumsum(first) - 1).tolist()), valid, within_ns.tolist(), strict=True
            )
        ]

    def _minute_s(self, minute: bytes, layout: _Layout) -> int | None:
        """Return when a minute began, in seconds since 1970."""
        begin_s = self._minutes.get(minute)
        if begin_s is None:
            form = "%b %d %H:%M:%Y" if layout.ctime else "%Y-%m-%d %H:%M:"
            try:
                # a log is in the zone of the host that wrote it: naive until here
                begin_s = int(datetime.strptime(minute.decode(), form).replace(tzinfo=self._zone).timestamp())
            except (ValueError, OverflowError):
                return None
            if len(self._minutes) >= _KEEP_MINUTES:
                self._minutes.clear()
            self._minutes[minute] = begin_s
        return begin_s


def _lines(buffer: bytearray, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> list[bytes]:
    view = memoryview(buffer)
    return [bytes(view[start:stop]) for start, stop in zip(starts.tolist(), ends.tolist(), strict=True)]


def _newlines(text: NDArray[np.uint8], begin: int, end: int) -> NDArray[np.int64]:
    """Return the offsets of the newlines of text[begin:end].

    Words of eight bytes without a newline, nearly all of them, are passed over at
    once; twice as fast as a look at every byte.
    """
    stop = -(-end // _WORD) * _WORD
    found = text[:stop] == _NEWLINE
    found[:begin] = False
    found[end:] = False
    words = found.view("<u8")
    at = np.flatnonzero(words != 0)
    values = words[at]
    if np.any(values & (values - np.uint64(1))):  # two in one word: lines this short are rare
        return np.flatnonzero(found)
    # a word is 2 to the power 8 x offset: its exponent as a float says where the one byte is
    exponent = (values.astype(np.float64).view(np.int64) >> _MANTISSA_BITS) - _EXPONENT_BIAS
    return np.asarray(at * _WORD + (exponent >> 3))
