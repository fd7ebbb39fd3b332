"""Vega-Lite specifications of the report's plots.

Each function returns a specification without its data. Plots read named data
sets that the page hands over when it draws, so that numbers are in the file
once. Colours are CSS variables of the page: light, dark and print follow it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import altair as alt

from cgidlab.analysis.findings import Answer
from cgidlab.figures import Column

Spec = dict[str, Any]

COLOURS = tuple(f"var(--c{i})" for i in range(1, 7))
MAX_SPOKEN = 60  # cells named in a description; the table has them all
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
ANSWER_MARKS: dict[str, tuple[str, str]] = {
    Answer.COSTS_AT_LEAST: ("var(--bad)", "square"),
    Answer.EQUIVALENT: ("var(--good)", "circle"),
    Answer.GAINS_AT_LEAST: ("var(--c1)", "triangle-up"),
    Answer.REAL_NEAR: ("var(--c2)", "triangle-down"),
    Answer.INCONCLUSIVE: ("var(--unsure)", "diamond"),
    Answer.DESCRIBED: ("var(--ink)", "cross"),
}
_STATES = {  # in the order of a bar: idle, which is what is left, last
    "connect": "var(--c2)",
    "read": "var(--c1)",
    "running": "var(--c3)",
    "other": "var(--c4)",
    "idle": "var(--idle)",
}
STATES = tuple(_STATES)

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
        "labelLimit": 260,
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
        "labelLimit": 240,
        "columns": 4,
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
_WHOLE = "datum.value % 1 ? '' : datum.label"  # there is no half of a connection
_AS_CHANGE = (  # from ten on the ratio itself is easier to read
    "datum.value >= 10 ? '\u00d7' + format(datum.value, ',~r') : replace(format(datum.value - 1, '+.0%'), '%', ' %')"
)


def finish(chart: alt.Chart | alt.LayerChart | alt.FacetChart, height: int, description: str) -> Spec:
    """Return a plot as the page draws it: as wide as its place, in the page's own look."""
    spec: Spec = chart.properties(
        width="container",
        height=height,
        description=description,
    ).to_dict()
    # Altair adds its own look; the page hands over CONFIG instead. No $schema: nothing is to be fetched.
    return {key: value for key, value in spec.items() if key not in ("config", "$schema")}


