"""Verdicts that were false, each as a made run whose words must be right now."""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from cgidlab.analysis.analyse import Answer, analyse
from cgidlab.analysis.effects import effects
from cgidlab.analysis.pairs import by_unit
from cgidlab.model import (
    Experiment,
    FailureKind,
    Figures,
    Outcome,
    Repetitions,
    Scalar,
    Status,
    TrialRecord,
    VerdictRule,
)
from cgidlab.verdict import Overflow, Verdict, judge
from tests.unit.trial_records import TAIL, THROUGHPUT, experiment, trial

FULL = {"queue_limit": 100, "queue_depth_max": 101, "queue_full_share": 0.6, "workers_in_connect_max": 150,
        "workers_in_connect_mean": 60.0, "connect_p99_us": 300_000.0, "connect_max_us": 450_000.0}  # fmt: skip
EMPTY = {"queue_limit": 100, "queue_depth_max": 3, "queue_full_share": 0.0, "workers_in_connect_max": 0,
         "workers_in_connect_mean": 0.0, "connect_p99_us": 90.0, "connect_max_us": 800.0}  # fmt: skip
RULE = VerdictRule("listen_backlog", "100", (THROUGHPUT, TAIL))

Values = Mapping[str, float]


def judged(records: list[TrialRecord], rule: VerdictRule = RULE, given: Experiment | None = None) -> Verdict:
    """Return the verdict on these trials, of a run with as many blocks as they have."""
    blocks = max(r.block for r in records)
    run = given or experiment(records, rule, Repetitions(blocks, blocks))
    return judge(analyse(records, run), records)


def cells(
    values: Mapping[str, Values],
    blocks: int = 8,
    *,
    factor: str = "listen_backlog",
    at: Mapping[str, str] | None = None,
    settings: Mapping[str, Scalar] | None = None,
) -> list[TrialRecord]:
    """Return a run of one factor: each level's figures, moved by 1 % from block to block."""
    noise = np.random.default_rng(3).normal(0, 0.01, (blocks, len(values)))
    found = []
    for i, (label, figures) in enumerate(values.items()):
        for b in range(blocks):
            moved = {
                n: v * math.exp(noise[b, i]) if n in {"throughput_rps", "latency_p99_ms"} else v
                for n, v in figures.items()
            }
            found.append(
                trial(
                    b + 1,
                    Figures(**moved),  # type: ignore[arg-type]  # each test names figures of the right types
                    {factor: label, **(at or {})},
                    settings=settings,
                    started_s=1e9 + 60.0 * b + i,
                )
            )
    return found


# 1 --------------------------------------------------------------------------------------------------------------------


def dead_daemon() -> list[TrialRecord]:
    """Return connect_attempts 0 and 15 with a dead daemon: nearly all answers are 503, and those of 0 come at once."""
    failing = {"requests": 10_000, **EMPTY}
    return cells(
        {
            "15": {**failing, "errors": 9_400, "gave_up_503": 9_400, "throughput_rps": 75.0, "latency_p99_ms": 3_300.0},
            "0": {**failing, "errors": 9_800, "gave_up_503": 9_800, "throughput_rps": 74.0, "latency_p99_ms": 99.0},
        },
        factor="connect_attempts",
    )


def test_errors_lead_the_verdict_and_bar_any_preference() -> None:
    verdict = judged(dead_daemon(), VerdictRule("connect_attempts", "15", (THROUGHPUT, TAIL)))

    assert verdict.text.startswith(
        "94 to 98 % of requests failed in 2 of 2 cells (connect_attempts=15; connect_attempts=0): 153,600 of 160,000, "
        "153,600 of them answered 503; their latency is that of failing"
    )
    assert "refer connect_attempts" not in verdict.text
    assert verdict.lines[4].startswith("Find out why requests fail at connect_attempts=15; connect_attempts=0 before")


def test_answers_of_503_are_named_where_no_retry_line_was_seen() -> None:
    quiet = [replace(r, figures=replace(r.figures, retries_in_window=0, connects_refused=0)) for r in dead_daemon()]

    rule = VerdictRule("connect_attempts", "15", (THROUGHPUT, TAIL))

    assert "153,600 requests gave up with 503" in judged(dead_daemon(), rule).lines[1]
    assert "no worker retried in the windows; 153,600 requests gave up with 503" in judged(quiet, rule).lines[1]


