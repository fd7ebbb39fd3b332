"""One pass over a log of any size in constant memory, a step of Python only for lines that may say something."""

from datetime import tzinfo
from itertools import repeat
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from cgidlab.parsers.error_log import forms
from cgidlab.parsers.error_log.counts import LogCounts
from cgidlab.parsers.error_log.errnos import Errno
from cgidlab.parsers.error_log.forms import Layout
from cgidlab.parsers.error_log.ledger import Ledger, Numbered, Times, Told
from cgidlab.parsers.error_log.lines import HEAD, Heads
from cgidlab.parsers.error_log.looking import Looker
from cgidlab.parsers.error_log.messages import RETRY, TIMED_OUT
from cgidlab.parsers.error_log.times import NO_TIME, Calendar
from cgidlab.parsers.error_log.wrappings import HTTPD
from cgidlab.unpack import Stream

_CHUNK = 1 << 21
_PIECE = 1 << 20  # read at once: it stays near the processor while it is looked through
_GATHER = 2000  # messages of one minute, which are cheaper counted together
_MOST = 1 << 13  # lines that are looked at together, however short they are
_HEAD = 1 << 14  # of a line longer than a chunk; httpd itself cuts lines at 8 kB
_ZERO, _NINE = ord("0"), 9
_KEEP_TAGS = 12
_BOM = b"\xef\xbb\xbf"
# the eight bytes from the end of the time on: "] [" and the beginning of the module's name
_BRACKETS, _BRACKETS_MASK, _OURS = (
    np.uint64(int.from_bytes(word, "little")) for word in (b"] [", b"\xff\xff\xff", b"] [cgid:")
)
_TRY_TAGS = 64  # new ones in a chunk
_SAYING = itemgetter(2, 4, 5, 6)  # of the groups of `forms.MODERN`: error, number, attempt, timed_out


Parts = tuple[bytes | None, ...]


