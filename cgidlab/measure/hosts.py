"""Figures of the host a trial ran on, and of strace where it was on: no witnesses that a verdict rests on."""

from typing import TypedDict

from cgidlab.instruments.host_counters import CPU_KINDS, parse_host_counters
from cgidlab.instruments.strace import parse_strace
from cgidlab.measure.gauges import rise
from cgidlab.measure.requests import percentile_ms
from cgidlab.measure.witnesses import Witnesses
from cgidlab.numeric_lines import ABSENT
from cgidlab.parsers.documents import HostEdges, parse_host_edges


class HostFigures(TypedDict, total=False):
    """Of host."""

    tcp_overflows: int | None
    tcp_drops: int | None
    host_cpu_share: float | None
    host_steal_share: float | None
    host_iowait_share: float | None
    outsider_cpu_share: float | None
    cpu_pressure_share: float | None
    io_pressure_share: float | None
    memory_pressure_share: float | None
    swapped_pages: int | None
    throttled_ms: float | None
    forks_per_s: float | None
    context_switches_per_s: float | None
    file_handles_free: int | None
    ephemeral_ports_free: int | None
    loadgen_cpu_share: float | None


class StraceFigures(TypedDict, total=False):
    """Of strace."""

    strace_connects: int | None
    strace_connect_p99_us: float | None
    strace_connect_max_us: float | None
    strace_connects_failed: int | None


def host(w: Witnesses) -> HostFigures:
    """Return the CPU of the host by kind, its forks and switches, what ran short, and the load generator's CPU."""
    data = w.data("host", "host.csv")
    if data is None:
        return {}
    window = w.window
    h = parse_host_counters(data, where=w.where("host.csv"))
    times = h.monotonic_ns
    ticks = {kind: rise(times, getattr(h, kind), window) for kind in CPU_KINDS}
    known = {kind: value for kind, value in ticks.items() if value is not None}
    figures: HostFigures = {}
    if len(known) == len(CPU_KINDS) and (total := sum(known.values())) > 0:
        busy = total - known["idle"] - known["iowait"] - known["steal"]
        forks, switches = rise(times, h.forks, window), rise(times, h.ctxt, window)
        figures |= {
            "host_cpu_share": busy / total,
            "host_steal_share": known["steal"] / total,
            "host_iowait_share": known["iowait"] / total,
            "forks_per_s": None if forks is None else forks / window.length_s,
            "context_switches_per_s": None if switches is None else switches / window.length_s,
        }
    else:
        w.note("host", "its samples cover less than 90 % of the window")
    there = h.loadgen_cpu_ns != ABSENT
    loadgen = rise(times[there], h.loadgen_cpu_ns[there], window)
    if loadgen is not None:
        figures["loadgen_cpu_share"] = loadgen / (window.end_ns - window.begin_ns)
    edges = w.data("host", "host.json")
    if edges is None:
        return figures
    return figures | _edges(parse_host_edges(edges, where=w.where("host.json")), window.length_s)


def _edges(edges: HostEdges, window_s: float) -> HostFigures:
    """Return what rose between the window's edges, and what was scarce at the worse of them."""
    swapped = [n for name in ("pswpin", "pswpout") if (n := edges.rise(name)) is not None]
    ticks = edges.rise("outsider_ticks")
    throttled_us = edges.rise("throttled_us")
    return {
        "tcp_overflows": _whole(edges.rise("listen_overflows")),
        "tcp_drops": _whole(edges.rise("listen_drops")),
        "outsider_cpu_share": None if ticks is None else max(0.0, ticks) / edges.clk_tck / window_s,
        "cpu_pressure_share": _pressure(edges, "psi_cpu_some_us", window_s),
        "io_pressure_share": _pressure(edges, "psi_io_some_us", window_s),
        "memory_pressure_share": _pressure(edges, "psi_memory_some_us", window_s),
        "swapped_pages": int(sum(swapped)) if swapped else None,
        "throttled_ms": None if throttled_us is None else throttled_us / 1000,
        "file_handles_free": _free(edges, "file_max", "file_handles"),
        "ephemeral_ports_free": _free(edges, "ephemeral_ports", "tcp_sockets"),
    }


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


def strace(w: Witnesses) -> StraceFigures:
    """Return the times of connect() to the cgid socket as strace saw them end in the window."""
    data = w.data("strace", "strace.txt")
    socket = w.result.server.socket if w.result.server else ""
    if data is None:
        return {}
    if not socket:
        w.note("strace", "the cgid socket's path is not known")
        return {}
    # A restarted daemon appends its own pid to the same name.
    calls = parse_strace(data, socket.rpartition(".")[0])
    begin, end = (w.result.clock.to_realtime_ns(edge) for edge in (w.window.begin_ns, w.window.end_ns))
    inside = (calls.end_ns >= begin) & (calls.end_ns < end)
    duration = calls.duration_us[inside]
    if calls.bad_lines:
        w.note("strace", f"{calls.bad_lines} lines of strace.txt cannot be read")
    return {
        "strace_connects": len(duration),
        "strace_connect_p99_us": percentile_ms(duration, 0.99) * 1000 if len(duration) else None,
        "strace_connect_max_us": float(duration.max()) if len(duration) else None,
        "strace_connects_failed": int((calls.result[inside] < 0).sum()),
    }
