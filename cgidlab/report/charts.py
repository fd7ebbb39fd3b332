"""Vega-Lite specifications of the report's plots: intervals, responses, percentiles. Those over time: `timecharts`.

Each function returns a specification without its data. Plots read named data
sets that the page hands over when it draws, so that numbers are in the file
once. Colours are CSS variables of the page: light, dark and print follow it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from cgidlab.analysis.findings import Answer
from cgidlab.figures import Better, Column
from cgidlab.report.axes import LevelAxis
from cgidlab.report.say import Say
from cgidlab.terminal import columns, folded

Spec = dict[str, Any]

COLOURS = tuple(f"var(--c{i})" for i in range(1, 7))
MAX_SPOKEN = 60  # cells named in a description; the table has them all
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [12, 3], [4, 2])
ANSWER_MARKS: dict[str, tuple[str, str]] = {
    Answer.COSTS_AT_LEAST: ("var(--bad)", "square"),
    Answer.EQUIVALENT: ("var(--good)", "circle"),
    Answer.GAINS_AT_LEAST: ("var(--c1)", "triangle-up"),
    Answer.REAL_NEAR: ("var(--c2)", "triangle-down"),
    Answer.INCONCLUSIVE: ("var(--unsure)", "diamond"),
    Answer.DESCRIBED: ("var(--ink)", "cross"),
}

_LEGEND_ENTRIES = 4  # in a row, at most
_LEGEND_LETTERS, _OF_A_SYMBOL = 55, 6  # so many fit a third of the page: columns of entries that are wider overlap

CONFIG: Spec = {
    "background": "transparent",
    "view": {"stroke": None, "continuousHeight": 240},
    "axis": {
        "labelColor": "var(--ink)",
        "titleColor": "var(--soft)",
        "titleFontWeight": "normal",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "gridColor": "var(--line)",
        "domainColor": "var(--rule)",
        "tickColor": "var(--rule)",
        "labelLimit": 280,
        "titlePadding": 8,
    },
    "legend": {
        "orient": "top",
        "direction": "horizontal",
        "labelColor": "var(--ink)",
        "titleColor": "var(--soft)",
        "titleFontWeight": "normal",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "symbolSize": 70,
        "labelLimit": 280,
        "columns": _LEGEND_ENTRIES,
        "symbolOpacity": 1,
    },
    "text": {"color": "var(--ink)", "fontSize": 12},
}

_CHANGES = (-0.99, -0.9, -0.75, -0.5, -0.3, -0.2, -0.1, -0.05, -0.02, 0, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 4)
_RATIO_TICKS = (*(1 + c for c in _CHANGES), *(10.0**power for power in range(1, 9)))
_DIGITS: tuple[tuple[float, ...], ...] = (
    (1,),
    (1, 2, 5),
    (1, 1.5, 2, 3, 4, 5, 7),
    (1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 4, 5, 6, 7, 8, 9),
    tuple(d / 4 for d in range(4, 40)),
    tuple(d / 20 for d in range(20, 200)),
)
_FEW_TICKS = 3
_AXIS_ROOM = 5  # labels fit a narrow plot when neighbours are a fifth of its axis apart
_AS_CHANGE = (  # from ten on the ratio itself is easier to read
    "datum.value >= 10 ? '\u00d7' + format(datum.value, ',~r') : replace(format(datum.value - 1, '+.0%'), '%', ' %')"
)
ROW_COLUMNS = 38  # letters of a line of a label of a row: about as many have room beside a plot, and none is cut off
_LINE_HEIGHT = 18
PERCENTILES = {2: "p50", 10: "p90", 100: "p99", 1000: "p99.9"}
"""Ticks of the percentile axis: one request in so many took longer."""


def finish(chart: alt.Chart | alt.LayerChart | alt.FacetChart, height: int, description: str) -> Spec:
    """Return a plot as the page draws it: as wide as its place, in the page's own look."""
    spec: Spec = chart.properties(
        width="container",
        height=height,
        description=description,
    ).to_dict()
    # Altair adds its own look; the page hands over CONFIG instead. No $schema: nothing is to be fetched.
    return {key: value for key, value in spec.items() if key not in ("config", "$schema")}


