import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats  # type: ignore[import-untyped]  # scipy ships no types

from benchmarks import answers, coverage, window_noise
from cgidlab.analysis.dunnett import critical, stay_within
from cgidlab.analysis.effects import compared
from cgidlab.analysis.findings import Answer
from cgidlab.analysis.intervals import Interval, bootstrap_interval, sign_interval, t_interval, wilcoxon_p
from cgidlab.analysis.looks import nominal_alpha, planned_looks
from cgidlab.analysis.pairs import Unit
from cgidlab.analysis.power import blocks_to_decide, chances_decided, mde, power
from cgidlab.analysis.series import autocorrelation, start_log_ratio
from cgidlab.analysis.sharing import Sample, Sharing, noises, trim_share
from cgidlab.analysis.trimmed import TRIM_SHARE, TRIM_SHARES, middle, standard_error, trimmed_interval
from cgidlab.model import Repetitions

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
    assert planned_looks(Repetitions(smallest, largest)) == want


@pytest.mark.parametrize("kind", SAME_NOISE)
def test_planned_looks_keep_false_alarms_under_5_per_cent(kind: str) -> None:
    looks = planned_looks(Repetitions(6, 30))

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


def test_a_prediction_is_right_as_often_as_it_says() -> None:
    """Truths as uncertain as the interval says, and the blocks that follow: the chance is that of the simulation."""
    rng = np.random.default_rng(5)
    blocks, more, error, bounds = 12, 20, 0.02, (1.7, 2.9)
    truth = 0.015 + error * rng.standard_normal(RUNS)
    later = error * math.sqrt(blocks / (blocks + more))
    mean_of_more = truth + error * math.sqrt(blocks / more) * rng.standard_normal(RUNS)
    final = (blocks * 0.015 + more * mean_of_more) / (blocks + more)
    low, high = math.log(0.95), math.log(1.05)
    less = (final - 1.7 * later > low) & (final + 1.7 * later < high)

    (chance,) = chances_decided(np.array([float(more)]), blocks, 0.015, error, 0.05, bounds)

    assert chance == pytest.approx(float(np.mean(less | (np.abs(final) > 2.9 * later))), abs=0.02)


def test_blocks_are_predicted_within_reach_alone() -> None:
    bounds = (1.7, 2.9)

    near = blocks_to_decide(0.0, 0.022, 12, 0.05, bounds)

    assert near is not None
    assert near <= 36
    assert blocks_to_decide(0.0, 0.3, 12, 0.05, bounds) is None, "more than three times as many would be a guess"
    assert blocks_to_decide(0.0, 0.022, 5, 0.05, bounds) is None, "a spread of five blocks predicts nothing"


def test_a_time_that_few_open_comparisons_of_a_response_have_is_not_told() -> None:
    """In a restless hour one in twenty has one by chance, which three times of four is wrong."""
    told = []
    for seed, kind in itertools.product(range(12), ("quiet", "restless")):
        noise = window_noise.noises()[f"recorded, 1 s windows, {kind}"]
        found = compared(answers.asked((12,)), answers.run_of(noise, np.random.default_rng(seed), 12, {}))
        open_ = [e for e in found if e.answer is Answer.INCONCLUSIVE]
        told.append((kind, len(open_), sum(e.more_blocks is not None for e in open_)))

    assert all(times == 0 or 2 * times >= number for _, number, times in told)
    assert any(times for kind, _, times in told if kind == "quiet")
    assert sum(times == 0 for kind, number, times in told if kind == "restless" and number) > 6


