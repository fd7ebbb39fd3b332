"""Ratios of responses between two runs: the only module that knows how unpaired trials are compared.

Block 3 of one run and block 3 of another share neither hour nor noise, so
pairing them would promise what it cannot keep. Within a run, though, the block
stays the unit: a cell has one trial a block, and pooled over cells a block is one
value, the mean of its log responses. Two such samples are compared by Welch's
interval, on log values so that the result is a ratio, and with unequal spreads
because two runs seldom had an equally quiet host. The interval holds what varied
within the runs, and not what changed between them.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cgidlab.analysis.effects import ALPHA, DESCRIBED, answer_of
from cgidlab.analysis.findings import Answer, Combination
from cgidlab.analysis.intervals import MIN_BLOCKS, Interval, welch_interval
from cgidlab.analysis.pairs import by_block
from cgidlab.gathered import by_cell
from cgidlab.model import TrialRecord

MIN_TRIALS = MIN_BLOCKS
"""Below this many trials of a cell in either run no 95 % claim is made, as within a run."""

Sample = Sequence[float]


@dataclass(frozen=True, slots=True)
class Ratio:
    """A response of run B against the same response of run A.

    `estimate` and the intervals are ratios when `scale` is "ratio", and differences
    in the response's unit when it is "difference" (a response that can be 0).
    `interval` holds with 95 % for this comparison, `family_interval` with 95 % for all
    responses that have a threshold, in all cells, together. Both are None below MIN_TRIALS.
    """

    response: str
    at: Combination  # the cell's levels; empty when pooled
    pooled: bool  # blocks averaged over all cells that both runs have
    scale: str  # ratio or difference
    threshold: float | None  # share; None: the rule does not name this response
    n_a: int  # trials of the cell, or blocks when pooled
    n_b: int
    estimate: float | None
    interval: Interval | None
    family_interval: Interval | None
    answer: Answer
    note: str = ""

    @property
    def worse(self) -> bool:
        """Say whether B is worse than A by more than the threshold, with confidence."""
        return self.answer is Answer.COSTS_AT_LEAST


def common_cells(a: Iterable[Combination], b: Iterable[Combination]) -> tuple[Combination, ...]:
    """Return the cells, by the labels of their levels, that both have; in the order and form of `a`."""
    there = {frozenset(levels) for levels in b}
    return tuple(dict.fromkeys(levels for levels in a if frozenset(levels) in there))


def ratios(
    a: Sequence[TrialRecord],
    b: Sequence[TrialRecord],
    cells: Sequence[Combination],
    thresholds: Mapping[str, float],
) -> tuple[Ratio, ...]:
    """Return the ratio of every response in every one of `cells`, and pooled over them where there are several.

    `thresholds` are the responses that are judged and the share that matters of
    each; the others are described. Only complete trials count.
    """
    ours, theirs = _by_cell(a), _by_cell(b)
    responses = list(dict.fromkeys((*thresholds, *DESCRIBED)))
    pooled_too = len(cells) > 1
    family = ALPHA / max(1, len(thresholds) * (len(cells) + pooled_too))
    found = []
    for response in responses:
        before = [by_block(ours.get(frozenset(c), ()), response) for c in cells]
        after = [by_block(theirs.get(frozenset(c), ()), response) for c in cells]
        threshold = thresholds.get(response)
        places: list[tuple[Combination, slice]] = [(c, slice(i, i + 1)) for i, c in enumerate(cells)]
        if pooled_too:
            places.append(((), slice(None)))
        for place, part in places:
            scale, x, y = _samples(before[part], after[part])
            if x or y:
                found.append(_ratio(response, place, scale, x, y, threshold, family))
    return tuple(found)


def _by_cell(records: Sequence[TrialRecord]) -> dict[frozenset[tuple[str, str]], list[TrialRecord]]:
    return {frozenset(levels): trials for levels, trials in by_cell(records).items()}


def _samples(
    before: Sequence[Mapping[tuple[str, int], float]], after: Sequence[Mapping[tuple[str, int], float]]
) -> tuple[str, Sample, Sample]:
    """Return the scale and one value for every block that is complete in all the cells."""
    positive = all(v > 0 for cell in (*before, *after) for v in cell.values())

    def blocks(cells: Sequence[Mapping[tuple[str, int], float]]) -> Sample:
        whole = sorted(set.intersection(*(set(c) for c in cells)))
        return [float(np.mean([math.log(c[k]) if positive else c[k] for c in cells])) for k in whole]

    return "ratio" if positive else "difference", blocks(before), blocks(after)


def _ratio(
    response: str, place: Combination, scale: str, a: Sample, b: Sample, threshold: float | None, family: float
) -> Ratio:
    ratio = scale == "ratio"
    enough = min(len(a), len(b)) >= MIN_TRIALS
    single = welch_interval(b, a, ALPHA) if enough else None
    together = welch_interval(b, a, family) if enough and threshold is not None else None
    answer, note = Answer.DESCRIBED, ""
    if threshold is not None and not ratio:
        answer, note = Answer.INCONCLUSIVE, "a ratio to 0 is not defined"
    elif threshold is not None:
        answer = answer_of(response, threshold, single, together)
    if not enough:
        note = f"descriptive only: {MIN_TRIALS} complete trials in both runs make a 95 % claim"
    middle = float(np.mean(b)) - float(np.mean(a)) if a and b else None
    return Ratio(
        response=response,
        at=place,
        pooled=not place,
        scale=scale,
        threshold=threshold,
        n_a=len(a),
        n_b=len(b),
        estimate=math.exp(middle) if ratio and middle is not None else middle,
        interval=single.exp() if ratio and single else single,
        family_interval=together.exp() if ratio and together else together,
        answer=answer,
        note=note,
    )