def row_label(text: str) -> str:
    """Return a row's label in lines that are shown whole; lines that it has already stay apart.

    It breaks behind a comma where it can: a factor stays with its level.
    """
    lines: list[str] = []
    for line in text.split("\n"):
        lines.append("")
        for piece in line.replace(", ", ",\n").split("\n"):
            joined = f"{lines[-1]} {piece}".strip()
            if not lines[-1] or columns(joined) <= ROW_COLUMNS:
                lines[-1] = joined
            else:
                lines.append(piece)
    return "\n".join(folded(line, ROW_COLUMNS, "", "") for line in lines)


def row_axis() -> alt.Axis:
    """Return the axis of rows whose labels are `row_label`s."""
    return alt.Axis(title=None, domain=False, ticks=False, labelPadding=8, labelExpr="split(datum.value, '\\n')")


def rows_height(rows: Sequence[str], least: int) -> int:
    """Return the height of a plot with these labels, at least so many pixels a row: the longest label fits its row."""
    return max(least, _LINE_HEIGHT * max((row.count("\n") + 1 for row in rows), default=1)) * max(2, len(rows))


def log_ticks(low: float, high: float) -> list[float]:
    """Return round numbers from `low` to `high` for a log axis: the roundest of which there are at least three."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks: list[float] = []
    for digits in _DIGITS:
        ticks = [t for power in powers for digit in digits if low <= (t := float(f"{digit}e{power}")) <= high]
        if len(ticks) >= _FEW_TICKS:
            break
    return ticks


def log_ms(ends: tuple[float, float], say: Say) -> tuple[alt.Scale, alt.Axis]:
    """Return scale and axis of a latency."""
    axis = alt.Axis(title=say("milliseconds (log scale)"), values=log_ticks(*ends), format=",~r", labelOverlap=True)
    return alt.Scale(type="log", nice=False, domain=list(ends)), axis


def _ratio_scale(ends: Sequence[float]) -> tuple[alt.Scale, list[float]]:
    low, high = min(*ends, 0.97), max(*ends, 1.03)
    pad = (high / low) ** 0.05
    low, high = low / pad, high * pad
    ticks: list[float] = []
    for tick in sorted((t for t in _RATIO_TICKS if low <= t <= high), key=lambda t: abs(math.log(t))):
        if all(abs(math.log(tick / kept)) > math.log(high / low) / _AXIS_ROOM for kept in ticks):
            ticks.append(tick)  # nearest to "no change" first, so that it is always labelled
    return alt.Scale(type="log", domain=[low, high], nice=False), sorted(ticks)


@dataclass(frozen=True, slots=True)
class Intervals:
    """What a plot of intervals shows beside its data."""

    rows: Sequence[str]  # labels, of the same lines as `row_label` makes
    ends: Sequence[float]  # of all intervals
    share: float | None  # the smallest effect that matters
    better: Better | None  # which way the response should go; None: neither, or it is not about better and worse
    description: str

    def title(self, say: Say) -> str:
        """Return the axis's title, which says which side is better."""
        if self.better is None:
            return say("change against the reference")
        if self.better is Better.LOWER:
            return say("← better · worse →")
        return say("← worse · better →")


