"""Ratios of responses between two runs.

Two runs share neither hour nor noise: separate runs of one build differ by far more than what varies within either.
So what is compared is what each run found within its blocks, the ratio of a level to the reference level that both
have: there the hour cancels. Two such effects are compared by Welch's interval for trimmed means (Yuen 1974,
Biometrika 61). Absolute values are only described, unless earlier runs of the experiment say how far separate runs lie
apart; then all cells together are judged by that, once a response.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats  # type: ignore[import-untyped]  # scipy ships no types

from cgidlab.analysis.answers import answer_of
from cgidlab.analysis.cut_short import NOT_CLAIMED, TAIL, Cell, without_tail
from cgidlab.analysis.effects import DESCRIBED
from cgidlab.analysis.findings import Answer, Combination
from cgidlab.analysis.intervals import ALPHA, MIN_BLOCKS, Interval
from cgidlab.analysis.pairs import Unit, by_unit, paired, within_blocks
from cgidlab.analysis.trimmed import Middle, middle
from cgidlab.model import TrialRecord

MIN_TRIALS = MIN_BLOCKS
"""Below this many trials of a cell in either run no 95 % claim is made, as within a run."""

MIN_EARLIER = 4
"""Earlier runs, the first of the two among them, below which the spread between runs is not known."""

Earlier = Mapping[Cell, Mapping[str, float]]
"""The medians of an earlier run: by cell and response."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """A response of run B against the same response of run A.

    With `against`, it is the ratio to that reference level within each run that is compared: 0.9 says that the level
    lost a tenth against the reference. Without, it is the response itself, on which the hour of the runs lies too.
    `estimate` and the intervals are ratios when `scale` is "ratio", and differences
    in the response's unit when it is "difference" (a response that can be 0).
    `interval` holds with 95 % for this comparison, `equivalence_interval` with 90 %, `family_interval` with 95 % for
    all that are judged together. All are None below MIN_TRIALS, and for responses themselves below MIN_EARLIER.
    """

    response: str
    at: Combination  # the cell's levels; empty when pooled
    pooled: bool  # over all cells that both runs have
    scale: str  # ratio or difference
    threshold: float | None  # share; None: the rule does not name this response
    n_a: int  # blocks, or trials of a cell
    n_b: int
    estimate: float | None
    interval: Interval | None
    family_interval: Interval | None
    answer: Answer
    note: str = ""
    equivalence_interval: Interval | None = None
    against: str = ""  # label of the reference level
    earlier: int = 0  # runs that say how far separate runs lie apart

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
    *,
    reference: tuple[str, str] = ("", ""),
    earlier: Sequence[Earlier] = (),
) -> tuple[Ratio, ...]:
    """Return what each of `cells` lost or gained against the reference level, then the responses themselves.

    `thresholds` are the responses that are judged and the share that matters of
    each; the others are described. Only complete trials count. `reference` is factor and label of the level that both
    runs' ratios refer to; empty: there is none. `earlier` are the runs before B, A among them. Of a tail that the end
    of windows cut short in either run nothing is claimed.
    """
    ours, theirs = _by_cell(a), _by_cell(b)
    responses = list(dict.fromkeys((*thresholds, *DESCRIBED)))
    have = {frozenset(c) for c in cells}
    treated = [(c, _reference_of(c, reference)) for c in cells if reference not in c]
    pairs = [(c, other) for c, other in treated if other != c and frozenset(other) in have]
    # What each run found within its blocks and the responses themselves are two families that share one error.
    alpha = ALPHA / (2 if pairs and len(earlier) >= MIN_EARLIER else 1)
    family = alpha / max(1, len(thresholds) * len(pairs))
    found = []
    for response in responses:
        before = {frozenset(c): by_unit(ours.get(frozenset(c), ()), response) for c in cells}
        after = {frozenset(c): by_unit(theirs.get(frozenset(c), ()), response) for c in cells}
        threshold = thresholds.get(response)
        for cell, other in pairs:
            found += _within(response, cell, frozenset(other), before, after, threshold, family, reference[1])
        found += _themselves(response, cells, before, after, threshold, alpha / max(1, len(thresholds)), earlier)
    cut = without_tail(a) | without_tail(b)
    return tuple(_unclaimed(r, reference, cells, cut) for r in found)


def _unclaimed(ratio: Ratio, reference: tuple[str, str], cells: Sequence[Combination], cut: frozenset[Cell]) -> Ratio:
    """Return the ratio, without a claim that rests on a tail which is too short."""
    if ratio.response not in TAIL or ratio.answer is Answer.DESCRIBED:
        return ratio
    own = [ratio.at, _reference_of(ratio.at, reference)] if ratio.against else [ratio.at] if ratio.at else cells
    if cut.isdisjoint(frozenset(c) for c in own):
        return ratio
    return replace(ratio, answer=Answer.INCONCLUSIVE, note=NOT_CLAIMED)


def _reference_of(cell: Combination, reference: tuple[str, str]) -> Combination:
    return tuple(reference if name == reference[0] else (name, label) for name, label in cell)


def _by_cell(records: Sequence[TrialRecord]) -> dict[Cell, list[TrialRecord]]:
    cells: dict[Cell, list[TrialRecord]] = {}
    for record in records:
        cells.setdefault(frozenset(record.levels), []).append(record)
    return cells


Values = Mapping[Cell, Mapping[Unit, float]]


def _within(  # a comparison has that many sides
    response: str, cell: Combination, other: Cell, before: Values, after: Values,
    threshold: float | None, family: float, label: str,
) -> list[Ratio]:  # fmt: skip
    (scale_a, x), (scale_b, y) = (within_blocks(paired(run[frozenset(cell)], run[other])) for run in (before, after))
    if scale_a != "ratio" or scale_b != "ratio" or not (x and y):
        return []
    ends = _welch(middle(y), middle(x)) if min(len(x), len(y)) >= MIN_TRIALS else None
    single, equal, together = (None if ends is None else ends.at(alpha) for alpha in (ALPHA, 2 * ALPHA, family))
    answer = Answer.DESCRIBED if threshold is None else answer_of(response, threshold, equal, together)
    value = ends.difference if ends is not None else float(np.mean(y)) - float(np.mean(x))
    return [
        Ratio(
            response=response, at=cell, pooled=False, scale="ratio", threshold=threshold, n_a=len(x), n_b=len(y),
            estimate=math.exp(value), interval=_exp(single), family_interval=_exp(together),
            equivalence_interval=_exp(equal), answer=answer, against=label,
            note=""
            if ends is not None
            else f"descriptive only: both runs need {MIN_TRIALS} complete blocks for a claim",
        )
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Welch:
    difference: float
    error: float
    df: float

    def at(self, alpha: float) -> Interval:
        half = float(stats.t.isf(alpha / 2, self.df)) * self.error
        return Interval(self.difference - half, self.difference + half)


def _welch(ours: Middle, theirs: Middle) -> _Welch:
    one, other = ours.error**2, theirs.error**2
    parts = one**2 / ours.df + other**2 / theirs.df
    return _Welch(ours.value - theirs.value, math.sqrt(one + other), (one + other) ** 2 / parts if parts else math.inf)


def _themselves(
    response: str, cells: Sequence[Combination], before: Values, after: Values,
    threshold: float | None, family: float, earlier: Sequence[Earlier],
) -> list[Ratio]:  # fmt: skip
    """Return the response of each cell in both runs, and of all of them together, which alone is judged."""
    found = []
    places: list[tuple[Combination, Sequence[Combination]]] = [(c, (c,)) for c in cells]
    if len(cells) > 1:
        places.append(((), cells))
    for place, part in places:
        scale, x, y = _samples([before[frozenset(c)] for c in part], [after[frozenset(c)] for c in part])
        if not (x or y):
            continue
        runs = _between(response, part, earlier) if scale == "ratio" else []
        value = middle_of(y) - middle_of(x) if x and y else None
        judged = len(part) == len(cells) and threshold is not None
        single = equal = together = None
        if value is not None and len(runs) >= MIN_EARLIER and min(len(x), len(y)) >= MIN_TRIALS:
            # Two runs, each as far from the middle of all as one of the earlier ones.
            ends = _Welch(value, math.sqrt(2) * float(np.std(runs, ddof=1)), len(runs) - 1)
            single, equal, together = (ends.at(alpha) for alpha in (ALPHA, 2 * ALPHA, family))
        answer = Answer.DESCRIBED
        if judged and threshold is not None:
            answer = answer_of(response, threshold, equal, together)
        found.append(
            Ratio(
                response=response, at=place, pooled=not place, scale=scale,
                threshold=threshold if judged else None, n_a=len(x), n_b=len(y),
                estimate=math.exp(value) if value is not None and scale == "ratio" else value,
                interval=_exp(single), family_interval=_exp(together) if judged else None,
                equivalence_interval=_exp(equal), answer=answer, note=_note(scale, runs, x, y, judged=judged),
                earlier=len(runs),
            )
        )  # fmt: skip
    return found


def _note(scale: str, runs: Sequence[float], x: Sequence[float], y: Sequence[float], *, judged: bool) -> str:
    """Return on what a claim about the response itself rests, or why there is none."""
    if scale != "ratio":
        return "a ratio to 0 is not defined" if judged else ""
    if min(len(x), len(y)) < MIN_TRIALS:
        return f"descriptive only: {MIN_TRIALS} complete trials in both runs make a 95 % claim"
    if len(runs) >= MIN_EARLIER:
        apart = math.expm1(float(np.std(runs, ddof=1)))
        return f"separate runs lie apart by {100 * apart:.0f} % here, as {len(runs)} runs say" if judged else ""
    known = f"{len(runs)} of the {MIN_EARLIER} runs" if runs else f"{MIN_EARLIER} runs"
    return f"no claim: {known} that would say how far separate runs lie apart" if judged else ""


def middle_of(values: Sequence[float]) -> float:
    """Return the middle of a sample, of a single value too."""
    return middle(values).value if len(values) > 1 else values[0]


def _between(response: str, part: Sequence[Combination], earlier: Sequence[Earlier]) -> list[float]:
    """Return the mean log median over these cells of every earlier run that has them all."""
    found = []
    for run in earlier:
        values = [run.get(frozenset(c), {}).get(response) for c in part]
        known = [v for v in values if v is not None and v > 0]
        if len(known) == len(values):
            found.append(float(np.mean(np.log(known))))
    return found


def _samples(
    before: Sequence[Mapping[Unit, float]], after: Sequence[Mapping[Unit, float]]
) -> tuple[str, list[float], list[float]]:
    """Return the scale and one value for every block that is complete in all the cells."""
    positive = all(v > 0 for cell in (*before, *after) for v in cell.values())

    def blocks(cells: Sequence[Mapping[Unit, float]]) -> list[float]:
        whole = sorted(set.intersection(*(set(c) for c in cells)))
        return [float(np.mean([math.log(c[k]) if positive else c[k] for c in cells])) for k in whole]

    return "ratio" if positive else "difference", blocks(before), blocks(after)


def _exp(interval: Interval | None) -> Interval | None:
    return None if interval is None else interval.exp()
