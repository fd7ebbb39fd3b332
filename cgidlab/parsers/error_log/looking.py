"""Lines that have to be looked at one by one: those of other forms, and httpd's own that may say something."""

import numpy as np
from numpy.typing import NDArray

from cgidlab.parsers.error_log import wrappings
from cgidlab.parsers.error_log.ledger import Ledger
from cgidlab.parsers.error_log.messages import NEEDLES, NUMBERS, Said
from cgidlab.parsers.error_log.times import Calendar
from cgidlab.parsers.error_log.wrappings import OTHER_FORM, STRANGE

_A, _H = b"AH"
_ZERO, _NINE = ord("0"), 9
_DIGITS = 5
_IS_ASKED = np.zeros(10**_DIGITS, np.bool_)
_IS_ASKED[sorted(NUMBERS)] = True
_MOST_TIMES = 1_000_000_000


class Looker:
    """Counts what lines say, in the order they are given."""

    def __init__(self, ledger: Ledger, calendar: Calendar) -> None:
        self._ledger = ledger
        self._calendar = calendar
        self._kind = ""
        self._before: tuple[Said, int] | None = None  # what the last message was, and when

    def httpds(self, lines: list[bytes]) -> None:
        """Count what some lines of httpd's own form say."""
        for i in may_say_something(lines):
            self._look(lines[i])

    def others(self, lines: list[bytes]) -> None:
        """Count lines of other forms, and what they say."""
        lines = [line.lstrip(b"\0\xef\xbb\xbf") if line[0] in b"\0\xef" else line for line in lines]
        kinds = wrappings.kinds(lines, self._kind)
        for i in may_say_something(lines):
            if self._look(lines[i]) and kinds[i] in (STRANGE, wrappings.OTHERS):
                kinds[i] = OTHER_FORM
        self._ledger.add_lines(lines, kinds)
        self._kind = kinds[-1]

    def _look(self, line: bytes) -> bool:
        """Count what one line says; return whether it says anything of interest."""
        line = wrappings.clean(line)
        times, of_last = wrappings.repeated(line)
        if of_last:
            if self._before:
                self._count(*self._before, min(times, _MOST_TIMES))
            return self._before is not None
        any_said = False
        for said, timed in wrappings.said(line):
            if said != Said():
                time_ns = self._calendar.find_ns(timed)
                self._count(said, time_ns, min(times, _MOST_TIMES))
                self._before = said, time_ns
                any_said = True
        if not any_said:
            self._before = None
        return any_said

    def _count(self, said: Said, time_ns: int, times: int) -> None:
        if said.name:
            self._ledger.count([said[:4]], np.array([time_ns], np.int64), times)
        elif said.kind:
            self._ledger.happened(said, time_ns, times)


def may_say_something(lines: list[bytes]) -> list[int]:
    """Return which lines have a number or words in them that any message has."""
    if not lines:
        return []
    text = b"".join(lines)
    ends = np.cumsum([len(line) for line in lines])
    found = [_numbered(np.frombuffer(text, np.uint8))]
    for needle in NEEDLES:
        at = text.find(needle)
        hits = []
        while at >= 0:
            i = int(np.searchsorted(ends, at, "right"))
            hits.append(at)
            at = text.find(needle, int(ends[i]))  # one is enough for a line
        found.append(np.array(hits, np.int64))
    lines_at: list[int] = np.unique(np.searchsorted(ends, np.concatenate(found), "right")).tolist()
    return lines_at


def _numbered(text: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return where numbers of messages stand that are asked about."""
    at = (
        np.flatnonzero((text[: -_DIGITS - 1] == _A) & (text[1:-_DIGITS] == _H)) if len(text) > _DIGITS + 1 else text[:0]
    )
    at = np.asarray(at, np.int64)
    at = at[at < len(text) - _DIGITS - 1]
    digits = text[at[:, None] + np.arange(2, _DIGITS + 2)] - np.uint8(_ZERO)
    valid = (digits <= _NINE).all(axis=1)
    numbers = digits[valid] @ 10 ** np.arange(_DIGITS - 1, -1, -1)
    return np.asarray(at[valid][_IS_ASKED[numbers]])
