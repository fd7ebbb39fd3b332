"""One pass over a log of any size in constant memory, a step of Python only for lines that may say something."""

from datetime import tzinfo
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from cgidlab.parsers.error_log import forms
from cgidlab.parsers.error_log.counts import LogCounts
from cgidlab.parsers.error_log.errnos import Errno
from cgidlab.parsers.error_log.forms import Layout
from cgidlab.parsers.error_log.ledger import Ledger, Message, Times
from cgidlab.parsers.error_log.looking import Looker
from cgidlab.parsers.error_log.messages import RETRY, TIMED_OUT
from cgidlab.parsers.error_log.times import NO_TIME, Calendar
from cgidlab.parsers.error_log.wrappings import HTTPD
from cgidlab.unpack import Stream

_CHUNK = 1 << 21
_HEAD = 1 << 14  # of a line longer than a chunk; httpd itself cuts lines at 8 kB
_ROOM = 64  # behind a chunk: a look at a line's first bytes may reach past the last line
_ZERO, _NINE = ord("0"), 9
_WORD, _MANTISSA_BITS, _EXPONENT_BIAS = 8, 52, 1023
_KEEP_TAGS, _KEEP_ERRORS = 12, 1000
_BOM = b"\xef\xbb\xbf"
# the eight bytes from the end of the time on: "] [" and the beginning of the module's name
_BRACKETS, _BRACKETS_MASK, _OURS, _COLONS, _COLONS_MASK = (
    np.uint64(int.from_bytes(word, "little"))
    for word in (b"] [", b"\xff\xff\xff", b"] [cgid:", b":\0\0:", b"\xff\0\0\xff")
)
_TRY_TAGS = 64  # new ones in a chunk