def effects(data: str, shown: Intervals, say: Say) -> Spec:
    """Return intervals of ratios, one row each, over the band of changes that do not matter.

    Fields of `data`: row, ratio, low and high of the comparison's own interval, wide_low and wide_high of that of all
    comparisons together, answer, and text for the tooltip.
    """
    share = shown.share
    # A share of 1 and more leaves every fall inside the band: it begins where the log axis does.
    band = [] if share is None else [1 - share if share < 1 else min([*shown.ends, 1 / (1 + share)]), 1 + share]
    scale, ticks = _ratio_scale([*shown.ends, *band])
    x_axis = alt.Axis(
        title=shown.title(say), values=ticks, labelExpr=_AS_CHANGE, grid=False, labelFlush=20, labelOverlap=True
    )
    y = alt.Y("row:N", sort=list(shown.rows), axis=row_axis())
    answers = [str(a) for a in ANSWER_MARKS]
    colour = alt.Color(
        "answer:N",
        scale=alt.Scale(domain=answers, range=[ANSWER_MARKS[a][0] for a in answers]),
        legend=None,  # the page explains the answers once, above the plots
    )
    layers: list[alt.Chart] = []
    if band:
        one = alt.Chart(alt.InlineData(values=[{"from": band[0], "to": band[1]}]))
        edges = {"x": alt.X("from:Q", scale=scale, axis=x_axis), "x2": alt.X2("to:Q")}
        layers.append(one.mark_rect(color="var(--band)", opacity=1, aria=False).encode(**edges))
    middle = alt.Chart(alt.InlineData(values=[{"one": 1}]))
    layers.append(middle.mark_rule(color="var(--rule)", aria=False).encode(x=alt.X("one:Q", scale=scale, axis=x_axis)))
    base = alt.Chart(alt.NamedData(data)).encode(y=y, color=colour, tooltip=alt.Tooltip("text:N", title=" "))
    for low, high, width in (("wide_low", "wide_high", 1.0), ("low", "high", 3.5)):
        edge = alt.X(f"{low}:Q", scale=scale, axis=x_axis)
        layers.append(base.mark_rule(strokeWidth=width, aria=False).encode(x=edge, x2=f"{high}:Q"))
    shape = alt.Shape(
        "answer:N", scale=alt.Scale(domain=answers, range=[ANSWER_MARKS[a][1] for a in answers]), legend=None
    )
    layers.append(
        base.mark_point(filled=True, size=80, opacity=1).encode(
            x=alt.X("ratio:Q", scale=scale, axis=x_axis), shape=shape, description="text:N"
        )
    )
    return finish(alt.layer(*layers), rows_height(shown.rows, 0), shown.description)


@dataclass(frozen=True, slots=True)
class FactorAxis:
    """A factor's axis: a scale for levels that are numbers, or None for names, which stand in `order`."""

    factor: str
    scale: LevelAxis | None
    order: Sequence[str]

    def encoding(self, say: Say) -> alt.X:
        """Return the x channel, with a tick at each level."""
        if self.scale is None:
            return alt.X("level:N", sort=list(self.order), axis=alt.Axis(title=self.factor, labelAngle=0, grid=False))
        log = "" if self.scale.kind == "linear" else f" ({say('log scale')})"
        axis = alt.Axis(
            title=f"{self.factor}{log}", values=list(self.scale.ticks), format=",~r", grid=False, labelOverlap=True
        )
        # A log scale has no zero to leave out, and Vega warns of being told to.
        zero: Spec = {"zero": False} if self.scale.kind == "linear" else {}
        return alt.X("x:Q", scale=alt.Scale(type=self.scale.kind, nice=False, padding=14, **zero), axis=axis)


