"""The verdict begins with what was asked: a bound that a response keeps, a factor that matters or does not."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from cgidlab.analysis.analyse import analyse
from cgidlab.design import asked
from cgidlab.model import Figures, Repetitions, Scalar, TrialRecord, VerdictRule
from cgidlab.verdict import Verdict, judge
from cgidlab.verdict.ending import Ending
from tests.unit.trial_records import TAIL, THROUGHPUT, experiment, trial

RATES = ("200", "400", "600", "800", "1000")
OPEN: Mapping[str, Scalar] = {"loop": "open"}


def sweep(  # the sides of a sweep
    factor: str,
    tails_ms: Mapping[str, float],
    *,
    blocks: int = 8,
    spread: float = 0.02,
    settings: Mapping[str, Scalar] = OPEN,
    served: float = 1.0,
    queue: int = 3,
) -> list[TrialRecord]:
    """Return trials of one factor whose levels have these p99, each with a little noise; the last is served in part."""
    rng = np.random.default_rng(5)
    found = []
    for block in range(1, blocks + 1):
        for i, (label, tail) in enumerate(tails_ms.items()):
            noise = float(np.exp(rng.normal(0, spread)))
            rate = float(label) if factor == "rate" else 500.0
            got = rate * (served if i == len(tails_ms) - 1 else 1.0) * float(np.exp(rng.normal(0, 0.002)))
            figures = Figures(
                throughput_rps=got, latency_p99_ms=tail * noise, queue_depth_max=queue, queue_limit=100,
                queue_full_share=0.0, workers_in_connect_max=0, requests=5000, errors=0,
            )  # fmt: skip
            found.append(trial(block, figures, {factor: label}, settings=settings))
    return found


def verdict(
    records: Sequence[TrialRecord],
    factor: str,
    reference: str,
    *,
    bounds: tuple[tuple[str, float], ...] = (),
    ending: Ending | None = None,
) -> Verdict:
    rule = VerdictRule(factor, reference, (THROUGHPUT, TAIL), bounds)
    made = experiment(records, rule, Repetitions(8, 8))
    return judge(analyse(records, made), records, ending=ending)


def said(found: Verdict) -> dict[str, str]:
    return {line.name: line.text for line in found.answers}


P99_BELOW_100 = (("latency_p99_ms", 100.0),)
TAILS = {"200": 12.0, "400": 20.0, "600": 41.0, "800": 78.0, "1000": 240.0}


def test_a_rate_sweep_is_answered_by_the_rate_up_to_which_the_tail_stays_below_its_bound() -> None:
    found = said(verdict(sweep("rate", TAILS, served=0.9), "rate", "200", bounds=P99_BELOW_100))

    assert next(iter(found)) == "Answer"
    assert found["Answer"].startswith("p99 latency stays below 100 ms up to 800 requests a second (")
    assert "With 1,000 requests a second it is above (2" in found["Answer"]
    assert found["Throughput"].startswith("All that was offered was served up to 800 requests a second.")
    assert "90 % of it was served at rate=1000." in found["Throughput"]
    assert found["Do"].startswith("Plan for at most 800 requests a second")
    assert list(found).index("Overflow") > 1, "the queue was not what was asked for"


def test_a_level_at_its_bound_is_not_decided_and_said_so() -> None:
    tails = {**TAILS, "800": 100.0}

    found = said(verdict(sweep("rate", tails, spread=0.05), "rate", "200", bounds=P99_BELOW_100))

    assert "stays below 100 ms up to 600 requests a second" in found["Answer"]
    assert "Not decided with 800 requests a second: " in found["Answer"]


@pytest.mark.parametrize(
    ("bound", "want"),
    [
        (1000.0, "p99 latency stays below 1,000 ms at every level, up to 1,000 requests a second ("),
        (5.0, "p99 latency is above 5 ms at every level, with 200 requests a second too (12 ms"),
    ],
)
def test_a_bound_beyond_all_levels_is_said_of_all_of_them(bound: float, want: str) -> None:
    bounds = (("latency_p99_ms", bound),)

    assert said(verdict(sweep("rate", TAILS), "rate", "200", bounds=bounds))["Answer"].startswith(want)


def test_below_six_blocks_nothing_is_said_of_a_bound() -> None:
    found = said(verdict(sweep("rate", TAILS, blocks=5), "rate", "200", bounds=P99_BELOW_100))

    assert found["Answer"] == "Not known: no level has 6 complete blocks."


def test_a_factor_that_changes_nothing_does_not_matter() -> None:
    records = sweep("keep_alive_timeout_s", {"1": 50.0, "5": 50.0, "60": 50.0}, settings={"loop": "closed"})

    found = said(verdict(records, "keep_alive_timeout_s", "5"))

    assert found["Answer"] == (
        "keep_alive_timeout_s does not matter here: no level changes throughput by 5 % or p99 latency by 20 %."
    )


def test_a_factor_that_is_not_decided_is_named_within_its_sentence() -> None:
    found = verdict(sweep("clients", {"50": 50.0, "100": 51.0}, blocks=5, settings={"loop": "closed"}), "clients", "50")
    answer = next(line for line in found.answers if line.topic == "answer")

    assert answer.text.startswith("Whether the number of clients matters is not decided.")
    assert answer.told_in("ja")[1].startswith("クライアント数が影響するかどうかは未判定。")


def test_a_factor_with_an_order_is_answered_by_where_the_change_begins() -> None:
    tails = {"50": 50.0, "100": 51.0, "200": 90.0, "400": 180.0}

    found = said(verdict(sweep("clients", tails, settings={"loop": "closed"}), "clients", "50"))

    assert found["Answer"].startswith(
        "The number of clients matters: p99 latency less than 20 % up to 100 clients, 77.9 % more ("
    ), found["Answer"]
    assert "from 200 clients on" in found["Answer"]
    assert found["Answer"].endswith("Not throughput by 5 %.")
    assert "prefer" not in found["Do"].lower(), "how many clients there are is nothing to choose"


@pytest.mark.parametrize(
    ("question", "want"),
    [
        ("At which rate does p99 exceed 100 ms?", {"latency_p99_ms": 100.0}),
        ("Up to which rate does p99 stay below 0.1 s?", {"latency_p99_ms": 100.0}),
        ("How many clients before p99.9 > 1,500 ms?", {"latency_p999_ms": 1500.0}),
        ("Does throughput stay above 900 requests a second?", {"throughput_rps": 900.0}),
        ("Does KeepAliveTimeout matter?", {}),
        ("Does the backlog change p99 by more than 20 ms?", {}),
        ("Is p99 after 30 minutes as before?", {}),
    ],
)
def test_a_question_that_names_a_bound_has_it(question: str, want: Mapping[str, float]) -> None:
    assert asked.bounds(question) == want


# Advice follows from why a run did not decide.


def undecided(ending: Ending, blocks: int = 8, apart_s: float = 30.0, spread: float = 0.12) -> str:
    records = sweep(
        "keep_alive_timeout_s", {"5": 50.0, "60": 58.0}, blocks=blocks, spread=spread, settings={"loop": "closed"}
    )
    timed = [replace(r, started_s=1000.0 + apart_s * r.block) for r in records]
    return said(verdict(timed, "keep_alive_timeout_s", "5", ending=ending))["Do"]


def test_an_interrupted_run_is_gone_on_with() -> None:
    ending = Ending(
        "./runner.py run --resume X", interrupted=True, done=8, planned=84, whole_blocks=4, planned_blocks=42
    )

    told = undecided(ending, blocks=4)

    assert told.startswith(
        "Change nothing yet: go on with the run, `./runner.py run --resume X`, about 19 minutes here."
    )
    assert "repetitions" not in told


def test_a_run_that_still_runs_is_waited_for() -> None:
    ending = Ending(
        "./runner.py run --resume X",
        interrupted=True,
        running=True,
        done=8,
        planned=84,
        whole_blocks=4,
        planned_blocks=42,
    )

    assert undecided(ending, blocks=4).startswith("Change nothing yet: wait for the run's end, about 19 minutes here.")


def test_a_run_that_its_budget_cut_gets_more_of_it() -> None:
    ending = Ending("./runner.py run --resume X", budget_s=120.0, done=8, planned=8, whole_blocks=4, planned_blocks=4)

    assert undecided(ending, blocks=4).startswith(
        "Change nothing yet: 6 blocks are the least that decides anything, and the budget cut the run to 4: "
        "`./runner.py run --resume X --budget 3m`, about 1 minute here."
    )


def test_a_run_that_ended_too_early_gets_more_blocks_and_is_told_their_time() -> None:
    ending = Ending("./runner.py run --resume X", done=16, planned=16, whole_blocks=8, planned_blocks=8)

    assert undecided(ending).startswith("Change nothing yet: `./runner.py run --resume X --blocks +")
    assert undecided(ending, blocks=4).startswith(
        "Change nothing yet: 6 blocks are the least that decides anything: `./runner.py run --resume X --blocks +2`, "
        "about 1 minute here, or set repetitions to 6 or more in the file."
    )


def test_more_than_a_working_day_is_no_advice() -> None:
    ending = Ending("./runner.py run --resume X", done=16, planned=16, whole_blocks=8, planned_blocks=8)

    told = undecided(ending, apart_s=36000.0)

    assert "--blocks" not in told
    assert "take fewer levels or a larger smallest effect" in told


@pytest.mark.parametrize(
    ("done", "whole", "want"),
    [
        (0, 0, "INTERRUPTED, 0 of 84 trials: nothing was measured, so nothing is said."),
        (4, 0, "INTERRUPTED, 4 of 84 trials: no block is whole, so no level can be compared with another."),
        (
            36,
            3,
            (
                "INTERRUPTED, 36 of 84 trials: 3 of 7 blocks are whole, and a claim needs 6, "
                "so no difference between levels can be shown or ruled out."
            ),
        ),
    ],
)
def test_an_interrupted_run_says_what_it_cannot_tell(done: int, whole: int, want: str) -> None:
    ending = Ending("go on", interrupted=True, done=done, planned=84, whole_blocks=whole, planned_blocks=7)

    assert ending.lines == (want, "Go on with: go on")


def test_without_a_valid_trial_no_setting_is_told_as_a_figure() -> None:
    figures = Figures()
    records = [
        replace(r, figures=figures) for r in sweep("clients", {"100": 5.0, "600": 5.0}, settings={"loop": "closed"})
    ]

    found = verdict(records, "clients", "100")

    assert found.limits == (), [limit.text for limit in found.limits]
