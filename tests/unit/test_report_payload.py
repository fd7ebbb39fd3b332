"""What the report keeps of a large run: which trials, which samples, which figures."""

import dataclasses
import itertools
import math

import pytest
from hypothesis import given as for_any
from hypothesis import strategies as st

from cgidlab import report
from cgidlab.instruments import worker_states
from cgidlab.model import FailureKind, Level, Outcome, Status, TrialRecord
from cgidlab.report import cells, payload, timecharts, words
from cgidlab.report.data import beyond
from scripts import make_synthetic_run as synthetic

VALUES = st.lists(st.one_of(st.none(), st.floats(0, 1e6)), min_size=1, max_size=900)


@for_any(values=VALUES, points=st.integers(1, 200))
def test_thinning_keeps_the_highest_peak_and_the_first_moment(values: list[float | None], points: int) -> None:
    times, kept = payload.thin(report.Series(list(range(len(values))), values), points)
    seen = [v for v in values if v is not None]

    assert len(times) == len(kept) == min(points, len(values))
    assert times[0] == 0
    assert max((v for v in kept if v is not None), default=None) == (round(max(seen), 1) if seen else None)


def test_a_stretch_nobody_observed_is_a_gap_and_not_0() -> None:
    values = [5.0] * 100 + [None] * 100 + [7.0] * 100

    assert payload.thin(report.Series(list(range(300)), values), 3)[1] == [5, None, 7]


@for_any(n=st.integers(0, 2000), room=st.integers(0, 400))
def test_chosen_trials_are_distinct_in_order_and_as_many_as_fit(n: int, room: int) -> None:
    got = cells.spread(list(range(n)), room)

    assert len(got) == min(n, room)
    assert list(got) == sorted(set(got))


def test_a_large_run_asks_for_the_details_of_a_bounded_number_of_trials_the_same_of_each_cell() -> None:
    given = synthetic.report_input(synthetic.synthesise(1200, window_s=0.5))
    asked: list[int] = []

    def detail(trial: TrialRecord) -> report.TrialDetail | None:
        asked.append(trial.number)
        return given.detail(trial)

    groups = cells.by_cell(given.trials, given.factors)
    payload.build(dataclasses.replace(given, detail=detail), groups)
    complete = {t.number for g in groups for t in g.complete}
    per_cell = [sum(t.number in asked for t in g.complete) for g in groups]

    assert len(asked) == len(set(asked))
    assert len(complete & set(asked)) <= payload.MAX_DETAILED_TRIALS
    assert set(per_cell) == {payload.MAX_DETAILED_TRIALS // len(groups)}


def test_cells_stand_in_the_order_of_the_experiment_file() -> None:
    given = synthetic.report_input(synthetic.synthesise(30, window_s=0.5))
    got = [c.name for c in cells.by_cell(reversed(given.trials), given.factors)]
    want = [
        f"listen_backlog={b},clients={c}" for b in ("1", "5", "100", "100 again", "1024") for c in ("50", "200", "400")
    ]

    assert got == want


def test_a_second_name_of_a_level_is_known_as_one() -> None:
    given = synthetic.report_input(synthetic.synthesise(15, window_s=0.5))

    assert payload.twins(given, "listen_backlog") == {"100 again"}
    assert payload.twins(given, "clients") == set()


def test_levels_that_are_names_have_no_place_on_a_numeric_axis() -> None:
    given = synthetic.report_input(synthetic.synthesise(15, window_s=0.5))
    named = tuple(
        dataclasses.replace(f, levels=tuple(Level(lv.label, f"v{lv.value}") for lv in f.levels)) for f in given.factors
    )

    factor = "listen_backlog"
    assert payload.numeric_levels(given, factor) == {"1": 1, "5": 5, "100": 100, "100 again": 100, "1024": 1024}
    assert payload.numeric_levels(dataclasses.replace(given, factors=named), factor) is None


def test_a_link_cannot_leave_the_run_by_another_scheme() -> None:
    assert payload.href("javascript:alert(1)", "a b") == "javascript%3Aalert%281%29/a%20b"


def test_quantile_shares_are_evenly_dense_from_p50_to_the_last_of_a_thousand() -> None:
    shares = report.QUANTILE_SHARES
    steps = [beyond(b) / beyond(a) for a, b in itertools.pairwise(shares)]

    assert list(shares) == sorted(set(shares))
    assert (shares[0], shares[-1]) == (0.5, 0.999)
    assert {0.9, 0.99} <= set(shares)
    assert max(steps) < 1.12


@pytest.mark.parametrize(
    ("value", "unit", "want"),
    [
        (None, "", "not known"),
        (math.nan, "ms", "not known"),
        (math.inf, "", "not known"),
        (0, "", "0"),
        (0.0, "share", "0 %"),
        (0.004, "share", "0.4 %"),
        (1.0, "share", "100 %"),
        (1234.5, "rps", "1,234"),
        (35.64, "ms", "35.6"),
        (1.234, "ms", "1.23"),
    ],
)
def test_figures_are_rounded_for_reading(value: float | None, unit: str, want: str) -> None:
    assert words.number(value, unit) == want


@pytest.mark.parametrize(
    ("ratio", "want"),
    [
        (0.95, "\N{MINUS SIGN}5.0 %"),
        (1.0, "+0.0 %"),
        (2.5, "+150.0 %"),
        (250.0, "\N{MULTIPLICATION SIGN}250"),
        (None, "not known"),
        (math.nan, "not known"),
    ],
)
def test_ratios_read_as_signed_changes(ratio: float | None, want: str) -> None:
    assert words.change(ratio) == want


@pytest.mark.parametrize(
    ("seconds", "want"),
    [(None, "not known"), (0.456, "0.46 s"), (59.0, "59 s"), (61.0, "1 min 01 s"), (3725.0, "1 h 02 min")],
)
def test_durations_read_as_one_says_them(seconds: float | None, want: str) -> None:
    assert words.duration(seconds) == want


def test_a_bar_of_worker_states_has_every_state_and_ends_with_what_is_left() -> None:
    assert set(timecharts.STATES) == set(worker_states.STATES)
    assert timecharts.STATES[-1] == "idle"


def test_times_are_told_as_durations_with_words() -> None:
    assert words.times({"wall_s": 910.9, "overhead_s_per_trial": 0.1157, "measured_s": None}) == [
        ("From the first trial to the last", "15 min 11 s"),
        ("A trial beside warm-up and window, median", "0.12 s"),
        ("In windows", "not known"),
    ]


def test_reasons_that_differ_in_a_figure_alone_are_one_and_say_so() -> None:
    trial = synthetic.report_input(synthetic.synthesise(15, window_s=0.5)).trials[0]

    def spoilt(number: int, reason: str) -> TrialRecord:
        outcome = Outcome(trial.key, Status.INVALID, reason, FailureKind.NOISE)
        return dataclasses.replace(trial, number=number, outcome=outcome)

    noisy = [spoilt(n, f"noisy: other processes used 0.{n} of a core") for n in (31, 44)]

    found = cells.reasons([*noisy, spoilt(5, "swapped"), spoilt(6, "swapped"), spoilt(7, "swapped")])

    assert [(reason, count) for _, reason, count, _ in found] == [
        ("swapped", 3),
        ("noisy: other processes used 0.31 of a core and the like", 2),
    ]
    assert [t.number for t in found[1][3]] == [31, 44]
