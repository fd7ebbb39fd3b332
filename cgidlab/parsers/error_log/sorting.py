"""The lines of a log that may say something, taken out of it at the speed of memory; all others are counted."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cgidlab.parsers.error_log import forms
from cgidlab.parsers.error_log.lines import HEAD, Heads, heads_of
from cgidlab.unpack import Stream

_CHUNK = 1 << 21
_PIECE = 1 << 20  # read at once: it stays near the processor while it is looked through
_MOST = 1 << 13  # lines that are looked at together, however short they are
_HEAD = 1 << 14  # of a line longer than a chunk; httpd itself cuts lines at 8 kB
_KEEP_TAGS = 12
_BOM = b"\xef\xbb\xbf"
# the eight bytes from the end of the time on: "] [" and the beginning of the module's name
_BRACKETS, _BRACKETS_MASK, _OURS = (
    np.uint64(int.from_bytes(word, "little")) for word in (b"] [", b"\xff\xff\xff", b"] [cgid:")
)
_TRY_TAGS = 64  # new ones in a chunk


class Taken(NamedTuple):
    """Lines of one form that were taken out, in the order of the log."""

    layout: int | None  # which of `forms.LAYOUTS`; None: lines of other forms
    lines: int  # of this form, with those that were left
    text: bytes  # holds those that were taken, each with its newline, and `HEAD` bytes or more behind the last one
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]  # where each one's newline stands
    ours: NDArray[np.bool_]  # names the module; the others are httpd's and may say something

    def cut(self, which: NDArray[np.int64]) -> list[bytes]:
        """Return some lines as values of their own."""
        places = zip(self.starts[which].tolist(), self.ends[which].tolist(), strict=True)
        return [self.text[start : end + 1] for start, end in places]


class Sorted(NamedTuple):
    """What was read of a log at once."""

    lines: int
    cut_lines: int  # longer than the buffer: only their beginnings were read
    taken: tuple[Taken, ...]


class Sorter:
    """Reads logs, file after file, in memory that is the buffer's whatever a line's length."""

    def __init__(self) -> None:
        self._last = 0  # layout
        self._unasked: list[int] = []  # tags of modules of which nothing is asked, the latest first

    def read(self, stream: Stream) -> Iterator[Sorted]:
        """Yield what a log holds, to its end."""
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
                yield from self._chunk(lines, begin, last)
            else:
                last = begin
            if last == 0 and end == _CHUNK:
                if lines.is_zero(end):  # a hole, as copytruncate leaves it
                    kept = 1
                    continue
                buffer[_HEAD] = forms.NEWLINE  # a line longer than the buffer: its head says all
                yield from self._chunk(lines, 0, _HEAD + 1)
                yield Sorted(0, 1, ())
                kept, skipping = 0, True
                continue
            kept = end - last
            view[:kept] = bytes(view[last:end])
        if kept and not skipping:  # a last line without its newline
            buffer[kept] = forms.NEWLINE
            yield from self._chunk(lines, 0, kept + 1)

    def _chunk(self, lines: Heads, begin: int, end: int) -> Iterator[Sorted]:
        starts, ends = lines.find(begin, end)
        for i in range(0, len(ends), _MOST):
            some = ends[i : i + _MOST]
            yield Sorted(len(some), 0, tuple(self._taken(lines, starts[i : i + _MOST], some)))

    def _taken(self, lines: Heads, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> Iterator[Taken]:
        layouts = range(len(forms.LAYOUTS))
        for number in sorted(layouts, key=lambda n: n != self._last):  # the one seen last first
            width = forms.LAYOUTS[number].width
            heads = heads_of(lines.data, starts)
            tags = np.ndarray(len(heads), "<u8", heads, width, (HEAD,)).copy()
            known = ends - starts > width + len("] [")
            known &= (tags & _BRACKETS_MASK) == _BRACKETS
            for offset, byte in forms.MARKS:
                known &= heads[:, offset] == byte
            count = int(np.count_nonzero(known))
            if not count:
                continue
            self._last = number
            strange = np.flatnonzero(~known) if count < len(known) else np.empty(0, np.int64)
            ours = known & (tags == _OURS)
            for tag in self._unasked:
                known &= tags != tag
            known &= ~ours
            at = np.flatnonzero(known)
            if len(at):
                known[at] = self._asked(lines, starts[at], tags[at], width)
            wanted = np.flatnonzero(known | ours)
            yield _take(lines, number, count, starts[wanted], ends[wanted], ours[wanted])
            starts, ends = starts[strange], ends[strange]
            if not len(starts):
                return
        yield _take(lines, None, len(starts), starts, ends, np.zeros(len(starts), np.bool_))

    def _asked(
        self, lines: Heads, starts: NDArray[np.int64], tags: NDArray[np.uint64], width: int
    ) -> NDArray[np.bool_]:
        """Say which lines may be of a module that is asked about; remember the tags of those that are not."""
        asked = np.ones(len(starts), np.bool_)
        new, first = np.unique(tags, return_index=True)
        for tag, at in zip(new.tolist()[:_TRY_TAGS], first.tolist(), strict=False):
            found = forms.TAG.match(lines.data, int(starts[at]) + width + len("] "))
            if found and not found["module"].startswith(forms.ASKED_ABOUT):
                self._unasked = [tag, *self._unasked][:_KEEP_TAGS]
                asked &= tags != tag
        return asked


def _take(
    lines: Heads,
    layout: int | None,
    count: int,
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    ours: NDArray[np.bool_],
) -> Taken:
    """Copy lines out of the buffer: the stretch they lie in where they are most of it, else each of them."""
    if not len(starts):
        return Taken(layout, count, b"", starts, ends, ours)
    begin, end = int(starts[0]), int(ends[-1]) + 1
    lengths = ends + 1 - starts
    if int(lengths.sum()) * 2 > end - begin:
        return Taken(layout, count, bytes(lines.view[begin : end + HEAD]), starts - begin, ends - begin, ours)
    text = b"".join((*lines.cut(starts, ends + 1), bytes(HEAD)))
    stops = np.cumsum(lengths)
    return Taken(layout, count, text, stops - lengths, stops - 1, ours)
