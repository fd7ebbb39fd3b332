"""instruments/host.csv and host.json: CPU of the host by kind and of the driver, and what ran short in the window."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from cgidlab.arrays import Ints
from cgidlab.instruments.base import Evidence, Instrument, Need
from cgidlab.instruments.gauges import rise
from cgidlab.model import Figures
from cgidlab.numeric_lines import ABSENT, parse_csv
from cgidlab.parsers.documents import HostEdges, Span, parse_host_edges

FILE, EDGES = "host.csv", "host.json"
CPU_KINDS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
_COLUMNS = ("monotonic_ns", *CPU_KINDS, "ctxt", "forks", "driver_cpu_ns")


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
    driver_cpu_ns: Ints


def parse_host_counters(data: bytes, *, where: str) -> HostCounters:
    """Return the samples. Raise `StoreError` if the header lacks a column."""
    header, newline, rows = data.partition(b"\n")
    header = header.replace(b"loadgen_cpu_ns", b"driver_cpu_ns")  # as older helpers call it
    table = parse_csv(header + newline + rows, _COLUMNS, where=where, optional=("driver_cpu_ns",))
    return HostCounters(table.bad_lines, *table.columns)


def driver_cpu_share(samples: HostCounters, window: Span) -> float | None:
    """Return how much of a core the driver used in a window, None where its samples do not cover it."""
    there = samples.driver_cpu_ns != ABSENT
    used_ns = rise(samples.monotonic_ns[there], samples.driver_cpu_ns[there], window)
    return None if used_ns is None else used_ns / (window.end_ns - window.begin_ns)


class Host(Instrument):
    """CPU, pressure, context switches, swap and TCP listen counters of the host, and the driver's CPU.

    No witness of the mechanism, but of what else there was.
    """

    name = "host"
    cost_row = "cgid_daemon and host"
    needs = (Need("psi", "psi", "the host's pressure is not recorded: boot with psi=1"),)

    def figures(self, evidence: Evidence) -> Figures:
        """Return the CPU of the host by kind, its forks and switches, what ran short, and the driver's CPU."""
        window = evidence.window
        data, edges = evidence.data(self.name, FILE), evidence.edges(self.name, EDGES)
        counted = None if edges is None else parse_host_edges(edges, where=evidence.where(EDGES))
        found = Figures()
        if data is not None:
            h = parse_host_counters(data, where=evidence.where(FILE))
            rises = {name: rise(h.monotonic_ns, getattr(h, name), window) for name in (*CPU_KINDS, "forks", "ctxt")}
            found = _cpu(rises, driver_cpu_share(h, window), window)
            if found.host_cpu_share is None:
                evidence.note(self.name, "its samples cover less than 90 % of the window")
        elif counted is not None:
            used_ns = counted.rise("driver_cpu_ns")
            gone = used_ns is None or used_ns < 0  # it had ended, and a clock that is not there reads 0
            rises = {name: counted.rise(name) for name in (*CPU_KINDS, "forks", "ctxt")}
            found = _cpu(rises, None if gone or used_ns is None else used_ns / 1e9 / window.length_s, window)
        return found if counted is None else _between(found, counted, window)


def _cpu(rises: Mapping[str, float | None], load_share: float | None, window: Span) -> Figures:
    """Return the CPU of the host by what its counters rose, and the driver's share of a core."""
    found = Figures(driver_cpu_share=load_share)
    known = {kind: value for kind in CPU_KINDS if (value := rises[kind]) is not None}
    if len(known) < len(CPU_KINDS) or (total := sum(known.values())) <= 0:
        return found
    busy = total - known["idle"] - known["iowait"] - known["steal"]
    forks, switches = rises["forks"], rises["ctxt"]
    return replace(
        found,
        host_cpu_share=busy / total,
        host_iowait_share=known["iowait"] / total,
        forks_per_s=None if forks is None else forks / window.length_s,
        context_switches_per_s=None if switches is None else switches / window.length_s,
    )


def _between(found: Figures, edges: HostEdges, window: Span) -> Figures:
    """Return what rose between the window's edges, and what was scarce at the worse of them."""
    return replace(
        found,
        tcp_overflows=_whole(edges.rise("listen_overflows")),
        tcp_drops=_whole(edges.rise("listen_drops")),
        cpu_pressure_share=_pressure(edges, "psi_cpu_some_us", window.length_s),
        io_pressure_share=_pressure(edges, "psi_io_some_us", window.length_s),
        memory_pressure_share=_pressure(edges, "psi_memory_some_us", window.length_s),
        file_handles_free=_free(edges, "file_max", "file_handles"),
        ephemeral_ports_free=_free(edges, "ephemeral_ports", "tcp_sockets"),
    )


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _pressure(edges: HostEdges, name: str, window_s: float) -> float | None:
    """Return the share of the window in which something stalled; edges that are read late may put it above 1."""
    stalled_us = edges.rise(name)
    return None if stalled_us is None else min(1.0, stalled_us / 1e6 / window_s)


def _free(edges: HostEdges, most: str, used: str) -> int | None:
    left = [
        high - low
        for edge in (edges.begin, edges.end)
        if (high := edge.get(most)) is not None and (low := edge.get(used)) is not None
    ]
    return int(max(0.0, min(left))) if left else None
