"""What a report shows first, on which axes, and that its pictures hold what was measured."""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from cgidlab import report
from cgidlab.analysis.findings import Answer
from cgidlab.analysis.intervals import Interval
from cgidlab.model import Figures, TrialRecord
from cgidlab.report import axes, cells, charts, facts, page, payload, plots, words
from scripts import make_synthetic_run as synthetic
from tests.unit.test_report_page import Page

PROVENANCE = {
    "cgidlab": "0.1.0",
    "git": {"commit": "0123456789abcdef", "changed": True},
    "control": {"python": "3.11.7", "packages": {"ansible-core": "2.19.14"}},
    "hosts": {
        "synthetic": {
            "facts": {"kernel": "6.18.44", "cpus": 2, "cpu_model": "AMD EPYC", "memory_mb": 24105},
            "httpd": {"distro": {"version": "2.4.68", "source": "apache2 2.4.68-1", "variants": [{"patches": ""}]}},
            "tools": {"h2load": {"path": "/usr/bin/h2load", "version": "1.52.0"}},
        }
    },
    "calibration": {"hosts": {"synthetic": {"run": "20261129T075801Z-af40"}}},
}


@pytest.fixture(scope="module")
def given() -> report.ReportInput:
    made = synthetic.report_input(synthetic.synthesise(90, window_s=0.5))
    return dataclasses.replace(made, provenance=PROVENANCE)


def test_one_line_says_when_on_what_how_long_and_how_many(given: report.ReportInput) -> None:
    complete = sum(t.outcome.status == "complete" for t in given.trials)

    assert facts.head(given) == (
        "2025-06-15 15:06 UTC",
        "host synthetic",
        "2 cores",
        "Linux 6.18.44",
        "httpd 2.4.68",
        "20 min 34 s",
        f"{complete} of 90 trials complete",
    )


def test_the_answer_is_within_the_first_hundred_words(given: report.ReportInput) -> None:
    question = "When many clients ask for CGI pages, does the queue overflow, and does that cost throughput?"
    answered = dataclasses.replace(
        given, question=question, answers=(("Overflow", "YES with 100 at 200 clients."), ("Errors", "None."))
    )
    body = Page(report.render(answered)).words.partition(question)
    first = f"{body[0]} {body[1]} {body[2]}".split()[:100]

    assert "YES with 100 at 200 clients." in " ".join(first)


def test_people_get_few_lines_on_machine_and_programs_and_the_rest_is_closed(given: report.ReportInput) -> None:
    lines = facts.provenance_lines(given)
    text = report.render(given)
    before, _, closed = text.partition("Everything that was written down of machine and programs")

    assert 0 < len(lines) < 8
    assert ("cgidlab", "0.1.0 0123456789 changed since") in lines
    assert before.rpartition("<details")[2].strip().startswith(">")  # not open
    assert "hosts.synthetic.httpd.distro.variants.1.patches" in closed
    assert "{&#39;" not in text  # nothing as Python writes it
    assert all(facts.provenance_lines(dataclasses.replace(given, provenance=p)) == [] for p in ({}, {"hosts": [1]}))


@pytest.mark.parametrize(
    ("values", "want"),
    [
        ((200, 400, 600, 800, 1000), "linear"),
        ((50, 200, 400), "linear"),
        ((10, 512), "linear"),
        ((1, 5, 100, 1024), "log"),
        ((16, 128, 4096), "log"),
        ((100, 200, 400, 800, 1600), "log"),
        ((0, 1, 5, 15, 100), "symlog"),
        ((0, 5, 10), "linear"),
        ((7,), "linear"),
    ],
)
def test_an_axis_is_linear_where_levels_are_and_has_a_tick_at_each(values: Sequence[float], want: str) -> None:
    axis = axes.LevelAxis.of([float(v) for v in values])
    drawn: Any = charts.FactorAxis("rate", axis, ()).encoding(report.Say()).to_dict()

    assert axis.kind == want
    assert drawn["axis"]["values"] == sorted(values)
    assert drawn["scale"]["type"] == want


@pytest.mark.parametrize("values", [(200, 400, 600), (1, 5, 100, 1024), (0, 1, 50), (3,)])
def test_dots_of_many_lines_stay_nearer_to_their_level_than_to_another(values: Sequence[float]) -> None:
    axis = axes.LevelAxis.of([float(v) for v in values])
    places = [[axis.place(float(v), line, 12) for line in range(12)] for v in values]

    flat = [x for level in places for x in level]
    assert flat == sorted(flat)
    if len(values) > 1:
        assert all(len(set(level)) == 12 for level in places)


