"""Which plots a report has and what each is called and says: specifications with their captions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cgidlab.analysis.findings import Answer, Combination, Effect, NoiseFloor
from cgidlab.analysis.intervals import MIN_BLOCKS, Interval
from cgidlab.figures import COLUMNS
from cgidlab.model import TrialRecord
from cgidlab.report import charts, timecharts, words
from cgidlab.report.axes import LevelAxis
from cgidlab.report.cells import CellTrials
from cgidlab.report.data import ReportInput
from cgidlab.report.payload import Columns, Payload, axes, line_label, lines, numeric_levels
from cgidlab.report.say import IN_ENGLISH, Say

MAX_TOLD = 6  # differences in a caption
MAX_BANDS = 200  # blocks that are shaded
_SEPARATOR = " \N{MIDDLE DOT} "


@dataclass(frozen=True, slots=True)
class Plot:
    """One plot of a group: the name of its specification and the heading above it."""

    name: str
    title: str
    note: str = ""


def title(response: str, say: Say = IN_ENGLISH) -> str:
    """Return a response's name as a heading."""
    name = words.title(response, say)
    return name if name.startswith("p9") else name[:1].upper() + name[1:]


def effect_row(effect: Effect, say: Say = IN_ENGLISH, alike: Combination = ()) -> str:
    """Return the label of an effect's row: its level and where it was compared, below that what came out.

    What all rows have `alike` is left out.
    """
    apart = replace(effect, at=tuple(pair for pair in effect.at if pair not in alike))
    first = _SEPARATOR.join(part for part in (effect.level, words.where(apart, say)) if part)
    shown = effect.family_interval or effect.interval
    interval = (
        words.interval(shown, say)
        if shown is None
        else say("{low} to {high}", low=_bare(shown.low), high=_bare(shown.high))
    )
    second = f"{words.change(effect.estimate)} ({interval})"
    if effect.answer is Answer.INCONCLUSIVE:
        second = f"{second}: {say(words.ANSWERS[effect.answer])}"
    return charts.row_label(f"{first}\n{second}")


def _alike(effects: Sequence[Effect]) -> Combination:
    """Return the levels of other factors at which each of several places was compared."""
    places = [e.at for e in effects if not e.pooled]
    return tuple(p for p in places[0] if all(p in at for at in places)) if len(set(places)) > 1 else ()


def _bare(ratio: float) -> str:
    return words.change(ratio).removesuffix(" %")


def effect_text(effect: Effect, say: Say = IN_ENGLISH) -> str:
    """Return an effect in a sentence: for the tooltip and for those who cannot see the plot."""
    size, interval = words.effect_size(effect, say)
    where = words.where(effect, say)
    return say(
        "{level} against {reference}{at}: {size}, 95 % interval {interval}, {n} blocks: {answer}",
        level=effect.level,
        reference=effect.reference,
        at=f" ({where})" if where else "",
        size=size,
        interval=interval,
        n=effect.blocks,
        answer=say(words.answer(effect)),
    )


def on_ratio_axis(effect: Effect) -> bool:
    """Say whether an effect can be drawn: a known ratio above zero."""
    return (
        effect.scale == "ratio" and effect.estimate is not None and words.known(effect.estimate) and effect.estimate > 0
    )


def asked(effects: Sequence[Effect]) -> Sequence[Effect]:
    """Return the effects that are drawn: those on responses the rule asks for, or else all. The table has them all."""
    return [e for e in effects if e.smallest is not None] or effects


def effect_plots(
    effects: Sequence[Effect], say: Say = IN_ENGLISH
) -> tuple[list[Plot], dict[str, charts.Spec], dict[str, Columns]]:
    """Return one plot a response with intervals over the band that does not matter."""
    plots: list[Plot] = []
    specs: dict[str, charts.Spec] = {}
    sets: dict[str, Columns] = {}
    for response in dict.fromkeys(e.response for e in asked(effects)):
        shown = [e for e in effects if e.response == response and on_ratio_axis(e)]
        if not shown:
            continue
        name = f"effects-{len(plots)}"
        alike = _alike(shown)
        rows = [effect_row(e, say, alike) for e in shown]
        texts = [effect_text(e, say) for e in shown]
        sets[name] = _intervals(
            rows, [(e.estimate, e.interval, e.family_interval) for e in shown], [e.answer for e in shown], texts
        )
        says = f"{title(response, say)}, {shown[0].factor} {shown[0].reference}. " + "; ".join(texts)
        smallest = shown[0].smallest
        better = COLUMNS[response].better if response in COLUMNS else None
        specs[name] = charts.effects(name, charts.Intervals(rows, _ends(sets[name]), smallest, better, says), say)
        share = words.percent(smallest)
        notes = [say("Shaded: changes of less than {share}, which do not matter.", share=share)] if smallest else []
        if alike:
            levels = ", ".join(f"{factor} {label}" for factor, label in alike)
            notes.append(say("All of them with {levels}.", levels=levels))
        if any(e.interval is None for e in shown):
            notes.append(
                say("A mark without a line has fewer than {n} complete blocks: no claim is made.", n=MIN_BLOCKS)
            )
        plots.append(Plot(name, title(response, say), " ".join(notes)))
    return plots, specs, sets


