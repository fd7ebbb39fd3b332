"""instruments/listen_queue.csv: depth and limit of the cgid socket and of the TCP listener."""

from dataclasses import dataclass

from cgidlab.numeric_lines import Ints, parse_csv

_COLUMNS = ("monotonic_ns", "cgid_depth", "cgid_limit", "tcp_depth", "tcp_limit")


@dataclass(frozen=True, slots=True)
class ListenQueue:
    """One entry a sample. `ABSENT` (-1) where the socket was not there at that moment."""

    bad_lines: int
    monotonic_ns: Ints
    cgid_depth: Ints
    cgid_limit: Ints
    tcp_depth: Ints
    tcp_limit: Ints


def parse_listen_queue(data: bytes, *, where: str) -> ListenQueue:
    """Return the samples. Raise `StoreError` if the header lacks a column."""
    table = parse_csv(data, _COLUMNS, where=where, optional=_COLUMNS[1:])
    return ListenQueue(table.bad_lines, *table.columns)