# Dunnett 1964 (Biometrics 20), table for two-sided comparisons at 5 and 1 %.
@pytest.mark.parametrize(
    ("alpha", "df", "want"),
    [
        (0.05, 5, [2.57, 3.03, 3.29, 3.48, 3.62, 3.73, 3.82, 3.90, 3.97]),
        (0.05, 10, [2.23, 2.57, 2.76, 2.89, 2.99, 3.07, 3.14, 3.19, 3.24]),
        (0.05, 20, [2.09, 2.38, 2.54, 2.65, 2.73, 2.80, 2.86, 2.90, 2.95]),
        (0.05, math.inf, [1.96, 2.21, 2.35, 2.44, 2.51, 2.57, 2.61, 2.65, 2.69]),
        (0.01, 10, [3.17, 3.53, 3.74]),
        (0.01, 20, [2.85, 3.13, 3.29]),
    ],
)
def test_dunnetts_bounds_are_those_of_the_published_table(alpha: float, df: float, want: list[float]) -> None:
    found = [critical(alpha, levels, 1, df) for levels in range(1, len(want) + 1)]

    assert found == pytest.approx(want, abs=0.0065)


def test_dunnetts_bounds_are_scipys_for_one_group() -> None:
    correlation = np.full((3, 3), 0.5) + np.eye(3) / 2

    found = stats.multivariate_t.cdf(
        np.full(3, 2.5), np.zeros(3), correlation, df=15, lower_limit=np.full(3, -2.5), random_state=1, maxpts=100_000
    )

    assert stay_within(2.5, 3, 1, 15) == pytest.approx(found, abs=2e-4)


def test_groups_that_share_no_trial_are_independent_but_for_their_spread() -> None:
    """With a known spread the chances multiply; with one that is estimated, and shared, all stay within more often."""
    assert stay_within(2.5, 3, 4, math.inf) == pytest.approx(stay_within(2.5, 3, 1, math.inf) ** 4)
    assert stay_within(2.5, 3, 4, 10) > stay_within(2.5, 3, 1, 10) ** 4


def test_the_bound_of_all_comparisons_lies_below_bonferronis() -> None:
    assert critical(0.05, 3, 4, 45) < stats.t.isf(0.05 / 24, 45)


def test_trimming_begins_at_twelve_blocks_and_leaves_out_a_tenth_at_either_end() -> None:
    values = [0.0] * 11 + [10.0]

    assert middle(values[1:]).value == pytest.approx(10 / 11)
    assert (middle(values).value, middle(values).kept) == (0.0, 10)
    assert middle([float(x) for x in range(36)]).kept == 30


def test_the_trimmed_mean_has_the_error_of_tukey_and_mclaughlin() -> None:
    """Wilcox 2012 (Introduction to Robust Estimation, 3.3.2): winsorised deviation over (1 - 2 g) sqrt(n)."""
    values = [77.0, 87, 88, 114, 151, 210, 219, 246, 253, 262, 296, 299, 306, 376, 428, 515, 666, 1310, 2611]
    wins = np.clip(np.sort(values), 87, 1310)
    want = wins.std(ddof=1) * math.sqrt(18 / (17 * 16)) if len(values) == 19 else 0.0

    found = middle(values)

    assert found.value == pytest.approx(np.mean(sorted(values)[1:-1]))
    assert found.error == pytest.approx(want)


@pytest.mark.parametrize("blocks", [12, 20, 36])
def test_trimmed_intervals_hold_the_truth_in_93_to_97_per_cent(blocks: int) -> None:
    rows = coverage.differences("5 % outliers", np.random.default_rng(blocks), 1500, blocks)

    held = np.mean([interval.holds(0.0) for d in rows if (interval := trimmed_interval(d)) is not None])

    assert 0.93 <= held <= 0.975


def test_a_mean_that_single_blocks_make_is_told() -> None:
    quiet = [0.001 * (-1) ** i for i in range(20)]

    assert not middle(quiet).apart
    assert middle([*quiet[:-1], 3.0]).apart


def _samples(spreads: Sequence[float], blocks: int = 12) -> tuple[list[Sample], list[list[dict[Unit, float]]]]:
    rng = np.random.default_rng(2)
    cells = [
        [{("h", b, 1): x for b, x in enumerate(rng.normal(0, spread, blocks))} for _ in range(4)] for spread in spreads
    ]
    made = []
    for place, (reference, *levels) in enumerate(cells):
        for level in levels:
            d = [level[u] - reference[u] for u in reference]
            made.append(Sample(place, d, middle(d)))
    return made, cells


