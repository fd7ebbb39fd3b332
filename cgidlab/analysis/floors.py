"""What is found where there is nothing."""

import math
from collections.abc import Sequence
from itertools import combinations, product

import numpy as np

from cgidlab.analysis.findings import Combination, NoiseFloor
from cgidlab.analysis.intervals import ALPHA, MIN_BLOCKS, Interval
from cgidlab.analysis.pairs import cells_of, combinations_of, levels_of, pairs_of, within_blocks
from cgidlab.analysis.trimmed import middle, trimmed_interval
from cgidlab.model import Factor, SmallestEffect, TrialRecord, VerdictRule


def noise_floors(
    records: Sequence[TrialRecord], rule: VerdictRule, declared: Sequence[Factor] = ()
) -> tuple[NoiseFloor, ...]:
    """Return the A/A differences of the rule's responses, per combination and pooled; empty without A/A cells."""
    names = list(dict.fromkeys(n for r in records for n, _ in r.levels))
    found = []
    for factor in names:
        same = _same_values(records, factor, declared)
        if not same:
            continue
        cells = cells_of(records, factor)
        places = combinations_of(records, factor)
        for labels, effect in product(same, rule.smallest_effects):
            pairs = {p: pairs_of(cells, labels[1], labels[0], p, effect.response) for p in places}
            logs = {p: within_blocks(pair) for p, pair in pairs.items() if pair}
            ratios = {p: d for p, (scale, d) in logs.items() if scale == "ratio"}
            found += [_floor(effect, factor, labels, p, d) for p, d in ratios.items()]
            if len(logs) > 1 and len(ratios) == len(logs):
                # As many values as the place with the fewest has: each is a mean over the places.
                n = min(len(d) for d in ratios.values())
                over_all = [float(np.mean([d[i] for d in ratios.values()])) for i in range(n)]
                found.append(_floor(effect, factor, labels, None, over_all))
    return tuple(found)


def _same_values(records: Sequence[TrialRecord], factor: str, declared: Sequence[Factor]) -> list[tuple[str, str]]:
    levels = levels_of(records, factor, declared)
    return [(a, b) for a, b in combinations(levels.values, 2) if levels.same_value(a, b)]


def _floor(
    effect: SmallestEffect, factor: str, labels: tuple[str, str], at: Combination | None, d: Sequence[float]
) -> NoiseFloor:
    center = middle(d) if len(d) > 1 else None
    interval: Interval | None = trimmed_interval(d, ALPHA) if len(d) >= MIN_BLOCKS else None
    return NoiseFloor(
        response=effect.response,
        factor=factor,
        labels=labels,
        at=at or (),
        pooled=at is None,
        blocks=len(d),
        ratio=math.exp(center.value if center is not None else d[0]),
        interval=None if interval is None else interval.exp(),
        block_sd=None if center is None else center.spread,
        smallest=effect.share,
    )