class Scan:
    """Counts what it reads, file after file. Times are nanoseconds since 1970; None for no bound."""

    def __init__(self, begin_ns: int | None, end_ns: int | None, zone: tzinfo) -> None:
        self._calendar = Calendar(zone, 0)
        self._ledger = Ledger(begin_ns, end_ns)
        self._looker = Looker(self._ledger, self._calendar)
        self._layout = forms.LAYOUTS[0]
        self._unasked: list[int] = []  # tags of modules of which nothing is asked, the latest first
        self._errors: dict[bytes, Errno] = {}  # by what stands behind the bracket

    def result(self) -> LogCounts:
        """Return what was counted so far."""
        return self._ledger.result()

    def read(self, stream: Stream, name: str, newest_s: float) -> None:
        """Read a file, which was written to last at `newest_s`, to the end.

        Whatever a line's length, memory is that of the buffer.
        """
        self._calendar.newest_s = newest_s
        with self._ledger.file(name):
            self._read(stream)

    def _read(self, stream: Stream) -> None:
        buffer = bytearray(_CHUNK + _ROOM)
        view = memoryview(buffer)
        text = np.frombuffer(buffer, np.uint8)
        words = np.ndarray(len(buffer) - _WORD + 1, "<u8", buffer, 0, (1,))  # eight bytes from each place on
        kept, skipping, first = 0, False, True
        while count := stream.readinto(view[kept:_CHUNK]):
            end = kept + count
            begin = 0
            if first and end >= len(_BOM):
                begin, first = len(_BOM) if buffer.startswith(_BOM) else 0, False
            if skipping:
                begin = buffer.find(b"\n", 0, end) + 1
                if not begin:
                    continue
                skipping = False
            last = buffer.rfind(b"\n", begin, end) + 1
            if last:
                self._chunk(buffer, text, words, begin, last)
            else:
                last = begin
            if last == 0 and end == _CHUNK:
                if not text[:_CHUNK].any():  # a hole, as copytruncate leaves it
                    kept = 1
                    continue
                buffer[_HEAD] = forms.NEWLINE  # a line longer than the buffer: its head says all
                self._chunk(buffer, text, words, 0, _HEAD + 1)
                self._ledger.cut_lines += 1
                kept, skipping = 0, True
                continue
            kept = end - last
            view[:kept] = bytes(view[last:end])
        if kept and not skipping:  # a last line without its newline
            buffer[kept] = forms.NEWLINE
            self._chunk(buffer, text, words, 0, kept + 1)

    def _chunk(
        self, buffer: bytearray, text: NDArray[np.uint8], words: NDArray[np.uint64], begin: int, end: int
    ) -> None:
        """Count whole lines."""
        ends = _newlines(text, begin, end)
        starts = np.empty_like(ends)
        starts[0] = begin
        starts[1:] = ends[:-1] + 1
        self._ledger.lines += len(ends)
        looked: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        for layout in sorted(forms.LAYOUTS, key=lambda a: a is not self._layout):  # the one seen last first
            known = ends - starts > layout.width + len("] [")
            tags = words[starts + layout.width]
            known &= text[starts] == forms.OPEN
            known &= (words[starts + forms.COLONS_AT] & _COLONS_MASK) == _COLONS
            known &= (tags & _BRACKETS_MASK) == _BRACKETS
            strange = np.flatnonzero(~known)
            if len(strange) == len(starts):
                continue
            self._layout = layout
            ours = np.flatnonzero(known & (tags == _OURS))
            silent = self._modern_lines(_lines(buffer, starts[ours], ends[ours]), layout)
            for tag in self._unasked:
                known &= tags != tag
            known[ours] = False
            known[ours[silent]] = True
            rest = np.flatnonzero(known)
            if len(rest):
                rest = rest[self._asked(buffer, starts[rest], tags[rest], layout)]
                looked.append((starts[rest], ends[rest]))
            self._ledger.kinds[HTTPD] += len(starts) - len(strange)
            starts, ends = starts[strange], ends[strange]
            if not len(starts):
                break
        for some_starts, some_ends in looked:
            self._looker.httpds(_lines(buffer, some_starts, some_ends + 1))
        if len(starts):
            self._looker.others(_lines(buffer, starts, ends + 1))

    def _asked(
        self, buffer: bytearray, starts: NDArray[np.int64], tags: NDArray[np.uint64], layout: Layout
    ) -> NDArray[np.bool_]:
        """Say which lines may be of a module that is asked about; remember the tags of those that are not."""
        asked = np.ones(len(starts), np.bool_)
        new, first = np.unique(tags, return_index=True)
        for tag, at in zip(new.tolist()[:_TRY_TAGS], first.tolist(), strict=False):
            found = forms.TAG.match(buffer, int(starts[at]) + layout.width + len("] "))
            if found and not found["module"].startswith(forms.ASKED_ABOUT):
                self._unasked = [tag, *self._unasked][:_KEEP_TAGS]
                asked &= tags != tag
        return asked

    def _modern_lines(self, lines: list[bytes], layout: Layout) -> list[int]:
        """Count lines that name the module; return which of them say nothing in the default order of fields."""
        messages: list[Message] = []
        silent = []
        errors = self._errors
        for i, match in enumerate(map(forms.MODERN.match, lines, repeat(layout.width + len("] ")))):
            if match is None:
                silent.append(i)
                continue
            thread, request, written, client, number, attempt, timed_out = match.groups()
            error = (errors.get(written) or self._error(written)) if written else None
            if number == b"AH01256" or (attempt and not number):
                who = request if request and request != b"-" else (thread, client)
                messages.append((RETRY, error, attempt, who))
            elif number or timed_out:
                messages.append((number.decode() if number else TIMED_OUT, error, None, None))
            else:
                silent.append(i)
        if silent:
            without = set(silent)
            lines = [line for i, line in enumerate(lines) if i not in without]
        if lines:
            self._ledger.count(messages, self._times_ns(lines, layout))
        return silent

    def _error(self, written: bytes) -> Errno:
        if len(self._errors) >= _KEEP_ERRORS:
            self._errors.clear()
        number, _, words = written.partition(b")")
        self._errors[written] = error = Errno(number, words)
        return error

    def _times_ns(self, lines: list[bytes], layout: Layout) -> Times:
        """Return the lines' times in nanoseconds since 1970, NO_TIME where there is no such moment.

        Digits are read for all lines at once; the calendar is asked once a minute.
        """
        text = np.frombuffer(b"".join([line[: layout.width] for line in lines]), np.uint8).reshape(len(lines), -1)
        minute_at = [*range(5, 18), *range(layout.width - 4, layout.width)] if layout.ctime else list(range(1, 18))
        minutes = text[:, minute_at]
        first = np.concatenate(([True], (minutes[1:] != minutes[:-1]).any(axis=1)))
        begins = np.array([self._calendar.read_ns(bytes(row), ctime=layout.ctime) for row in minutes[first]], np.int64)
        begin = begins[np.cumsum(first) - 1]
        digits = text[:, [18, 19, *(range(21, 27) if layout.microseconds else ())]] - np.uint8(_ZERO)
        scale = np.array([10_000_000, 1_000_000, 100_000, 10_000, 1000, 100, 10, 1][: digits.shape[1]])
        valid = (begin != NO_TIME) & (digits <= _NINE).all(axis=1)
        return np.where(valid, np.where(valid, begin, 0) + digits @ scale * 1000, NO_TIME)


def _lines(buffer: bytearray, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> list[bytes]:
    view = memoryview(buffer)
    return [bytes(view[start:stop]) for start, stop in zip(starts.tolist(), ends.tolist(), strict=True)]


def _newlines(text: NDArray[np.uint8], begin: int, end: int) -> NDArray[np.int64]:
    """Return the offsets of the newlines of text[begin:end].

    Words of eight bytes without a newline, nearly all of them, are passed over at
    once; twice as fast as a look at every byte.
    """
    stop = -(-end // _WORD) * _WORD
    found = text[:stop] == forms.NEWLINE
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