def test_one_error_in_a_thousand_is_borne() -> None:
    figures = {"requests": 10_000, "errors": 10, "throughput_rps": 1000.0, "latency_p99_ms": 100.0, **EMPTY}

    verdict = judged(cells({"100": figures, "1024": {**figures, "latency_p99_ms": 50.0}}))

    assert verdict.lines[0].startswith("The queue did not overflow")
    assert verdict.lines[4].startswith("Raise the backlog")


# 3 --------------------------------------------------------------------------------------------------------------------


def test_a_level_that_serves_nothing_costs() -> None:
    served = {"throughput_rps": 1000.0, "latency_p99_ms": 100.0, "requests": 10_000, "errors": 0, **EMPTY}
    out = {"throughput_rps": 0.0, "requests": 400, "errors": 400, **EMPTY}

    verdict = judged(cells({"100": served, "1": out}))

    assert verdict.cost["throughput_rps"] is Answer.COSTS_AT_LEAST
    assert "throughput is lower at listen_backlog=1 than at 100 (1 served nothing in 8 of 8 trials)" in (
        verdict.lines[2][:1].lower() + verdict.lines[2][1:]
    )
    assert "not decided" not in verdict.lines[2].split(";")[0]


def test_a_level_that_served_nothing_now_and_then_says_so() -> None:
    served = {"throughput_rps": 1000.0, **EMPTY}
    records = cells({"100": served, "1": served})
    out = [replace(r, figures=replace(r.figures, throughput_rps=0.0))
           if dict(r.levels)["listen_backlog"] == "1" and r.block < 3 else r for r in records]  # fmt: skip

    verdict = judged(out, VerdictRule("listen_backlog", "100", (THROUGHPUT,)))

    assert verdict.cost == {"throughput_rps": Answer.INCONCLUSIVE}
    assert "1 served nothing in 2 of 8 trials" in verdict.lines[2]


# 4 --------------------------------------------------------------------------------------------------------------------


def test_a_pair_of_names_that_differs_bars_what_is_smaller() -> None:
    """The A/A pair differs by 30 % and a level by 11 %."""
    p99 = {"100": 100.0, "100b": 130.0, "1024": 89.0, "5": 200.0}
    records = cells({label: {"latency_p99_ms": v, **FULL} for label, v in p99.items()})
    rule = VerdictRule("listen_backlog", "100", (replace(TAIL, share=0.05),))

    verdict = judged(records, rule)

    found = {e.level: e.answer for e in effects(records, rule, Repetitions(8, 8), registered_only=True)}
    assert found == {"1024": Answer.INCONCLUSIVE, "5": Answer.COSTS_AT_LEAST}
    assert "none that is smaller is claimed" in verdict.lines[2]
    assert "not claimed: 100 and 100b are names of one level and differ by a ratio of 1.3" in verdict.lines[2]
    assert "aise the backlog" not in verdict.lines[4]


def test_a_p99_that_the_windows_end_cut_short_is_no_claim() -> None:
    """In three of eight trials with 15 attempts all 50 clients still waited at the window's end: its p99 is too low."""
    levels = {"15": {"latency_p99_ms": 56.0, "requests": 1500}, "5": {"latency_p99_ms": 1500.0, "requests": 1500}}
    made = cells({label: {**v, **EMPTY} for label, v in levels.items()}, factor="attempts")
    waiting = [50 if r.levels == (("attempts", "15"),) and r.block <= 3 else 0 for r in made]
    records = [replace(r, figures=replace(r.figures, waiting_beyond_p99=n)) for r, n in zip(made, waiting, strict=True)]
    rule = VerdictRule("attempts", "15", (TAIL,))
    free = [replace(r, figures=replace(r.figures, waiting_beyond_p99=0)) for r in records]

    verdict = judged(records, rule)

    assert verdict.cost == {"latency_p99_ms": Answer.INCONCLUSIVE}
    trust = next(a.text for a in verdict.answers if a.topic == "trust")
    assert "p99 is a lower bound in 3 of 8 at attempts=15: up to 50 of its requests had waited longer" in trust
    assert judged(free, rule).cost == {"latency_p99_ms": Answer.COSTS_AT_LEAST}


