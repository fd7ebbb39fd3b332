import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from cgidlab.analysis.analyse import Answer, Effect, analyse, decide
from cgidlab.analysis.effects import effects
from cgidlab.model import Figures, Repetitions, Status, TrialRecord, VerdictRule
from tests.unit.trial_records import RULE, TAIL, THROUGHPUT, Array, experiment, run, trial

BACKLOGS = ("1", "100", "1024")
CLIENTS = ("50", "400")


def noise(seed: int, blocks: int, sd: float, shift: dict[tuple[str, str], float] | None = None) -> list[TrialRecord]:
    """Return a run with strong block effects, noise `sd`, and log shifts of some cells."""
    rng = np.random.default_rng(seed)
    block = rng.standard_normal(blocks) * 0.3
    logs: dict[tuple[str, str], Array] = {
        cell: math.log(1000) + block + rng.standard_normal(blocks) * sd + (shift or {}).get(cell, 0.0)
        for cell in product(BACKLOGS, CLIENTS)
    }
    return run(logs)


def at(found: tuple[Effect, ...], level: str, clients: str, response: str = "throughput_rps") -> Effect:
    return next(
        e
        for e in found
        if (e.level, e.response) == (level, response) and not e.pooled and e.at == (("clients", clients),)
    )


def test_effects_are_ratios_within_blocks_whatever_the_blocks_do() -> None:
    """Blocks differ by 30 %, yet a fall of 10 % is found to a per cent."""
    records = noise(1, 6, 0.005, {("1", "400"): math.log(0.9)})

    found = at(effects(records, RULE, Repetitions(6, 6)), "1", "400")

    assert found.estimate == pytest.approx(0.9, abs=0.01)
    assert found.interval is not None
    assert found.interval.holds(0.9)


def test_every_level_is_compared_at_every_combination_and_over_them_all() -> None:
    found = effects(noise(1, 6, 0.01), RULE, Repetitions(6, 6), registered_only=True)

    assert [(e.level, dict(e.at).get("clients"), e.pooled) for e in found] == [
        ("1", "50", False),
        ("1", "400", False),
        ("1", None, True),
        ("1024", "50", False),
        ("1024", "400", False),
        ("1024", None, True),
    ]


@pytest.mark.parametrize(
    ("shift", "sd", "want"),
    [
        (0.80, 0.005, Answer.COSTS_AT_LEAST),
        (1.00, 0.005, Answer.EQUIVALENT),
        (0.98, 0.003, Answer.EQUIVALENT),
        (1.30, 0.005, Answer.GAINS_AT_LEAST),
        (0.95, 0.010, Answer.REAL_NEAR),
        (0.95, 0.040, Answer.INCONCLUSIVE),
        (1.00, 0.100, Answer.INCONCLUSIVE),
    ],
    ids=["large cost", "nothing", "small cost", "gain", "at the boundary", "at the boundary in noise", "too noisy"],
)
def test_the_answer_follows_from_the_smallest_effect_that_matters(shift: float, sd: float, want: Answer) -> None:
    records = noise(7, 8, sd, {("1", "50"): math.log(shift)})

    assert at(effects(records, RULE, Repetitions(8, 8)), "1", "50").answer is want


def test_a_rise_of_latency_costs_and_a_fall_gains() -> None:
    logs = {cell: np.full(6, 3.0) + np.arange(6) * 0.01 for cell in product(BACKLOGS, ("50",))}
    logs["1", "50"] = logs["1", "50"] + 0.5
    logs["1024", "50"] = logs["1024", "50"] - 0.5

    found = effects(run(logs, response="latency_p99_ms"), replace(RULE, smallest_effects=(TAIL,)), Repetitions(6, 6))

    answers = {e.level: e.answer for e in found if e.response == "latency_p99_ms"}
    assert answers == {"1": Answer.COSTS_AT_LEAST, "1024": Answer.GAINS_AT_LEAST}


def test_below_six_complete_blocks_no_claim_is_made() -> None:
    found = at(effects(noise(1, 5, 0.001), RULE, Repetitions(5, 5)), "1", "50")

    assert (found.interval, found.family_interval, found.answer) == (None, None, Answer.INCONCLUSIVE)
    assert found.estimate is not None
    assert found.note.startswith("descriptive only: 5 of the 6")


def test_a_block_with_an_invalid_trial_is_left_out_of_its_comparisons_alone() -> None:
    records = noise(1, 7, 0.01)
    broken = replace(records[0], outcome=replace(records[0].outcome, status=Status.INVALID))

    found = effects([broken, *records[1:]], RULE, Repetitions(7, 7))

    assert broken.levels == (("listen_backlog", "1"), ("clients", "50"))
    assert at(found, "1", "50").blocks == 6
    assert at(found, "1", "400").blocks == 7
    assert next(e.blocks for e in found if e.pooled and e.level == "1") == 6


