"""steady's rows and closing words: our own driver (roles/load/files/steady.c).

A row is h2load's: start, status and latency in microseconds. The start is when the request was first sent, also where
the server closed the connection without an answer and it was sent again on a new one; in an open loop it is when the
request was due. sent.log beside the rows has when each was due, and by how much later it was sent.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from cgidlab.arrays import np
from cgidlab.drivers.base import Driver, Requests, Sendings, Totals, read_pieces
from cgidlab.drivers.h2load import parse_rows
from cgidlab.model import LoopKind
from cgidlab.numeric_lines import check_rows, parse, pieces

_TOTALS = re.compile(rb"^steady: (\d{1,18}) answered, (\d{1,18}) unanswered, \d+ connections renewed$", re.MULTILINE)
_MAX_LAG_US = 3600 * 10**6  # more cannot be meant


def parse_totals(stdout: bytes) -> Totals | None:
    """Return what steady prints at its end, None if it did not come so far."""
    found = _TOTALS.search(stdout)
    if found is None:
        return None
    answered, unanswered = int(found[1]), int(found[2])
    return Totals(answered + unanswered, unanswered)


def read_sendings(path: Path) -> Sendings:
    """Return what sent.log says, a line each. Raise `StoreError` if it cannot be read."""
    due, lag, count = [np.empty(0, np.int64)], [np.empty(0, np.int64)], 0
    for piece in pieces(path):
        at, late = parse(piece, separator=b"\t", fields=2).columns
        good = (at >= 0) & (late >= 0) & (late <= _MAX_LAG_US)
        due.append(at[good])
        lag.append(late[good])
        count += int(good.sum())
        check_rows(count, path)
    return Sendings(np.concatenate(due), np.concatenate(lag))


class Steady(Driver):
    """Our own: goes on when httpd closes a connection; a closed loop, and an open one by any schedule."""

    name = "steady"
    loops = frozenset(LoopKind)
    schedules = True
    exact = True
    many_paths = True
    can_be_slowed = True

    def requests(self, path: Path) -> Requests:
        """Return the rows of its log."""
        return read_pieces(path, parse_rows)

    def sendings(self, rows: Path) -> Sendings | None:
        """Return what is in sent.log beside its rows; None in a closed loop, which has none."""
        path = rows.with_name("sent.log")
        return read_sendings(path) if path.exists() else None

    def totals(self, stdout: bytes) -> Totals | None:
        """Return what it printed, of all of its run: its log has all of it too."""
        return parse_totals(stdout)

    def path(self, argv: Sequence[str]) -> str | None:
        """Return its last word, unless that is a list's file."""
        last = argv[-1] if argv else ""
        return last.partition("?")[0] if last.startswith("/") and "-" not in argv[-2:-1] else None

    def clients(self, argv: Sequence[str]) -> int | None:
        """Return its first word behind what it uses besides; there is none in an open loop."""
        words = argv[3:] if "--uses" in argv[1:2] else argv[1:]
        return int(words[0]) if words and words[0].isdigit() else None
