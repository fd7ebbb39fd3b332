"""wrk's log, which a script of ours writes, and its closing words.

A row is the moment of an answer, in microseconds since 1970, and its status. wrk's own percentiles are not
taken: they are over its warm-up too, and it fills in what a stall kept it from sending.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from cgidlab.arrays import Ints, np
from cgidlab.drivers.base import Driver, Requests, Totals
from cgidlab.model import LoopKind
from cgidlab.numeric_lines import check_rows, parse, pieces

_MAX_STATUS = 999
_DONE = re.compile(rb"^ *(\d{1,18}) requests in ", re.MULTILINE)
_ERRORS = re.compile(
    rb"^ *Socket errors: connect (\d{1,18}), read (\d{1,18}), write (\d{1,18}), timeout \d+$", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Rows:
    """One entry an answered request, in the order of the answers."""

    bad_lines: int
    end_us: Ints  # since 1970
    status: Ints


def parse_rows(data: bytes) -> Rows:
    """Return the rows. Lines that are not two numbers are counted."""
    table = parse(data, separator=b"\t", fields=2)
    end, status = table.columns
    good = (end >= 0) & (status >= 0) & (status <= _MAX_STATUS)
    return Rows(table.bad_lines + int((~good).sum()), end[good], status[good])


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

    def requests(self, path: Path) -> Requests:
        """Return the rows of the script's log."""
        parts = [Rows(0, np.empty(0, np.int64), np.empty(0, np.int64))]
        count = 0
        for piece in pieces(path):
            parts.append(parse_rows(piece))
            count += len(parts[-1].status)
            check_rows(count, path)
        end, status = (np.concatenate([getattr(p, name) for p in parts]) for name in ("end_us", "status"))
        return Requests(end, status, np.zeros_like(end), self.exact, self.timed)

    def totals(self, stdout: bytes) -> Totals | None:
        """Return what it printed, of all of its run: its log has all of it too."""
        return parse_totals(stdout)
