"""Whether a response stays on its side of a value that it is not to pass, level by level.

Unlike a ratio within blocks this is an absolute value: it holds for this host in the hours of the run. The
interval is Student's over blocks, of logarithms, and all levels and bounds of a run share its error.
"""

import math
from collections.abc import Sequence

import numpy as np

from cgidlab import figures
from cgidlab.analysis.findings import BoundAnswer, Side
from cgidlab.analysis.intervals import ALPHA, MIN_BLOCKS, t_interval
from cgidlab.analysis.looks import nominal_alpha, planned_looks
from cgidlab.analysis.pairs import by_unit, cells_of, combinations_of, levels_of
from cgidlab.model import Factor, Repetitions, TrialRecord, VerdictRule


def bound_answers(
    records: Sequence[TrialRecord], rule: VerdictRule, repetitions: Repetitions, declared: Sequence[Factor] = ()
) -> tuple[BoundAnswer, ...]:
    """Return on which side each level is at each combination of the other factors, levels in their order.

    `records` are those that answer. Nothing is claimed of a level with fewer than MIN_BLOCKS blocks.
    """
    levels = levels_of(records, rule.factor, declared)
    places, cells = combinations_of(records, rule.factor), cells_of(records, rule.factor)
    asked = [
        (response, bound, label, place)
        for response, bound in rule.bounds
        for place in places
        for label in levels.values
        if (label, place) in cells
    ]
    alpha = nominal_alpha(planned_looks(repetitions), ALPHA / max(1, len(asked)))
    found = []
    for response, bound, label, place in asked:
        units = by_unit(cells[label, place], response)
        blocks = _by_block(units)
        logs = [math.log(v) for v in blocks if v > 0]
        interval = t_interval(logs, alpha) if len(logs) == len(blocks) >= MIN_BLOCKS else None
        ends = None if interval is None else interval.exp()
        side = Side.OPEN
        if ends is not None and (ends.high < bound or ends.low > bound):
            below = ends.high < bound
            side = Side.KEPT if below != figures.lower_is_worse(response) else Side.PASSED
        value = math.exp(float(np.mean(logs))) if logs else None
        found.append(BoundAnswer(response, bound, rule.factor, label, place, len(blocks), value, ends, side))
    return tuple(found)


def _by_block(units: dict[tuple[str, int, int], float]) -> list[float]:
    """Return one value a block: passes of one block are no two observations of it."""
    blocks: dict[tuple[str, int], list[float]] = {}
    for (host, block, _), value in sorted(units.items()):
        blocks.setdefault((host, block), []).append(value)
    return [float(np.mean(values)) for values in blocks.values()]