def _intervals(
    rows: Sequence[str],
    found: Sequence[tuple[float | None, Interval | None, Interval | None]],
    answers: Sequence[Answer],
    texts: Sequence[str],
) -> Columns:
    return {
        "row": list(rows),
        "ratio": [ratio for ratio, _, _ in found],
        "low": [_positive(own.low, ratio) if own else ratio for ratio, own, _ in found],
        "high": [_positive(own.high, ratio) if own else ratio for ratio, own, _ in found],
        "wide_low": [_positive(wide.low, ratio) if wide else ratio for ratio, _, wide in found],
        "wide_high": [_positive(wide.high, ratio) if wide else ratio for ratio, _, wide in found],
        "answer": [str(a) for a in answers],
        "text": list(texts),
    }


def _positive(end: float, otherwise: float | None) -> float | None:
    return end if words.known(end) and end > 0 else otherwise


def _ends(columns: Columns) -> list[float]:
    return [v for name in ("low", "high", "wide_low", "wide_high", "ratio") for v in columns[name]]


def noise_plot(
    floor: Sequence[NoiseFloor], say: Say = IN_ENGLISH
) -> tuple[list[Plot], dict[str, charts.Spec], dict[str, Columns]]:
    """Return the plot of the differences found where there should be none."""
    shown = [n for n in floor if words.known(n.ratio) and n.ratio > 0]
    if not shown:
        return [], {}, {}
    figures = [f"{words.change(n.ratio)} ({words.interval(n.interval, say)})" for n in shown]
    rows = [charts.row_label(f"{noise_row(n, say)}\n{figure}") for n, figure in zip(shown, figures, strict=True)]
    texts = [f"{noise_row(n, say)}: {figure}" for n, figure in zip(shown, figures, strict=True)]
    columns = _intervals(rows, [(n.ratio, n.interval, None) for n in shown], [Answer.DESCRIBED] * len(shown), texts)
    says = f"{say('Noise floor')}. " + "; ".join(texts)
    spec = charts.effects("noise", charts.Intervals(rows, _ends(columns), None, None, says), say)
    worst = texts[shown.index(max(shown, key=lambda n: abs(math.log(n.ratio))))]
    note = "; ".join(texts) + "." if len(texts) <= MAX_TOLD else say("The largest: {one}.", one=worst)
    return [Plot("noise", say("Noise floor"), note)], {"noise": spec}, {"noise": columns}


def noise_row(found: NoiseFloor, say: Say = IN_ENGLISH) -> str:
    """Return the label of a difference between two names of one level."""
    at = say("all together") if found.pooled else ", ".join(f"{factor} {label}" for factor, label in found.at)
    return _SEPARATOR.join(part for part in (title(found.response, say), at) if part)


def response_plots(report: ReportInput, cells: Sequence[CellTrials]) -> tuple[list[Plot], dict[str, charts.Spec]]:
    """Return throughput and latencies, a specification for each factor that may be the axis, "response@factor".

    Responses nobody measured have no plot.
    """
    plots, specs = [], {}
    for column in words.RESPONSES:
        medians = [(c, m) for c in cells if (m := c.median(column.name)) is not None]
        if not medians:
            continue
        name = title(column.name, report.say)
        for factor in axes(report):
            says = report.say("{name} by {factor}, medians:", name=name, factor=factor) + " "
            says += "; ".join(f"{c.title}: {words.number(m)}" for c, m in medians[: charts.MAX_SPOKEN])
            values = numeric_levels(report, factor)
            order = [lv.label for f in report.factors if f.name == factor for lv in f.levels]
            axis = charts.FactorAxis(factor, LevelAxis.of(list(values.values())) if values else None, order)
            drawn = charts.Lines(lines(cells, factor), others(report, factor))
            ends = _range(report, column.name)
            specs[f"{column.name}@{factor}"] = charts.by_factor(column, axis, drawn, ends, says, report.say)
        plots.append(Plot(column.name, name))
    return plots, specs


def _range(report: ReportInput, column: str) -> tuple[float, float]:
    values = [v for t in report.trials if words.known(v := getattr(t.figures, column)) and v > 0]
    return (min(values), max(values)) if values else (1.0, 10.0)


def others(report: ReportInput, factor: str) -> str:
    """Return the names of all factors but one."""
    return ", ".join(f.name for f in report.factors if f.name != factor)


