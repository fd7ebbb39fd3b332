"""The numbers behind the plots, thinned and packed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard
from urllib.parse import quote

import numpy as np

from cgidlab.gathered import numeric_setting
from cgidlab.instruments.base import Answered, Series, TrialDetail
from cgidlab.instruments.worker_states import STATES as WORKER_STATES
from cgidlab.model import Status, TrialRecord
from cgidlab.report.axes import LevelAxis
from cgidlab.report.cells import CellTrials, others, spread, with_room
from cgidlab.report.charts import row_label
from cgidlab.report.data import QUANTILE_SHARES, ReportInput, beyond
from cgidlab.report.timecharts import PARTS, STATES
from cgidlab.report.words import RESPONSES, known

MAX_POINTS = 200  # of one series of one trial
MAX_DETAILED_TRIALS = 300  # whose series are in the page
MAX_DETAILED_OTHERS = 40  # invalid and failed trials beside them
MAX_LATENCY_TRIALS = 1000  # whose requests are merged into the percentiles, and have a map over time
MAX_SMALL_PLOTS = 24
MAX_BARS = 60
HEAT_TIMES = 30  # columns of a map of latency over time
HEAT_DECADE = 8  # its rows in a decade
FEW_BEYOND = 10  # requests: a percentile that fewer lie beyond is not drawn

Columns = dict[str, list[Any]]


@dataclass(frozen=True, slots=True)
class RequestTime:
    """What the mean time of a cell's requests was made of, in its watched trials together, in milliseconds."""

    parts: Mapping[str, float]  # `timecharts.PARTS`
    queued: float | None  # that one of its connections lay in the queue; None: queue or connects were not watched


@dataclass(frozen=True, slots=True)
class Payload:
    """Data sets by name, the details of the trials that have them, and what was left out."""

    sets: dict[str, Columns]
    axes: dict[str, Columns]  # by factor: where each cell stands on it
    details: dict[int, dict[str, Any]]  # by trial number
    shown: tuple[tuple[CellTrials, TrialRecord], ...]  # one trial of each cell, for the small plots
    top: float  # of the small plots: connections or threads
    latency: dict[int, list[float]]  # by cell: milliseconds at QUANTILE_SHARES, as far as enough requests lie beyond
    latency_trials: int
    heat_ends: tuple[float, float] | None  # ms, of all maps
    wait_rows: tuple[tuple[str, dict[str, float]], ...]  # a cell's label and shares by state
    time_rows: tuple[tuple[str, RequestTime], ...]  # a cell's label


def href(directory: str, *parts: str) -> str:
    """Return a relative link to a file of the run directory; no name can turn it into another scheme."""
    return "/".join(quote(part) for part in (directory, *parts))


def thin(series: Series, points: int) -> list[list[float | None]]:
    """Return [times, values] of at most `points` values, each the maximum of its stretch: peaks are looked for."""
    times = np.asarray(series.times_s, dtype=float)
    values = np.array([v if known(v) else math.nan for v in series.values], dtype=float)
    if len(times) > points:
        edges = np.linspace(0, len(times), points + 1).astype(int)[:-1]
        times, values = times[edges], np.fmax.reduceat(values, edges)
    return [[round(float(t), 3) for t in times], [_short(float(v)) for v in values]]


def _short(value: float) -> float | None:
    if not math.isfinite(value):
        return None
    rounded = round(value, 1)
    return int(rounded) if rounded == int(rounded) else rounded


def build(report: ReportInput, cells: Sequence[CellTrials]) -> Payload:
    """Return all data sets of a report; `report.detail` and `report.requests` are asked for the chosen trials only."""
    chosen = with_room([c.witnessed for c in cells], MAX_DETAILED_TRIALS)
    details = {t.number: d for trials in chosen for t in trials if (d := report.detail(t)) is not None}
    latency, merged, heat = _latency(report, cells)
    ended_early = [t for t in report.trials if t.outcome.status is not Status.COMPLETE]
    for trial in spread(ended_early, MAX_DETAILED_OTHERS):
        if (detail := report.detail(trial)) is not None:
            details[trial.number] = detail
        if (answered := report.requests(trial)) is not None and len(answered.at_s):
            heat[trial.number] = heat_map(answered)
    wait_rows = _waits(cells, chosen, details)
    shown = _typical(cells, details)[:MAX_SMALL_PLOTS]
    by_number = {t.number: t for t in report.trials}
    numbers = sorted({*details, *heat})
    return Payload(
        sets={"trials": _trials(report, cells), "cells": _cells(cells), "waits": _wait_columns(wait_rows)},
        axes={f: _axis(report, cells, f) for f in axes(report)},
        details={n: _pack(by_number[n], details.get(n), heat.get(n)) for n in numbers},
        shown=shown,
        top=_top([details[t.number] for _, t in shown]),
        latency=latency,
        latency_trials=merged,
        heat_ends=_heat_ends(heat.values()),
        wait_rows=wait_rows,
        time_rows=tuple(
            (row_label(c.title), found) for c in cells[:MAX_BARS] if (found := request_time(c)) is not None
        ),
    )


