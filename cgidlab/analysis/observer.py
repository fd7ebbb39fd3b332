"""What watching does to a response."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from cgidlab.analysis.findings import Combination, ObserverEffect
from cgidlab.analysis.pairs import complete, value_of
from cgidlab.analysis.trimmed import middle, trimmed_interval
from cgidlab.model import TrialRecord, VerdictRule

MIN_PASSES = 3
"""Watched passes below which no interval is given: it would be wider than any question."""

_Logs = Mapping[Combination, float]


def observer_effects(windows: Sequence[TrialRecord], rule: VerdictRule) -> tuple[ObserverEffect, ...]:
    """Return the effect of watching on each response of the rule; nothing where all passes are watched, or none is.

    A watched pass against the nearest unwatched one before and after it on its host, cell by cell; the mean over its
    cells is one observation. Percentiles are here those of single windows: both sides are equally long.
    """
    found = []
    for effect in rule.smallest_effects:
        d = _differences(windows, effect.response)
        if d:
            center = middle(d).value if len(d) > 1 else d[0]
            interval = trimmed_interval(d) if len(d) >= MIN_PASSES else None
            found.append(
                ObserverEffect(
                    response=effect.response,
                    passes=len(d),
                    ratio=math.exp(center),
                    interval=None if interval is None else interval.exp(),
                    smallest=effect.share,
                )
            )
    return tuple(found)


def _differences(windows: Sequence[TrialRecord], response: str) -> list[float]:
    by_host: dict[str, dict[tuple[int, int], list[TrialRecord]]] = {}
    for r in complete(windows):
        by_host.setdefault(r.host, {}).setdefault((r.block, r.pass_number), []).append(r)
    found = []
    for passes in by_host.values():
        order = sorted(passes)
        logs = [_logs(passes[key], response) for key in order]
        watched = [passes[key][0].watched for key in order]
        for place in (i for i, on in enumerate(watched) if on):
            before = next((logs[i] for i in range(place - 1, -1, -1) if not watched[i]), {})
            after = next((logs[i] for i in range(place + 1, len(order)) if not watched[i]), {})
            each = [
                value - float(np.mean(near))
                for cell, value in logs[place].items()
                if (near := [side[cell] for side in (before, after) if cell in side])
            ]
            if each:
                found.append(float(np.mean(each)))
    return found


def _logs(trials: Sequence[TrialRecord], response: str) -> _Logs:
    values = {r.levels: value_of(r, response) for r in trials}
    return {cell: math.log(v) for cell, v in values.items() if v is not None and v > 0}
