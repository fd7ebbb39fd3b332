"""How quiet the host was: the range of its pace, and what the seconds within a window say."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from cgidlab.analysis.findings import Combination, Drift, HostSpeed, SeriesCheck, band
from cgidlab.analysis.intervals import ALPHA, MIN_BLOCKS, t_interval
from cgidlab.analysis.pairs import cells_of, complete, value_of
from cgidlab.analysis.series import autocorrelation, start_log_ratio
from cgidlab.model import TrialRecord, VerdictRule

DRIFT_RESPONSE = "throughput_rps"
_SLOWEST = 30.0  # in the logarithm: a pace of 0 has no ratio to others, and nobody measured one that is further away
PACES = ("pace_arithmetic_per_s", "pace_memory_per_s", "pace_system_calls_per_s")


def drift(records: Sequence[TrialRecord], rule: VerdictRule) -> Drift | None:
    """Return between which paces the host moved; None with the reference level's throughput in fewer than two blocks.

    Each combination of the other factors is centred on its own median first, host by host, so that
    neither the order of cells nor that of hosts looks like a change; a block's pace is the mean over its trials.
    """
    by_host: dict[tuple[Combination, str], list[tuple[int, float]]] = {}
    times: list[float] = []
    for (label, place), trials in cells_of(records, rule.factor).items():
        for r in complete(trials) if label == rule.reference else ():
            value = value_of(r, DRIFT_RESPONSE)
            if r.started_s is not None and value is not None and value > 0:
                by_host.setdefault((place, r.host), []).append((r.block, math.log(value)))
                times.append(r.started_s)
    blocks: dict[tuple[str, int], list[float]] = {}
    for (_, host), points in by_host.items():
        middle = float(np.median([v for _, v in points]))
        for block, value in points:
            blocks.setdefault((host, block), []).append(value - middle)
    paces = [float(np.mean(values)) for values in blocks.values()]
    if len(paces) < 2:  # noqa: PLR2004 -- one block has no range
        return None
    smallest = next((e.share for e in rule.smallest_effects if e.response == DRIFT_RESPONSE), 0.05)
    low, high = band(smallest)
    slowest, fastest = _shares(paces)
    return Drift(
        low=slowest,
        high=fastest,
        hours=(max(times) - min(times)) / 3600,
        trials=len(times),
        smallest=smallest,
        flagged=max(paces) - min(paces) > high - low,
    )


def pace(records: Sequence[TrialRecord]) -> HostSpeed | None:
    """Return between which paces the hosts did the probe's fixed work; None with fewer than two blocks that have one.

    A block's pace is the mean over its trials, complete or not, of the logs of all kinds of work; each host is centred
    on its own median.
    """
    blocks: dict[str, dict[int, list[float]]] = {}
    for r in records:
        rates = [v for name in PACES if (v := getattr(r.figures, name))]
        if len(rates) == len(PACES):
            blocks.setdefault(r.host, {}).setdefault(r.block, []).append(float(np.mean(np.log(rates))))
    paces: list[float] = []
    for found in blocks.values():
        means = [float(np.mean(values)) for values in found.values()]
        paces += [value - float(np.median(means)) for value in means] if len(means) > 1 else []
    return HostSpeed(*_shares(paces), len(paces)) if paces else None


def _shares(paces: Sequence[float]) -> tuple[float, float]:
    """Return by what shares the slowest and the fastest of some logarithms of paces differ from their middle."""
    low, high = (math.expm1(max(-_SLOWEST, pace)) for pace in (min(paces), max(paces)))
    return low, high


def block_s(records: Sequence[TrialRecord]) -> float | None:
    """Return the seconds from one block's begin to the next one's, over the whole run; None where not known."""
    starts: dict[int, float] = {}
    for r in records:
        if r.started_s is not None:
            starts[r.block] = min(r.started_s, starts.get(r.block, math.inf))
    if len(starts) < 2:  # noqa: PLR2004 -- one block has no next one
        return None
    return (max(starts.values()) - min(starts.values())) / (len(starts) - 1)


def series_check(
    records: Sequence[TrialRecord], rule: VerdictRule, series: Mapping[str, Sequence[float]]
) -> SeriesCheck | None:
    """Judge requests per second, second by second, of the windows of complete trials; None without series.

    `series` is keyed by the trial's key. The start is averaged over each
    block's trials and the blocks are the sample, as everywhere. A fault inside the window is what its seconds
    differ by, so that such trials say nothing of the warm-up.
    """
    trials = [r for r in complete(records) if r.key in series and r.settings.get("fault", "none") == "none"]
    if not trials:
        return None
    memory = [a for r in trials if (a := autocorrelation(series[r.key])) is not None]
    starts: dict[tuple[str, int], list[float]] = {}
    for record in trials:
        start = start_log_ratio(series[record.key])
        if start is not None:
            starts.setdefault((record.host, record.block), []).append(start)
    means = [float(np.mean(v)) for v in starts.values()]
    interval = t_interval(means, ALPHA) if len(means) >= MIN_BLOCKS else None
    smallest = next((e.share for e in rule.smallest_effects if e.response == DRIFT_RESPONSE), 0.05)
    low, high = band(smallest)
    return SeriesCheck(
        trials=len(trials),
        autocorrelation=float(np.median(memory)) if memory else None,
        start_ratio=math.exp(float(np.mean(means))) if means else None,
        start_interval=None if interval is None else interval.exp(),
        warm_up_short=interval is not None and (interval.high <= low or interval.low >= high),
    )
