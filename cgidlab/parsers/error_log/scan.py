"""One pass over a log of any size in constant memory, a step of Python only for lines that may say something."""

from datetime import tzinfo
from itertools import repeat
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from cgidlab.parsers.error_log import beside, forms
from cgidlab.parsers.error_log.counts import LogCounts
from cgidlab.parsers.error_log.errnos import Errno
from cgidlab.parsers.error_log.forms import Layout
from cgidlab.parsers.error_log.ledger import Ledger, Numbered, Times, Told
from cgidlab.parsers.error_log.lines import heads_of
from cgidlab.parsers.error_log.looking import Looker
from cgidlab.parsers.error_log.messages import RETRY, TIMED_OUT
from cgidlab.parsers.error_log.sorting import Sorted, Sorter, Taken
from cgidlab.parsers.error_log.times import NO_TIME, Calendar
from cgidlab.parsers.error_log.wrappings import HTTPD
from cgidlab.unpack import Stream

_GATHER = 2000  # messages of one minute, which are cheaper counted together
_ZERO, _NINE = ord("0"), 9
_SAYING = itemgetter(2, 4, 5, 6)  # of the groups of `forms.MODERN`: error, number, attempt, timed_out


Parts = tuple[bytes | None, ...]


class Scan:
    """Counts what it reads, file after file. Times are nanoseconds since 1970; None for no bound."""

    def __init__(self, begin_ns: int | None, end_ns: int | None, zone: tzinfo) -> None:
        self._calendar = Calendar(zone, 0)
        self._ledger = Ledger(begin_ns, end_ns)
        self._looker = Looker(self._ledger, self._calendar)
        # of the messages that were found and not yet counted: layout and minute, what they say, their lines' heads
        self._gathered = forms.LAYOUTS[0], b""
        self._found: list[Parts] = []
        self._heads: list[NDArray[np.uint8]] = []
        self._sorter = Sorter()

    def result(self) -> LogCounts:
        """Return what was counted so far."""
        return self._ledger.result()

    def read(self, stream: Stream, name: str, newest_s: float) -> None:
        """Read a file, which was written to last at `newest_s`, to the end.

        Whatever a line's length, memory is that of the buffer.
        """
        self._calendar.newest_s = newest_s
        with self._ledger.file(name):
            with beside.sorted_lines(self._sorter.read(stream)) as read:
                for some in read:
                    self._count(some)
            self._count_gathered()

    def _count(self, read: Sorted) -> None:
        self._ledger.lines += read.lines
        self._ledger.cut_lines += read.cut_lines
        looked: list[list[bytes]] = []
        others: list[bytes] = []
        for taken in read.taken:
            if taken.layout is None:
                others = taken.cut(np.arange(len(taken.starts)))
                continue
            self._ledger.kinds[HTTPD] += taken.lines
            silent = self._modern_lines(taken, forms.LAYOUTS[taken.layout])
            rest = np.flatnonzero(silent | ~taken.ours)
            if len(rest):
                looked.append(taken.cut(rest))
        if looked or others:
            self._count_gathered()  # what stands before it comes first
        for lines in looked:
            self._looker.httpds(lines)
        if others:
            self._looker.others(others)

    def _modern_lines(self, taken: Taken, layout: Layout) -> NDArray[np.bool_]:
        """Gather lines that name the module; say which of all say nothing in the default order of fields."""
        is_silent = np.zeros(len(taken.starts), np.bool_)
        ours = np.flatnonzero(taken.ours)
        if not len(ours):
            return is_silent
        begins = taken.starts[ours] + (layout.width + len("] "))
        matches = map(forms.MODERN.match, repeat(taken.text), begins.tolist(), taken.ends[ours].tolist())
        found = [match.groups() for match in matches if match]  # it matches any line
        silent = [i for i, (_, _, _, _, number, attempt, late) in enumerate(found) if not (number or attempt or late)]
        heads = heads_of(taken.text, taken.starts[ours])
        if silent:
            is_silent[ours[silent]] = True
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
        return is_silent

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
