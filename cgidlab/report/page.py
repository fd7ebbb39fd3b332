"""The report as one self-contained HTML page: what stands where, and its tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from cgidlab.analysis.findings import Effect
from cgidlab.figures import Column
from cgidlab.model import Status, TrialRecord
from cgidlab.report import charts, payload, plots, remedies, script, search_plot, timecharts, words
from cgidlab.report.cells import CellTrials, by_cell, reasons
from cgidlab.report.data import QUANTILE_SHARES, ReportInput, beyond
from cgidlab.report.facts import (
    failures,
    flat,
    head,
    headline,
    overflow_words,
    provenance_lines,
    status_counts,
    verdict_lines,
)
from cgidlab.report.say import Say
from cgidlab.terminal import shown

CANVAS_ABOVE_TRIALS = 2500  # so many dots are too many SVG elements; a canvas draws them all the same
MAX_ORDER_TRIALS = 2000

_SECTIONS = (  # id, heading, and what is said where there is nothing to show: nothing where that was not asked
    ("searched", "Where the limit lies", ""),
    ("cost", "What it cost", words.TOO_FEW_TO_COMPARE),
    ("remedies", "Remedies", ""),
    ("responses", "Every trial", "Responses: no complete trial measured one."),
    ("latency", "Latency by percentile", "Latency by percentile: no requests were recorded."),
    (
        "time",
        "Where a request's time goes",
        "Where a request's time goes: no trial recorded the states of its workers.",
    ),
    ("over-time", "Inside a trial", "Inside a trial: no instrument recorded a series."),
    ("limits", "What limits throughput", "What limits throughput: nothing that could limit was observed."),
    ("run", "Over the run", "Over the run: no complete trial."),
)


@dataclass(frozen=True, slots=True)
class _Parts:
    specs: dict[str, charts.Spec]
    sets: dict[str, payload.Columns]
    groups: dict[str, Any]


def render(report: ReportInput, cache: Path | None = None) -> str:
    """Return the page. It needs nothing but itself and links only to files of its run directory.

    `cache` is where the plotting script may be kept between reports.
    """
    cells = by_cell(report.trials, report.factors, report.whole_blocks)
    carried = payload.build(report, cells)
    parts = _plots(report, cells, carried)
    data = {
        "specs": parts.specs,
        "config": charts.CONFIG,
        "sets": carried.sets | parts.sets,
        "axes": carried.axes,
        "factor": report.factor,
        "details": carried.details,
        "latency": carried.latency,
        "shares": QUANTILE_SHARES,
        "beyond": [float(f"{beyond(s):.5g}") for s in QUANTILE_SHARES],
        "heatDecade": payload.HEAT_DECADE,
        "words": {"limit": report.say("limit"), "shown": report.say("{n} of {all} shown")},
        "canvas": len(report.trials) > CANVAS_ABOVE_TRIALS,
    }
    bundle, own = script.plotting_script(cache), script.page_script()
    environment = Environment(
        loader=PackageLoader("cgidlab.report"),
        autoescape=select_autoescape(["html", "j2"], default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=shown,
    )
    environment.filters |= {"number": words.number, "percent": words.percent}
    there = _there(report, carried, parts)
    return environment.get_template("report.html.j2").render(
        r=report,
        t=report.say,
        policy=script.policy(bundle, own),
        bundle=bundle,
        own=own,
        style=script.page_style(),
        data=script.embedded_json(data),
        head=head(report),
        headline=headline(report),
        lines=verdict_lines(report),
        overflow=overflow_words(report.overflow),
        counts=status_counts(report.trials),
        reasons=reasons(report.trials),
        failures=failures(report.trials),
        sections=[(id_, report.say(name)) for id_, name, _ in _SECTIONS if there[id_]],
        absent=[report.say(missing) for missing in _absent(report, there)],
        there=there,
        cells=[_cell_row(c, report.say) for c in cells],
        columns=words.SHOWN,
        trial_rows=[_trial_row(t) for t in report.trials],
        factor_names=[name for name, _ in cells[0].levels] if cells else [],
        effects=[_effect_row(e, report.say) for e in report.compared],
        answers=_answers(report.compared, report.say),
        remedy_headings=[report.say(text) for text in remedies.HEADINGS],
        remedies=remedies.rows(report.remedies, report.say),
        carried=carried,
        choices=_choices(cells, carried, report.say),
        axes=payload.axes(report),
        room=payload.MAX_DETAILED_TRIALS,
        n_complete=sum(len(c.complete) for c in cells),
        people=provenance_lines(report),
        provenance=flat(report.provenance),
        order=_order(report),
        href=payload.href,
        twins=sorted(payload.twins(report, report.factor)),
        words=words,
        parts=timecharts.PARTS,
        states=timecharts.STATE_COLOURS,
        **parts.groups,
    )


def _there(report: ReportInput, carried: payload.Payload, parts: _Parts) -> dict[str, bool]:
    """Return of each section whether it has anything to show."""
    return {
        "searched": bool(parts.groups["search_plots"]),
        "cost": bool(report.compared or report.compared_by_host),
        "remedies": bool(report.remedies),
        "responses": bool(parts.groups["response_plots"]),
        "latency": bool(carried.latency),
        "time": bool(carried.time_rows or carried.wait_rows),
        "over-time": bool(carried.shown or carried.details),
        "limits": bool(report.limits),
        "run": "run" in parts.specs or bool(parts.groups["noise_plots"]) or bool(report.trials),
    }


def _absent(report: ReportInput, there: Mapping[str, bool]) -> list[str]:
    """Return what is said of sections that have nothing to show, where that was asked: a search compares no levels."""
    return [
        words.NOTHING_COMPARED if id_ == "cost" and not report.compares else missing
        for id_, _, missing in _SECTIONS
        if missing and not there[id_] and not (report.searched and id_ == "cost")
    ]


def _plots(report: ReportInput, cells: Sequence[CellTrials], carried: payload.Payload) -> _Parts:
    say = report.say
    effects, effect_specs, effect_sets = plots.effect_plots(report.compared, say)
    noise, noise_specs, noise_sets = plots.noise_plot(report.noise_floor, say)
    responses, response_specs = plots.response_plots(report, cells)
    of_trial, trial_specs = plots.trial_plots(report, carried)
    places, percentile_specs = plots.percentile_plot(report, cells, carried)
    time_specs, time_sets = plots.time_plot(carried, say)
    specs = effect_specs | noise_specs | response_specs | trial_specs | percentile_specs | time_specs
    searched, search_specs = search_plot.plots(report.searched, say)
    specs |= search_specs
    specs |= plots.run_plot(report, cells, carried) | plots.waits_plot(carried, say)
    if carried.shown:
        says = say("Queue depth as an area, workers asleep in connect as a dashed line")
        specs["small"] = timecharts.small(carried.top, says)
    groups = {"effect_plots": effects, "noise_plots": noise, "response_plots": responses, "trial_plots": of_trial}
    groups |= {
        "search_plots": searched,
        "places": places,
        "has_run": "run" in specs,
        "has_waits": "waits" in specs,
        "has_parts": "parts" in specs,
    }
    return _Parts(specs, effect_sets | noise_sets | time_sets, groups)


def _cell_row(cell: CellTrials, say: Say) -> dict[str, Any]:
    figures = [(words.number(cell.median(c.name), c.unit), _spread(cell, c, say)) for c in words.SHOWN]
    labels = [label for _, label in cell.levels]
    return {"labels": labels, "complete": len(cell.complete), "all": len(cell.trials), "figures": figures}


def _spread(cell: CellTrials, column: Column, say: Say) -> str:
    found = cell.quartiles(column.name)
    if found is None:
        return ""
    low, high = (words.number(end, column.unit) for end in found)
    return "" if low == high else say("{low} to {high}", low=low.removesuffix(" %"), high=high)


def _trial_row(trial: TrialRecord) -> dict[str, Any]:
    figures = [words.number(getattr(trial.figures, c.name), c.unit) for c in words.SHOWN]
    return {"trial": trial, "labels": [label for _, label in trial.levels], "figures": figures}


def _effect_row(effect: Effect, say: Say) -> dict[str, Any]:
    size, interval = words.effect_size(effect, say)
    return {
        "effect": effect,
        "title": plots.title(effect.response, say),
        "where": words.where(effect, say),
        "size": size,
        "interval": interval,
        "answer": say(words.answer(effect)),
        "checks": words.checks(effect, say),
    }


_GLYPHS = {"square": "■", "circle": "●", "triangle-up": "▲", "triangle-down": "▼", "diamond": "◆", "cross": "✚"}


def _answers(effects: Sequence[Effect], say: Say) -> list[tuple[str, str, str]]:
    given = {e.answer: words.answer(e) for e in plots.asked(effects) if plots.on_ratio_axis(e)}
    marks = [(say(given[a]), *charts.ANSWER_MARKS[a]) for a in words.ANSWERS if a in given]
    return [(text, colour, _GLYPHS[shape]) for text, colour, shape in marks]


def _choices(
    cells: Sequence[CellTrials], carried: payload.Payload, say: Say
) -> list[tuple[str, list[tuple[int, str]]]]:
    """Return the trials that can be looked into by cell: those with a series first."""
    groups = []
    for cell in cells:
        trials = [t for t in cell.trials if t.number in carried.details]
        trials.sort(key=lambda t: not {"depth", "asleep"} & carried.details[t.number].keys())
        if trials:
            groups.append((cell.title, [(t.number, _choice(t, say)) for t in trials]))
    return groups


def _choice(trial: TrialRecord, say: Say) -> str:
    text = say("trial {n}, block {block}", n=trial.number, block=trial.block)
    return text if trial.outcome.status is Status.COMPLETE else f"{text} ({trial.outcome.status.value})"


def _order(report: ReportInput) -> list[tuple[int, str]]:
    if len(report.trials) > MAX_ORDER_TRIALS:
        return []
    blocks: dict[int, list[str]] = {}
    for trial in report.trials:
        blocks.setdefault(trial.block, []).append("/".join(label for _, label in trial.levels))
    return [(block, ", ".join(cells)) for block, cells in sorted(blocks.items())]
