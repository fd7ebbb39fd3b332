"""ab's `-g` file: milliseconds, begin to the second, no status, sorted by time taken."""

import re
from dataclasses import dataclass
from pathlib import Path

from cgidlab.arrays import Ints, np
from cgidlab.drivers.base import UNKNOWN, Driver, Requests
from cgidlab.errors import StoreError
from cgidlab.model import LoopKind
from cgidlab.numeric_lines import parse
from cgidlab.rundir import read

_MAX_S, _MAX_MS = 10**11, 10**9  # more cannot be meant
_HEADER = b"starttime\tseconds\tctime\tdtime\tttime\twait"
# the first column repeats the second one as text in the local zone
_DATE = re.compile(rb"(?m)^\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}\t")


@dataclass(frozen=True, slots=True)
class Rows:
    """One entry an answered request, in the order of the file."""

    start_s: Ints  # since 1970, whole seconds: a row can be placed no better than that
    connect_ms: Ints
    total_ms: Ints  # connect included
    wait_ms: Ints
    bad_lines: int


def parse_rows(data: bytes, *, where: str) -> Rows:
    """Return the rows of `ab -g`. Raise `StoreError` if a file that is not empty has another header."""
    header, _, body = data.partition(b"\n")
    if data and header != _HEADER:
        raise StoreError("this is not a file of `ab -g`", where=where)
    table = parse(_DATE.sub(b"", body), separator=b"\t", fields=5)
    start, connect, _, total, wait = table.columns
    good = (start >= 0) & (start < _MAX_S) & (connect >= 0) & (total >= 0) & (total < _MAX_MS) & (wait >= 0)
    bad = table.bad_lines + int((~good).sum())
    return Rows(start[good], connect[good], total[good], wait[good], bad)


class Ab(Driver):
    """ApacheBench: a closed loop that anybody has at hand."""

    name = "ab"
    loops = frozenset({LoopKind.CLOSED})
    exact = False

    def requests(self, path: Path) -> Requests:
        """Return the rows of `-g`: to the second, without a status."""
        rows = parse_rows(read(path), where=str(path))
        none = np.full(len(rows.start_s), UNKNOWN, np.int64)
        return Requests(rows.start_s * 1_000_000, none, rows.total_ms * 1000, exact=self.exact)
