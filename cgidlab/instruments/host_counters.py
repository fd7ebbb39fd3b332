"""instruments/host.csv: CPU of the host by kind, and of the load generator."""

from dataclasses import dataclass

from cgidlab.numeric_lines import Ints, parse_csv

CPU_KINDS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
_COLUMNS = ("monotonic_ns", *CPU_KINDS, "ctxt", "forks", "loadgen_cpu_ns")


@dataclass(frozen=True, slots=True)
class HostCounters:
    """One entry a sample. All cumulative; CPU in clock ticks of all CPUs together; `ABSENT` (-1) for an empty field."""

    bad_lines: int
    monotonic_ns: Ints
    user: Ints
    nice: Ints
    system: Ints
    idle: Ints
    iowait: Ints
    irq: Ints
    softirq: Ints
    steal: Ints
    ctxt: Ints
    forks: Ints
    loadgen_cpu_ns: Ints


def parse_host_counters(data: bytes, *, where: str) -> HostCounters:
    """Return the samples. Raise `StoreError` if the header lacks a column."""
    table = parse_csv(data, _COLUMNS, where=where, optional=("loadgen_cpu_ns",))
    return HostCounters(table.bad_lines, *table.columns)
