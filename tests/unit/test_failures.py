"""Each kind of failure has its rule, and failures that are all the same end a run."""

from pathlib import Path

import pytest

from cgidlab.engine.halting import StopRule
from cgidlab.errors import RunError
from cgidlab.failures import RULES, SAME_IN_A_ROW, way
from cgidlab.model import FailureKind, Outcome, Status
from cgidlab.runs.store import RunDirectory

RUN = RunDirectory(Path("results/x/20260101T000000Z-aaaa"))
COMPLETE = Outcome("k", Status.COMPLETE, "", None)


def failed(reason: str = "httpd ended with 1", kind: FailureKind = FailureKind.SUT) -> Outcome:
    return Outcome("k", Status.FAILED, reason, kind)


def test_every_kind_has_a_rule_and_the_documentation_states_it(repo_root: Path) -> None:
    text = (repo_root / "docs" / "results.md").read_text()

    assert set(RULES) == set(FailureKind)
    for kind, rule in RULES.items():
        assert f"| `{kind}` | {rule.meaning} | {rule.retried} | {rule.because} |" in text


def test_failures_in_the_same_way_end_a_run_whatever_their_figures() -> None:
    watch = StopRule()
    for number in range(SAME_IN_A_ROW):
        assert watch.stop is None
        watch.saw(failed(f"httpd ended with 1 after {number}.5 s"))

    with pytest.raises(
        RunError, match="stopped after 5 trials in a row that ended in the same way: httpd ended"
    ) as err:
        watch.check(RUN)
    assert "--resume 20260101T000000Z-aaaa" in err.value.fix


@pytest.mark.parametrize(
    "between",
    [COMPLETE, failed("another reason"), failed(kind=FailureKind.TIMEOUT)],
    ids=["a complete trial", "another reason", "another kind"],
)
def test_anything_else_in_between_breaks_the_row(between: Outcome) -> None:
    watch = StopRule()
    for outcome in [*[failed()] * (SAME_IN_A_ROW - 1), between, *[failed()] * (SAME_IN_A_ROW - 1)]:
        watch.saw(outcome)

    assert watch.stop is None


def test_noise_neither_counts_nor_breaks_the_row() -> None:
    watch = StopRule()
    for _ in range(SAME_IN_A_ROW):
        watch.saw(failed("a neighbour", FailureKind.NOISE))
    assert watch.stop is None
    for _ in range(SAME_IN_A_ROW):
        watch.saw(failed("a neighbour", FailureKind.NOISE))
        watch.saw(failed())
    assert watch.stop is not None


def test_one_failed_trial_stops_nothing_unless_that_is_wanted() -> None:
    patient, hasty = StopRule(), StopRule(fail_fast=True)
    for watch in (patient, hasty):
        watch.saw(COMPLETE)
        watch.saw(failed("a neighbour", FailureKind.NOISE))
        watch.saw(failed())

    assert patient.stop is None
    assert hasty.stop == "stopped at the first trial that is failed (--fail-fast): httpd ended with 1"


def test_the_way_of_a_failure_leaves_figures_out() -> None:
    assert way(failed("h2load: 3 of 100 rows, 0.5 s")) == way(failed("h2load: 12 of 7 rows, 1 s"))
    assert way(failed(kind=FailureKind.SUT)) != way(failed(kind=FailureKind.CLIENT))
