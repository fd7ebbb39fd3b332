"""h2load's request log and its closing words.

With `-D` the log holds exactly the requests that were *answered* in the main
phase, those sent in the warm-up included; requests in flight at its end and
requests without an answer are in no row. A request whose answer began in the
warm-up and ended after it has status 0. h2load appends to a log that exists.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cgidlab.arrays import Ints, np
from cgidlab.drivers.base import Driver, Requests, Totals
from cgidlab.model import LoopKind
from cgidlab.numeric_lines import check_rows, parse, pieces

_MAX_STATUS = 999
_SUMMARY = re.compile(
    rb"^requests: (\d+) total, (\d+) started, (\d+) done, (\d+) succeeded, "
    rb"(\d+) failed, (\d+) errored, (\d+) timeout$",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Rows:
    """One entry an answered request, in the order of the file."""

    bad_lines: int
    start_us: Ints  # since 1970
    status: Ints  # 0: not known
    latency_us: Ints


@dataclass(frozen=True, slots=True)
class Summary:
    """What h2load says it did."""

    started: int
    done: int
    succeeded: int  # 2xx and 3xx
    failed: int  # everything else of `done`: other statuses, and no answer
    errored: int  # of `failed`: no answer; no row in the log
    timeout: int  # of `errored`


def parse_rows(data: bytes) -> Rows:
    """Return the rows of `--log-file`. Lines that are not three numbers are counted."""
    table = parse(data, separator=b"\t", fields=3)
    start, status, latency = table.columns
    good = (start >= 0) & (status >= 0) & (status <= _MAX_STATUS) & (latency >= 0)
    return Rows(table.bad_lines + int((~good).sum()), start[good], status[good], latency[good])


def read_rows(path: Path) -> Rows:
    """Return the rows of a file of any size; as `parse_rows`. Raise `StoreError` if it cannot be read."""
    parts = [Rows(0, *(np.empty(0, np.int64) for _ in range(3)))]
    count = 0
    for piece in pieces(path):
        parts.append(parse_rows(piece))
        count += len(parts[-1].status)
        check_rows(count, path)
    columns = (np.concatenate([getattr(p, name) for p in parts]) for name in ("start_us", "status", "latency_us"))
    return Rows(sum(p.bad_lines for p in parts), *columns)


def parse_summary(stdout: bytes) -> Summary | None:
    """Return the totals that h2load prints at its end, None if it did not come so far."""
    found = _SUMMARY.search(stdout)
    if found is None:
        return None
    _, started, done, succeeded, failed, errored, timeout = (int(n) for n in found.groups())
    return Summary(started, done, succeeded, failed, errored, timeout)


class H2load(Driver):
    """nghttp2's driver, with HTTP/1.1: exact, in both loops."""

    name = "h2load"
    loops = frozenset(LoopKind)
    # It is honest in an open loop only with periods of 10 to 100 ms and whole connections a period; with
    # its default of one second it sends one burst a second.
    rate_step = 10
    exact = True

    def requests(self, path: Path) -> Requests:
        """Return the rows of `--log-file`."""
        rows = read_rows(path)
        return Requests(rows.start_us, rows.status, rows.latency_us, exact=self.exact)

    def totals(self, stdout: bytes) -> Totals | None:
        """Return what it printed of its main phase."""
        said = parse_summary(stdout)
        return None if said is None else Totals(said.done, said.errored)

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
