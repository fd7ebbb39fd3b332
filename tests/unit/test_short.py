"""The verdict in seven lines says what the whole of it says, and every sentence has a template."""

import re
import string

import pytest

from cgidlab.analysis.analyse import analyse
from cgidlab.verdict import judge, short, templates
from tests.unit import verdict_data


def answers(name: str) -> dict[str, str]:
    """Return the lines of a recorded run by their names."""
    experiment, records, notes = verdict_data.load(name)
    return {line.name: line.text for line in judge(analyse(records, experiment), records, notes).answers}


def test_the_recorded_sweep_is_answered_in_seven_lines() -> None:
    found = answers("overflow_with_cost")

    assert list(found) == ["Overflow", "Throughput", "Tail", "Errors", "Limit", "Do", "Trust"]
    assert found["Overflow"] == (
        "YES with 100 at 200 clients or more: full 68 % of the time, up to 380 workers asleep, 1.03 s at worst. "
        "No at 50 clients."
    )
    assert "771 -> 406 ms with 1024 at 400 clients, 49.0 % less" in found["Tail"]
    assert found["Tail"].endswith("Said of a closed loop.")
    assert found["Errors"] == "None. No worker retried: on Linux it sleeps instead."
    assert found["Limit"].startswith("A hint, not shown: ")
    assert "1024" in found["Do"]
    assert "ratio" not in found["Do"], "the figures are in the lines above"
    assert found["Trust"].startswith("72 trials. Host speed wandered by 23 %")


def test_what_the_question_is_about_comes_first() -> None:
    assert next(iter(answers("better_and_worse"))) == "Throughput"
    assert next(iter(answers("overflow_without_cost"))) == "Overflow"


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("no_overflow", "NO, in no cell: it held at most 99 of 512."),
        ("contradictory_witnesses", "NOT KNOWN: witnesses contradict each other at "),
        ("broken_instrument", "NO with 1024. YES with 5: "),
    ],
)
def test_the_queue_has_a_word_for_each_answer(name: str, want: str) -> None:
    assert answers(name)["Overflow"].startswith(want)


def test_a_run_without_a_valid_trial_claims_nothing() -> None:
    experiment, _, _ = verdict_data.load("no_overflow")

    found = {line.name: line.text for line in judge(analyse([], experiment), []).answers}

    assert found["Overflow"] == "NOT KNOWN: no trial is valid."
    assert found["Errors"].startswith("Not known")
    assert "run again" in found["Do"]


def test_every_template_can_be_said_with_the_values_that_its_name_stands_for() -> None:
    """What another language has to fill in are the same fields."""
    for name, template in templates.EN.items():
        fields = [field for _, field, _, _ in string.Formatter().parse(template) if field is not None]
        said = short.Sentence(name, dict.fromkeys(fields, "x")).text
        assert "{" not in said
        assert re.search(r"[.:]$", said.strip()) or name == "clause"


@pytest.mark.parametrize("name", verdict_data.RUNS)
def test_no_line_has_more_than_is_read(name: str) -> None:
    for topic, text in answers(name).items():
        assert text
        assert len(text) < 420, topic