def test_load_is_the_first_axis_and_any_factor_with_levels_another(given: report.ReportInput) -> None:
    assert payload.axes(given) == ("clients", "listen_backlog")
    one = dataclasses.replace(given, factors=given.factors[:1])
    assert payload.axes(one) == ("listen_backlog",)


def test_a_map_of_latency_holds_every_request_once_at_its_time() -> None:
    at = np.array([0.0, 0.05, 0.99, 0.9999, 1.0])
    ms = np.array([1.0, 9.0, 120.0, 119.0, 3000.0])
    found = payload.heat_map(report.Answered(at, ms, 1.0, exact=True))
    counts = np.array([int(c or 0) for c in found["counts"].split(",")]).reshape(found["n"], found["rows"])
    low = [10 ** ((found["low"] + i) / payload.HEAT_DECADE) for i in range(found["rows"])]

    assert counts.sum() == len(ms)
    assert counts[0].sum() == 1
    assert counts[-1].sum() == 3
    assert low[0] <= 1.0
    assert counts[-1][-1] == 1
    assert low[-1] <= 3000.0 < low[-1] * 10 ** (1 / payload.HEAT_DECADE)
    seconds = payload.heat_map(report.Answered(at * 4, ms, 4.0, exact=False))
    assert seconds["n"] == 4


def test_a_percentile_is_drawn_only_as_far_as_requests_lie_beyond_it(given: report.ReportInput) -> None:
    groups = cells.by_cell(given.trials, given.factors)
    found = payload.build(given, groups)

    for i, values in found.latency.items():
        requests = sum(t.figures.requests or 0 for t in groups[i].complete)
        last = report.QUANTILE_SHARES[len(values) - 1]
        assert requests * (1 - last) >= payload.FEW_BEYOND * 0.999
        assert values == sorted(values)


def watched(**figures: float) -> TrialRecord:
    trial = synthetic.report_input(synthetic.synthesise(15, window_s=0.5)).trials[0]
    return dataclasses.replace(trial, settings={**trial.settings, "window_s": 2.0}, figures=Figures(**figures))  # type: ignore[arg-type]


def test_a_requests_time_is_made_of_what_was_measured_and_the_rest_is_other() -> None:
    one = watched(
        requests=1000,
        latency_mean_ms=100.0,
        workers_in_connect_mean=20.0,
        workers_in_read_mean=25.0,
        queue_depth_mean=50.0,
        connects=2000,
    )
    found = payload.request_time(cells.CellTrials((), (one,), (one,)))

    assert found is not None  # 20 threads for 2 s are 40 s, which 1,000 requests share
    assert found.parts == pytest.approx({"connect": 40.0, "read": 50.0, "other": 10.0})
    assert sum(found.parts.values()) == pytest.approx(100.0)
    assert found.queued == pytest.approx(50.0)  # 100 s of 2,000 connections

    blind = dataclasses.replace(one, figures=dataclasses.replace(one.figures, workers_in_read_mean=None))
    assert payload.request_time(cells.CellTrials((), (blind,), (blind,))) is None
    unsampled = dataclasses.replace(one, figures=dataclasses.replace(one.figures, connects=None))
    told = payload.request_time(cells.CellTrials((), (unsampled,), (unsampled,)))
    assert told is not None
    assert told.queued is None


def test_figures_stand_beside_an_interval_and_what_is_open_says_so(given: report.ReportInput) -> None:
    base = dataclasses.replace(given.effects[0], level="5", at=(("clients", "50"),), pooled=False, estimate=1.031)
    open_ = dataclasses.replace(base, answer=Answer.INCONCLUSIVE, family_interval=Interval(0.98, 1.08))
    shown = dataclasses.replace(base, answer=Answer.COSTS_AT_LEAST, family_interval=Interval(1.01, 1.08))

    assert plots.effect_row(open_) == "5 \N{MIDDLE DOT} clients 50\n+3.1 % (\N{MINUS SIGN}2.0 to +8.0): not decided"
    assert plots.effect_row(shown).endswith("+3.1 % (+1.0 to +8.0)")


