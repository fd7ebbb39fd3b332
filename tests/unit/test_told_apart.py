"""`compare` says a line a comparison with the interval that decides, and JUnit the same."""

import math
import re
from xml.etree import ElementTree as ET

import pytest

from cgidlab import junit
from cgidlab.analysis.findings import Answer
from cgidlab.analysis.intervals import Interval
from cgidlab.compare import Ratio, telling


def ratio(answer: Answer, estimate: float, *, against: str = "100", note: str = "") -> Ratio:
    return Ratio(
        response="throughput_rps", at=(("listen_backlog", "1"), ("clients", "50")), pooled=False, scale="ratio",
        threshold=0.05, n_a=7, n_b=8, estimate=estimate,
        interval=None if note else Interval(estimate * 0.99, estimate * 1.01),
        family_interval=None if note else Interval(estimate * 0.9, estimate * 1.1),
        equivalence_interval=None if note else Interval(estimate * 0.98, estimate * 1.02),
        answer=answer, note=note, against=against,
    )  # fmt: skip


WORSE = ratio(Answer.COSTS_AT_LEAST, 0.8)
SAME = ratio(Answer.EQUIVALENT, 1.0)
OPEN = ratio(Answer.INCONCLUSIVE, 0.95)
FEW = ratio(Answer.INCONCLUSIVE, 0.95, note="descriptive only: both runs need 6 complete blocks for a claim")
DESCRIBED = Ratio(
    response="queue_depth_max", at=(), pooled=True, scale="difference", threshold=None, n_a=7, n_b=7, estimate=-3.0,
    interval=None, family_interval=None, answer=Answer.DESCRIBED,
)  # fmt: skip


def test_a_comparison_is_one_line_with_the_interval_that_its_word_rests_on() -> None:
    lines = telling.table([WORSE, SAME, OPEN, FEW, DESCRIBED])

    assert lines[0] == "throughput (what matters: 5%)"
    assert len(lines) == 5, "what the rule does not name is for --format json"
    place = r"  listen_backlog=1 against 100, clients=50 +"
    assert re.fullmatch(place + r"-20\.0 %  -28\.0 to -12\.0 % +7\+8 +WORSE", lines[1])
    assert re.fullmatch(place + r"\+0\.0 %  -2\.0 to \+2\.0 % +7\+8 +same", lines[2])
    assert re.fullmatch(place + r"-5\.0 %  -14\.5 to \+4\.5 % +7\+8 +~", lines[3])
    assert re.fullmatch(place + r"-5\.0 % +7\+8 +~ \(descriptive only: both runs need 6 .* claim\)", lines[4])


def test_what_it_comes_to_is_said_in_words() -> None:
    assert telling.conclusion([WORSE, SAME]) == (
        "B is worse than A: throughput -20.0 % (-28.0 to -12.0 %) at listen_backlog=1 against 100, clients=50."
    )
    assert telling.conclusion([SAME, OPEN]).endswith("1 of 2 comparisons is not decided.")
    assert telling.conclusion([FEW]).startswith("No claim: six complete blocks")
    assert "_" not in telling.LEGEND


def test_junit_has_a_test_case_a_comparison_that_fails_where_b_is_worse() -> None:
    suite = ET.fromstring(junit.suite('x"<&', telling.cases((WORSE, SAME, OPEN, DESCRIBED)))).find("testsuite")  # noqa: S314 -- made here

    assert suite is not None
    assert (suite.get("name"), suite.get("tests"), suite.get("failures"), suite.get("skipped")) == (
        'x"<&',
        "3",
        "1",
        "1",
    )
    worse, same, open_ = suite
    assert worse.get("name") == "throughput: listen_backlog=1 against 100, clients=50"
    failure, skip = worse.find("failure"), open_.find("skipped")
    assert failure is not None
    assert failure.get("message") == "WORSE -28.0 to -12.0 %"
    assert skip is not None
    assert list(same) == []


@pytest.mark.parametrize("value", [math.inf, 0.0])
def test_a_ratio_that_is_none_is_still_a_line(value: float) -> None:
    assert len(telling.table([ratio(Answer.INCONCLUSIVE, value, note="x")])) == 2
