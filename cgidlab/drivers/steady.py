"""steady's rows and closing words: our own driver (roles/load/files/steady.c).

A row is h2load's: start, status and latency in microseconds. The start is when the request was first sent, also where
the server closed the connection without an answer and it was sent again on a new one.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from cgidlab.drivers.base import Driver, Requests, Totals, read_pieces
from cgidlab.drivers.h2load import parse_rows
from cgidlab.model import LoopKind

_TOTALS = re.compile(rb"^steady: (\d{1,18}) answered, (\d{1,18}) unanswered, \d+ connections renewed$", re.MULTILINE)


def parse_totals(stdout: bytes) -> Totals | None:
    """Return what steady prints at its end, None if it did not come so far."""
    found = _TOTALS.search(stdout)
    if found is None:
        return None
    answered, unanswered = int(found[1]), int(found[2])
    return Totals(answered + unanswered, unanswered)


class Steady(Driver):
    """Our own: a closed loop with latencies that goes on when httpd closes a kept-alive connection."""

    name = "steady"
    loops = frozenset({LoopKind.CLOSED})
    exact = True
    many_paths = True

    def requests(self, path: Path) -> Requests:
        """Return the rows of its log."""
        return read_pieces(path, parse_rows)

    def totals(self, stdout: bytes) -> Totals | None:
        """Return what it printed, of all of its run: its log has all of it too."""
        return parse_totals(stdout)

    def clients(self, argv: Sequence[str]) -> int | None:
        """Return its first word."""
        return int(argv[1]) if len(argv) > 1 and argv[1].isdigit() else None