def test_an_undecided_comparison_names_how_many_more_blocks_probably_decide_it() -> None:
    """Predicted from how well the truth is known, so that a change near the boundary has no number of blocks."""
    d = np.tile([0.07, -0.07], 4)  # mean 0, spread 7.5 %: the 90 % interval is just too wide

    def found(shift: float, times: float) -> Effect:
        logs = {("100", "50"): np.zeros(8), ("1", "50"): times * d + shift}
        return effects(run(logs), RULE, Repetitions(8, 8), registered_only=True)[0]

    assert (found(0.0, 1.0).answer, found(0.0, 1.0).more_blocks) == (Answer.INCONCLUSIVE, 18)
    assert found(0.0, 5.0).more_blocks is None, "more than three times as many are no prediction"


def test_figures_that_can_be_0_are_compared_by_their_difference() -> None:
    records = [
        trial(b, Figures(errors=n), {"listen_backlog": backlog})
        for b in range(1, 7)
        for backlog, n in (("100", 0), ("1", b))
    ]

    found = next(e for e in effects(records, RULE, Repetitions(6, 6)) if e.response == "errors")

    assert (found.scale, found.estimate, found.answer) == ("difference", 3.5, Answer.DESCRIBED)


def test_a_figure_nobody_observed_is_not_known() -> None:
    found = effects(noise(1, 6, 0.01), replace(RULE, smallest_effects=(TAIL,)), Repetitions(6, 6))
    tail = at(found, "1", "50", "latency_p99_ms")

    assert (tail.estimate, tail.answer, tail.blocks) == (None, Answer.INCONCLUSIVE, 0)
    assert tail.note.startswith("not known")


def test_p999_of_few_requests_is_left_out() -> None:
    def records(requests: int) -> list[TrialRecord]:
        return [
            trial(b, Figures(requests=requests, latency_p999_ms=5.0 + b), {"listen_backlog": backlog})
            for b in range(1, 7)
            for backlog in ("1", "100")
        ]

    def blocks(requests: int) -> int:
        found = effects(records(requests), RULE, Repetitions(6, 6))
        return next(e.blocks for e in found if e.response == "latency_p999_ms")

    assert (blocks(9_999), blocks(10_000)) == (0, 6)


def test_two_labels_of_one_value_are_the_noise_floor_and_not_a_comparison() -> None:
    rng = np.random.default_rng(4)
    logs = {(lb, "50"): rng.standard_normal(8) * 0.03 for lb in ("100", "100b", "1024")}
    records = run(logs)

    found = analyse(records, experiment(records, repetitions=Repetitions(8, 8)))

    assert {e.level for e in found.effects} == {"1024"}
    (floor,) = found.noise_floor
    want = math.exp(float((logs["100b", "50"] - logs["100", "50"]).mean()))
    assert (floor.labels, floor.blocks) == (("100", "100b"), 8)
    assert floor.ratio == pytest.approx(want)


def test_a_noise_floor_beyond_the_smallest_effect_is_too_high() -> None:
    logs = {("100", "50"): np.zeros(6), ("100b", "50"): np.full(6, 0.08), ("1", "50"): np.zeros(6)}
    records = run(logs)

    (floor,) = analyse(records, experiment(records)).noise_floor

    assert floor.too_high


@pytest.mark.parametrize(("per_hour", "want"), [(0.20, True), (0.0, False)], ids=["moving", "steady"])
def test_a_pace_that_moved_by_more_than_the_smallest_effect_is_flagged_as_a_range(per_hour: float, want: bool) -> None:  # noqa: FBT001 -- the expectation
    rng = np.random.default_rng(8)
    records = [
        trial(
            b,
            Figures(throughput_rps=1000 * math.exp(per_hour * b / 12 + 0.01 * rng.standard_normal())),
            {"listen_backlog": backlog},
            started_s=1e9 + 300 * b,
        )
        for b in range(1, 13)
        for backlog in ("1", "100")
    ]

    found = analyse(records, experiment(records)).drift

    assert found is not None
    assert found.flagged is want
    assert found.range == pytest.approx(math.expm1(per_hour * 11 / 12), abs=0.06)
    assert found.low < 0 < found.high


def test_a_short_warm_up_shows_in_the_first_quarter_of_the_windows() -> None:
    records = noise(1, 6, 0.01)
    rng = np.random.default_rng(1)
    slow = {r.key: [*rng.normal(700, 20, 3), *rng.normal(1000, 20, 9)] for r in records}
    fast = {r.key: list(rng.normal(1000, 20, 12)) for r in records}

    short = analyse(records, experiment(records), slow).series
    long = analyse(records, experiment(records), fast).series

    assert short is not None
    assert long is not None
    assert (short.warm_up_short, long.warm_up_short) == (True, False)
    assert short.start_ratio == pytest.approx(0.7, abs=0.02)