def test_equal_spreads_are_shared_with_the_degrees_of_freedom_of_all_cells() -> None:
    found = noises(*_samples((0.1, 0.1, 0.1)), TRIM_SHARE)

    assert {(n.sharing, n.df) for n in found if n} == {(Sharing.SHARED, 3 * 3 * 9)}  # 10 of 12 blocks are kept
    assert len({n.spread for n in found if n}) == 1
    assert next(n.spread for n in found if n) == pytest.approx(0.1 * math.sqrt(2), rel=0.15)


def test_a_place_that_is_noisier_has_a_spread_of_its_own() -> None:
    samples, cells = _samples((0.1, 0.1, 0.5))

    found = [n for n in noises(samples, cells, TRIM_SHARE) if n]

    at_loud = [n for n, s in zip(found, samples, strict=True) if s.place == 2]
    assert {n.sharing for n in at_loud} == {Sharing.PLACE}
    assert at_loud[0].spread == pytest.approx(0.5 * math.sqrt(2), rel=0.3)
    assert found[0].spread == pytest.approx(0.1 * math.sqrt(2), rel=0.3)


def test_a_reference_that_is_noisier_than_the_levels_does_not_pass_for_one_of_them() -> None:
    """Its noise is in every comparison alike; the pairs without it show that, and would make their spread too small."""
    rng = np.random.default_rng(5)
    units = [("h", b, 0) for b in range(1, 37)]
    cells = [
        {u: float(v) for u, v in zip(units, spread * rng.standard_normal(36), strict=True)}
        for spread in (0.1, 0.02, 0.02, 0.02)
    ]
    d = [[level[u] - cells[0][u] for u in units] for level in cells[1:]]

    found = noises([Sample(0, one, middle(one)) for one in d], [cells], TRIM_SHARE)

    assert {n.sharing for n in found if n} == {Sharing.MODERATED}
    own = [s.spread for one in d if (s := middle(one))]
    assert all(n.spread > 0.95 * min(own) for n in found if n), "of all pairs it would be 0.7 of that"


def _cells(draw: Callable[..., NDArray[np.float64]], cells: int, blocks: int) -> list[list[dict[Unit, float]]]:
    return [[{("h", b, 1): float(x) for b, x in enumerate(draw(size=blocks))} for _ in range(cells)] for _ in range(3)]


def test_a_quarter_is_trimmed_where_noise_has_heavy_tails_and_a_tenth_where_it_has_none() -> None:
    rng = np.random.default_rng(3)

    def disturbed(size: int) -> NDArray[np.float64]:
        return rng.normal(size=size) * np.where(rng.random(size) < 0.15, 6.0, 1.0)

    assert trim_share(_cells(rng.normal, 4, 36)) == 0.1
    assert trim_share(_cells(disturbed, 4, 36)) == 0.25


@pytest.mark.parametrize(("cells", "blocks"), [(2, 24), (4, 6), (1, 36)])
def test_the_trimming_is_not_chosen_by_few_pairs(cells: int, blocks: int) -> None:
    rng = np.random.default_rng(4)

    assert {trim_share(_cells(rng.standard_cauchy, cells, blocks)[:1]) for _ in range(20)} == {0.1}


def test_the_trimming_that_a_run_chose_is_what_its_estimates_and_errors_are_of() -> None:
    """The recorded sweep of a quiet host has heavy tails: 28 passes know a ratio better by a fifth."""
    noise = window_noise.noises()["recorded, 1 s windows, quiet"]
    chosen, errors, estimates = set(), [], []
    for seed in range(20):
        cells = answers.run_of(noise, np.random.default_rng(seed), 28, {})
        found = [e for e in compared(answers.asked((28,)), cells) if not e.pooled]
        chosen |= {e.trimmed for e in found}
        d = [[math.log(v / cells["100", e.at][u]) for u, v in cells[e.level, e.at].items()] for e in found]
        errors.append([answers.error_of(e) for e in found])
        estimates.append([[math.log(e.estimate or 0.0) for e in found], [middle(one).value for one in d]])

    assert chosen <= {2, 7}
    assert 7 in chosen
    mine, by_tenth = np.array(estimates).transpose(1, 0, 2).std(axis=(1, 2))
    assert mine < 0.9 * by_tenth
    assert mine == pytest.approx(np.sqrt(np.mean(np.square(errors))), rel=0.15)


