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
        self._recent: set[bytes] = set()
        self._older: set[bytes] = set()
        self._turned_ns = 0

    def retry(self, errno: bytes | None, attempt: bytes, request: bytes, time_ns: int) -> None:
        """Count one retry line."""
        self.by_errno[_ERRNOS.get(errno or b"", OTHER)] += 1
        if attempt:
            self.by_attempt[int(attempt)] += 1
        if request in self._recent:
            return
        if abs(time_ns - self._turned_ns) > _KEEP_NS or len(self._recent) >= _KEEP_REQUESTS:
            self._older, self._recent, self._turned_ns = self._recent, set(), time_ns
        self.requests += request not in self._older
        self._recent.add(request)

    def result(self) -> Retries:
        """Return the counts as a value."""
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
            for start, stop in zip(starts[ours].tolist(), ends[ours].tolist(), strict=True):
                self._modern_line(bytes(buffer[start:stop]), layout)
            if layout is _OF_22:
                self._old_lines(buffer, begin, end)
            starts, ends = starts[strange], ends[strange]
            if not len(starts):
                return
        self._unreadable += len(starts)

    def _old_lines(self, buffer: bytearray, begin: int, end: int) -> None:
        """Count the messages of httpd 2.2, whose lines do not name their module."""
        lines = set()
        for needle in _NEEDLES_OF_22:
            at = buffer.find(needle, begin, end)
            while at >= 0:
                stop = buffer.find(b"\n", at, end)
                lines.add((max(buffer.rfind(b"\n", begin, at) + 1, begin), stop))
                at = buffer.find(needle, stop, end)
        for start, stop in sorted(lines):
            line = bytes(buffer[start:stop])
            match = _OLD.match(line, _OF_22.width + len("] "))
            if not match or line[_OF_22.width : _OF_22.width + 1] != b"]":
                continue
            client, errno, attempt, again, text = match.groups()
            if attempt:
                self._count(line, _OF_22, RETRY, (errno, attempt, client or b""))
            else:
                last_resort = "AH01260" if again else "AH01259"
                self._count(line, _OF_22, _TEXTS_OF_22[text] if text else last_resort)

    def _modern_line(self, line: bytes, layout: _Layout) -> None:
        """Count a line that names the module."""
        match = _MODERN.match(line, layout.width + len("] "))
        if match is None:
            self._unreadable += 1
            return
        thread, request, errno, client, number, attempt, timed_out = match.groups()
        if number == _RETRY or (attempt and not number):
            if not request or request == b"-":
                request = b"%b%b" % (thread or b"", client or b"")
            self._count(line, layout, RETRY, (errno, attempt or b"", request))
        elif number:
            self._count(line, layout, number.decode())
        else:
            self._count(line, layout, TIMED_OUT if timed_out else None)

    def _count(
        self, line: bytes, layout: _Layout, name: str | None, retry: tuple[bytes | None, bytes, bytes] | None = None
    ) -> None:
        """Count a message where its time puts it, or the line as unreadable if it has no such time."""
        time_ns = self._time_ns(line, layout)
        if time_ns is None:
            self._unreadable += 1
            return
        if name is None:
            return
        if self._begin_ns is not None and time_ns < self._begin_ns:
            tally = self._before
        elif self._end_ns is not None and time_ns >= self._end_ns:
            tally = self._after
        else:
            tally = self._inside
        tally.messages[name] += 1
        if retry:
            tally.retry(*retry, time_ns)

    def _time_ns(self, line: bytes, layout: _Layout) -> int | None:
        """Return a line's time in nanoseconds since 1970, None if there is no such date."""
        minute = line[5:18] + line[layout.width - 4 : layout.width] if layout.ctime else line[1:18]
        begin_s = self._minutes.get(minute)
        second, fraction = line[18:20], line[21:27] if layout.microseconds else b"0"
        if not (second.isdigit() and fraction.isdigit()):
            return None
        if begin_s is None:
            form = "%b %d %H:%M:%Y" if layout.ctime else "%Y-%m-%d %H:%M:"
            try:
                # a log is in the zone of the host that wrote it: naive until here
                moment = datetime.strptime(minute.decode(), form).replace(tzinfo=self._zone)
                begin_s = int(moment.timestamp())
            except (ValueError, OverflowError):
                return None
            if len(self._minutes) >= _KEEP_MINUTES:
                self._minutes.clear()
            self._minutes[minute] = begin_s
        return (begin_s + int(second)) * 1_000_000_000 + int(fraction) * 1000


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
