"""Vega-Lite specifications of what stands over time, and of where time went; see `charts`."""

from collections.abc import Sequence

import altair as alt

from cgidlab.report.charts import COLOURS, Lines, Spec, finish, log_ms, row_axis, rows_height
from cgidlab.report.say import Say

STATE_COLOURS = {  # in the order of a bar: idle, which is what is left, last
    "connect": "var(--c2)",
    "read": "var(--c1)",
    "running": "var(--c3)",
    "other": "var(--c4)",
    "idle": "var(--idle)",
}
STATES = tuple(STATE_COLOURS)
PARTS = {"connect": "var(--c2)", "read": "var(--c1)", "other": "var(--idle)"}
"""What a request's mean time is made of, in the order of a bar, and in which colour."""
_BAR_HEIGHT = 24
_WHOLE = "datum.value % 1 ? '' : datum.label"  # there is no half of a connection


def over_time(data: str, title: str, colour: str, *, description: str, limit: bool = False, say: Say) -> Spec:
    """Return one gauge over a trial's window. `data` holds t (seconds) and v; "limit" holds v and text.

    A value holds until the next.
    """
    x = alt.X("t:Q", axis=_seconds(say), scale=alt.Scale(nice=False, zero=True))
    y_axis = alt.Axis(title=title, tickCount=4, format=",~r", labelExpr=_WHOLE)
    y = alt.Y("v:Q", axis=y_axis, scale=alt.Scale(zero=True))
    area = alt.Chart(alt.NamedData(data)).mark_area(
        line={"color": colour, "strokeWidth": 1}, color=colour, fillOpacity=0.18, interpolate="step-after"
    )
    layers: list[alt.Chart] = [area.encode(x=x, y=y)]
    if limit:
        layers += _limit(y)
    return finish(alt.layer(*layers), 170, description)


def _seconds(say: Say) -> alt.Axis:
    return alt.Axis(title=say("seconds into the window"), grid=False, tickCount=5, labelOverlap=True)


def _limit(y: alt.Y) -> list[alt.Chart]:
    known = alt.Chart(alt.NamedData("limit"))
    words = known.mark_text(align="right", baseline="bottom", fontSize=11, color="var(--soft)", aria=False)
    return [
        known.mark_rule(strokeDash=[5, 4], strokeWidth=1.3, color="var(--soft)", aria=False).encode(y=y),
        words.encode(y=alt.value(-4), x=alt.value("width"), text="text:N"),
    ]


def heat(ends: tuple[float, float], description: str, say: Say) -> Spec:
    """Return when requests were answered and how long they had taken. Data "heat": t, t2, low, high, n.

    The latency axis reaches from one of `ends` to the other whichever trial is chosen.
    """
    scale, axis = log_ms(ends, say)
    rects = (
        alt.Chart(alt.NamedData("heat"))
        .mark_rect(color=COLOURS[0], aria=False)
        .encode(
            x=alt.X("t:Q", axis=_seconds(say), scale=alt.Scale(nice=False, zero=True)),
            x2="t2:Q",
            y=alt.Y("low:Q", scale=scale, axis=axis),
            y2="high:Q",
            fillOpacity=alt.FillOpacity("n:Q", scale=alt.Scale(type="sqrt", range=[0.08, 1]), legend=None),
            tooltip=[
                alt.Tooltip("n:Q", title=say("requests")),
                alt.Tooltip("low:Q", title=say("from, ms"), format=".3~r"),
            ],
        )
    )
    return finish(alt.layer(rects), 200, description)