def test_what_is_cut_short_elsewhere_bars_no_claim() -> None:
    """At 400 clients requests still waited; at 50 none did, and the common effect is of both."""
    figures = {"15": {"latency_p99_ms": 3000.0, "requests": 1500}, "5": {"latency_p99_ms": 1500.0, "requests": 1500}}
    records = [
        replace(r, figures=replace(r.figures, waiting_beyond_p99=waiting))
        for clients, waiting in (("50", 0), ("400", 50))
        for r in cells(
            {label: {**v, **EMPTY} for label, v in figures.items()}, factor="attempts", at={"clients": clients}
        )
    ]

    found = effects(records, VerdictRule("attempts", "15", (TAIL,)), Repetitions(8, 8), registered_only=True)

    assert {(e.pooled, dict(e.at).get("clients")): e.answer for e in found} == {
        (False, "50"): Answer.GAINS_AT_LEAST,
        (False, "400"): Answer.INCONCLUSIVE,
        (True, None): Answer.INCONCLUSIVE,
    }


@pytest.mark.parametrize(("blocks", "claimed"), [(12, True), (8, False)])
def test_one_such_trial_of_twelve_is_borne_and_named(blocks: int, *, claimed: bool) -> None:
    figures = {"15": {"latency_p99_ms": 3000.0, "requests": 1500}, "5": {"latency_p99_ms": 1500.0, "requests": 1500}}
    records = cells({label: {**v, **EMPTY} for label, v in figures.items()}, blocks, factor="attempts")
    worst = records[0]
    records[0] = replace(worst, figures=replace(worst.figures, waiting_beyond_p99=50))

    verdict = judged(records, VerdictRule("attempts", "15", (TAIL,)))

    assert (verdict.cost["latency_p99_ms"] is Answer.GAINS_AT_LEAST) is claimed
    assert "lower bound in 1 of" in next(a.text for a in verdict.answers if a.topic == "trust")


# 5 --------------------------------------------------------------------------------------------------------------------


def test_a_moment_in_one_trial_of_many_is_a_moment() -> None:
    records = cells({"100": {"throughput_rps": 1000.0, **EMPTY}}, blocks=30)
    moment = replace(
        records[4].figures, queue_depth_max=101, queue_full_share=0.001, queue_full_longest_ms=10.0,
        workers_in_connect_max=1, workers_in_connect_mean=0.001,
    )  # fmt: skip
    records[4] = replace(records[4], figures=moment)

    verdict = judged(records)

    assert verdict.overflow is Overflow.MOMENT
    assert verdict.lines[0].startswith(
        "The queue of 100 was full for moments of 10 ms at most in 1 of 30 trials at listen_backlog=100 (1 worker"
    )
    assert "0 % of the window" not in verdict.lines[0]


def test_an_overflow_in_some_trials_says_in_how_many() -> None:
    records = cells({"100": {"throughput_rps": 1000.0, **EMPTY}}, blocks=10)
    for i in (2, 5, 7):
        records[i] = replace(records[i], figures=Figures(**FULL))  # type: ignore[arg-type]  # figures of the right types

    verdict = judged(records)

    assert verdict.overflow is Overflow.OBSERVED
    assert "was full (101 of 100) in 3 of 10 trials for up to 60 % of the window" in verdict.lines[0]


# 7 --------------------------------------------------------------------------------------------------------------------


def test_an_open_loop_that_served_what_it_was_asked_says_nothing_of_throughput() -> None:
    figures = {"throughput_rps": 599.0, "latency_p99_ms": 40.0, **EMPTY}
    records = cells({"100": figures, "1024": figures}, settings={"loop": "open", "rate": 600})

    verdict = judged(records)

    assert verdict.cost["throughput_rps"] is Answer.DESCRIBED
    assert verdict.lines[2].startswith("Throughput is what the open loop asked for and was served in every cell")
    assert "did not change with the backlog by 5 %" not in verdict.text
    assert "p99 latency in an open loop did not change" in verdict.lines[2]


