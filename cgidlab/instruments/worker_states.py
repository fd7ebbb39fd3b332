"""instruments/worker_states.csv: how many worker threads sleep where, and how many httpd calls busy."""

from dataclasses import dataclass

from cgidlab.numeric_lines import Ints, parse_csv

_COLUMNS = ("monotonic_ns", "threads", "connect", "read", "idle", "running", "other")
_BOARD = ("board_busy", "board_ready")


@dataclass(frozen=True, slots=True)
class WorkerStates:
    """One entry a sample: counts of threads by wait channel; of the scoreboard, `ABSENT` (-1) where it was not read."""

    bad_lines: int
    monotonic_ns: Ints
    threads: Ints
    connect: Ints
    read: Ints
    idle: Ints
    running: Ints
    other: Ints
    board_busy: Ints
    board_ready: Ints


def parse_worker_states(data: bytes, *, where: str) -> WorkerStates:
    """Return the samples. Raise `StoreError` if the header lacks a column."""
    table = parse_csv(data, (*_COLUMNS, *_BOARD), where=where, added=_BOARD)
    return WorkerStates(table.bad_lines, *table.columns)
