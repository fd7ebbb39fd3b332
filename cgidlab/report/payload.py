"""The numbers behind the plots, thinned and packed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard
from urllib.parse import quote

import numpy as np

from cgidlab.instruments.base import Series, TrialDetail
from cgidlab.instruments.worker_states import STATES as WORKER_STATES
from cgidlab.model import Status, TrialRecord
from cgidlab.report.cells import CellTrials, of_reference, others, spread, with_room
from cgidlab.report.charts import STATES
from cgidlab.report.data import QUANTILE_SHARES, ReportInput
from cgidlab.report.words import RESPONSES, known

MAX_POINTS = 200  # of one series of one trial
MAX_DETAILED_TRIALS = 300  # whose series are in the page
MAX_DETAILED_OTHERS = 40  # invalid and failed trials beside them
MAX_LATENCY_TRIALS = 1000  # whose requests are merged into the distributions
MAX_SMALL_PLOTS = 24
MAX_BARS = 60

Columns = dict[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Payload:
    """Data sets by name, the details of the trials that have them, and what was left out."""

    sets: dict[str, Columns]
    details: dict[int, dict[str, Any]]  # by trial number
    shown: tuple[tuple[CellTrials, TrialRecord], ...]  # one trial of each cell, for the small plots
    latency_cells: tuple[tuple[str, list[float]], ...]  # cell title and milliseconds at QUANTILE_SHARES
    latency_trials: int
    wait_rows: tuple[tuple[str, dict[str, float]], ...]  # cell title and shares by state


def href(directory: str, *parts: str) -> str:
    """Return a relative link to a file of the run directory; no name can turn it into another scheme."""
    return "/".join(quote(part) for part in (directory, *parts))


def thin(series: Series, points: int, keep: Literal["max", "mean"]) -> list[list[float | None]]:
    """Return [times, values] of at most `points` values, each the maximum or mean of its stretch.

    A gauge keeps its maximum, because a peak is what one looks for; a rate keeps its mean.
    """
    times = np.asarray(series.times_s, dtype=float)
    values = np.array([v if known(v) else math.nan for v in series.values], dtype=float)
    if len(times) > points:
        edges = np.linspace(0, len(times), points + 1).astype(int)
        fold = np.fmax if keep == "max" else np.add
        whole = np.where(np.isnan(values), 0.0, values) if keep == "mean" else values
        folded = fold.reduceat(whole, edges[:-1])
        if keep == "mean":
            seen = np.add.reduceat(~np.isnan(values), edges[:-1])
            folded = np.divide(folded, seen, out=np.full(points, math.nan), where=seen > 0)
        times, values = times[edges[:-1]], folded
    return [[round(float(t), 3) for t in times], [_short(float(v)) for v in values]]


def _short(value: float) -> float | None:
    if not math.isfinite(value):
        return None
    rounded = round(value, 1)
    return int(rounded) if rounded == int(rounded) else rounded


def build(report: ReportInput, cells: Sequence[CellTrials]) -> Payload:
    """Return all data sets of a report; `report.detail` and `report.latency` are asked for the chosen trials only."""
    chosen = with_room(cells, MAX_DETAILED_TRIALS)
    details = {t.number: d for trials in chosen for t in trials if (d := report.detail(t)) is not None}
    ended_early = [t for t in report.trials if t.outcome.status is not Status.COMPLETE]
    for trial in spread(ended_early, MAX_DETAILED_OTHERS):
        if (detail := report.detail(trial)) is not None:
            details[trial.number] = detail
    latency, merged = _latency(report, cells)
    wait_rows = _waits(cells, chosen, details)
    sets: dict[str, Columns] = {
        "dots": _dots(report, cells),
        "medians": _medians(report, cells),
        "drift": _drift(report),
        "waits": {
            "row": [row for row, _ in wait_rows for _ in STATES],
            "state": [state for _ in wait_rows for state in STATES],
            "share": [round(shares[state], 4) for _, shares in wait_rows for state in STATES],
            "order": [i for _ in wait_rows for i in range(len(STATES))],
        },
    }
    by_number = {t.number: t for t in report.trials}
    return Payload(
        sets=sets,
        details={n: _pack(by_number[n], d) for n, d in sorted(details.items())},
        shown=_typical(cells, details)[:MAX_SMALL_PLOTS],
        latency_cells=latency,
        latency_trials=merged,
        wait_rows=wait_rows,
    )


def twins(report: ReportInput) -> frozenset[str]:
    """Return the labels of the factor's levels that repeat the value of an earlier level (A/A cells)."""
    seen: list[object] = []
    again = set()
    for level in next((f.levels for f in report.factors if f.name == report.factor), ()):
        if level.value in seen:
            again.add(level.label)
        seen.append(level.value)
    return frozenset(again)


def numeric_levels(report: ReportInput) -> dict[str, float] | None:
    """Return the value of each level by its label, or None when the factor's levels are not all numbers."""
    levels = next((f.levels for f in report.factors if f.name == report.factor), ())
    values = {level.label: level.value for level in levels}
    if not values or any(isinstance(v, bool | str) for v in values.values()):
        return None
    return {label: float(value) for label, value in values.items()}


def lines(report: ReportInput, cells: Sequence[CellTrials]) -> tuple[str, ...]:
    """Return the combinations of the other factors' levels: one line each in a plot against the factor."""
    return tuple(dict.fromkeys(line_label(c.levels, report.factor) for c in cells))


