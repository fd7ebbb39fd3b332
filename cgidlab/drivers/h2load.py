"""h2load's request log and its closing words.

With `-D` the log holds exactly the requests that were *answered* in the main
phase, those sent in the warm-up included; requests in flight at its end and
requests without an answer are in no row. A request whose answer began in the
warm-up and ended after it has status 0. h2load appends to a log that exists.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from cgidlab.drivers.base import MAX_STATUS, Driver, Requests, Totals, read_pieces
from cgidlab.model import LoopKind
from cgidlab.numeric_lines import parse

_SUMMARY = re.compile(
    rb"^requests: \d+ total, \d+ started, (?P<done>\d{1,18}) done, \d+ succeeded, "
    rb"\d+ failed, (?P<errored>\d{1,18}) errored, \d+ timeout$",
    re.MULTILINE,
)


def parse_rows(data: bytes) -> Requests:
    """Return the rows of `--log-file`, in their order. Lines that are not three numbers are left out."""
    start, status, latency = parse(data, separator=b"\t", fields=3).columns
    good = (start >= 0) & (status >= 0) & (status <= MAX_STATUS) & (latency >= 0)
    return Requests(start[good], status[good], latency[good], H2load.exact)


def parse_totals(stdout: bytes) -> Totals | None:
    """Return the totals that h2load prints at its end, None if it did not come so far."""
    found = _SUMMARY.search(stdout)
    return None if found is None else Totals(done=int(found["done"]), unanswered=int(found["errored"]))


class H2load(Driver):
    """nghttp2's driver, with HTTP/1.1: exact, in both loops."""

    name = "h2load"
    loops = frozenset(LoopKind)
    # It is honest in an open loop only with periods of 10 to 100 ms and whole connections a period; with
    # its default of one second it sends one burst a second.
    rate_step = 10
    exact = True
    # Seen with 1.52: of a list (-i) all clients take the same one at the same time, from the first on; and in an open
    # loop, where each connection is a client, none ever comes to the second.
    why_one_path = "has each client begin with the first path of a list"

    def requests(self, path: Path) -> Requests:
        """Return the rows of `--log-file`."""
        return read_pieces(path, parse_rows)

    def totals(self, stdout: bytes) -> Totals | None:
        """Return what it printed of its main phase."""
        return parse_totals(stdout)

    def unanswered(self, argv: Sequence[str], rows: int) -> int:
        """Return how many of `-n` have no row: it was ended at its time limit, in an open loop."""
        total = argv[argv.index("-n") + 1] if "-n" in argv[:-1] else ""
        return max(0, int(total) - rows) if total.isdigit() else 0

    def rate(self, argv: Sequence[str]) -> float | None:
        """Return connections a period, by the period."""
        period = next((a.removeprefix("--rate-period=") for a in argv if a.startswith("--rate-period=")), None)
        if period is None or "-r" not in argv[:-1]:
            return None
        return int(argv[argv.index("-r") + 1]) * 1000 / int(period.removesuffix("ms"))
