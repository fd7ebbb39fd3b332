"""The report as Markdown and as JSON."""

import dataclasses
import json
import math
import re

import pytest
from hypothesis import given as for_any
from hypothesis import strategies as st

from cgidlab import report
from cgidlab.model import FailureKind, Outcome, Status
from cgidlab.report.charts import log_ticks
from cgidlab.report.facts import clauses, flat
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
    cells, effects, limits = tables(text)

    assert escape(given.verdict) in text
    assert "1. **Did the queue overflow?** Yes" in text
    assert len(cells) == 2 + 15
    assert len(effects) == 2 + len(given.effects)
    assert limits[2:] == [r"| cgid daemon | SYNTHETIC: 0.97 of a core | yes | 6 of 9 |"]
    assert f"- Within the windows: {escape(given.windows)}" in text
    assert f"- Stopping: {escape(given.stopping)}" in text
    assert re.search(r"- \d+ invalid: the driver used 97 % of a core: synthetic \(trials \d+, ", text)
    assert f"seed {given.seed}" in text
    assert "clock_source: not known" in text


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
    assert "](javascript" not in text.replace("\\](", "")
    assert "\n# c" not in text
    assert " @someone" not in text


@pytest.mark.parametrize("address", ["https://h.example/x", "HTTP://h.example", "www.h.example", "ftp://h"])
def test_an_address_is_no_link_in_markdown(address: str) -> None:
    """GitHub's rule: `www.` and `SCHEME://` as they stand in the source are links without any markup."""
    text = escape(f"see {address}.")

    assert not re.search(r"(?i)www\.|[a-z]://", text)
    assert text.replace("\\", "") == f"see {address}."


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
    ("sentence", "want"),
    [
        ("It was full; all agree; so.", ("It was full", "all agree; so.")),
        ("It was full (a; b) here; so.", ("It was full (a; b) here", "so.")),
        ("One clause.", ("One clause.", "")),
        ("A stray ) or (; is no harm.", ("A stray ) or (", "is no harm.")),
    ],
)
def test_a_sentence_is_cut_at_its_first_semicolon_outside_parentheses(sentence: str, want: tuple[str, str]) -> None:
    assert clauses(sentence) == want


@for_any(low=st.floats(1e-3, 1e5), factor=st.floats(1.2, 1e6))
def test_a_log_axis_has_a_few_round_numbers_whatever_its_range(low: float, factor: float) -> None:
    got = log_ticks(low, low * factor)

    assert 3 <= len(got) <= 14
    assert all(low <= tick <= low * factor for tick in got)
    assert got == sorted(set(got))
