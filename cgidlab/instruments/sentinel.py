"""instruments/sentinel.json: what disturbed a trial from outside of it, by conservation, and how fast its host was."""

import math
from dataclasses import replace
from statistics import mean, median
from typing import Any

from cgidlab import rundir
from cgidlab.figures import merged
from cgidlab.instruments.base import Evidence, Instrument, Need
from cgidlab.instruments.gauges import rise
from cgidlab.instruments.host import CPU_KINDS, EDGES, parse_host_counters
from cgidlab.instruments.host import FILE as HOST_FILE
from cgidlab.model import Figures
from cgidlab.parsers.documents import Counters, Gap, SentinelDocument, parse_host_edges, parse_sentinel
from cgidlab.rundir import read

FILE = "sentinel.json"
_KINDS = ("arithmetic", "memory", "system_calls")


class Sentinel(Instrument):
    """The host around every trial: what others used of it and wanted, and how fast it was."""

    name = "sentinel"
    optional = False
    observes = False
    needs = (
        Need(
            "control group",
            "control_group",
            "what others use of the host in a window is not known: let this user make a group in /sys/fs/cgroup",
        ),
    )

    def figures(self, evidence: Evidence) -> Figures:
        """Return what others used in the window and wanted around it, what the host lost, and its pace."""
        path = evidence.directory / "instruments" / FILE
        if not rundir.is_there(path):
            if evidence.settings.get("loop") != "observed":
                evidence.note(self.name, f"{FILE} is missing: what disturbed the trial is known from the host alone")
            return _without(evidence)
        found = parse_sentinel(read(path), where=str(path))
        used, wanted, why = outsiders(found)
        if why:
            evidence.note(self.name, f"what others used of the host is not known: {why}")
        others = Figures(
            outsider_cpu_share=used, outsider_wanted_cpu_share=wanted, trial_cpu_share=_own(found.begin, found.end)
        )
        return merged((_lost(found), pace(found), others))


def outsiders(found: SentinelDocument) -> tuple[float | None, float | None, str]:
    """Return how many cores others used in the window, how many they wanted around it, and why not all is known.

    What they wanted is the smaller of what they used right before and right after the trial: what was there only once
    need not have been there in between.
    """
    if found.own_stat:
        return None, None, "/proc/stat is this container's own"
    wanted = [cores for gap in (found.before, found.after) if (cores := _others(found, gap.begin, gap.end)) is not None]
    used = _others(found, found.begin, found.end)
    return used, min(wanted) if len(wanted) > 1 else None, "" if used is not None else found.why_no_group


def _own(begin: Counters, end: Counters) -> float | None:
    """Return the cores that the trial's control group used between two readings, None where there was no group."""
    took_ns = end.monotonic_ns - begin.monotonic_ns
    if begin.used_ns is None or end.used_ns is None or took_ns <= 0:
        return None
    return (end.used_ns - begin.used_ns) / took_ns


def _others(found: SentinelDocument, begin: Counters, end: Counters) -> float | None:
    """Return the cores that were busy with what is not ours between two readings.

    Busy is what was neither idle nor taken away: idle time is measured to the nanosecond, the kinds of busy time are
    counted in ticks. Interrupts are part of what processes used, unless the kernel keeps them apart.
    """
    took_s = (end.monotonic_ns - begin.monotonic_ns) / 1e9
    if begin.used_ns is None or end.used_ns is None or took_s <= 0:
        return None
    apart = ("irq", "softirq") if found.irq_apart is not False else ()
    rest = sum(getattr(end, kind) - getattr(begin, kind) for kind in ("idle", "iowait", "steal", *apart))
    busy_s = took_s * found.cpus - rest / found.clk_tck
    return float(max(0.0, busy_s - (end.used_ns - begin.used_ns) / 1e9) / took_s)


def _lost(found: SentinelDocument) -> Figures:
    """Return what the host did not have for anybody."""
    begin, end = found.begin, found.end
    total = sum(getattr(end, kind) - getattr(begin, kind) for kind in CPU_KINDS)
    swapped = [
        last - first
        for first, last in ((begin.pswpin, end.pswpin), (begin.pswpout, end.pswpout))
        if first is not None and last is not None
    ]
    throttled = (
        None if begin.throttled_us is None or end.throttled_us is None else end.throttled_us - begin.throttled_us
    )
    return Figures(
        host_steal_share=(end.steal - begin.steal) / total if total > 0 else None,
        swapped_pages=sum(swapped) if swapped else None,
        throttled_ms=None if throttled is None else throttled / 1000,
    )


def pace(found: SentinelDocument) -> Figures:
    """Return the rounds a second of each kind of fixed work around the trial, and by how much they were too few."""
    before, after = rounds_ns(found.before), rounds_ns(found.after)
    both = {kind: (before[kind] + after[kind]) / 2 for kind in _KINDS if kind in before and kind in after}
    slower = [math.log(took / found.usual_ns[kind]) for kind, took in both.items() if found.usual_ns.get(kind)]
    rates: dict[str, Any] = {f"pace_{kind}_per_s": 1e9 / took for kind, took in both.items()}
    return Figures(**rates, slowdown_share=max(0.0, -math.expm1(-mean(slower))) if slower else None)


def rounds_ns(gap: Gap) -> dict[str, float]:
    """Return how long a round of each kind took: the middle round of a core, the mean of all cores."""
    return {kind: mean(median(took) for took in cores if took) for kind, cores in gap.rounds_ns.items() if any(cores)}


def _without(evidence: Evidence) -> Figures:
    """Return what the host's own files say: of runs before there was a sentinel, and of a server that is watched."""
    window = evidence.window
    found = Figures()
    counters = evidence.data("host", HOST_FILE)
    if counters is not None:
        h = parse_host_counters(counters, where=evidence.where(HOST_FILE))
        ticks = {kind: rise(h.monotonic_ns, getattr(h, kind), window) for kind in CPU_KINDS}
        known = [value for value in ticks.values() if value is not None]
        if len(known) == len(CPU_KINDS) and sum(known) > 0:
            found = replace(found, host_steal_share=(ticks["steal"] or 0.0) / sum(known))
    data = evidence.data("host", EDGES)
    if data is None:
        return found
    edges = parse_host_edges(data, where=evidence.where(EDGES))
    swapped = [n for name in ("pswpin", "pswpout") if (n := edges.rise(name)) is not None]
    ticks_of_others, throttled_us = edges.rise("outsider_ticks"), edges.rise("throttled_us")
    others_s = None if ticks_of_others is None else max(0.0, ticks_of_others) / edges.clk_tck
    return replace(
        found,
        outsider_cpu_share=None if others_s is None else others_s / window.length_s,
        swapped_pages=int(sum(swapped)) if swapped else None,
        throttled_ms=None if throttled_us is None else throttled_us / 1000,
    )
