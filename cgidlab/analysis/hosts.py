"""What each host says by itself: servers are compared, and never averaged over.

Effects are made within blocks, and a block ran on one host; blocks are nested in hosts. Here the same effects
are made host by host, and it is asked whether the hosts agree.
"""

import math
from collections.abc import Sequence
from itertools import product

import numpy as np

from cgidlab.analysis.findings import HostEffect, HostLevel, HostsApart
from cgidlab.analysis.intervals import ALPHA, MIN_BLOCKS, t_interval
from cgidlab.analysis.pairs import (
    Pairs,
    cells_of,
    combinations_of,
    complete,
    levels_of,
    pairs_of,
    value_of,
    within_blocks,
)
from cgidlab.gathered import known
from cgidlab.model import Factor, TrialRecord, VerdictRule

MIN_A_HOST = 2
"""Blocks that each host needs before anything is said of a difference between hosts."""


def hosts_apart(
    records: Sequence[TrialRecord], rule: VerdictRule, declared: Sequence[Factor] = ()
) -> tuple[HostsApart, ...]:
    """Return each registered comparison host by host; empty for one host.

    Hosts differ when the variance of the within-block ratios between them is larger than chance makes of blocks
    (one-way analysis of variance at 5 %, Bonferroni over the comparisons).
    """
    names = tuple(dict.fromkeys(r.host for r in complete(records)))
    if len(names) < 2:  # noqa: PLR2004 -- one host cannot differ
        return ()
    levels = levels_of(records, rule.factor, declared)
    treated = [lb for lb in levels.values if lb != rule.reference and not levels.same_value(lb, rule.reference)]
    cells = cells_of(records, rule.factor)
    asked = [
        (effect.response, level, place, pairs)
        for effect, level, place in product(rule.smallest_effects, treated, combinations_of(records, rule.factor))
        if (pairs := pairs_of(cells, level, rule.reference, place, effect.response))
    ]
    found = []
    for response, level, place, pairs in asked:
        scale, by_host = _by_host(pairs, names)
        p = _p_of_difference(list(by_host.values()))
        reference = cells[rule.reference, place]
        found.append(
            HostsApart(
                response=response,
                level=level,
                reference=rule.reference,
                at=place,
                scale=scale,
                effects=tuple(_effect(host, d, scale) for host, d in by_host.items()),
                levels=tuple(_level(host, reference, response) for host in names),
                p=p,
                differ=p is not None and p < ALPHA / len(asked),
            )
        )
    return tuple(found)


def _by_host(pairs: Pairs, names: Sequence[str]) -> tuple[str, dict[str, list[float]]]:
    """Return the scale, one for all hosts, and each host's differences within blocks."""
    scale = within_blocks(pairs)[0]
    if scale == "ratio":
        return scale, {h: [math.log(a / b) for (host, *_), (a, b) in pairs.items() if host == h] for h in names}
    return scale, {h: [a - b for (host, *_), (a, b) in pairs.items() if host == h] for h in names}


def _p_of_difference(groups: Sequence[Sequence[float]]) -> float | None:
    """Return the p of "all hosts have one mean"; None when there are too few blocks to ask."""
    from scipy import stats  # type: ignore[import-untyped]  # noqa: PLC0415 -- a second to load, and most runs have one host

    able = [g for g in groups if len(g) >= MIN_A_HOST]
    if len(able) < 2 or not any(np.ptp(g) > 0 for g in able):  # noqa: PLR2004 -- as above
        return None
    return float(stats.f_oneway(*able).pvalue)


def _effect(host: str, d: Sequence[float], scale: str) -> HostEffect:
    interval = t_interval(d, ALPHA) if len(d) >= MIN_BLOCKS else None
    mean = float(np.mean(d)) if d else None
    if scale == "ratio":
        return HostEffect(host, len(d), None if mean is None else math.exp(mean), interval.exp() if interval else None)
    return HostEffect(host, len(d), mean, interval)


def _level(host: str, reference: Sequence[TrialRecord], response: str) -> HostLevel:
    values = known([r for r in complete(reference) if r.host == host and value_of(r, response) is not None], response)
    return HostLevel(host, len(values), float(np.median(values)) if values else None)
