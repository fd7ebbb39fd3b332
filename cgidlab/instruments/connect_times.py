"""instruments/connect_times.csv, one row a connect() to the cgid socket, and what its instrument lost."""

import re
from dataclasses import dataclass

import numpy as np

from cgidlab.numeric_lines import Ints, parse

EAGAIN = 11
"""Linux's: from connect() to a listening unix stream socket it has no other cause than a full queue."""

# Said when the kernel's buffer was full.
_LOST = re.compile(rb"(?i)\blost (\d+) events?\b")
# In the byte order of the host, which all supported machines share.
_RING = np.dtype([("header", "<u8"), ("end_ns", "<u8"), ("took_ns", "<u8"), ("result", "<i8")])


@dataclass(frozen=True, slots=True)
class ConnectTimes:
    """One entry a connect(), placed at its end."""

    bad_lines: int
    end_ns: Ints  # CLOCK_MONOTONIC
    duration_us: Ints
    result: Ints  # 0 or a negative errno


def parse_connect_times(data: bytes) -> ConnectTimes:
    """Return the rows. There is no header; blank lines are not bad lines."""
    table = parse(re.sub(rb"\n{2,}", b"\n", data.lstrip(b"\n")), separator=b",", fields=3)
    return ConnectTimes(table.bad_lines, *table.columns)


def parse_lost_events(stderr: bytes) -> int:
    """Return how many events the instrument says it lost, summed over its messages."""
    return sum(int(n) for n in _LOST.findall(stderr))


def from_ring(data: bytes) -> bytes:
    """Return the CSV of connects that a host sent as they lay in the kernel's ring.

    A record is a header of 8 bytes, the end, the duration in nanoseconds and the
    result. Bytes after the last whole record are left out.
    """
    whole = data[: len(data) // _RING.itemsize * _RING.itemsize]
    records = np.frombuffer(whole, dtype=_RING)
    rows = zip(
        records["end_ns"].tolist(), (records["took_ns"] // 1000).tolist(), records["result"].tolist(), strict=True
    )
    return "".join(f"{end},{took},{result}\n" for end, took, result in rows).encode()