def log_ticks(low: float, high: float) -> list[float]:
    """Return round numbers from `low` to `high` for a log axis: the roundest of which there are at least three."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks: list[float] = []
    for digits in _DIGITS:
        ticks = [t for power in powers for digit in digits if low <= (t := float(f"{digit}e{power}")) <= high]
        if len(ticks) >= _FEW_TICKS:
            break
    return ticks


def _ratio_scale(ends: Sequence[float]) -> tuple[alt.Scale, list[float]]:
    low, high = min(*ends, 0.97), max(*ends, 1.03)
    pad = (high / low) ** 0.05
    low, high = low / pad, high * pad
    ticks: list[float] = []
    for tick in sorted((t for t in _RATIO_TICKS if low <= t <= high), key=lambda t: abs(math.log(t))):
        if all(abs(math.log(tick / kept)) > math.log(high / low) / _AXIS_ROOM for kept in ticks):
            ticks.append(tick)  # nearest to "no change" first, so that it is always labelled
    return alt.Scale(type="log", domain=[low, high], nice=False), sorted(ticks)


def effects(data: str, rows: Sequence[str], ends: Sequence[float], share: float | None, description: str) -> Spec:
    """Return intervals of ratios, one row each, over the band of changes that do not matter.

    Fields of `data`: row, ratio, low, high, answer, and text for the tooltip.
    `ends` are all ends of intervals, `share` the smallest effect or None.
    """
    # A share of 1 and more leaves every fall inside the band: it begins where the log axis does.
    band = [] if share is None else [1 - share if share < 1 else min([*ends, 1 / (1 + share)]), 1 + share]
    scale, ticks = _ratio_scale([*ends, *band])
    x_axis = alt.Axis(
        title="change against the reference", values=ticks, labelExpr=_AS_CHANGE, grid=False, labelFlush=20
    )
    y = alt.Y("row:N", sort=list(rows), axis=alt.Axis(title=None, domain=False, ticks=False, labelPadding=8))
    answers = [str(a) for a in ANSWER_MARKS]
    colour = alt.Color(
        "answer:N",
        scale=alt.Scale(domain=answers, range=[ANSWER_MARKS[a][0] for a in answers]),
        legend=None,  # the page explains the three answers once, above the plots
    )
    layers: list[alt.Chart] = []
    if band:
        one = alt.Chart(alt.InlineData(values=[{"from": band[0], "to": band[1]}]))
        edges = {"x": alt.X("from:Q", scale=scale, axis=x_axis), "x2": alt.X2("to:Q")}
        layers.append(one.mark_rect(color="var(--band)", opacity=1, aria=False).encode(**edges))
    middle = alt.Chart(alt.InlineData(values=[{"one": 1}]))
    layers.append(middle.mark_rule(color="var(--rule)", aria=False).encode(x=alt.X("one:Q", scale=scale, axis=x_axis)))
    base = alt.Chart(alt.NamedData(data)).encode(y=y, color=colour, tooltip=alt.Tooltip("text:N", title=" "))
    layers.append(
        base.mark_rule(strokeWidth=2.5, aria=False).encode(x=alt.X("low:Q", scale=scale, axis=x_axis), x2="high:Q")
    )
    shape = alt.Shape(
        "answer:N", scale=alt.Scale(domain=answers, range=[ANSWER_MARKS[a][1] for a in answers]), legend=None
    )
    layers.append(
        base.mark_point(filled=True, size=80, opacity=1).encode(
            x=alt.X("ratio:Q", scale=scale, axis=x_axis), shape=shape, description="text:N"
        )
    )
    return finish(alt.layer(*layers), 26 * max(2, len(rows)), description)


@dataclass(frozen=True, slots=True)
class FactorAxis:
    """The factor's axis: numeric `ticks`, or None for levels that are names and stand in `order`."""

    factor: str
    ticks: Sequence[float] | None
    order: Sequence[str]

    def encoding(self) -> alt.X:
        """Return the x channel; a log scale needs every level above zero."""
        if self.ticks is None:
            return alt.X("level:N", sort=list(self.order), axis=alt.Axis(title=self.factor, labelAngle=0, grid=False))
        kind: Literal["log", "symlog"] = "log" if min(self.ticks) > 0 else "symlog"
        axis = alt.Axis(
            title=f"{self.factor} ({kind} scale)",
            values=list(self.ticks),
            format=",~r",
            grid=False,
            labelOverlap=True,
        )
        return alt.X("x:Q", scale=alt.Scale(type=kind, nice=False, padding=14), axis=axis)


@dataclass(frozen=True, slots=True)
class Lines:
    """What tells the lines of a plot apart: the levels of the other factors, by colour and by shape."""

    labels: Sequence[str]
    title: str

    @property
    def _legend(self) -> alt.Legend | None:
        return alt.Legend(title=self.title) if len(self.labels) > 1 else None

    def colour(self) -> alt.Color:
        """Return the colour channel."""
        hues = [COLOURS[i % len(COLOURS)] for i in range(len(self.labels))]
        return alt.Color("at:N", scale=alt.Scale(domain=list(self.labels), range=hues), legend=self._legend)

    def edge(self) -> alt.Stroke:
        """Return the channel of a mark's edge, which is all that a hollow mark has."""
        hues = [COLOURS[i % len(COLOURS)] for i in range(len(self.labels))]
        return alt.Stroke("at:N", scale=alt.Scale(domain=list(self.labels), range=hues), legend=self._legend)

    def shape(self) -> alt.Shape:
        """Return the shape channel, for those who cannot tell the colours apart."""
        shapes = [SHAPES[i % len(SHAPES)] for i in range(len(self.labels))]
        return alt.Shape("at:N", scale=alt.Scale(domain=list(self.labels), range=shapes), legend=self._legend)


