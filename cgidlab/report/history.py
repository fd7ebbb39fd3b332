"""All runs of one experiment as Markdown, JSON and one HTML page: what stands where."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import altair as alt
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from cgidlab import figures, files
from cgidlab.model import SCHEMA_VERSION
from cgidlab.report import charts, script, words
from cgidlab.report.facts import overflow_words
from cgidlab.report.markdown import escape
from cgidlab.terminal import cell, shown

FILE = "history.html"
_HEADINGS = ("run", "state", "overflow", "main effect", "httpd", "kernel", "new in it", "changed with it")


@dataclass(frozen=True, slots=True)
class MainEffect:
    """What one level changed of the experiment's first response, as a ratio to the reference level."""

    level: str
    reference: str
    ratio: float | None
    low: float | None  # of the 95 % interval
    high: float | None
    answer: str


@dataclass(frozen=True, slots=True)
class LevelChange:
    """From a run on a response lies elsewhere than in the runs before it."""

    response: str
    level: str  # whose ratio to the reference changed; empty: the response at the reference level itself
    ratio: float  # of what it is now to what it was
    low: float  # of the 95 % interval
    high: float
    seen_in: str  # the run with which it was seen

    @property
    def told(self) -> str:
        """Return it in words: "throughput at the reference level 5.2 % less (4.0 to 6.4), seen in ..."."""
        where = f"at {self.level} against the reference" if self.level else "at the reference level"
        sign = 1 if self.ratio >= 1 else -1
        low, high = sorted(100 * sign * (end - 1) for end in (self.low, self.high))
        size = f"{100 * sign * (self.ratio - 1):.1f} % {'more' if sign > 0 else 'less'} ({low:.1f} to {high:.1f})"
        return f"{figures.title(self.response)} {where} {size}, seen in {self.seen_in}"


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One run. What a run does not have is empty or None."""

    run_id: str  # begins with its time, 20261123T171522Z
    state: str
    note: str = ""  # why there is no more
    httpd: Mapping[str, str] = field(default_factory=dict)  # version by level
    kernel: str = ""
    cgidlab: str = ""
    changed: tuple[str, ...] = ()  # against the run before
    trials: Mapping[str, int] = field(default_factory=dict)
    overflow: str = ""
    verdict: tuple[str, ...] = ()
    response: str = ""
    share: float | None = None  # the smallest change of it that matters
    effects: tuple[MainEffect, ...] = ()
    reference: float | None = None  # the response at the reference level
    medians: Mapping[str, float] = field(default_factory=dict)  # the same of every response of the rule
    changes: tuple[LevelChange, ...] = ()  # that began with this run

    @property
    def when(self) -> str:
        """Return the time the run began, ISO 8601; the run's name where that holds none."""
        t = self.run_id.partition("Z")[0]
        iso = f"{t[:4]}-{t[4:6]}-{t[6:11]}:{t[11:13]}:{t[13:15]}Z"
        return iso if len(t) == len("20261123T171522") and t.replace("T", "").isdigit() else self.run_id


def as_json(experiment: str, rows: Sequence[HistoryRow]) -> str:
    """Return the rows as one JSON object."""
    value = {
        "schema_version": SCHEMA_VERSION,
        "experiment": experiment,
        "runs": [{**asdict(row), "when": row.when} for row in rows],
    }
    return json.dumps(value, indent=1, allow_nan=False)


def cells(row: HistoryRow, level: str) -> tuple[str, ...]:
    """Return a row's cells as people read them, in the order of the headings; `level` is that of all rows."""
    said = overflow_words(row.overflow) if row.overflow else row.note
    new, changes = "; ".join(row.changed), "; ".join(change.told for change in row.changes)
    return (row.run_id, row.state, said, effect_words(row, level), versions_of(row), row.kernel, new, changes)


def versions_of(row: HistoryRow) -> str:
    """Return the versions of httpd that a run had."""
    return ", ".join(v if v in level else f"{level} {v}" for level, v in row.httpd.items())


def main_level(rows: Sequence[HistoryRow]) -> str:
    """Return the level whose effect is told of every run: one that most runs have, of those the one that does most."""
    found: dict[str, list[float]] = {}
    for effect in (e for row in rows for e in row.effects if e.ratio):
        found.setdefault(effect.level, []).append(abs(math.log(effect.ratio or 1.0)))
    return max(found, key=lambda level: (len(found[level]), sum(found[level])), default="")