def small(top: float, description: str) -> Spec:
    """Return queue depth (area) and workers asleep in connect (line) of one trial, in little room, up to `top`."""
    x = alt.X(
        "t:Q", axis=alt.Axis(title=None, grid=False, tickCount=4, format=".1~f"), scale=alt.Scale(nice=False, zero=True)
    )
    y_axis = alt.Axis(title=None, tickCount=3, format=",~r", labelExpr=_WHOLE)
    y = alt.Y("v:Q", axis=y_axis, scale=alt.Scale(domain=[0, top], nice=False))
    depth = alt.Chart(alt.NamedData("depth")).mark_area(
        clip=True,
        line={"color": COLOURS[0], "strokeWidth": 1.5},
        color=COLOURS[0],
        fillOpacity=0.18,
        interpolate="step-after",
    )
    asleep = alt.Chart(alt.NamedData("asleep")).mark_line(
        color=COLOURS[1], strokeWidth=1.6, interpolate="step-after", strokeDash=[4, 2], clip=True
    )
    limit = (
        alt.Chart(alt.NamedData("limit"))
        .transform_filter(f"datum.v <= {top}")  # a queue that is never full has its limit above the panels
        .mark_rule(strokeDash=[5, 4], strokeWidth=1.3, color="var(--soft)", aria=False)
        .encode(y=y)
    )
    return finish(alt.layer(depth.encode(x=x, y=y), asleep.encode(x=x, y=y), limit), 110, description)


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
            y=_rows(rows),
            color=alt.Color(
                "state:N",
                scale=alt.Scale(domain=list(STATE_COLOURS), range=list(STATE_COLOURS.values())),
                legend=None,  # the page has one that a narrow screen can break
            ),
            order="order:Q",
            tooltip=["row:N", "state:N", alt.Tooltip("share:Q", format=".1%")],
        )
    )
    return finish(chart, rows_height(rows, _BAR_HEIGHT), description)


def _rows(rows: Sequence[str]) -> alt.Y:
    return alt.Y("row:N", sort=list(rows), axis=row_axis())


def request_time(rows: Sequence[str], description: str, say: Say, *, queued: bool) -> Spec:
    """Return what a request's mean time was made of, by cell. Data "parts": row, part, ms, order; "queued": row, ms.

    The time in the queue is a mark on the bar and no piece of it: it overlaps the others.
    """
    bars = (
        alt.Chart(alt.NamedData("parts"))
        .mark_bar(stroke="var(--paper)", strokeWidth=1)
        .encode(
            x=alt.X("ms:Q", stack="zero", axis=alt.Axis(title=say("milliseconds, mean"), tickCount=5, format=",~r")),
            y=_rows(rows),
            color=alt.Color(
                "part:N", scale=alt.Scale(domain=list(PARTS), range=list(PARTS.values())), legend=None
            ),  # the text above the plot says what each is
            order="order:Q",
            tooltip=["row:N", "part:N", alt.Tooltip("ms:Q", format=",.3~r")],
        )
    )
    ticks = (
        alt.Chart(alt.NamedData("queued"))
        .mark_tick(color="var(--ink)", thickness=3, size=16)
        .encode(
            x="ms:Q",
            y=_rows(rows),
            tooltip=["row:N", alt.Tooltip("ms:Q", title=say("in the queue, ms"), format=",.3~r")],
        )
    )
    # A layer without data has no extent, of which Vega warns.
    layers = [bars, ticks] if queued else [bars]
    return finish(alt.layer(*layers), rows_height(rows, _BAR_HEIGHT), description)


def over_the_run(blocks: Sequence[tuple[float, float]], lines: Lines, description: str, say: Say) -> Spec:
    """Return every trial's throughput by its cell's median over the run. Data "run": minutes, share, at, trial, cell.

    `blocks` are begin and end of every second block, in minutes: they are shaded.
    """
    x = alt.X(
        "minutes:Q",
        axis=alt.Axis(title=say("minutes into the run"), grid=False, tickCount=6),
        scale=alt.Scale(zero=True, nice=False),
    )
    axis = alt.Axis(title=say("throughput by the cell's median"), tickCount=5, format="%")
    y = alt.Y("share:Q", axis=axis, scale=alt.Scale(zero=False))
    bands = alt.Chart(alt.InlineData(values=[{"minutes": a, "end": b} for a, b in blocks]))
    dots = (
        alt.Chart(alt.NamedData("run"))
        .mark_point(filled=True, size=30, opacity=0.85, aria=False)
        .encode(
            x=x,
            y=y,
            color=lines.colour(),
            shape=lines.shape(),
            tooltip=["trial:Q", "cell:N", alt.Tooltip("share:Q", format=".1%")],
        )
    )
    layers: list[alt.Chart] = [dots]
    if blocks:
        layers.insert(0, bands.mark_rect(color="var(--band)", opacity=1, aria=False).encode(x=x, x2="end:Q"))
    return finish(alt.layer(*layers), 240, description)
