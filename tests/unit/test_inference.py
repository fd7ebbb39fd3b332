import math

import numpy as np
import pytest
from scipy import stats  # type: ignore[import-untyped]  # scipy ships no types

from benchmarks import coverage
from cgidlab.analysis.intervals import Interval, bootstrap_interval, sign_interval, t_interval, wilcoxon_p
from cgidlab.analysis.looks import nominal_alpha, planned_looks
from cgidlab.analysis.power import blocks_needed, mde, power
from cgidlab.analysis.series import autocorrelation, start_log_ratio, trend

RUNS = 6000
SAME_NOISE = [k for k in coverage.NOISE if not k.startswith("skewed in one")]


def test_t_interval_is_that_of_the_textbook() -> None:
    # Student's own data: hours of sleep gained by ten patients; mean 1.58, interval 0.70 to 2.46.
    found = t_interval([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4])

    assert found is not None
    assert [found.low, found.high] == pytest.approx([0.7001, 2.4599], abs=1e-4)


def test_one_value_has_no_interval() -> None:
    assert t_interval([1.0]) is None


@pytest.mark.parametrize("blocks", [6, 10, 20])
@pytest.mark.parametrize("kind", [*SAME_NOISE, "skewed in one cell"])
def test_intervals_hold_the_truth_in_93_to_97_per_cent(kind: str, blocks: int) -> None:
    """The package's own function on a sample, so that the vectorised twin of the simulation is shown to be the same."""
    d = coverage.differences(kind, np.random.default_rng(blocks), RUNS, blocks)

    assert 0.93 <= coverage.t_covers(d) <= 0.97
    held = [interval.holds(0.0) for row in d[:200] if (interval := t_interval(row)) is not None]
    assert np.mean(held) == coverage.t_covers(d[:200])


def test_the_bootstrap_of_the_original_recipe_would_claim_too_much() -> None:
    """The reason why BCa does not decide: its intervals at six blocks miss the truth twice to three times too often."""
    rng = np.random.default_rng(3)
    d = coverage.differences("skewed", rng, 500, 6)

    assert coverage.bootstrap_covers(d, "BCa", rng, expanded=False) < 0.90


def test_the_bootstrap_check_is_not_made_below_eight_blocks_and_repeats_itself() -> None:
    values = [0.1, 0.3, -0.2, 0.05, 0.2, 0.4, 0.0, 0.15]

    assert bootstrap_interval(values[:7]) is None
    assert bootstrap_interval(values) == bootstrap_interval(values)


def test_the_bootstrap_check_of_equal_values_is_a_point() -> None:
    assert bootstrap_interval([0.25] * 8) == Interval(0.25, 0.25)


def test_the_sign_interval_of_six_blocks_is_their_range_and_not_made_below() -> None:
    assert sign_interval([3.0, 1.0, 2.0, 6.0, 5.0, 4.0]) == Interval(1.0, 6.0)
    assert sign_interval([1.0, 2.0, 3.0, 4.0, 5.0]) is None