@pytest.mark.parametrize(
    ("settings", "want"),
    [
        ({"loop": "closed", "clients": 400, "workers": 512}, "if 400 requests are always under way, as in"),
        ({"loop": "closed", "clients": 400, "workers": 250}, "if 250 requests are always under way, as in"),
        ({"loop": "open", "rate": 5000}, "for the rate that was asked for here (open loop)"),
    ],
    ids=["closed", "fewer workers", "open"],
)
def test_a_tail_advice_names_the_load_for_which_it_holds(settings: dict[str, Scalar], want: str) -> None:
    figures = {"throughput_rps": 1000.0, "latency_p99_ms": 600.0, **FULL}
    records = cells({"100": figures, "1024": {**figures, "latency_p99_ms": 300.0}}, settings=settings)

    assert want in judged(records).lines[4]


# 8 --------------------------------------------------------------------------------------------------------------------


def test_planned_cells_without_a_trial_are_named_and_a_second_name_is_no_cell() -> None:
    """Fifteen were planned: two were never complete, and three are second names of the reference."""
    records = [
        r
        for clients in ("200", "300", "400")
        for r in cells(
            {label: {"throughput_rps": 1000.0, **FULL} for label in ("1", "5", "100", "100b", "1024")},
            blocks=6,
            at={"clients": clients},
        )
    ]
    spoilt = [
        replace(r, outcome=Outcome(r.key, Status.INVALID, "noisy", FailureKind.NOISE))
        if dict(r.levels) == {"listen_backlog": "5", "clients": "400"}
        else r
        for r in records
        if dict(r.levels) != {"listen_backlog": "1", "clients": "400"}
    ]
    given = experiment(records, RULE)

    verdict = judged(spoilt, given=given)

    assert "the queue overflowed in 10 of 10 cells" in verdict.lines[0]
    assert (
        "2 of 15 planned cells have no complete trial (listen_backlog=1, clients=400; listen_backlog=5, clients=400)"
        in verdict.lines[0]
    )


def test_a_reference_that_is_always_noisy_is_not_mended_by_more_blocks() -> None:
    records = cells({label: {"throughput_rps": 1000.0, **FULL} for label in ("100", "1024")})
    noisy = [
        replace(r, outcome=Outcome(r.key, Status.INVALID, "other processes used 0.9 of a core", FailureKind.NOISE))
        if dict(r.levels)["listen_backlog"] == "100"
        else r
        for r in records
    ]

    verdict = judged(noisy)

    assert "run about" not in verdict.text
    assert verdict.lines[4].startswith(
        "Change nothing yet: remove what made 8 of 8 trials of listen_backlog=100 count for nothing "
        "(other processes used 0.9 of a core), more blocks would be lost alike"
    )


# The unit -------------------------------------------------------------------------------------------------------------


def passes(block: int, number: int, **figures: float) -> TrialRecord:
    """Return one window of a block of several passes."""
    made = trial(block, Figures(**figures), {"listen_backlog": "100"})  # type: ignore[arg-type]  # of the right types
    return replace(made, pass_number=number)


def test_a_pass_is_the_unit_of_throughput_and_a_block_that_of_a_percentile() -> None:
    windows = [passes(b, p, throughput_rps=100.0 * b + p, latency_p99_ms=50.0) for b in (1, 2) for p in (1, 2, 3)]
    whole = [passes(b, 0, latency_p99_ms=70.0 + b) for b in (1, 2)]

    assert by_unit([*windows, *whole], "throughput_rps") == {
        ("local", b, p): 100.0 * b + p for b in (1, 2) for p in (1, 2, 3)
    }
    assert by_unit([*windows, *whole], "latency_p99_ms") == {("local", 1, 0): 71.0, ("local", 2, 0): 72.0}
    assert by_unit(windows, "latency_p99_ms") == {}, "figures of short windows are not averaged"
    assert by_unit(windows[:1], "latency_p99_ms") == {("local", 1, 0): 50.0}


def test_a_fault_inside_the_window_is_no_short_warm_up() -> None:
    records = cells({"100": {"throughput_rps": 1000.0, **EMPTY}}, settings={"fault": "kill_cgid"})
    series = {r.key: [6000.0, 6000.0, *[900.0] * 6] for r in records}

    assert analyse(records, experiment(records, RULE), series).series is None
