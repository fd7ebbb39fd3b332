"""ab's `-g` file: milliseconds, begin to the second, no status, sorted by time taken."""

import re
from pathlib import Path

from cgidlab.arrays import np
from cgidlab.drivers.base import UNKNOWN, Driver, Requests
from cgidlab.errors import StoreError
from cgidlab.model import LoopKind
from cgidlab.numeric_lines import parse
from cgidlab.rundir import read

_MAX_S, _MAX_MS = 10**11, 10**9  # more cannot be meant
_HEADER = b"starttime\tseconds\tctime\tdtime\tttime\twait"
# the first column repeats the second one as text in the local zone
_DATE = re.compile(rb"(?m)^\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}\t")


def parse_rows(data: bytes, *, where: str) -> Requests:
    """Return the rows of `ab -g`. Raise `StoreError` if a file that is not empty has another header."""
    header, _, body = data.partition(b"\n")
    if data and header != _HEADER:
        raise StoreError("this is not a file of `ab -g`", where=where)
    start, connect, _, total, wait = parse(_DATE.sub(b"", body), separator=b"\t", fields=5).columns
    good = (start >= 0) & (start < _MAX_S) & (connect >= 0) & (total >= 0) & (total < _MAX_MS) & (wait >= 0)
    none = np.full(int(good.sum()), UNKNOWN, np.int64)
    return Requests(start[good] * 1_000_000, none, total[good] * 1000, Ab.exact)


class Ab(Driver):
    """ApacheBench: a closed loop that anybody has at hand."""

    name = "ab"
    loops = frozenset({LoopKind.CLOSED})
    exact = False
    why_one_path = "asks for one path"

    def requests(self, path: Path) -> Requests:
        """Return the rows of `-g`: to the second, without a status."""
        return parse_rows(read(path), where=str(path))
