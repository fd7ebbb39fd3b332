"""instruments/cgid_daemon.csv: CPU and run-queue delay of the cgid daemon alone."""

from dataclasses import dataclass

from cgidlab.numeric_lines import Ints, parse_csv

_COLUMNS = ("monotonic_ns", "pid", "cpu_ns", "runq_ns", "switches")


@dataclass(frozen=True, slots=True)
class CgidDaemon:
    """One entry a sample. Counters are cumulative and begin again with a new pid; `ABSENT` (-1) for an empty field."""

    bad_lines: int
    monotonic_ns: Ints
    pid: Ints
    cpu_ns: Ints
    runq_ns: Ints
    switches: Ints


def parse_cgid_daemon(data: bytes, *, where: str) -> CgidDaemon:
    """Return the samples. Raise `StoreError` if the header lacks a column."""
    table = parse_csv(data, _COLUMNS, where=where, optional=_COLUMNS[1:])
    return CgidDaemon(table.bad_lines, *table.columns)
