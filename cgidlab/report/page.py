"""The report as one self-contained HTML page: what stands where, and its tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from cgidlab.analysis.findings import Effect
from cgidlab.model import Status, TrialRecord
from cgidlab.report import charts, payload, plots, script, search_plot, words
from cgidlab.report.cells import CellTrials, by_cell, reasons
from cgidlab.report.data import QUANTILE_SHARES, ReportInput
from cgidlab.report.facts import facts, failures, flat, headline, overflow_words, status_counts, verdict_lines
from cgidlab.terminal import shown

CANVAS_ABOVE_TRIALS = 2500  # so many dots are too many SVG elements; a canvas draws them all the same
MAX_ORDER_TRIALS = 2000


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
    titles = [title for title, _ in carried.latency_cells]
    data = {
        "specs": parts.specs,
        "config": charts.CONFIG,
        "sets": carried.sets | parts.sets,
        "details": carried.details,
        "latency": [values for _, values in carried.latency_cells],
        "shares": [float(f"{s:.7g}") for s in QUANTILE_SHARES],
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
    environment.filters |= {"number": words.number, "change": words.change, "percent": words.percent}
    return environment.get_template("report.html.j2").render(
        r=report,
        policy=script.policy(bundle, own),
        bundle=bundle,
        own=own,
        style=script.page_style(),
        data=script.embedded_json(data),
        headline=headline(report),
        lines=verdict_lines(report),
        overflow=overflow_words(report.overflow),
        facts=facts(report),
        counts=status_counts(report.trials),
        reasons=reasons(report.trials),
        failures=failures(report.trials),
        cells=[_cell_row(c) for c in cells],
        columns=words.SHOWN,
        trial_rows=[_trial_row(t) for t in report.trials],
        factor_names=[name for name, _ in cells[0].levels] if cells else [],
        effects=[_effect_row(e) for e in report.effects],
        answers=_answers(report.effects),
        carried=carried,
        choices=_choices(cells, carried),
        contrast=plots.contrast(report, cells, titles) if titles else (0, 0),
        room=payload.MAX_DETAILED_TRIALS,
        n_complete=sum(len(c.complete) for c in cells),
        provenance=flat(report.provenance),
        timing=flat(report.timing),
        order=_order(report),
        href=payload.href,
        twins=sorted(payload.twins(report)),
        words=words,
        **parts.groups,
    )


def _plots(report: ReportInput, cells: Sequence[CellTrials], carried: payload.Payload) -> _Parts:
    effects, effect_specs, effect_sets = plots.effect_plots(report.effects)
    noise, noise_specs, noise_sets = plots.noise_plot(report.noise_floor)
    responses, response_specs = plots.response_plots(report, cells)
    of_trial, trial_specs = plots.trial_plots()
    specs = effect_specs | noise_specs | response_specs | trial_specs
    specs |= plots.drift_plot(report, cells, carried) | plots.waits_plot(carried)
    searched, search_specs = search_plot.plots(report.searched)
    specs |= search_specs
    specs["small"] = charts.small("Queue depth as an area, workers asleep in connect as a dashed line")
    if carried.latency_cells:
        specs["ecdf"] = charts.distribution(
            plots.latency_range(carried), "Share of requests answered within a time, for the two chosen cells"
        )
    groups = {"effect_plots": effects, "noise_plots": noise, "response_plots": responses, "trial_plots": of_trial}
    groups |= {"search_plots": searched}
    groups |= {"has_drift": "drift" in specs, "has_waits": "waits" in specs}
    return _Parts(specs, effect_sets | noise_sets, groups)


def _cell_row(cell: CellTrials) -> dict[str, Any]:
    figures = [words.number(cell.median(c.name), c.unit) for c in words.SHOWN]
    labels = [label for _, label in cell.levels]
    return {"labels": labels, "complete": len(cell.complete), "all": len(cell.trials), "figures": figures}


def _trial_row(trial: TrialRecord) -> dict[str, Any]:
    figures = [words.number(getattr(trial.figures, c.name), c.unit) for c in words.SHOWN]
    return {"trial": trial, "labels": [label for _, label in trial.levels], "figures": figures}


def _effect_row(effect: Effect) -> dict[str, Any]:
    size, interval = words.effect_size(effect)
    answer = words.ANSWERS[effect.answer]
    return {
        "effect": effect,
        "title": plots.title(effect.response),
        "size": size,
        "interval": interval,
        "answer": answer,
    }


_GLYPHS = {"square": "■", "circle": "●", "triangle-up": "▲", "triangle-down": "▼", "diamond": "◆", "cross": "✚"}


def _answers(effects: Sequence[Effect]) -> list[tuple[str, str, str]]:
    given = {e.answer for e in effects if plots.on_ratio_axis(e)}
    marks = [(words.ANSWERS[a], *charts.ANSWER_MARKS[a]) for a in words.ANSWERS if a in given]
    return [(text, colour, _GLYPHS[shape]) for text, colour, shape in marks]


def _choices(cells: Sequence[CellTrials], carried: payload.Payload) -> list[tuple[str, list[tuple[int, str]]]]:
    groups = []
    for cell in cells:
        trials = [t for t in cell.trials if t.number in carried.details]
        if trials:
            groups.append((cell.title, [(t.number, _choice(t)) for t in trials]))
    return groups


def _choice(trial: TrialRecord) -> str:
    ended = "" if trial.outcome.status is Status.COMPLETE else f" ({trial.outcome.status.value})"
    return f"trial {trial.number}, block {trial.block}{ended}"


def _order(report: ReportInput) -> list[tuple[int, str]]:
    if len(report.trials) > MAX_ORDER_TRIALS:
        return []
    blocks: dict[int, list[str]] = {}
    for trial in report.trials:
        blocks.setdefault(trial.block, []).append("/".join(label for _, label in trial.levels))
    return [(block, ", ".join(cells)) for block, cells in sorted(blocks.items())]