def test_cells_carry_medians_and_spreads_of_complete_trials() -> None:
    records = run({("100", "50"): np.log([90.0, 100.0, 110.0, 400.0])})
    records[3] = replace(records[3], outcome=replace(records[3].outcome, status=Status.FAILED, reason="did not start"))

    found = analyse(records, experiment(records))

    (cell,) = found.cells
    assert (cell.n, cell.planned) == (3, 4)
    assert cell.median("throughput_rps") == pytest.approx(100.0)
    assert cell.median("queue_depth_max") is None
    assert found.trials[Status.FAILED] == 1
    assert found.reasons == (("did not start", 1),)


def test_reasons_that_differ_in_a_figure_alone_are_counted_together() -> None:
    records = [
        trial(
            b,
            Figures(),
            {"listen_backlog": "1"},
            status=Status.INVALID,
            reason=f"the driver used 0.9{b} of a core",
        )
        for b in range(1, 4)
    ]

    assert analyse(records, experiment(records)).reasons == (("the driver used 0.91 of a core", 3),)


SEQUENTIAL = Repetitions(6, 30)


def test_a_run_stops_at_the_first_look_when_everything_is_decided() -> None:
    records = noise(2, 6, 0.002, {("1", "50"): math.log(0.7)})

    found = decide(records, RULE, SEQUENTIAL)

    assert found.stop
    assert found.reason == "every one of 4 comparisons is decided after 6 blocks"


def test_a_run_goes_on_while_a_comparison_is_open_and_says_what_it_would_take() -> None:
    found = decide(noise(6, 6, 0.036), RULE, SEQUENTIAL)

    assert (found.stop, found.next_look) == (False, 14)
    assert found.undecided
    assert found.blocks_needed is not None
    assert 6 < found.blocks_needed <= 24


def test_between_looks_a_run_goes_on_although_everything_looks_decided() -> None:
    found = decide(noise(2, 7, 0.002), RULE, SEQUENTIAL)

    assert (found.stop, found.next_look, found.undecided) == (False, 14, ())


def test_a_run_ends_at_its_last_block_decided_or_not() -> None:
    assert decide(noise(2, 30, 0.2), RULE, SEQUENTIAL).stop


def test_a_fixed_number_of_blocks_is_run_to_its_end() -> None:
    assert not decide(noise(2, 6, 0.001), RULE, Repetitions(7, 7)).stop
    assert decide(noise(2, 7, 0.001), RULE, Repetitions(7, 7)).stop


def test_a_response_that_nothing_observes_does_not_hold_up_a_run() -> None:
    rule = VerdictRule("listen_backlog", "100", (THROUGHPUT, TAIL))

    assert decide(noise(2, 6, 0.001), rule, SEQUENTIAL).stop


def test_a_run_without_a_complete_trial_goes_on_to_its_last_block() -> None:
    records = [replace(r, outcome=replace(r.outcome, status=Status.FAILED)) for r in noise(2, 6, 0.001)]

    assert not decide(records, RULE, SEQUENTIAL).stop


def test_the_chance_of_any_false_difference_in_a_whole_run_stays_under_6_per_cent() -> None:
    """A/A data, six comparisons and two looks: the family interval leaves out 1 in few runs, the single one in many."""
    family = single = 0
    runs = 300
    for seed in range(runs):
        records = noise(seed, 10, 0.05)
        by_look = [
            effects([r for r in records if r.block <= n], RULE, Repetitions(6, 10), registered_only=True)
            for n in (6, 10)
        ]
        family += any(e.differs for look in by_look for e in look)
        single += any(e.interval is not None and not e.interval.holds(1.0) for look in by_look for e in look)

    assert family / runs < 0.06
    assert single > 2 * family


def test_costs_at_the_boundary_are_claimed_in_few_runs_either_way() -> None:
    """The true effect is exactly the smallest that matters: both claims are wrong, and each is rare."""
    less = least = 0
    runs = 300
    for seed in range(runs):
        records = noise(seed, 8, 0.02, {("1", "50"): math.log(0.95)})
        answer = at(effects(records, RULE, Repetitions(8, 8), registered_only=True), "1", "50").answer
        less += answer is Answer.EQUIVALENT
        least += answer is Answer.COSTS_AT_LEAST

    assert less / runs < 0.09  # two one-sided tests at 5 %, and three standard errors of 300 draws
    assert least / runs < 0.03
