"""How quiet the host was: noise floor, drift, and what the seconds within a window say."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations, product

import numpy as np

from cgidlab.analysis.effects import ALPHA, pairs_of, within_blocks
from cgidlab.analysis.findings import Combination, Drift, NoiseFloor, SeriesCheck, band
from cgidlab.analysis.intervals import MIN_BLOCKS, Interval, t_interval
from cgidlab.analysis.pairs import cells_of, combinations_of, complete, levels_of, value_of
from cgidlab.analysis.series import autocorrelation, start_log_ratio, trend
from cgidlab.model import Factor, SmallestEffect, TrialRecord, VerdictRule

DRIFT_RESPONSE = "throughput_rps"


def noise_floors(
    records: Sequence[TrialRecord], rule: VerdictRule, declared: Sequence[Factor] = ()
) -> tuple[NoiseFloor, ...]:
    """Return the A/A differences of the rule's responses, per combination and pooled; empty without A/A cells."""
    names = list(dict.fromkeys(n for r in records for n, _ in r.levels))
    found = []
    for factor in names:
        cells = cells_of(records, factor)
        places = combinations_of(records, factor)
        for labels, effect in product(_same_values(records, factor, declared), rule.smallest_effects):
            pairs = {p: pairs_of(cells, labels[1], labels[0], p, effect.response) for p in places}
            present = {p: pair for p, pair in pairs.items() if pair is not None}
            groups = [(p, [pair]) for p, pair in present.items()]
            if len(present) > 1:
                groups.append(((), list(present.values())))
            for at, group in groups:
                scale, d = within_blocks(group)
                if d and scale == "ratio":
                    found.append(_floor(effect, factor, labels, at, d, pooled=len(group) > 1))
    return tuple(found)


def _same_values(records: Sequence[TrialRecord], factor: str, declared: Sequence[Factor]) -> list[tuple[str, str]]:
    levels = levels_of(records, factor, declared)
    return [(a, b) for a, b in combinations(levels.values, 2) if levels.same_value(a, b)]


def _floor(
    effect: SmallestEffect, factor: str, labels: tuple[str, str], at: Combination, d: Sequence[float], *, pooled: bool
) -> NoiseFloor:
    return NoiseFloor(
        response=effect.response,
        factor=factor,
        labels=labels,
        at=at,
        pooled=pooled,
        blocks=len(d),
        ratio=math.exp(float(np.mean(d))),
        interval=_ratio_interval(d),
        block_sd=float(np.std(d, ddof=1)) if len(d) > 1 else None,
        smallest=effect.share,
    )


def _ratio_interval(d: Sequence[float]) -> Interval | None:
    interval = t_interval(d, ALPHA) if len(d) >= MIN_BLOCKS else None
    return None if interval is None else interval.exp()


def drift(records: Sequence[TrialRecord], rule: VerdictRule) -> Drift | None:
    """Return the trend of the reference level's throughput over start times; None with too few trials.

    Each combination of the other factors is centred on its own median first, host by host, so that
    neither the order of cells nor that of hosts looks like a trend.
    """
    times: list[float] = []
    values: list[float] = []
    by_host: dict[tuple[Combination, str], list[tuple[float, float]]] = {}
    for (label, place), trials in cells_of(records, rule.factor).items():
        for r in complete(trials) if label == rule.reference else ():
            value = value_of(r, DRIFT_RESPONSE)
            if r.started_s is not None and value is not None and value > 0:
                by_host.setdefault((place, r.host), []).append((r.started_s, math.log(value)))
    for points in by_host.values():
        middle = float(np.median([v for _, v in points]))
        times += [t for t, _ in points]
        values += [v - middle for _, v in points]
    found = trend(times, values)
    if found is None:
        return None
    smallest = next((e.share for e in rule.smallest_effects if e.response == DRIFT_RESPONSE), 0.05)
    low, high = band(smallest)
    return Drift(
        change=math.expm1(found.change),
        interval=Interval(math.expm1(found.interval.low), math.expm1(found.interval.high)),
        hours=found.span / 3600,
        trials=len(values),
        smallest=smallest,
        flagged=not low < found.change < high and not found.interval.holds(0.0),
    )


def series_check(
    records: Sequence[TrialRecord], rule: VerdictRule, series: Mapping[str, Sequence[float]]
) -> SeriesCheck | None:
    """Judge requests per second, second by second, of the windows of complete trials; None without series.

    `series` is keyed by the trial's key. The start is averaged over each
    block's trials and the blocks are the sample, as everywhere.
    """
    trials = [r for r in complete(records) if r.key in series]
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
