"""The report as Markdown and as JSON."""

import dataclasses
import json
import math
import re

import pytest

from cgidlab import report
from cgidlab.model import FailureKind, Outcome, Status
from cgidlab.report.facts import flat, split_lead
from cgidlab.report.markdown import escape
from scripts import make_synthetic_run as synthetic

HOSTILE = "a|b\n# c <img src=x onerror=alert(1)> [d](javascript:e) `f` *g* @someone"


@pytest.fixture(scope="module")
def given() -> report.ReportInput:
    return synthetic.report_input(synthetic.synthesise(90, window_s=0.5))


def columns(row: str) -> int:
    return len(re.findall(r"(?<!\\)\|", row)) - 1


def tables(text: str) -> list[list[str]]:
    return [block.split("\n") for block in text.split("\n\n") if block.startswith("|")]


def test_markdown_has_verdict_cells_effects_invalid_trials_and_how_it_was_measured(given: report.ReportInput) -> None:
    text = report.as_markdown(given)
    cells, effects = tables(text)

    assert escape(given.verdict) in text
    assert "1. **Did the queue overflow?** Yes" in text
    assert len(cells) == 2 + 15
    assert len(effects) == 2 + len(given.effects)
    assert re.search(r"- \d+ invalid: the load generator used 97 % of a core: synthetic \(trials \d+, ", text)
    assert f"seed {given.seed}" in text
    assert "clock\\_source: not known" in text


def test_every_row_of_a_markdown_table_has_as_many_cells_as_its_heading(given: report.ReportInput) -> None:
    labelled = tuple(dataclasses.replace(t, levels=tuple((n, HOSTILE) for n, _ in t.levels)) for t in given.trials[:3])
    text = report.as_markdown(dataclasses.replace(given, trials=labelled))

    for table in tables(text):
        assert {columns(row) for row in table} == {columns(table[0])}


def test_text_from_the_run_cannot_become_markup_in_markdown(given: report.ReportInput) -> None:
    first, *rest = given.trials
    bad = dataclasses.replace(first, outcome=Outcome(first.key, Status.FAILED, HOSTILE, FailureKind.SUT))
    text = report.as_markdown(dataclasses.replace(given, trials=(bad, *rest), verdict=HOSTILE))

    assert "<img" not in text.replace("\\<img", "")
    assert "](javascript" not in text.replace("\\](", "").replace("]\\(", "")
    assert "\n# c" not in text
    assert " @someone" not in text


def test_json_holds_the_summary_unchanged_and_every_trial(given: report.ReportInput) -> None:
    summary = {"schema_version": 1, "verdict": {"overflow": "observed"}, "anything": [1, None]}
    got = json.loads(report.as_json(given, summary))

    assert got["schema_version"] == 1
    assert got["summary"] == summary
    assert [t["trial"] for t in got["trials"]] == [t.number for t in given.trials]
    assert got["trials"][0]["levels"] == dict(given.trials[0].levels)


def test_json_writes_what_is_not_known_as_null(given: report.ReportInput) -> None:
    first = given.trials[0]
    figures = dataclasses.replace(first.figures, throughput_rps=math.nan, queue_depth_max=None)
    got = json.loads(report.as_json(dataclasses.replace(given, trials=(dataclasses.replace(first, figures=figures),))))

    assert got["trials"][0]["figures"]["throughput_rps"] is None
    assert got["trials"][0]["figures"]["queue_depth_max"] is None
    assert got["summary"]["verdict"]["lines"] == list(given.verdict_lines)


def test_provenance_is_flattened_in_its_own_order() -> None:
    got = flat({"b": {"x": 1, "y": {"z": None}}, "a": ["p", 2]})

    assert got == [("b.x", "1"), ("b.y.z", "not known"), ("a", "p, 2")]


@pytest.mark.parametrize(
    ("line", "want"),
    [
        ("Did it? Yes: so.", ("Did it?", "Yes: so.")),
        ("No question here.", ("", "No question here.")),
        (
            f"{'a long sentence that is no heading ' * 3}? Yes",
            ("", f"{'a long sentence that is no heading ' * 3}? Yes"),
        ),
    ],
)
def test_a_line_that_begins_with_a_short_question_has_it_as_heading(line: str, want: tuple[str, str]) -> None:
    assert split_lead(line) == want