def test_wilcoxons_p_is_exact_for_six_blocks_of_one_sign() -> None:
    assert wilcoxon_p([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) == pytest.approx(2 / 64)
    assert wilcoxon_p([0.0] * 6) == 1.0


def test_four_equal_looks_have_the_level_that_pocock_published() -> None:
    assert nominal_alpha((10, 20, 30, 40), 0.05 / 0.9) == pytest.approx(0.0182, abs=2e-4)


def test_one_look_costs_nothing() -> None:
    assert nominal_alpha((6,)) == 0.05


@pytest.mark.parametrize(
    ("smallest", "largest", "want"),
    [
        (6, 6, (6,)),
        (6, 30, (6, 14, 22, 30)),
        (6, 8, (6, 7, 8)),
        (2, 9, (6, 7, 8, 9)),
        (2, 4, (4,)),
        (10, 40, (10, 20, 30, 40)),
    ],
)
def test_looks_are_few_evenly_spaced_and_never_before_six_blocks(
    smallest: int, largest: int, want: tuple[int, ...]
) -> None:
    assert planned_looks(smallest, largest) == want


@pytest.mark.parametrize("kind", SAME_NOISE)
def test_planned_looks_keep_false_alarms_under_5_per_cent(kind: str) -> None:
    looks = planned_looks(6, 30)

    assert coverage.false_alarms(kind, np.random.default_rng(1), 3 * RUNS, looks, nominal_alpha(looks)) < 0.05


def test_looking_after_every_block_would_raise_false_alarms_beyond_15_per_cent() -> None:
    """Shows that the test above can fail."""
    assert coverage.false_alarms("normal", np.random.default_rng(1), RUNS, tuple(range(6, 31)), 0.05) > 0.15


@pytest.mark.parametrize(("blocks", "want"), [(6, 0.029), (10, 0.020), (20, 0.013)])
def test_smallest_detectable_effects_at_a_spread_of_2_per_cent(blocks: int, want: float) -> None:
    assert mde(blocks, 0.02) == pytest.approx(want, abs=5e-4)


@pytest.mark.parametrize("blocks", [6, 10, 20])
def test_the_minimum_detectable_effect_is_found_with_the_printed_chance(blocks: int) -> None:
    effect = mde(blocks, 0.05, chance=0.8)
    assert effect is not None
    d = np.random.default_rng(blocks).standard_normal((RUNS, blocks)) * 0.05 + math.log1p(effect)
    low = d.mean(1) - stats.t.isf(0.025, blocks - 1) * d.std(1, ddof=1) / math.sqrt(blocks)

    assert np.mean(low > 0) == pytest.approx(0.8, abs=0.02)
    assert power(blocks, 0.05, math.log1p(effect)) == pytest.approx(0.8, abs=1e-3)


def test_a_spread_of_nothing_shows_any_effect() -> None:
    assert mde(6, 0.0) == 0.0
    assert mde(1, 0.1) is None


def test_the_predicted_number_of_blocks_decides_in_about_four_of_five_runs() -> None:
    needed = blocks_needed(0.04, 0.06)
    assert needed is not None
    d = np.random.default_rng(5).standard_normal((RUNS, needed)) * 0.06
    high = d.mean(1) + stats.t.isf(0.025, needed - 1) * d.std(1, ddof=1) / math.sqrt(needed)

    assert np.mean(high < 0.04) == pytest.approx(0.8, abs=0.03)
    assert blocks_needed(0.04, 0.06) == needed


def test_an_effect_at_the_boundary_needs_more_blocks_than_can_be_named() -> None:
    assert blocks_needed(0.0, 0.05) is None
    assert blocks_needed(0.0001, 0.05) is None


def test_a_quiet_host_still_needs_six_blocks() -> None:
    assert blocks_needed(1.0, 0.001) == 6


def test_a_trend_is_found_through_outliers() -> None:
    times = [float(t) for t in range(20)]
    values = [0.01 * t for t in times]
    values[3], values[11] = 5.0, -5.0

    found = trend(times, values)

    assert found is not None
    assert found.change == pytest.approx(0.19, abs=0.01)
    assert found.interval.low > 0


def test_few_points_have_no_trend() -> None:
    assert trend([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]) is None
    assert trend([1.0] * 6, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) is None


def test_autocorrelation_of_a_slow_series_is_near_that_it_was_made_with() -> None:
    series = coverage.NOISE["autocorrelated (0.8)"](np.random.default_rng(2), 1, 4000)[0]

    assert autocorrelation(list(series)) == pytest.approx(0.8, abs=0.03)
    assert autocorrelation([1.0, 1.0, 1.0]) is None


def test_a_slow_start_shows_as_a_ratio_below_one() -> None:
    found = start_log_ratio([50.0, 50.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0])

    assert found == pytest.approx(math.log(0.5))
    assert start_log_ratio([1.0, 2.0]) is None
    assert start_log_ratio([0.0, 0.0, 0.0, 0.0]) is None
