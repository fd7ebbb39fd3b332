"""The picture of a search: its trials block by block, and the interval of its limit."""

from collections.abc import Sequence

import altair as alt

from cgidlab.analysis.findings import FoundLimit
from cgidlab.report import charts
from cgidlab.report.say import IN_ENGLISH, Say


def plots(limits: Sequence[FoundLimit], say: Say = IN_ENGLISH) -> tuple[list[tuple[str, str]], dict[str, charts.Spec]]:
    """Return a plot for each place: its name and heading, and its specification. None without a search."""
    named, specs = [], {}
    for n, limit in enumerate(f for f in limits if f.probes):
        name = f"search-{n}"
        named.append((name, ", ".join(f"{factor} {label}" for factor, label in limit.at) or limit.factor))
        specs[name] = _plot(limit, say)
    return named, specs


def _plot(limit: FoundLimit, say: Say) -> charts.Spec:
    kept, missed = say("keeps the goal"), say("misses it")
    short, whole = say("short window"), say("whole window")
    rows = [
        {
            "block": p.block,
            "level": p.level,
            "said": missed if p.missed else kept,
            "window": short if p.short else whole,
            "text": say(
                "{factor} {level} in block {block}, {window}: {answer}",
                factor=limit.factor,
                level=f"{p.level:g}",
                block=p.block,
                window=short if p.short else whole,
                answer=missed if p.missed else kept,
            ),
        }
        for p in limit.probes
    ]
    x = alt.X("block:Q", axis=alt.Axis(title=say("block"), tickMinStep=1, grid=False))
    axis = alt.Axis(title=limit.factor, tickCount=6, grid=True)
    y = alt.Y("level:Q", scale=alt.Scale(type="log"), axis=axis)
    colour = alt.Color("said:N", scale=alt.Scale(domain=[kept, missed], range=list(charts.COLOURS[:2])), legend=None)
    shape = alt.Shape("said:N", scale=alt.Scale(domain=[kept, missed], range=["circle", "cross"]), legend=None)
    size = alt.Size("window:N", scale=alt.Scale(domain=[short, whole], range=[25, 80]), legend=None)
    base = alt.Chart(alt.InlineData(values=rows))
    layers: list[alt.Chart] = []
    ends = [float(end) for end in (limit.keeps, limit.misses) if end is not None]
    if ends:
        band = alt.Chart(alt.InlineData(values=[{"from": min(ends), "to": max(ends)}]))
        layers.append(band.mark_rect(color="var(--band)", opacity=1, aria=False).encode(y=alt.Y("from:Q"), y2="to:Q"))
    layers.append(
        base.mark_point(filled=True, opacity=0.9).encode(
            x=x,
            y=y,
            color=colour,
            shape=shape,
            size=size,
            tooltip=alt.Tooltip("text:N", title=" "),
            description="text:N",
        )
    )
    return charts.finish(
        alt.layer(*layers), 260, say("The trials of a search for {factor}, and its interval", factor=limit.factor)
    )