def test_labels_of_many_factors_are_shown_whole_and_without_what_all_have_in_common(given: report.ReportInput) -> None:
    always = (("patches", "none"), ("mpm", "event"), ("workers", "512"))
    made = [
        dataclasses.replace(
            given.effects[0],
            response="throughput_rps",
            level="fcgiwrap",
            pooled=False,
            at=(("listen_backlog", "1024"), *always, ("keep_alive", "yes"), ("clients", clients)),
        )
        for clients in ("50", "400")
    ]
    common = dataclasses.replace(made[0], pooled=True, at=())

    ((plot,), specs, sets) = plots.effect_plots([*made, common])

    rows = sets["effects-0"]["row"]
    assert "patches none, mpm event, workers 512" in plot.note
    assert [row.split("\n")[:2] for row in rows[:2]] == [
        ["fcgiwrap \N{MIDDLE DOT} clients 50", rows[0].split("\n")[1]],
        ["fcgiwrap \N{MIDDLE DOT} clients 400", rows[1].split("\n")[1]],
    ]
    assert rows[2].startswith("fcgiwrap \N{MIDDLE DOT} all together\n")
    apart = [dataclasses.replace(e, at=(*e.at, ("script", f"a-script-{i}"))) for i, e in enumerate(made)]
    long = plots.effect_row(apart[0]).split("\n")
    assert "clients 50" in " ".join(long)
    assert all(len(line) <= charts.ROW_COLUMNS for line in long)
    _, taller, _ = plots.effect_plots(apart)
    assert specs["effects-0"]["height"] == 36 * 3
    assert taller["effects-0"]["height"] == 18 * 3 * 2


def test_bars_of_cells_with_many_factors_have_room_for_their_labels() -> None:
    label = charts.row_label("handler fcgiwrap, listen_backlog 1024, patches none, mpm event, clients 400")

    assert label.split("\n") == [
        "handler fcgiwrap, listen_backlog 1024,",
        "patches none, mpm event, clients 400",
    ]
    assert all(len(line) <= charts.ROW_COLUMNS for line in label.split("\n"))
    assert charts.rows_height(["clients 50", "clients 400", "clients 800"], 24) == 72
    assert charts.rows_height([label] * 3, 24) == 3 * 18 * len(label.split("\n"))


@pytest.mark.parametrize(("response", "want"), [("throughput_rps", "better →"), ("latency_p99_ms", "← better")])
def test_a_plot_of_intervals_says_which_side_is_better(given: report.ReportInput, response: str, want: str) -> None:
    _, specs, _ = plots.effect_plots([e for e in given.effects if e.response == response])

    assert want in str(specs["effects-0"])


def test_queue_panels_have_one_scale(given: report.ReportInput) -> None:
    found = payload.build(given, cells.by_cell(given.trials, given.factors))
    deepest = max(v for d in found.details.values() for v in d.get("depth", [[], [0]])[1])
    spec = page._plots(given, cells.by_cell(given.trials, given.factors), found).specs["small"]  # noqa: SLF001 -- the plot as it is drawn

    assert found.top >= max(t.figures.queue_depth_max or 0 for _, t in found.shown)
    assert found.top <= 1.1 * max(deepest, 400)
    assert str(spec).count(f"[0, {found.top}]") >= 2


def test_every_second_block_is_shaded_from_its_begin_to_the_next() -> None:
    made = synthetic.report_input(synthetic.synthesise(60, window_s=0.5)).trials
    bands = plots._every_second(made)  # noqa: SLF001 -- the edges are what is asked for
    first = min(t.started_s for t in made if t.started_s)
    of = {b: min(t.started_s for t in made if t.block == b and t.started_s) for b in {t.block for t in made}}

    assert bands[0] == (round((of[2] - first) / 60, 3), round((of[3] - first) / 60, 3))
    assert len(bands) == len(of) // 2


def test_a_cell_has_its_spread_below_its_median(given: report.ReportInput) -> None:
    text = report.render(given)
    table = text.partition('id="cells-table"')[2].partition("</table>")[0]

    assert len(re.findall(r"<td>[\d,.]+<small>[\d,.]+ to [\d,.]+</small>", table)) > 15


@pytest.mark.parametrize(
    ("at", "pooled", "answer", "want"),
    [
        ((("clients", "50"),), False, Answer.INCONCLUSIVE, "not decided alone"),
        ((), True, Answer.INCONCLUSIVE, "not decided"),
        ((), False, Answer.INCONCLUSIVE, "not decided"),
        ((("clients", "50"),), False, Answer.EQUIVALENT, "equivalent: changes by less than that"),
    ],
)
def test_a_place_that_is_open_may_be_decided_with_the_others(
    given: report.ReportInput, at: tuple[tuple[str, str], ...], answer: Answer, want: str, *, pooled: bool
) -> None:
    assert words.answer(dataclasses.replace(given.effects[0], at=at, pooled=pooled, answer=answer)) == want