def effect_words(row: HistoryRow, level: str) -> str:
    """Return what the level changes of the response, with its interval."""
    most = next((e for e in row.effects if e.ratio is not None and e.level == level), None)
    if most is None:
        return words.NOT_KNOWN if row.verdict else ""
    return f"{figures.title(row.response)} at {most.level} against {most.reference}: {effect_words_of(most)}"


def as_markdown(experiment: str, rows: Sequence[HistoryRow]) -> str:
    """Return a table of the runs as GitHub-flavoured Markdown; strings from runs cannot become markup."""
    lines = [_HEADINGS, ["---"] * len(_HEADINGS), *([escape(c) for c in cells(row, main_level(rows))] for row in rows)]
    return "\n".join(
        [
            f"# {escape(experiment)}: {len(rows)} run{'' if len(rows) == 1 else 's'}",
            "",
            *(f"| {' | '.join(line)} |" for line in lines),
        ]
    )


def as_text(rows: Sequence[HistoryRow]) -> str:
    """Return the runs for a terminal, one paragraph each."""
    parts, level = [], main_level(rows)
    for row in rows:
        said = cells(row, level)
        parts += [f"{said[0]}  {said[1]}: {said[2]}", *(f"  {text}" for text in _details(row, said))]
    return "\n".join(cell(part) for part in parts)


def _details(row: HistoryRow, said: Sequence[str]) -> list[str]:
    found = [said[3]] if said[3] else []
    if row.httpd:
        found.append(f"httpd {said[4]}; kernel {said[5]}")
    found += [f"new: {said[6]}"] if said[6] else []
    return [*found, f"CHANGED with it: {said[7]}"] if said[7] else found


def write(experiment: str, rows: Sequence[HistoryRow], runs: Path, cache: Path | None = None) -> Path:
    """Write `history.html` beside the runs, whole or not at all, and return its path."""
    path = runs / FILE
    files.write_text(path, render(experiment, rows, cache))
    return path


