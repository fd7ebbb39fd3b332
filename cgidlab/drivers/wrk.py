"""wrk's log, which a script of ours writes, and its closing words.

A row is the moment of an answer, in microseconds since 1970, and its status. wrk's own percentiles are not
taken: they are over its warm-up too, and it fills in what a stall kept it from sending.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from cgidlab.arrays import np
from cgidlab.drivers.base import MAX_STATUS, Driver, Requests, Totals, read_pieces
from cgidlab.model import LoopKind
from cgidlab.numeric_lines import parse

_DONE = re.compile(rb"^ *(\d{1,18}) requests in ", re.MULTILINE)
_ERRORS = re.compile(
    rb"^ *Socket errors: connect (\d{1,18}), read (\d{1,18}), write (\d{1,18}), timeout \d+$", re.MULTILINE
)


def parse_rows(data: bytes) -> Requests:
    """Return the rows, in the order of the answers. Lines that are not two numbers are left out."""
    end, status = parse(data, separator=b"\t", fields=2).columns
    good = (end >= 0) & (status >= 0) & (status <= MAX_STATUS)
    return Requests(end[good], status[good], np.zeros_like(end[good]), Wrk.exact, Wrk.timed)


def parse_totals(stdout: bytes) -> Totals | None:
    """Return what wrk prints at its end, None if it did not come so far. A slow answer (`timeout`) is an answer."""
    done = _DONE.search(stdout)
    if done is None:
        return None
    errors = _ERRORS.search(stdout)
    unanswered = sum(int(n) for n in errors.groups()) if errors else 0
    return Totals(int(done[1]) + unanswered, unanswered)


class Wrk(Driver):
    """wrk: a closed loop that costs little CPU a request and comes back when httpd closes a connection."""

    name = "wrk"
    loops = frozenset({LoopKind.CLOSED})
    exact = True
    timed = False
    many_paths = True

    def requests(self, path: Path) -> Requests:
        """Return the rows of the script's log."""
        return read_pieces(path, parse_rows)

    def path(self, argv: Sequence[str]) -> str | None:
        """Return its URL's, unless its script has a list beside the log's name."""
        return None if "--" in argv[-3:-2] else super().path(argv)

    def totals(self, stdout: bytes) -> Totals | None:
        """Return what it printed, of all of its run: its log has all of it too."""
        return parse_totals(stdout)