def percentile_plot(
    report: ReportInput, cells: Sequence[CellTrials], payload: Payload
) -> tuple[list[str], dict[str, charts.Spec]]:
    """Return the places that a choice is between, and the plot of all levels of the factor; none without requests."""
    if not payload.latency:
        return [], {}
    there = {line_label(cells[i].levels, report.factor) for i in payload.latency}
    places = [p for p in lines(cells, report.factor) if p in there]
    levels = [lv.label for f in report.factors if f.name == report.factor for lv in f.levels]
    known = {dict(cells[i].levels).get(report.factor, "") for i in payload.latency}
    low = min(values[0] for values in payload.latency.values())
    high = max(values[-1] for values in payload.latency.values())
    says = report.say("Latency by percentile, p50 to p99.9, a line for each {factor}", factor=report.factor)
    drawn = charts.Lines([label for label in levels if label in known] or sorted(known), report.factor, "level")
    ends = (low / 1.1, max(high, low * 2) * 1.1)
    return places, {"percentiles": charts.percentiles(drawn, ends, says, report.say)}


def trial_plots(report: ReportInput, payload: Payload) -> tuple[list[tuple[Plot, str]], dict[str, charts.Spec]]:
    """Return the plots of one chosen trial with the key of the details each needs; those that no trial has are none."""
    say, (blue, orange, *_) = report.say, charts.COLOURS
    there = {key for packed in payload.details.values() for key in packed}
    found: list[tuple[Plot, charts.Spec]] = []
    if payload.heat_ends is not None:
        says = say("When the chosen trial's requests were answered, and how long they had taken")
        found.append((Plot("heat", say("Latency over time")), timecharts.heat(payload.heat_ends, says, say)))
    if "depth" in there:
        name, unit = say("Queue depth"), say("connections")
        spec = timecharts.over_time("depth", unit, blue, limit=True, description=name, say=say)
        found.append((Plot("depth", name), spec))
    if "asleep" in there:
        name, unit = say("Workers asleep in connect"), say("threads")
        found.append((Plot("asleep", name), timecharts.over_time("asleep", unit, orange, description=name, say=say)))
    return [(plot, plot.name) for plot, _ in found], {plot.name: spec for plot, spec in found}


def run_plot(report: ReportInput, cells: Sequence[CellTrials], payload: Payload) -> dict[str, charts.Spec]:
    """Return every trial's throughput by its cell's median over the run, or nothing when it is not known."""
    trials = payload.sets["trials"]
    if not any(
        share is not None and at is not None for share, at in zip(trials["share"], trials["minutes"], strict=True)
    ):
        return {}
    says = report.say("Throughput of every trial by its cell's median over the run, {n} trials", n=len(trials["share"]))
    drawn = charts.Lines(lines(cells, report.factor), others(report, report.factor))
    return {"run": timecharts.over_the_run(_every_second(report.trials), drawn, says, report.say)}


def _every_second(trials: Sequence[TrialRecord]) -> list[tuple[float, float]]:
    """Return begin and end of every second block, in minutes of the run."""
    began: dict[int, float] = {}
    for t in trials:
        if t.started_s is not None:
            began[t.block] = min(t.started_s, began.get(t.block, t.started_s))
    if not 1 < len(began) <= MAX_BANDS:
        return []
    first = min(began.values())
    last = max(t.started_s for t in trials if t.started_s is not None)
    edges = [*sorted((s - first) / 60 for s in began.values()), (last - first) / 60]
    return [(round(edges[i], 3), round(edges[i + 1], 3)) for i in range(1, len(edges) - 1, 2)]


def waits_plot(payload: Payload, say: Say) -> dict[str, charts.Spec]:
    """Return the stacked shares of worker states, or nothing when no trial observed them."""
    if not payload.wait_rows:
        return {}
    says = (
        say("Where workers were")
        + ". "
        + "; ".join(
            f"{' '.join(row.split())}: "
            + ", ".join(f"{state} {words.percent(share)}" for state, share in shares.items())
            for row, shares in payload.wait_rows[: charts.MAX_SPOKEN]
        )
    )
    return {"waits": timecharts.waits([row for row, _ in payload.wait_rows], says)}


def time_plot(payload: Payload, say: Say) -> tuple[dict[str, charts.Spec], dict[str, Columns]]:
    """Return what a request's mean time was made of, or nothing where no watched trial knows it."""
    rows = payload.time_rows
    if not rows:
        return {}, {}
    says = (
        say("What a request's mean time was made of")
        + ". "
        + "; ".join(
            f"{' '.join(row.split())}: "
            + ", ".join(f"{part} {words.number(ms, 'ms')} ms" for part, ms in found.parts.items())
            for row, found in rows[: charts.MAX_SPOKEN]
        )
    )
    names = list(timecharts.PARTS)
    sets: dict[str, Columns] = {
        "parts": {
            "row": [row for row, _ in rows for _ in names],
            "part": [name for _ in rows for name in names],
            "ms": [float(f"{found.parts[name]:.4g}") for _, found in rows for name in names],
            "order": [i for _ in rows for i in range(len(names))],
        },
        "queued": {
            "row": [row for row, found in rows if found.queued is not None],
            "ms": [float(f"{found.queued:.4g}") for _, found in rows if found.queued is not None],
        },
    }
    return {
        "parts": timecharts.request_time([row for row, _ in rows], says, say, queued=bool(sets["queued"]["ms"]))
    }, sets