@dataclass(frozen=True, slots=True)
class Lines:
    """What tells the lines of a plot apart: levels, by colour and by shape."""

    labels: Sequence[str]
    title: str
    field: str = "at"

    @property
    def _legend(self) -> alt.Legend | None:
        if len(self.labels) < 2:  # noqa: PLR2004 -- one needs no name
            return None
        longest = max(map(columns, self.labels))
        return alt.Legend(
            title=self.title, columns=max(1, min(_LEGEND_ENTRIES, _LEGEND_LETTERS // (longest + _OF_A_SYMBOL)))
        )

    def _hues(self) -> list[str]:
        return [COLOURS[i % len(COLOURS)] for i in range(len(self.labels))]

    def colour(self) -> alt.Color:
        """Return the colour channel."""
        scale = alt.Scale(domain=list(self.labels), range=self._hues())
        return alt.Color(f"{self.field}:N", scale=scale, legend=self._legend)

    def edge(self) -> alt.Stroke:
        """Return the channel of a mark's edge, which is all that a hollow mark has."""
        scale = alt.Scale(domain=list(self.labels), range=self._hues())
        return alt.Stroke(f"{self.field}:N", scale=scale, legend=self._legend)

    def shape(self) -> alt.Shape:
        """Return the shape channel, for those who cannot tell the colours apart."""
        shapes = [SHAPES[i % len(SHAPES)] for i in range(len(self.labels))]
        return alt.Shape(
            f"{self.field}:N", scale=alt.Scale(domain=list(self.labels), range=shapes), legend=self._legend
        )

    def dash(self) -> alt.StrokeDash:
        """Return the channel of a line's dashes, for the same."""
        dashes = [DASHES[i % len(DASHES)] for i in range(len(self.labels))]
        scale = alt.Scale(domain=list(self.labels), range=dashes)
        return alt.StrokeDash(f"{self.field}:N", scale=scale, legend=self._legend)


def by_factor(
    column: Column, axis: FactorAxis, lines: Lines, ends: tuple[float, float], description: str, say: Say
) -> Spec:
    """Return a response against a factor: every trial a dot, a line through the medians.

    Data "dots" (x, level, at, twin, trial, and one column per response) and
    "medians" (the same without trial). Dots of a twin, a second name of a
    level that is there already, are hollow. `ends` are the smallest and the
    largest value.
    """
    latency = column.unit == "ms"
    unit = say("milliseconds") if latency else say("requests per second")
    if latency:
        scale, y_axis = log_ms((ends[0] / 1.1, ends[1] * 1.1), say)
    else:
        scale, y_axis = alt.Scale(zero=True), alt.Axis(title=unit, tickCount=5, format=",d")
    x, y = axis.encoding(say), alt.Y(f"{column.name}:Q", scale=scale, axis=y_axis)
    tooltip = [
        alt.Tooltip("trial:Q", title=say("trial")),
        alt.Tooltip("level:N", title=axis.factor),
        alt.Tooltip("at:N", title=lines.title or " "),
        alt.Tooltip(f"{column.name}:Q", title=unit, format=",.4~r"),
    ]
    dots = (
        alt.Chart(alt.NamedData("dots"))
        .transform_filter(f"isValid(datum.{column.name})")
        .mark_point(filled=True, size=34, opacity=1, strokeWidth=1.2, aria=False)
        .encode(
            x=x,
            y=y,
            color=lines.colour(),
            stroke=lines.edge(),
            shape=lines.shape(),
            fillOpacity=alt.condition("datum.twin", alt.value(0), alt.value(0.45)),
            tooltip=tooltip,
        )
    )
    medians = alt.Chart(alt.NamedData("medians")).transform_filter(f"isValid(datum.{column.name}) && !datum.twin")
    trend = medians.mark_line(strokeWidth=2, aria=False).encode(x=x, y=y, color=lines.colour())
    return finish(alt.layer(trend, dots), 260, description)


def percentiles(lines: Lines, ends: tuple[float, float], description: str, say: Say) -> Spec:
    """Return latency against its percentile, a line a level. Data "percentiles": `lines.field`, n, ms.

    One request in `n` took longer than `ms`: on a log axis p50, p90, p99 and p99.9 stand evenly, as in HDR plots. The
    axis reaches as far whatever is chosen, so that the eye can compare across choices.
    """
    named = ", ".join(f"'{n}': '{name}'" for n, name in PERCENTILES.items())
    x_axis = alt.Axis(
        title=say("percentile of the requests"),
        values=list(PERCENTILES),
        labelExpr=f"{{{named}}}[datum.value]",
        labelOverlap=False,
    )
    x = alt.X("n:Q", scale=alt.Scale(type="log", nice=False, domain=[min(PERCENTILES), max(PERCENTILES)]), axis=x_axis)
    scale, y_axis = log_ms(ends, say)
    lines_drawn = (
        alt.Chart(alt.NamedData("percentiles"))
        .mark_line(strokeWidth=2.2, clip=True)
        .encode(
            x=x,
            y=alt.Y("ms:Q", scale=scale, axis=y_axis),
            color=lines.colour(),
            strokeDash=lines.dash(),
            order="n:Q",
            tooltip=[f"{lines.field}:N", alt.Tooltip("share:Q", format=".4~p"), alt.Tooltip("ms:Q", format=",.4~r")],
        )
    )
    return finish(alt.layer(lines_drawn), 320, description)