def render(experiment: str, rows: Sequence[HistoryRow], cache: Path | None = None) -> str:
    """Return the page. It needs nothing but itself and links only to the runs' reports beside it."""
    specs = plots(rows)
    bundle, own = script.plotting_script(cache), script.history_script()
    environment = Environment(
        loader=PackageLoader("cgidlab.report"),
        autoescape=select_autoescape(["html", "j2"], default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=shown,
    )
    return environment.get_template("history.html.j2").render(
        experiment=experiment,
        rows=[(row, cells(row, main_level(rows))) for row in reversed(rows)],
        headings=_HEADINGS,
        plots=[(name, title) for name, title in _TITLES.items() if name in specs],
        response=figures.title(next((r.response for r in rows if r.response), "")),
        policy=script.policy(bundle, own),
        bundle=bundle,
        own=own,
        style=script.page_style(),
        data=script.embedded_json({"specs": specs, "config": charts.CONFIG}),
    )


_TITLES = {"effect": "Main effect, run by run", "reference": "At the reference level"}


def plots(rows: Sequence[HistoryRow]) -> dict[str, charts.Spec]:
    """Return the plots that these runs have data for: the ratio of each level with its interval, and the reference."""
    specs = {}
    points = [_point(row, e) for row in rows for e in row.effects if e.ratio]
    if points:
        share = next((row.share for row in reversed(rows) if row.share), None)
        specs["effect"] = _effect_plot(points, share, [r.run_id for r in rows], _marks(rows, reference=False))
    levels = [
        {"run": r.run_id, "value": r.reference, "text": f"{r.run_id}: {versions_of(r)}"} for r in rows if r.reference
    ]
    if levels:
        specs["reference"] = _reference_plot(levels, [r.run_id for r in rows], _marks(rows, reference=True))
    return specs


def _marks(rows: Sequence[HistoryRow], *, reference: bool) -> list[dict[str, str]]:
    """Return the runs with which the first response of the experiment changed, for the plot of either kind."""
    return [
        {"run": row.run_id, "text": f"{row.run_id}: {change.told}"}
        for row in rows
        for change in row.changes
        if (not change.level) is reference and change.response == row.response
    ]


def _ruled(marks: Sequence[Mapping[str, str]], order: Sequence[str]) -> list[alt.Chart]:
    """Return a dashed line at each run with which something changed."""
    if not marks:
        return []
    base = alt.Chart(alt.InlineData(values=list(marks)))
    tip = alt.Tooltip("text:N", title=" ")
    return [
        base.mark_rule(strokeDash=[4, 3], strokeWidth=2).encode(x=_runs_axis(order), tooltip=tip, description="text:N")
    ]


def _point(row: HistoryRow, effect: MainEffect) -> dict[str, Any]:
    return {
        "run": row.run_id,
        "level": effect.level,
        "ratio": effect.ratio,
        "low": effect.low or effect.ratio,
        "high": effect.high or effect.ratio,
        "text": f"{row.run_id}, {effect.level}: {effect_words_of(effect)}; httpd {versions_of(row)}",
    }


def effect_words_of(effect: MainEffect) -> str:
    """Return one level's ratio with its interval."""
    bounds = f" ({effect.low:.2f} to {effect.high:.2f})" if effect.low is not None and effect.high is not None else ""
    return f"ratio {effect.ratio:.2f}{bounds}"


def _runs_axis(order: Sequence[str]) -> alt.X:
    """Return the x channel: runs in their order, each under its day and minute."""
    short = (
        "slice(datum.label, 4, 6) + '-' + slice(datum.label, 6, 8) + ' ' + slice(datum.label, 9, 11) + ':' + "
        "slice(datum.label, 11, 13)"
    )
    axis = alt.Axis(title="run", labelAngle=-40, grid=False, labelExpr=short)
    return alt.X("run:N", sort=list(order), axis=axis, scale=alt.Scale(domain=list(order)))


def _effect_plot(
    points: Sequence[Mapping[str, Any]],
    share: float | None,
    order: Sequence[str],
    marks: Sequence[Mapping[str, str]],
) -> charts.Spec:
    names = list(dict.fromkeys(str(p["level"]) for p in points))
    hues = [charts.COLOURS[i % len(charts.COLOURS)] for i in range(len(names))]
    colour = alt.Color(
        "level:N",
        scale=alt.Scale(domain=names, range=hues),
        legend=alt.Legend(title="level") if len(names) > 1 else None,
    )
    side = alt.XOffset("level:N", sort=names)
    base = alt.Chart(alt.InlineData(values=list(points))).encode(
        x=_runs_axis(order), xOffset=side, color=colour, tooltip=alt.Tooltip("text:N", title=" ")
    )
    axis = alt.Axis(title="ratio to the reference level", tickCount=6, grid=True)
    y = alt.Y("low:Q", scale=alt.Scale(zero=False), axis=axis)
    layers: list[alt.Chart] = []
    if share is not None and share < 1:
        band = alt.Chart(alt.InlineData(values=[{"from": 1 - share, "to": 1 + share}]))
        layers.append(band.mark_rect(color="var(--band)", opacity=1, aria=False).encode(y=alt.Y("from:Q"), y2="to:Q"))
    layers.append(base.mark_rule(strokeWidth=2.5, aria=False).encode(y=y, y2="high:Q"))
    layers.append(
        base.mark_point(filled=True, size=70, opacity=1).encode(y=alt.Y("ratio:Q", axis=axis), description="text:N")
    )
    layers += _ruled(marks, order)
    return charts.finish(alt.layer(*layers), 280, "The main effect of each run with its 95 % interval")


def _reference_plot(
    levels: Sequence[Mapping[str, Any]], order: Sequence[str], marks: Sequence[Mapping[str, str]]
) -> charts.Spec:
    base = alt.Chart(alt.InlineData(values=list(levels))).encode(
        x=_runs_axis(order), tooltip=alt.Tooltip("text:N", title=" ")
    )
    y = alt.Y("value:Q", scale=alt.Scale(zero=True), axis=alt.Axis(title="median", tickCount=5))
    dots = base.mark_point(filled=True, size=70, opacity=1, color=charts.COLOURS[0]).encode(y=y, description="text:N")
    return charts.finish(alt.layer(dots, *_ruled(marks, order)), 220, "The response at the reference level in each run")