# Where cells stand.


def axes(report: ReportInput) -> tuple[str, ...]:
    """Return the factors that a response can be drawn against, the one to begin with first.

    That is the load where it has levels: throughput and latency by load are what is known of other servers.
    """
    several = [f.name for f in report.factors if len(f.levels) > 1]
    first = next((name for name in ("clients", "rate", "burst_requests") if name in several), report.factor)
    return tuple(sorted(several, key=lambda name: name != first)) or (report.factor,)


def twins(report: ReportInput, factor: str) -> frozenset[str]:
    """Return the labels of a factor's levels that repeat the value of an earlier level (A/A cells)."""
    seen: list[object] = []
    again = set()
    for level in next((f.levels for f in report.factors if f.name == factor), ()):
        if level.value in seen:
            again.add(level.label)
        seen.append(level.value)
    return frozenset(again)


def numeric_levels(report: ReportInput, factor: str) -> dict[str, float] | None:
    """Return the value of each level by its label, or None when the factor's levels are not all numbers."""
    levels = next((f.levels for f in report.factors if f.name == factor), ())
    values = {level.label: level.value for level in levels}
    if not values or any(isinstance(v, bool | str) for v in values.values()):
        return None
    return {label: float(value) for label, value in values.items()}


def lines(cells: Sequence[CellTrials], factor: str) -> tuple[str, ...]:
    """Return the combinations of the other factors' levels: one line each in a plot against the factor."""
    return tuple(dict.fromkeys(line_label(c.levels, factor) for c in cells))


def line_label(levels: tuple[tuple[str, str], ...], factor: str) -> str:
    """Return the label of a line: the bare level when only one other factor is left."""
    rest = [pair for pair in levels if pair[0] != factor]
    return rest[0][1] if len(rest) == 1 else others(levels, factor)


def _axis(report: ReportInput, cells: Sequence[CellTrials], factor: str) -> Columns:
    values, again = numeric_levels(report, factor), twins(report, factor)
    scale = LevelAxis.of(list(values.values())) if values else None
    level = [dict(c.levels).get(factor, "") for c in cells]
    at = [line_label(c.levels, factor) for c in cells]
    labels = list(lines(cells, factor))
    x = [
        scale.place(values[label], labels.index(line), len(labels)) if scale and values and label in values else None
        for label, line in zip(level, at, strict=True)
    ]
    return {"level": level, "at": at, "twin": [label in again for label in level], "x": x}


def _trials(report: ReportInput, cells: Sequence[CellTrials]) -> Columns:
    place = {c.levels: i for i, c in enumerate(cells)}
    complete = [t for t in report.trials if t.outcome.status is Status.COMPLETE]
    first = min((t.started_s for t in report.trials if t.started_s is not None), default=0.0)
    middle = [c.median("throughput_rps") for c in cells]
    cell = [place[t.levels] for t in complete]
    return {
        "trial": [t.number for t in complete],
        "cell": cell,
        "minutes": [None if t.started_s is None else round((t.started_s - first) / 60, 2) for t in complete],
        "share": [
            _figure(rate / median)
            if known(rate := t.figures.throughput_rps) and rate and (median := middle[i])
            else None
            for t, i in zip(complete, cell, strict=True)
        ],
        **{c.name: [_figure(getattr(t.figures, c.name)) for t in complete] for c in RESPONSES},
    }


def _cells(cells: Sequence[CellTrials]) -> Columns:
    medians = {c.name: [_figure(cell.median(c.name)) for cell in cells] for c in RESPONSES}
    return {"title": [c.title for c in cells], **medians}