def by_factor(column: Column, axis: FactorAxis, lines: Lines, ends: tuple[float, float], description: str) -> Spec:
    """Return a response against the factor: every trial a dot, a line through the medians.

    Data "dots" (x, level, at, twin, trial, and one column per response) and
    "medians" (the same without trial). Dots of a twin, a second name of a
    level that is there already, are hollow. `ends` are the smallest and the
    largest value.
    """
    latency = column.unit == "ms"
    unit = "milliseconds" if latency else "requests per second"
    if latency:
        low, high = ends[0] / 1.1, ends[1] * 1.1
        scale = alt.Scale(type="log", nice=False, domain=[low, high])
        y_axis = alt.Axis(title=f"{unit} (log scale)", values=log_ticks(low, high), format=",~r")
    else:
        scale, y_axis = alt.Scale(zero=True), alt.Axis(title=unit, tickCount=5, format=",d")
    x, y = axis.encoding(), alt.Y(f"{column.name}:Q", scale=scale, axis=y_axis)
    tooltip = [
        alt.Tooltip("trial:Q", title="trial"),
        alt.Tooltip("level:N", title=axis.factor),
        alt.Tooltip("at:N", title=lines.title or "at"),
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
            fillOpacity=alt.condition("datum.twin", alt.value(0), alt.value(0.55)),
            tooltip=tooltip,
        )
    )
    medians = alt.Chart(alt.NamedData("medians")).transform_filter(f"isValid(datum.{column.name}) && !datum.twin")
    trend = medians.mark_line(strokeWidth=2, aria=False).encode(x=x, y=y, color=lines.colour())
    return finish(alt.layer(trend, dots), 250, description)


def distribution(ends: tuple[float, float], description: str) -> Spec:
    """Return two cumulative distributions of latency. Data "ecdf": slot (A or B), ms, share.

    The axis reaches from one of `ends` to the other whichever cells are
    chosen, so that the eye can compare across choices.
    """
    colours = alt.Scale(domain=["A", "B"], range=list(COLOURS[:2]))
    dashes = alt.Scale(domain=["A", "B"], range=[[1, 0], [6, 3]])
    x = alt.X(
        "ms:Q",
        scale=alt.Scale(type="log", nice=False, domain=list(ends)),
        axis=alt.Axis(title="latency, ms (log scale)", format=",~r", values=log_ticks(*ends), labelOverlap=True),
    )
    y = alt.Y("share:Q", axis=alt.Axis(title="share of requests answered by then", format="%", tickCount=5))
    lines = (
        alt.Chart(alt.NamedData("ecdf"))
        .mark_line(interpolate="step-after", strokeWidth=2.2, clip=True)
        .encode(
            x=x,
            y=y,
            color=alt.Color("slot:N", scale=colours, legend=None),
            strokeDash=alt.StrokeDash("slot:N", scale=dashes, legend=None),
            order="share:Q",
        )
    )
    return finish(alt.layer(lines), 300, description)


def over_time(
    data: str, title: str, colour: str, *, description: str, limit: bool = False, middles: bool = False
) -> Spec:
    """Return one figure over a trial's window. `data` holds t (seconds) and v; "limit" holds v and text.

    A value holds until the next, or with `middles` as far to either side: rates
    are given at the middle of the stretch they were counted over.
    """
    x_axis = alt.Axis(title="seconds into the window", grid=False, tickCount=5, labelOverlap=True)
    x = alt.X("t:Q", axis=x_axis, scale=alt.Scale(nice=False, zero=True))
    y_axis = alt.Axis(title=title, tickCount=4, format=",~r", labelExpr=_WHOLE)
    y = alt.Y("v:Q", axis=y_axis, scale=alt.Scale(zero=True))
    line: Spec = {"color": colour, "strokeWidth": 1}
    hold: Literal["step", "step-after"] = "step" if middles else "step-after"
    area = alt.Chart(alt.NamedData(data)).mark_area(line=line, color=colour, fillOpacity=0.18, interpolate=hold)
    layers: list[alt.Chart] = [area.encode(x=x, y=y)]
    if limit:
        layers += _limit(y)
    return finish(alt.layer(*layers), 170, description)