class Scan:
    """Counts what it reads, file after file. Times are nanoseconds since 1970; None for no bound."""

    def __init__(self, begin_ns: int | None, end_ns: int | None, zone: tzinfo) -> None:
        self._calendar = Calendar(zone, 0)
        self._ledger = Ledger(begin_ns, end_ns)
        self._looker = Looker(self._ledger, self._calendar)
        self._layout = forms.LAYOUTS[0]
        # of the messages that were found and not yet counted: layout and minute, what they say, their lines' heads
        self._gathered = self._layout, b""
        self._found: list[Parts] = []
        self._heads: list[NDArray[np.uint8]] = []
        self._unasked: list[int] = []  # tags of modules of which nothing is asked, the latest first

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
            self._count_gathered()

    def _read(self, stream: Stream) -> None:
        lines = Heads(_CHUNK)
        buffer, view = lines.data, lines.view
        kept, skipping, first = 0, False, True
        while count := stream.readinto(view[kept : min(kept + _PIECE, _CHUNK)]):
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
                self._chunk(lines, begin, last)
            else:
                last = begin
            if last == 0 and end == _CHUNK:
                if lines.is_zero(end):  # a hole, as copytruncate leaves it
                    kept = 1
                    continue
                buffer[_HEAD] = forms.NEWLINE  # a line longer than the buffer: its head says all
                self._chunk(lines, 0, _HEAD + 1)
                self._ledger.cut_lines += 1
                kept, skipping = 0, True
                continue
            kept = end - last
            view[:kept] = bytes(view[last:end])
        if kept and not skipping:  # a last line without its newline
            buffer[kept] = forms.NEWLINE
            self._chunk(lines, 0, kept + 1)

    def _chunk(self, lines: Heads, begin: int, end: int) -> None:
        """Count whole lines."""
        starts, ends = lines.find(begin, end)
        self._ledger.lines += len(ends)
        for i in range(0, len(ends), _MOST):
            self._lines(lines, starts[i : i + _MOST], ends[i : i + _MOST])

    def _lines(self, lines: Heads, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> None:
        looked: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        for layout in sorted(forms.LAYOUTS, key=lambda a: a is not self._layout):  # the one seen last first
            heads = lines.heads(starts)
            tags = np.ndarray(len(heads), "<u8", heads, layout.width, (HEAD,)).copy()
            known = ends - starts > layout.width + len("] [")
            known &= (tags & _BRACKETS_MASK) == _BRACKETS
            for offset, byte in forms.MARKS:
                known &= heads[:, offset] == byte
            count = int(np.count_nonzero(known))
            if not count:
                continue
            self._layout = layout
            self._ledger.kinds[HTTPD] += count
            strange = np.flatnonzero(~known) if count < len(known) else np.empty(0, np.int64)
            ours = np.flatnonzero(known & (tags == _OURS))
            begins = starts[ours] + (layout.width + len("] "))
            silent = self._modern_lines(lines.data, begins, ends[ours], heads[ours], layout)
            for tag in self._unasked:
                known &= tags != tag
            known[ours] = False
            known[ours[silent]] = True
            rest = np.flatnonzero(known)
            if len(rest):
                rest = rest[self._asked(lines, starts[rest], tags[rest], layout)]
                looked.append((starts[rest], ends[rest]))
            starts, ends = starts[strange], ends[strange]
            if not len(starts):
                break
        if looked or len(starts):
            self._count_gathered()  # what stands before it comes first
        for some_starts, some_ends in looked:
            self._looker.httpds(lines.cut(some_starts, some_ends + 1))
        if len(starts):
            self._looker.others(lines.cut(starts, ends + 1))

    def _asked(
        self, lines: Heads, starts: NDArray[np.int64], tags: NDArray[np.uint64], layout: Layout
    ) -> NDArray[np.bool_]:
        """Say which lines may be of a module that is asked about; remember the tags of those that are not."""
        asked = np.ones(len(starts), np.bool_)
        new, first = np.unique(tags, return_index=True)
        for tag, at in zip(new.tolist()[:_TRY_TAGS], first.tolist(), strict=False):
            found = forms.TAG.match(lines.data, int(starts[at]) + layout.width + len("] "))
            if found and not found["module"].startswith(forms.ASKED_ABOUT):
                self._unasked = [tag, *self._unasked][:_KEEP_TAGS]
                asked &= tags != tag
        return asked

    def _modern_lines(
        self,
        data: bytearray,
        begins: NDArray[np.int64],
        ends: NDArray[np.int64],
        heads: NDArray[np.uint8],
        layout: Layout,
    ) -> list[int]:
        """Gather lines that name the module; return which of them say nothing in the default order of fields."""
        matches = map(forms.MODERN.match, repeat(data), begins.tolist(), ends.tolist())
        found = [match.groups() for match in matches if match]  # it matches any line
        silent = [i for i, (_, _, _, _, number, attempt, late) in enumerate(found) if not (number or attempt or late)]
        if silent:
            without = set(silent)
            found = [groups for i, groups in enumerate(found) if i not in without]
            heads = np.delete(heads, silent, 0)
        if found:
            first, last = bytes(heads[0, : forms.MINUTE]), bytes(heads[-1, : forms.MINUTE])
            if self._gathered != (layout, first):
                self._count_gathered()
                self._gathered = layout, first
            self._found += found
            self._heads.append(heads)
            if last != first or len(self._found) >= _GATHER:
                self._count_gathered()
        return silent

    def _count_gathered(self) -> None:
        if not self._found:
            return
        numbers = Numbered[Parts]()
        codes = np.fromiter(map(numbers.__getitem__, map(_SAYING, self._found)), np.int64, len(self._found))
        told = [_told(*parts) for parts in numbers]
        who: list[object] = [
            request if request and request != b"-" else (thread, client)
            for thread, request, _, client, _, _, _ in self._found
        ]
        is_retry = np.array([name == RETRY for name, _, _ in told])[codes]
        for i in np.flatnonzero(~is_retry).tolist():
            who[i] = None
        self._ledger.count(told, codes, who, self._times_ns(np.concatenate(self._heads), self._gathered[0]))
        self._found, self._heads = [], []

    def _times_ns(self, heads: NDArray[np.uint8], layout: Layout) -> Times:
        """Return the lines' times in nanoseconds since 1970, NO_TIME where there is no such moment.

        Digits are read for all lines at once; the calendar is asked once a minute.
        """
        minutes = heads[:, 1:18]
        if layout.ctime:
            minutes = np.concatenate((heads[:, 5:18], heads[:, layout.width - 4 : layout.width]), axis=1)
        first = np.concatenate(([True], (minutes[1:] != minutes[:-1]).any(axis=1)))
        begins = np.array([self._calendar.read_ns(bytes(row), ctime=layout.ctime) for row in minutes[first]], np.int64)
        begin = begins[np.cumsum(first) - 1]
        digits = heads[:, [18, 19, *(range(21, 27) if layout.microseconds else ())]] - np.uint8(_ZERO)
        scale = np.array([10_000_000, 1_000_000, 100_000, 10_000, 1000, 100, 10, 1][: digits.shape[1]])
        valid = (begin != NO_TIME) & (digits <= _NINE).all(axis=1)
        return np.where(valid, np.where(valid, begin, 0) + digits @ scale * 1000, NO_TIME)


def _told(written: bytes | None, number: bytes | None, attempt: bytes | None, timed_out: bytes | None) -> Told:
    """Return what a line says by the parts that `forms.MODERN` finds in it."""
    error = Errno(*written.split(b")", 1)) if written else None
    if number == RETRY.encode() or (attempt and not number):
        return RETRY, error, attempt
    return number.decode() if number else TIMED_OUT if timed_out else "", error, None
