"""Which plots a report has and what each is called and says: specifications with their captions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cgidlab import figures
from cgidlab.analysis.findings import Answer, Effect, NoiseFloor
from cgidlab.analysis.intervals import MIN_BLOCKS, Interval
from cgidlab.report import charts, words
from cgidlab.report.cells import CellTrials
from cgidlab.report.data import ReportInput
from cgidlab.report.payload import Columns, Payload, line_label, lines, numeric_levels, twins

MAX_TOLD = 6  # differences in a caption


@dataclass(frozen=True, slots=True)
class Plot:
    """One plot of a group: the name of its specification and the heading above it."""

    name: str
    title: str
    note: str = ""


def title(response: str) -> str:
    """Return a response's name as a heading."""
    name = figures.title(response)
    return name if name.startswith("p9") else name[:1].upper() + name[1:]


def effect_row(effect: Effect) -> str:
    """Return the label of an effect's row: its level, and where it was compared."""
    return " \N{MIDDLE DOT} ".join(part for part in (effect.level, words.where(effect)) if part)


def effect_text(effect: Effect) -> str:
    """Return an effect in a sentence: for the tooltip and for those who cannot see the plot."""
    size, interval = words.effect_size(effect)
    at = f" ({words.where(effect)})" if words.where(effect) else ""
    told = f"{effect.level} against {effect.reference}{at}: {size}, 95 % interval {interval}, {effect.blocks} blocks"
    return f"{told}: {words.ANSWERS[effect.answer]}"


def on_ratio_axis(effect: Effect) -> bool:
    """Say whether an effect can be drawn: a known ratio above zero."""
    return (
        effect.scale == "ratio" and effect.estimate is not None and words.known(effect.estimate) and effect.estimate > 0
    )


def effect_plots(effects: Sequence[Effect]) -> tuple[list[Plot], dict[str, charts.Spec], dict[str, Columns]]:
    """Return one plot a response with intervals over the band that does not matter."""
    plots: list[Plot] = []
    specs: dict[str, charts.Spec] = {}
    sets: dict[str, Columns] = {}
    for response in dict.fromkeys(e.response for e in effects):
        shown = [e for e in effects if e.response == response and on_ratio_axis(e)]
        if not shown:
            continue
        name = f"effects-{len(plots)}"
        rows = [effect_row(e) for e in shown]
        texts = [effect_text(e) for e in shown]
        sets[name] = _intervals(rows, [(e.estimate, e.interval) for e in shown], [e.answer for e in shown], texts)
        says = f"{title(response)}, change against {shown[0].reference}. " + "; ".join(texts)
        specs[name] = charts.effects(name, rows, _ends(sets[name]), shown[0].smallest, says)
        smallest = shown[0].smallest
        notes = [f"Shaded: changes of less than {words.percent(smallest)}, which do not matter."] if smallest else []
        if any(e.interval is None for e in shown):
            notes.append(f"A mark without a line has fewer than {MIN_BLOCKS} complete blocks: no claim is made.")
        plots.append(Plot(name, title(response), " ".join(notes)))
    return plots, specs, sets


def _intervals(
    rows: Sequence[str],
    found: Sequence[tuple[float | None, Interval | None]],
    answers: Sequence[Answer],
    texts: Sequence[str],
) -> Columns:
    return {
        "row": list(rows),
        "ratio": [ratio for ratio, _ in found],
        "low": [_positive(i.low, ratio) if i else ratio for ratio, i in found],
        "high": [_positive(i.high, ratio) if i else ratio for ratio, i in found],
        "answer": [str(a) for a in answers],
        "text": list(texts),
    }


def _positive(end: float, otherwise: float | None) -> float | None:
    return end if words.known(end) and end > 0 else otherwise


def _ends(columns: Columns) -> list[float]:
    return [*columns["low"], *columns["high"], *columns["ratio"]]


def noise_plot(floor: Sequence[NoiseFloor]) -> tuple[list[Plot], dict[str, charts.Spec], dict[str, Columns]]:
    """Return the plot of the differences found where there should be none."""
    shown = [n for n in floor if words.known(n.ratio) and n.ratio > 0]
    if not shown:
        return [], {}, {}
    rows = [noise_row(n) for n in shown]
    texts = [f"{r}: {words.change(n.ratio)} ({words.interval(n.interval)})" for r, n in zip(rows, shown, strict=True)]
    columns = _intervals(rows, [(n.ratio, n.interval) for n in shown], [Answer.DESCRIBED] * len(shown), texts)
    spec = charts.effects("noise", rows, _ends(columns), None, "Noise floor. " + "; ".join(texts))
    told = texts if len(texts) <= MAX_TOLD else [texts[shown.index(max(shown, key=lambda n: abs(math.log(n.ratio))))]]
    note = ("" if len(texts) <= MAX_TOLD else "The largest: ") + "; ".join(told) + "."
    return [Plot("noise", "Noise floor", note)], {"noise": spec}, {"noise": columns}