def _limit(y: alt.Y) -> list[alt.Chart]:
    known = alt.Chart(alt.NamedData("limit"))
    words = known.mark_text(align="right", baseline="bottom", fontSize=11, color="var(--soft)", aria=False)
    return [
        known.mark_rule(strokeDash=[5, 4], strokeWidth=1.3, color="var(--soft)", aria=False).encode(y=y),
        words.encode(y=alt.value(-4), x=alt.value("width"), text="text:N"),
    ]


def small(description: str) -> Spec:
    """Return queue depth (area) and workers asleep in connect (line) of one trial, in little room."""
    x = alt.X(
        "t:Q", axis=alt.Axis(title=None, grid=False, tickCount=4, format="~s"), scale=alt.Scale(nice=False, zero=True)
    )
    y = alt.Y("v:Q", axis=alt.Axis(title=None, tickCount=3, format=",~r", labelExpr=_WHOLE), scale=alt.Scale(zero=True))
    depth = alt.Chart(alt.NamedData("depth"))
    depth = depth.mark_area(
        line={"color": COLOURS[0], "strokeWidth": 1.5}, color=COLOURS[0], fillOpacity=0.18, interpolate="step-after"
    ).encode(x=x, y=y)
    asleep = alt.Chart(alt.NamedData("asleep"))
    asleep = asleep.mark_line(color=COLOURS[1], strokeWidth=1.6, interpolate="step-after", strokeDash=[4, 2])
    return finish(alt.layer(depth, asleep.encode(x=x, y=y), *_limit(y)), 110, description)


def waits(rows: Sequence[str], description: str) -> Spec:
    """Return where the workers of each cell were. Data "waits": row, state, share, order."""
    chart = (
        alt.Chart(alt.NamedData("waits"))
        .mark_bar(stroke="var(--paper)", strokeWidth=1)
        .encode(
            x=alt.X(
                "share:Q",
                stack="zero",
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(title=None, format="%", tickCount=4),
            ),
            y=alt.Y("row:N", sort=list(rows), axis=alt.Axis(title=None, domain=False, ticks=False, labelPadding=8)),
            color=alt.Color(
                "state:N",
                scale=alt.Scale(domain=list(_STATES), range=list(_STATES.values())),
                legend=alt.Legend(title=None, columns=5),
            ),
            order="order:Q",
            tooltip=["row:N", "state:N", alt.Tooltip("share:Q", format=".1%")],
        )
    )
    return finish(chart, 24 * max(2, len(rows)), description)


def drift(lines: Lines, description: str) -> Spec:
    """Return throughput of the reference level over the run. Data "drift": minutes, rps, at, trial."""
    y_axis = alt.Axis(title="requests per second", tickCount=5, format=",d")
    base = alt.Chart(alt.NamedData("drift")).encode(
        x=alt.X(
            "minutes:Q",
            axis=alt.Axis(title="minutes into the run", grid=False, tickCount=6),
            scale=alt.Scale(zero=True),
        ),
        y=alt.Y("rps:Q", axis=y_axis, scale=alt.Scale(zero=True)),
        color=lines.colour(),
    )
    dots = base.mark_point(filled=True, size=34, opacity=0.9, aria=False).encode(
        shape=lines.shape(), tooltip=["trial:Q", alt.Tooltip("rps:Q", format=",.0f")]
    )
    return finish(alt.layer(base.mark_line(strokeWidth=1, opacity=0.6, aria=False), dots), 220, description)
