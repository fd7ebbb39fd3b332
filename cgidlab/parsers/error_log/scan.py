"""One pass over a log of any size in constant memory, a step of Python only for lines that may be mod_cgid's."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, tzinfo
from itertools import repeat
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cgidlab.parsers.error_log import forms
from cgidlab.parsers.error_log.counts import ErrorLog, Message, Tally
from cgidlab.parsers.error_log.forms import LISTED, RETRY, TIMED_OUT, Layout

_CHUNK = 1 << 21
_HEAD = 1 << 14  # of a line longer than a chunk; httpd itself cuts lines at 8 kB
_ROOM = 64  # behind a chunk: a look at a line's first bytes may reach past the last line
_KEEP_MINUTES = 10_000
_ZERO, _NINE = ord("0"), 9
_NO_TIME = np.iinfo(np.int64).min
_LATEST_S = 9_000_000_000  # what fits in 64 bits of nanoseconds
_WORD, _MANTISSA_BITS, _EXPONENT_BIAS = 8, 52, 1023

Times = NDArray[np.int64]


class Stream(Protocol):
    """What a scan reads from: a plain file, or one that is unpacked on the way."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill the buffer and return how many bytes, 0 at the end."""


class Scan:
    """Counts what it reads. Times are nanoseconds since 1970; None for no bound; `end_ns` is outside."""

    def __init__(self, begin_ns: int | None, end_ns: int | None, zone: tzinfo) -> None:
        self._begin_ns, self._end_ns = begin_ns, end_ns
        self._zone = zone
        self._lines = self._unreadable = 0
        self._before, self._inside, self._after = Tally(), Tally(), Tally()
        self._minutes: dict[bytes, int] = {}  # a calendar is dear to ask, and many lines share a minute
        self._layout = forms.LAYOUTS[0]

    def result(self) -> ErrorLog:
        """Return what was counted so far."""
        total, inside = Counter(dict.fromkeys(LISTED, 0)), Counter(dict.fromkeys(LISTED, 0))
        for tally in (self._before, self._inside, self._after):
            total.update(tally.messages)
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
                buffer[_HEAD] = forms.NEWLINE
                self._chunk(buffer, text, 0, _HEAD + 1)
                kept, skipping = 0, True
                continue
            kept = end - last
            view[:kept] = bytes(view[last:end])
        if kept and not skipping:  # a last line without its newline
            buffer[kept] = forms.NEWLINE
            self._chunk(buffer, text, 0, kept + 1)

    def _chunk(self, buffer: bytearray, text: NDArray[np.uint8], begin: int, end: int) -> None:
        """Count whole lines."""
        ends = _newlines(text, begin, end)
        starts = np.empty_like(ends)
        starts[0] = begin
        starts[1:] = ends[:-1] + 1
        self._lines += len(ends)
        for layout in sorted(forms.LAYOUTS, key=lambda a: a is not self._layout):  # the one seen last first
            tag = layout.width + forms.TAG_AT
            known = ends - starts > tag
            for offset, byte in (
                (0, forms.OPEN),
                (forms.COLON_1, forms.COLON),
                (forms.COLON_2, forms.COLON),
                (layout.width, forms.CLOSE),
                (tag - 1, forms.OPEN),
            ):
                known &= text[starts + offset] == byte
            strange = np.flatnonzero(~known)
            if len(strange) == len(starts):
                continue
            self._layout = layout
            ours = np.flatnonzero(known & (text[starts + tag] == forms.TAG[0]))
            for offset, byte in enumerate(forms.TAG[1:], start=tag + 1):
                ours = ours[text[starts[ours] + offset] == byte]
            self._modern_lines(_lines(buffer, starts[ours], ends[ours]), layout)
            if layout is forms.OF_22:
                self._old_lines(buffer, begin, end)
            starts, ends = starts[strange], ends[strange]
            if not len(starts):
                break
        self._unreadable += len(starts)

    def _modern_lines(self, lines: list[bytes], layout: Layout) -> None:
        """Count lines that name the module."""
        matches = list(map(forms.MODERN.match, lines, repeat(layout.width + len("] "))))
        messages: list[tuple[str, bytes | None, bytes | None, object] | None] = []
        for match in matches:
            if match is None:
                messages.append(None)
                continue
            thread, request, errno, client, number, attempt, timed_out = match.groups()
            if number == b"AH01256" or (attempt and not number):
                who = request if request and request != b"-" else (thread, client)
                messages.append((RETRY, errno, attempt, who))
            elif number:
                messages.append((number.decode(), None, None, None))
            else:
                messages.append((TIMED_OUT if timed_out else "", None, None, None))
        self._count(messages, self._times_ns(lines, layout))

    def _old_lines(self, buffer: bytearray, begin: int, end: int) -> None:
        """Count the messages of httpd 2.2, whose lines do not name their module."""
        found = set()
        for needle in forms.NEEDLES_OF_22:
            at = buffer.find(needle, begin, end)
            while at >= 0:
                stop = buffer.find(b"\n", at, end)
                found.add((max(buffer.rfind(b"\n", begin, at) + 1, begin), stop))
                at = buffer.find(needle, stop, end)
        head = forms.OF_22.width + len("] ")
        lines: list[bytes] = []
        messages: list[Message | None] = []
        for start, stop in sorted(found):
            line = bytes(buffer[start:stop])
            match = forms.OLD.match(line, head)
            if match is None or line[forms.OF_22.width] != forms.CLOSE:
                continue
            client, errno, attempt, again, text = match.groups()
            sigkill = "AH01260" if again else "AH01259"
            name = RETRY if attempt else forms.TEXTS_OF_22[text] if text else sigkill
            lines.append(line)
            messages.append(
                Message(name, errno, attempt, client or b"") if attempt else Message(name, None, None, None)
            )
        self._count(messages, self._times_ns(lines, forms.OF_22))

    def _count(
        self, messages: Sequence[tuple[str, bytes | None, bytes | None, object] | None], times_ns: Times
    ) -> None:
        """Count messages where their times put them; None, or without a time, is unreadable; "" is no message."""
        readable = times_ns != _NO_TIME
        before = readable & (times_ns < (self._begin_ns if self._begin_ns is not None else _NO_TIME))
        after = readable & ~before
        after &= times_ns >= self._end_ns if self._end_ns is not None else False
        for tally, those in (
            (self._before, before),
            (self._inside, readable & ~before & ~after),
            (self._after, after),
        ):
            at = np.flatnonzero(those)
            if len(at):
                some = messages if len(at) == len(messages) else [messages[i] for i in at.tolist()]
                kept = [m for m in some if m is not None]
                self._unreadable += len(some) - len(kept)
                tally.add(kept, int(times_ns[at[0]]))
        self._unreadable += int((~readable).sum())

    def _times_ns(self, lines: list[bytes], layout: Layout) -> Times:
        """Return the lines' times in nanoseconds since 1970, _NO_TIME where there is no such moment.

        Digits are read for all lines at once; the calendar is asked once a minute.
        """
        if not lines:
            return np.empty(0, np.int64)
        text = np.frombuffer(b"".join([line[: layout.width] for line in lines]), np.uint8).reshape(len(lines), -1)
        minute_at = [*range(5, 18), *range(layout.width - 4, layout.width)] if layout.ctime else list(range(1, 18))
        minutes = text[:, minute_at]
        first = np.concatenate(([True], (minutes[1:] != minutes[:-1]).any(axis=1)))
        begins = np.array([self._minute_ns(bytes(row), layout) for row in minutes[first]], np.int64)
        begin = begins[np.cumsum(first) - 1]
        digits = text[:, [18, 19, *(range(21, 27) if layout.microseconds else ())]] - np.uint8(_ZERO)
        scale = np.array([10_000_000, 1_000_000, 100_000, 10_000, 1000, 100, 10, 1][: digits.shape[1]])
        valid = (begin != _NO_TIME) & (digits <= _NINE).all(axis=1)
        return np.where(valid, np.where(valid, begin, 0) + digits @ scale * 1000, _NO_TIME)

    def _minute_ns(self, minute: bytes, layout: Layout) -> int:
        """Return when a minute began, _NO_TIME if there is no such minute."""
        begin_ns = self._minutes.get(minute)
        if begin_ns is None:
            form = "%b %d %H:%M:%Y" if layout.ctime else "%Y-%m-%d %H:%M:"
            try:
                # a log is in the zone of the host that wrote it: naive until here
                seconds = int(datetime.strptime(minute.decode(), form).replace(tzinfo=self._zone).timestamp())
            except (ValueError, OverflowError):
                return _NO_TIME
            if abs(seconds) > _LATEST_S:
                return _NO_TIME
            if len(self._minutes) >= _KEEP_MINUTES:
                self._minutes.clear()
            begin_ns = self._minutes[minute] = seconds * 1_000_000_000
        return begin_ns


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