def noise_row(found: NoiseFloor) -> str:
    """Return the label of a difference between two names of one level."""
    at = "all together" if found.pooled else ", ".join(f"{factor} {label}" for factor, label in found.at)
    return " \N{MIDDLE DOT} ".join(part for part in (title(found.response), at) if part)


def response_plots(report: ReportInput, cells: Sequence[CellTrials]) -> tuple[list[Plot], dict[str, charts.Spec]]:
    """Return throughput and latencies against the factor; responses nobody measured have no plot."""
    values = numeric_levels(report)
    order = [lv.label for f in report.factors if f.name == report.factor for lv in f.levels]
    at = lines(report, cells)
    plots, specs = [], {}
    for column in words.RESPONSES:
        medians = [(c, m) for c in cells if (m := c.median(column.name)) is not None]
        if not medians:
            continue
        says = f"{title(column.name)} by {report.factor}, medians: " + "; ".join(
            f"{c.title}: {words.number(m)}" for c, m in medians[: charts.MAX_SPOKEN]
        )
        ticks = sorted(set(values.values())) if values else None
        specs[column.name] = charts.by_factor(
            column,
            charts.FactorAxis(report.factor, ticks, order),
            charts.Lines(at, _others(report)),
            _range(report, column.name),
            says,
        )
        plots.append(Plot(column.name, title(column.name)))
    return plots, specs


def _range(report: ReportInput, column: str) -> tuple[float, float]:
    values = [v for t in report.trials if words.known(v := getattr(t.figures, column)) and v > 0]
    return (min(values), max(values)) if values else (1.0, 10.0)


def _others(report: ReportInput) -> str:
    names = [f.name for f in report.factors if f.name != report.factor]
    return ", ".join(names)


def trial_plots() -> tuple[list[tuple[Plot, str]], dict[str, charts.Spec]]:
    """Return the plots of one chosen trial with the key of the details each needs."""
    blue, orange, green = charts.COLOURS[:3]
    asleep = "Workers asleep in connect over the chosen trial's window"
    specs = {
        "depth": charts.over_time(
            "depth", "connections", blue, limit=True, description="Queue depth over the chosen trial's window"
        ),
        "asleep": charts.over_time("asleep", "threads", orange, description=asleep),
        "rate": charts.over_time(
            "rate", "requests/s", green, middles=True, description="Throughput over the chosen trial's window"
        ),
    }
    titles = {"depth": "Queue depth", "asleep": "Workers asleep in connect", "rate": "Throughput"}
    return [(Plot(name, titles[name]), name) for name in specs], specs


def latency_range(payload: Payload) -> tuple[float, float]:
    """Return the axis of the latency distributions: all that any cell needs, but for its fastest request in 200."""
    low = min(values[1] for _, values in payload.latency_cells)
    high = max(values[-1] for _, values in payload.latency_cells)
    return low, max(high, low * 2)


def drift_plot(report: ReportInput, cells: Sequence[CellTrials], payload: Payload) -> dict[str, charts.Spec]:
    """Return throughput of the reference level over the run, or nothing when it is not known."""
    drift = payload.sets["drift"]
    if not drift["rps"]:
        return {}
    says = f"Throughput of {report.factor} {report.reference} over the run, {len(drift['rps'])} trials"
    return {
        "drift": charts.drift(
            charts.Lines([at for at in lines(report, cells) if at in drift["at"]], _others(report)), says
        )
    }


def waits_plot(payload: Payload) -> dict[str, charts.Spec]:
    """Return the stacked shares of worker states, or nothing when no trial observed them."""
    if not payload.wait_rows:
        return {}
    says = "Where workers were. " + "; ".join(
        f"{row}: " + ", ".join(f"{state} {words.percent(share)}" for state, share in shares.items())
        for row, shares in payload.wait_rows[: charts.MAX_SPOKEN]
    )
    return {"waits": charts.waits([row for row, _ in payload.wait_rows], says)}


def contrast(report: ReportInput, cells: Sequence[CellTrials], titles: Sequence[str]) -> tuple[int, int]:
    """Return which two latency distributions to show first: the factor's ends, all else at its last level."""
    again = twins(report)
    known_cells = [c for c in cells if c.title in titles]
    known_cells = [c for c in known_cells if dict(c.levels).get(report.factor) not in again] or known_cells
    last = line_label(known_cells[-1].levels, report.factor)
    row = [titles.index(c.title) for c in known_cells if line_label(c.levels, report.factor) == last]
    return row[0], row[-1]
