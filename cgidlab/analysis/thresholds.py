"""Whether figures keep the thresholds that a file requires: cell by cell met, missed or undecided.

A figure is judged by its middle over the blocks, with one-sided error ALPHA: it is met where the bound of the
confidence interval keeps the threshold, and missed where the other bound does not. That all are met is claimed only
if each is, so that needs no correction; that one of several is missed does, and has it (Bonferroni). A count is
required of every trial, and so is a threshold of 0: one trial beyond it shows that it can be.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from cgidlab import figures
from cgidlab.analysis.cut_short import TAIL, cut_short
from cgidlab.analysis.findings import Combination
from cgidlab.analysis.intervals import ALPHA, MIN_BLOCKS, Interval
from cgidlab.analysis.looks import nominal_alpha
from cgidlab.analysis.pairs import by_unit, complete, value_of
from cgidlab.analysis.trimmed import middle, trimmed_interval
from cgidlab.gathered import answering, by_cell
from cgidlab.model import Required, Threshold, TrialRecord, covered

_THREE_DIGITS = 100


class Shown(StrEnum):
    """What is shown of one requirement in one cell."""

    MET = "met"
    MISSED = "missed"
    UNDECIDED = "undecided"  # no pass


@dataclass(frozen=True, slots=True)
class Fulfilment:
    """One requirement in one cell."""

    required: str  # "latency_p99_ms <= 300 ms"
    levels: Combination
    state: Shown
    why: str  # a clause: what was found, and how well it is known


@dataclass(frozen=True, slots=True)
class _Errors:
    """How wide an interval is, as the two-sided error of which one side is meant."""

    looks: tuple[int, ...]
    claims: int

    @property
    def of_met(self) -> float:
        return nominal_alpha(self.looks, 2 * ALPHA)

    @property
    def of_missed(self) -> float:
        return nominal_alpha(self.looks, 2 * ALPHA / self.claims)


def thresholds_shown(
    required: Required, records: Sequence[TrialRecord], looks: tuple[int, ...], planned: Sequence[Combination] = ()
) -> tuple[Fulfilment, ...]:
    """Return what is shown of each threshold, in each cell that is asked.

    `records` are all trials of a run, with one more of each cell and block where blocks have several passes (pass 0).
    `planned` are cells of which there may be no trial.
    """
    cells = by_cell(records)
    names = dict.fromkeys((*cells, *(p for p in planned if not any(set(p) == set(c) for c in cells))))
    asked = [levels for levels in names if covered(required.at, levels)]
    errors = _Errors(looks, max(1, len(asked) * len(required.thresholds)))
    open_ = by_cell(answering(records))
    return tuple(
        _fulfilment(threshold, levels, (open_ if _of_load(threshold) else cells).get(levels, []), errors)
        for threshold in required.thresholds
        for levels in asked
    )


def _of_load(threshold: Threshold) -> bool:
    return figures.COLUMNS[threshold.figure].source == figures.LOAD


def _fulfilment(
    threshold: Threshold, levels: Combination, trials: Sequence[TrialRecord], errors: _Errors
) -> Fulfilment:
    if figures.COLUMNS[threshold.figure].kind is int or threshold.bound == 0:
        state, why = _of_every(threshold, trials)
    else:
        state, why = _of_middle(threshold, by_block(trials, threshold.figure), errors)
    if state is Shown.MET and threshold.sense == "<=" and threshold.figure in TAIL:
        state, why = _of_whole_windows(trials, why)
    return Fulfilment(said(threshold), levels, state, why)


def _of_whole_windows(trials: Sequence[TrialRecord], why: str) -> tuple[Shown, str]:
    """Return that a tail is kept to, or that it is not known: where windows ended too soon it is a lower bound."""
    low = next((c for c in cut_short(trials) if c.matters), None)
    if low is None:
        return Shown.MET, why
    return Shown.UNDECIDED, f"{why}, but in {low.some} of {low.of} requests had waited longer when the window ended"


def said(threshold: Threshold) -> str:
    """Return a threshold in words: "latency_p99_ms <= 300 ms"."""
    return f"{threshold.figure} {threshold.sense} {_number(threshold.bound, threshold.figure)}"


def by_block(trials: Sequence[TrialRecord], figure: str) -> list[float]:
    """Return a figure of one cell block by block: the mean of its passes, which lie no more than seconds apart."""
    blocks: dict[tuple[str, int], list[float]] = {}
    for (host, block, _), value in sorted(by_unit(trials, figure).items()):
        blocks.setdefault((host, block), []).append(value)
    return [math.fsum(values) / len(values) for values in blocks.values()]


def _of_every(threshold: Threshold, trials: Sequence[TrialRecord]) -> tuple[Shown, str]:
    able = [(r, v) for r in complete(trials) if r.pass_number and (v := value_of(r, threshold.figure)) is not None]
    beyond = [v for _, v in able if not threshold.kept_by(v)]
    if beyond:
        worst = (max if threshold.sense == "<=" else min)(beyond)
        return (
            Shown.MISSED,
            f"not so in {len(beyond)} of {len(able)} trials, {_number(worst, threshold.figure)} at worst",
        )
    blocks = len({(r.host, r.block) for r, _ in able})
    if blocks < MIN_BLOCKS:
        return Shown.UNDECIDED, _too_few(blocks)
    rarest = 1 - ALPHA ** (1 / len(able))  # the largest share of trials beyond it that so many are likely to miss
    return Shown.MET, f"so in all {len(able)} trials, and beyond it in fewer than {rarest:.0%} of such (95 %)"


def _of_middle(threshold: Threshold, values: Sequence[float], errors: _Errors) -> tuple[Shown, str]:
    if len(values) < MIN_BLOCKS:
        return Shown.UNDECIDED, _too_few(len(values))
    narrow, wide = (_interval(values, alpha) for alpha in (errors.of_met, errors.of_missed))
    below = threshold.sense == "<="
    reach = narrow.high if below else narrow.low
    other = wide.low if below else wide.high
    name = threshold.figure
    center, known = _number(_center(values), name), f"(95 %, {len(values)} blocks)"
    if threshold.kept_by(reach):
        return Shown.MET, f"{center}, {'at most' if below else 'at least'} {_number(reach, name)} {known}"
    if not threshold.kept_by(other):
        return Shown.MISSED, f"{center}, {'at least' if below else 'at most'} {_number(other, name)} {known}"
    return Shown.UNDECIDED, f"{center}, {_number(wide.low, name)} to {_number(wide.high, name)} {known}"


def _interval(values: Sequence[float], alpha: float) -> Interval:
    logs = min(values) > 0
    found = trimmed_interval([math.log(v) for v in values] if logs else values, alpha)
    assert found is not None  # noqa: S101 -- of two values or more there is one
    return found.exp() if logs else found


def _center(values: Sequence[float]) -> float:
    if min(values) > 0:
        return math.exp(middle([math.log(v) for v in values]).value)
    return middle(values).value


def _too_few(blocks: int) -> str:
    have = "1 complete block has" if blocks == 1 else f"{blocks} complete blocks have"
    return f"{have} it, and a claim needs {MIN_BLOCKS}"


def _number(value: float, figure: str) -> str:
    """Return a figure's value with its unit, in as many digits as are worth reading."""
    column = figures.COLUMNS[figure]
    if column.unit == "share":
        return f"{100 * value:.3g} %"
    digits = f"{value:,.0f}" if value == int(value) or abs(value) >= _THREE_DIGITS else f"{value:.3g}"
    return f"{digits} {column.unit}".strip()