def line_label(levels: tuple[tuple[str, str], ...], factor: str) -> str:
    """Return the label of a line: the bare level when only one other factor is left."""
    rest = [pair for pair in levels if pair[0] != factor]
    return rest[0][1] if len(rest) == 1 else others(levels, factor)


def _place(report: ReportInput, value: float | None, line: int, n_lines: int) -> float | None:
    """Return x moved sideways a little, so that the dots of one level do not hide each other."""
    levels = numeric_levels(report)
    if value is None or levels is None:
        return None
    span = [v for v in levels.values() if v > 0]
    if min(levels.values()) <= 0 or min(span) == max(span):
        return value
    step = (math.log(max(span)) - math.log(min(span))) / 45
    return float(f"{value * math.exp(step * (line - (n_lines - 1) / 2)):.5g}")


def _dots(report: ReportInput, cells: Sequence[CellTrials]) -> Columns:
    complete = [t for t in report.trials if t.outcome.status is Status.COMPLETE]
    labels = list(lines(report, cells))
    values, again = numeric_levels(report) or {}, twins(report)
    at = [line_label(t.levels, report.factor) for t in complete]
    level = [dict(t.levels).get(report.factor, "") for t in complete]
    columns: Columns = {
        "trial": [t.number for t in complete],
        "level": level,
        "at": at,
        "twin": [label in again for label in level],
        "x": [
            _place(report, values.get(label), labels.index(a), len(labels)) for label, a in zip(level, at, strict=True)
        ],
    }
    return columns | {c.name: [_figure(getattr(t.figures, c.name)) for t in complete] for c in RESPONSES}


def _medians(report: ReportInput, cells: Sequence[CellTrials]) -> Columns:
    values, again = numeric_levels(report) or {}, twins(report)
    level = [dict(c.levels).get(report.factor, "") for c in cells]
    at = [line_label(c.levels, report.factor) for c in cells]
    labels = list(lines(report, cells))
    columns: Columns = {
        "level": level,
        "at": at,
        "twin": [label in again for label in level],
        "x": [
            _place(report, values.get(label), labels.index(a), len(labels)) for label, a in zip(level, at, strict=True)
        ],
    }
    return columns | {c.name: [_figure(cell.median(c.name)) for cell in cells] for c in RESPONSES}


def _figure(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(f"{value:.5g}")


def _drift(report: ReportInput) -> Columns:
    trials = [
        t
        for t in of_reference(report.trials, report.factor, report.reference)
        if t.started_s is not None and known(t.figures.throughput_rps)
    ]
    first = min((t.started_s for t in report.trials if t.started_s is not None), default=0.0)
    return {
        "trial": [t.number for t in trials],
        "at": [line_label(t.levels, report.factor) for t in trials],
        "minutes": [round(((t.started_s or first) - first) / 60, 2) for t in trials],
        "rps": [_figure(t.figures.throughput_rps) for t in trials],
    }


def _latency(report: ReportInput, cells: Sequence[CellTrials]) -> tuple[tuple[tuple[str, list[float]], ...], int]:
    found: list[tuple[str, list[float]]] = []
    merged = 0
    for cell, trials in zip(cells, with_room(cells, MAX_LATENCY_TRIALS), strict=True):
        values = report.latency(trials) if trials else None
        if values is not None:
            if len(values) != len(QUANTILE_SHARES):
                raise ValueError(f"latency() gave {len(values)} quantiles, {len(QUANTILE_SHARES)} were asked for")
            found.append((cell.title, [float(f"{max(v, 1e-3):.4g}") for v in values]))  # log axis: no zero
            merged += len(trials)
    return tuple(found), merged


def _waits(
    cells: Sequence[CellTrials], chosen: Sequence[Sequence[TrialRecord]], details: dict[int, TrialDetail]
) -> tuple[tuple[str, dict[str, float]], ...]:
    rows = []
    for cell, trials in zip(cells, chosen, strict=True):
        seen = [d.worker_states for t in trials if (d := details.get(t.number)) and d.worker_states]
        sums = {state: sum(s.get(state, 0.0) for s in seen) for state in WORKER_STATES}
        whole = sum(sums.values())
        if whole > 0:
            rows.append((cell.title, {state: total / whole for state, total in sums.items()}))
    return tuple(rows[:MAX_BARS])


def _typical(
    cells: Sequence[CellTrials], details: dict[int, TrialDetail]
) -> tuple[tuple[CellTrials, TrialRecord], ...]:
    found = []
    for cell in cells:
        middle = cell.median("throughput_rps") or 0.0
        trials = [
            t
            for t in cell.complete
            if (d := details.get(t.number)) and (_seen(d.queue_depth) or _seen(d.workers_in_connect))
        ]
        if trials:
            found.append((cell, min(trials, key=lambda t: abs((t.figures.throughput_rps or 0.0) - middle))))
    return tuple(found)


def _seen(series: Series | None) -> TypeGuard[Series]:
    return series is not None and any(known(v) for v in series.values)


def _pack(trial: TrialRecord, detail: TrialDetail) -> dict[str, Any]:
    gauges = {"depth": detail.queue_depth, "asleep": detail.workers_in_connect}
    packed: dict[str, Any] = {n: thin(s, MAX_POINTS, "max") for n, s in gauges.items() if _seen(s)}
    if _seen(detail.throughput_rps):
        packed["rate"] = thin(detail.throughput_rps, MAX_POINTS, "mean")
    if detail.queue_limit is not None:
        packed["limit"] = detail.queue_limit
    return packed | {"dir": href(trial.directory)}