def _figure(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(f"{value:.5g}")


# Requests.


def _latency(
    report: ReportInput, cells: Sequence[CellTrials]
) -> tuple[dict[int, list[float]], int, dict[int, dict[str, Any]]]:
    """Return percentiles by cell, of how many trials they are, and the map of each of these trials."""
    found: dict[int, list[float]] = {}
    heat: dict[int, dict[str, Any]] = {}
    merged = 0
    for i, trials in enumerate(with_room([c.complete for c in cells], MAX_LATENCY_TRIALS)):
        answered = {t.number: a for t in trials if (a := report.requests(t)) is not None and len(a.at_s)}
        merged += len(answered)
        heat |= {number: heat_map(a) for number, a in answered.items()}
        if not answered:
            continue
        together = np.concatenate([a.latency_ms for a in answered.values()])
        shares = [s for s in QUANTILE_SHARES if len(together) >= FEW_BEYOND * beyond(s)]
        if shares:
            values = np.quantile(together, shares).tolist()
            found[i] = [float(f"{max(v, 1e-3):.4g}") for v in values]  # log axis: no zero
    return found, merged, heat


def heat_map(answered: Answered) -> dict[str, Any]:
    """Return how many requests were answered when, and after how long: counts, column by column of time.

    `s` is the length of the window in seconds, `n` the number of its columns, `low` the first row and `rows` their
    number, where row i begins at 10 ** (i / HEAT_DECADE) ms. Where times are known to the second only, a column is one.
    `counts` leaves out zeros between its commas.
    """
    n = HEAT_TIMES if answered.exact else max(1, min(HEAT_TIMES, round(answered.window_s)))
    row = np.floor(np.log10(np.maximum(answered.latency_ms, 1e-3)) * HEAT_DECADE).astype(np.int64)
    low = int(row.min())
    rows = int(row.max()) - low + 1
    column = np.clip((answered.at_s / answered.window_s * n).astype(np.int64), 0, n - 1)
    counts = np.bincount(column * rows + row - low, minlength=n * rows)
    packed = ",".join(str(c) if c else "" for c in counts.tolist())
    return {"s": _figure(answered.window_s), "n": n, "low": low, "rows": rows, "counts": packed}


def _heat_ends(maps: Any) -> tuple[float, float] | None:  # noqa: ANN401 -- values of a mapping
    found = list(maps)
    if not found:
        return None
    low, high = min(m["low"] for m in found), max(m["low"] + m["rows"] for m in found)
    return 10 ** (low / HEAT_DECADE), 10 ** (high / HEAT_DECADE)


def request_time(cell: CellTrials) -> RequestTime | None:
    """Return what the mean time of a cell's requests was made of; None unless its watched trials know all of it.

    By Little's law: threads that are in a state on average, by answers a second, is the time that a request spends in
    it. What no instrument says is "other": waiting for a worker or a CPU, httpd's own work, the way there and back.
    """
    trials = [t for t in cell.witnessed if _knows_its_time(t)]
    requests = sum(t.figures.requests or 0 for t in trials)
    if not requests:
        return None

    def mean_ms(column: str) -> float:
        spent = sum(getattr(t.figures, column) * (numeric_setting(t, "window_s") or 0.0) for t in trials)
        return float(1000 * spent / requests)

    whole = sum((t.figures.latency_mean_ms or 0.0) * (t.figures.requests or 0) for t in trials) / requests
    connect, read = mean_ms("workers_in_connect_mean"), mean_ms("workers_in_read_mean")
    connects = sum(t.figures.connects or 0 for t in trials)
    seen = connects and all(known(t.figures.queue_depth_mean) and t.figures.connects for t in trials)
    queued = mean_ms("queue_depth_mean") * requests / connects if seen else None
    parts = {"connect": connect, "read": read, "other": max(0.0, whole - connect - read)}
    return RequestTime({name: parts[name] for name in PARTS}, queued)


def _knows_its_time(trial: TrialRecord) -> bool:
    f = trial.figures
    return all(known(v) for v in (f.workers_in_connect_mean, f.workers_in_read_mean, f.latency_mean_ms)) and bool(
        f.requests
    )


# What instruments saw.


def _waits(
    cells: Sequence[CellTrials], chosen: Sequence[Sequence[TrialRecord]], details: Mapping[int, TrialDetail]
) -> tuple[tuple[str, dict[str, float]], ...]:
    rows = []
    for cell, trials in zip(cells, chosen, strict=True):
        seen = [d.worker_states for t in trials if (d := details.get(t.number)) and d.worker_states]
        sums = {state: sum(s.get(state, 0.0) for s in seen) for state in WORKER_STATES}
        whole = sum(sums.values())
        if whole > 0:
            rows.append((row_label(cell.title), {state: total / whole for state, total in sums.items()}))
    return tuple(rows[:MAX_BARS])


def _wait_columns(rows: Sequence[tuple[str, dict[str, float]]]) -> Columns:
    return {
        "row": [row for row, _ in rows for _ in STATES],
        "state": [state for _ in rows for state in STATES],
        "share": [round(shares[state], 4) for _, shares in rows for state in STATES],
        "order": [i for _ in rows for i in range(len(STATES))],
    }


def _typical(
    cells: Sequence[CellTrials], details: Mapping[int, TrialDetail]
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


def _top(details: Sequence[TrialDetail]) -> float:
    """Return the end of an axis that all of these series fit on."""
    values = [v for d in details for s in (d.queue_depth, d.workers_in_connect) if s for v in s.values if v is not None]
    return math.ceil(1.05 * max([*values, 1.0]))


def _seen(series: Series | None) -> TypeGuard[Series]:
    return series is not None and any(known(v) for v in series.values)


def _pack(trial: TrialRecord, detail: TrialDetail | None, heat: Mapping[str, Any] | None) -> dict[str, Any]:
    packed: dict[str, Any] = {} if heat is None else {"heat": heat}
    if detail is not None:
        gauges = {"depth": detail.queue_depth, "asleep": detail.workers_in_connect}
        packed |= {n: thin(s, MAX_POINTS) for n, s in gauges.items() if _seen(s)}
        if detail.queue_limit is not None:
            packed["limit"] = detail.queue_limit
    return packed | {"dir": href(trial.directory)}
