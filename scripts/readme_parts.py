"""The parts of the READMEs that are made from a recorded run: its verdict in each language, and a plot."""

import dataclasses
import statistics
import sys
from pathlib import Path
from typing import Any

import vl_convert

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from cgidlab.figures import COLUMNS  # noqa: E402 -- not installed: it is found beside this script
from cgidlab.report import axes, charts, script  # noqa: E402 -- same
from cgidlab.report.say import IN_ENGLISH  # noqa: E402 -- same
from cgidlab.terminal import columns, folded  # noqa: E402 -- same
from tests.unit import verdict_data  # noqa: E402 -- same

RUN = "overflow_and_limit"
_WIDTH = 110


def verdict(language: str) -> str:
    """Return the seven lines of the recorded sweep as a terminal shows them, indented as code."""
    lines = [line.told_in(language) for line in verdict_data.recorded(RUN).verdict.answers]
    column = max(columns(name) for name, _ in lines) + 2
    told = [folded(text, _WIDTH, name + " " * (column - columns(name)), " " * column) for name, text in lines]
    return "\n".join(f"    {line}" for text in told for line in text.split("\n"))


def picture() -> str:
    """Return p99 against the number of clients as SVG, in the report's light colours, from the recorded sweep.

    A dot is a block's windows of a cell as one, the line goes through medians: what the verdict's Tail is of.
    """
    sweep = verdict_data.recorded(RUN)
    backlog, clients = sweep.experiment.factors
    scale = axes.LevelAxis.of([float(str(lv.value)) for lv in clients.levels])
    labels = [lv.label for lv in backlog.levels]
    dots: list[dict[str, Any]] = [
        {
            "x": scale.place(float(dict(r.levels)["clients"]), labels.index(at), len(labels)),
            "at": at,
            "twin": False,
            "latency_p99_ms": r.figures.latency_p99_ms,
        }
        for r in sweep.whole_blocks
        if (at := dict(r.levels)["listen_backlog"]) and r.figures.latency_p99_ms
    ]
    middle = [
        {"x": x, "at": at, "twin": False, "latency_p99_ms": statistics.median(values)}
        for x, at in dict.fromkeys((d["x"], d["at"]) for d in dots)
        if (values := [d["latency_p99_ms"] for d in dots if (d["x"], d["at"]) == (x, at)])
    ]
    ends = min(d["latency_p99_ms"] for d in dots), max(d["latency_p99_ms"] for d in dots)
    column = dataclasses.replace(COLUMNS["latency_p99_ms"])
    spec = charts.by_factor(
        column,
        charts.FactorAxis("clients", scale, ()),
        charts.Lines(labels, "listen_backlog"),
        ends,
        "p99 latency by clients",
        IN_ENGLISH,
    )
    spec |= {
        "width": 560,
        "height": 260,
        "datasets": {"dots": dots, "medians": middle},
        "config": {**charts.CONFIG, "background": "white"},
    }
    return vl_convert.vegalite_to_svg(_light(spec), vl_version=script.VEGA_LITE) + "\n"


def _light(value: Any) -> Any:  # noqa: ANN401 -- JSON
    """Return a specification with the page's colours in place of their names."""
    if isinstance(value, dict):
        return {key: _light(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_light(one) for one in value]
    if isinstance(value, str) and value.startswith("var("):
        name = value.removeprefix("var(").removesuffix(")")
        return script.page_style().partition(f"{name}: ")[2].partition(";")[0]
    return value
