"""Lines that have to be looked at one by one: those of other forms, and httpd's own that may say something."""

import numpy as np
from numpy.typing import NDArray

from cgidlab.parsers.error_log.ledger import Ledger, Numbered, Told
from cgidlab.parsers.error_log.messages import NEEDLES, NUMBERS, Said
from cgidlab.parsers.error_log.times import Calendar
from cgidlab.parsers.error_log.wrappings import OTHER_FORM, OTHERS, STRANGE, Kinds, clean, repeated, said

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
        self._kinds = Kinds()
        self._told: Numbered[Told] = Numbered()  # by messages that were found and not yet counted
        self._found: list[tuple[int, object, int]] = []  # code, request, time of each
        self._before: tuple[Said, int] | None = None  # what the last message was, and when

    def httpds(self, lines: list[bytes]) -> None:
        """Count what some lines of httpd's own form say."""
        for i in may_say_something(lines):
            self._look(lines[i])
        self._flush()

    def others(self, lines: list[bytes]) -> None:
        """Count lines of other forms, and what they say."""
        lines = [line.lstrip(b"\0\xef\xbb\xbf") if line[0] in b"\0\xef" else line for line in lines]
        kinds = self._kinds.of(lines)
        for i in may_say_something(lines):
            if self._look(lines[i]) and kinds[i] in (STRANGE, OTHERS):
                kinds[i] = OTHER_FORM
        self._ledger.add_lines(lines, kinds)
        self._flush()

    def _look(self, line: bytes) -> bool:
        """Count what one line says; return whether it says anything of interest."""
        line = clean(line)
        times, of_last = repeated(line)
        if of_last:
            if self._before:
                self._count(*self._before, min(times, _MOST_TIMES))
            return self._before is not None
        any_said = False
        for what, timed in said(line):
            if what != Said():
                time_ns = self._calendar.find_ns(timed)
                self._count(what, time_ns, min(times, _MOST_TIMES))
                self._before = what, time_ns
                any_said = True
        if not any_said:
            self._before = None
        return any_said

    def _count(self, what: Said, time_ns: int, times: int) -> None:
        if not what.name:
            if what.kind:
                self._ledger.happened(what, time_ns, times)
        elif times == 1:
            self._found.append((self._told[what[:3]], what.request, time_ns))
        else:
            self._flush()
            self._ledger.count([what[:3]], np.array([0]), [what.request], np.array([time_ns], np.int64), times)

    def _flush(self) -> None:
        if self._found:
            codes, who, times_ns = zip(*self._found, strict=True)
            self._ledger.count(list(self._told), np.array(codes), who, np.array(times_ns, np.int64))
            self._told, self._found = Numbered(), []


def may_say_something(lines: list[bytes]) -> list[int]:
    """Return which lines have a number of a message that is asked about, or no number and words that one has."""
    if not lines:
        return []
    ends = np.cumsum([len(line) for line in lines])
    at, asked = _numbers(np.frombuffer(b"".join(lines), np.uint8))
    numbered = np.searchsorted(ends, at, "right")
    found = set(numbered[asked].tolist())
    without = np.ones(len(lines), np.bool_)
    without[numbered] = False
    rest = np.flatnonzero(without)
    if len(rest):
        found.update(rest[_with_words([lines[i] for i in rest.tolist()])].tolist())
    return sorted(found)


def _with_words(lines: list[bytes]) -> list[int]:
    text = b"".join(lines)
    ends = np.cumsum([len(line) for line in lines])
    found: set[int] = set()
    for needle in NEEDLES:
        at = text.find(needle)
        while at >= 0:
            i = int(np.searchsorted(ends, at, "right"))
            found.add(i)
            at = text.find(needle, int(ends[i]))  # one is enough for a line
    return sorted(found)


def _numbers(text: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return where numbers of messages stand, and which of them are asked about."""
    if len(text) <= _DIGITS + 1:
        return np.empty(0, np.int64), np.empty(0, np.bool_)
    at = np.flatnonzero((text[: -_DIGITS - 1] == _A) & (text[1:-_DIGITS] == _H))
    digits = text[at[:, None] + np.arange(2, _DIGITS + 2)] - np.uint8(_ZERO)
    valid = (digits <= _NINE).all(axis=1)
    numbers = digits[valid] @ 10 ** np.arange(_DIGITS - 1, -1, -1)
    return at[valid], _IS_ASKED[numbers]