@pytest.mark.parametrize("share", TRIM_SHARES)
def test_how_far_windows_are_apart_does_not_hang_on_how_many_are_trimmed(share: float) -> None:
    found = middle(np.random.default_rng(6).normal(0, 0.1, 4000), share)

    assert found.error * math.sqrt(found.n) == pytest.approx(0.1, rel=0.15)
    assert standard_error(found.spread, found.n, (found.n - found.kept) // 2) == found.error


def test_a_single_comparison_has_its_own_spread() -> None:
    (sample, *_), cells = _samples((0.1,))
    pair = [cells[0][:2]]

    assert [n.sharing for n in noises([sample], pair, TRIM_SHARE) if n] == [Sharing.OWN]


def test_a_level_that_is_noisier_than_its_neighbours_is_moderated_and_wider() -> None:
    samples, ((reference, level, *others),) = _samples((0.1,))
    loud = {u: 10 * x for u, x in level.items()}
    d = [loud[u] - reference[u] for u in reference]

    found = [n for n in noises([Sample(0, d, middle(d)), *samples[1:]], [[reference, loud, *others]], TRIM_SHARE) if n]

    assert {n.sharing for n in found} == {Sharing.MODERATED}
    assert found[0].spread > 3 * found[1].spread


@pytest.mark.parametrize("kind", list(window_noise.noises()))
def test_a_whole_run_without_an_effect_shows_one_in_few_runs_and_covers_the_truth(kind: str) -> None:
    """The flagship's design on made and recorded noise, at all its looks; benchmarks/answers.py has more of it."""
    rng = np.random.default_rng(11)
    looks = (6, 12)
    alarms = held = total = 0
    for _ in range(60):
        cells = answers.run_of(window_noise.noises()[kind], rng, looks[-1], {})
        by_look = [compared(answers.asked(looks), answers.upto(cells, n)) for n in looks]
        alarms += any(e.differs for found in by_look for e in found)
        held += sum(e.interval is not None and e.interval.holds(1.0) for e in by_look[-1])
        total += len(by_look[-1])

    assert alarms <= 8  # 5 % and three standard errors of 60 draws
    assert held / total > 0.92


def test_autocorrelation_of_a_slow_series_is_near_that_it_was_made_with() -> None:
    series = coverage.NOISE["autocorrelated (0.8)"](np.random.default_rng(2), 1, 4000)[0]

    assert autocorrelation(list(series)) == pytest.approx(0.8, abs=0.03)
    assert autocorrelation([1.0, 1.0, 1.0]) is None


def test_a_slow_start_shows_as_a_ratio_below_one() -> None:
    found = start_log_ratio([50.0, 50.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0])

    assert found == pytest.approx(math.log(0.5))
    assert start_log_ratio([1.0, 2.0]) is None
    assert start_log_ratio([0.0, 0.0, 0.0, 0.0]) is None


@pytest.mark.parametrize("first", [Repetitions(6, 6), Repetitions(6, 12), Repetitions(12, 12)], ids=str)
def test_a_run_that_is_extended_when_it_is_undecided_errs_in_no_more_than_its_verdict_says(first: Repetitions) -> None:
    """Its old looks had spent the 5 %; what is said in `runs.concluding` and docs/statistics.md is simulated here."""
    before = planned_looks(first)
    more = Repetitions(first.max + 20, first.max + 20, looked=before, asked=(first.min, first.max))
    looks = planned_looks(more)
    assert looks[: len(before)] == before

    rng = np.random.default_rng(3)
    runs, done = 40_000, 0
    total, wrong = np.zeros(runs), np.zeros(runs, dtype=bool)
    for number in looks:
        total += rng.normal(0, np.sqrt(number - done), runs)
        done = number
        alpha = nominal_alpha(before if number in before else looks)
        wrong |= np.abs(total) / np.sqrt(number) > stats.norm.isf(alpha / 2)

    assert 0.045 < wrong.mean() < 0.075
