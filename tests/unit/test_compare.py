"""Two runs are compared by unpaired trials, and refused where that would be meaningless."""

import copy
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from cgidlab import compare
from cgidlab.analysis.findings import Answer
from cgidlab.analysis.intervals import welch_interval
from cgidlab.compare.environment import known_fields
from cgidlab.errors import SpecError, StoreError
from cgidlab.runs import store
from cgidlab.runs.comparing import compare_runs
from scripts import make_synthetic_run as synthetic
from tests.unit.trial_records import Array, run

ONE = (("listen_backlog", "100"), ("clients", "50"))
TWO = (("listen_backlog", "100"), ("clients", "200"))
THROUGHPUT = {"throughput_rps": 0.05}
P99 = {"latency_p99_ms": 0.20}


def around(middle: float, n: int = 8, spread: float = 0.01) -> Array:
    """Return n log values with this mean and about this spread, the same each time."""
    values = np.random.default_rng(n).normal(0, spread, n)
    return np.asarray(values - values.mean() + middle, dtype=float)


def judged(
    a: Array, b: Array, response: str = "throughput_rps", thresholds: Mapping[str, float] = THROUGHPUT
) -> compare.Ratio:
    """Return the ratio of one response in a single cell, from its log values in both runs."""
    found = compare.ratios(
        run({("100", "50"): a}, response=response), run({("100", "50"): b}, response=response), [ONE], thresholds
    )
    return next(r for r in found if r.response == response)


def test_the_ratio_is_of_run_b_to_run_a() -> None:
    got = judged(around(math.log(1000)), around(math.log(900)))

    assert got.estimate == pytest.approx(0.9)
    assert got.interval is not None
    assert got.interval.holds(0.9)


@pytest.mark.parametrize(
    ("response", "thresholds", "change", "want"),
    [
        pytest.param("throughput_rps", THROUGHPUT, 0.80, Answer.COSTS_AT_LEAST, id="less throughput is worse"),
        pytest.param("throughput_rps", THROUGHPUT, 1.20, Answer.GAINS_AT_LEAST, id="more throughput is better"),
        pytest.param("throughput_rps", THROUGHPUT, 1.00, Answer.COSTS_LESS, id="the same throughput"),
        pytest.param("throughput_rps", THROUGHPUT, 0.95, Answer.INCONCLUSIVE, id="just at the threshold"),
        pytest.param("latency_p99_ms", P99, 1.50, Answer.COSTS_AT_LEAST, id="a longer tail is worse"),
        pytest.param("latency_p99_ms", P99, 0.60, Answer.GAINS_AT_LEAST, id="a shorter tail is better"),
        pytest.param("latency_p99_ms", THROUGHPUT, 1.50, Answer.DESCRIBED, id="a response without a threshold"),
    ],
)
def test_a_response_is_worse_only_wholly_beyond_its_threshold(
    response: str, thresholds: Mapping[str, float], change: float, want: Answer
) -> None:
    got = judged(around(0), around(math.log(change)), response, thresholds)

    assert got.answer is want
    assert got.worse == (want is Answer.COSTS_AT_LEAST)


def test_below_six_trials_in_either_run_nothing_is_claimed() -> None:
    got = judged(around(0, n=20), around(math.log(0.5), n=5))

    assert (got.interval, got.family_interval, got.answer) == (None, None, Answer.INCONCLUSIVE)
    assert got.estimate == pytest.approx(0.5)
    assert "descriptive only" in got.note


def test_a_shift_of_a_block_is_not_taken_for_one_of_the_other_run() -> None:
    """Pairing block 3 with block 3 would find 10 % here with a narrow interval; the runs do not show it."""
    hours = np.linspace(-0.5, 0.5, 8)

    got = judged(hours + around(0), hours + around(math.log(0.9)))

    assert got.interval is not None
    assert got.interval.holds(1.0)


def test_pooling_takes_a_block_as_one_value() -> None:
    """A noise that all cells of a block share does not get smaller by having many cells."""
    noise = around(0, spread=0.1)
    logs = {("100", str(clients)): noise for clients in (50, 200)}
    cells = [ONE, TWO]

    found = compare.ratios(run(logs), run(logs), cells, THROUGHPUT)

    single, pooled = (next(r for r in found if r.response == "throughput_rps" and r.pooled is p) for p in (False, True))
    assert pooled.interval is not None
    assert single.interval is not None
    assert pooled.n_a == 8
    assert pooled.interval.low == pytest.approx(single.interval.low)


def test_a_response_that_is_zero_is_compared_by_difference_and_not_judged() -> None:
    trials = run({("100", "50"): around(0)})

    found = compare.ratios(trials, run({("100", "50"): np.full(8, -math.inf)}), [ONE], THROUGHPUT)

    got = next(r for r in found if r.response == "throughput_rps")
    assert (got.scale, got.answer) == ("difference", Answer.INCONCLUSIVE)
    assert got.estimate == pytest.approx(-1.0, abs=0.01)


@pytest.mark.parametrize("kind", ["normal", "skewed", "heavy tails"])
def test_ninety_five_percent_intervals_hold_the_truth_about_as_often(kind: str) -> None:
    rng = np.random.default_rng(5)

    def draw() -> Array:
        if kind == "normal":
            return rng.normal(size=8)
        return rng.exponential(size=8) if kind == "skewed" else rng.standard_t(3, size=8)

    intervals = [welch_interval(draw(), 3 * draw()) for _ in range(1500)]  # the truth differs for skewed data alone
    truth = -2.0 if kind == "skewed" else 0.0

    held = np.mean([i is not None and i.holds(truth) for i in intervals])

    assert 0.89 < held < 0.985


def test_all_comparisons_together_raise_a_false_alarm_in_under_five_percent() -> None:
    """Twelve cells whose true change is exactly the threshold: the hardest case that must not alarm."""
    rng = np.random.default_rng(6)
    names = [(str(b), str(c)) for b in (1, 5, 100, 1024) for c in (50, 200, 400)]
    cells = [(("listen_backlog", b), ("clients", c)) for b, c in names]
    alarms = 0
    for _ in range(150):
        a = run({name: rng.normal(0, 0.05, 8) for name in names})
        b = run({name: rng.normal(math.log(0.95), 0.05, 8) for name in names})
        alarms += any(r.worse for r in compare.ratios(a, b, cells, THROUGHPUT))

    assert alarms / 150 < 0.09  # 5 % and two standard errors of 150 draws


def test_cells_are_matched_by_labels_whatever_the_order_of_factors() -> None:
    assert compare.common_cells([ONE, TWO], [tuple(reversed(TWO)), (("clients", "50"),)]) == (TWO,)


PLAN: dict[str, Any] = {
    "target": "local",
    "seed": 1,
    "factors": {"listen_backlog": [{"label": "100", "value": 100}, {"label": "again", "value": 100}]},
    "rule": {"factor": "listen_backlog", "reference": "100", "smallest_effects": {"throughput_rps": 0.05}},
    "cells": [
        {
            "levels": {"listen_backlog": label},
            "settings": {"listen_backlog": 100, "httpd": "distro", "driver": "h2load", "window_s": 5.0, "mirror": "m"},
        }
        for label in ("100", "again")
    ],
}
PROVENANCE: dict[str, Any] = {
    "measuring_sha256": "aa",
    "roles_sha256": "bb",
    "hosts": {
        "local": {
            "facts": {"cpu_model": "EPYC", "cpus": 2, "kernel": "6.1"},
            "httpd": {"distro": {"version": "2.4.68", "build_key": "k1"}},
            "tools": {"h2load": {"version": "1.52.0"}, "bpftrace": {"version": "0.17.0"}},
        }
    },
}
CELLS = [(("listen_backlog", "100"),), (("listen_backlog", "again"),)]


def side(change: Mapping[tuple[str, ...], object] | None = None) -> compare.Side:
    """Return a run's surroundings with some values changed, by their path; "plan" or "provenance" comes first."""
    values = {"plan": copy.deepcopy(PLAN), "provenance": copy.deepcopy(PROVENANCE)}
    for path, value in (change or {}).items():
        if path[:2] == ("plan", "settings"):
            for cell in values["plan"]["cells"]:
                cell["settings"][path[2]] = value
            continue
        at: Any = values
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = value
    return compare.Side(**values)


HOST = ("provenance", "hosts", "local")
CHANGES: list[tuple[str, tuple[str, ...], object]] = [
    ("window_s", ("plan", "settings", "window_s"), 10.0),
    ("cpu_model", (*HOST, "facts", "cpu_model"), "Xeon"),
    ("cpus", (*HOST, "facts", "cpus"), 4),
    ("kernel", (*HOST, "facts", "kernel"), "6.2"),
    ("httpd_version", (*HOST, "httpd", "distro", "version"), "2.4.62"),
    ("load_generator", (*HOST, "tools", "h2load", "version"), "1.60.0"),
    ("measuring_sha256", ("provenance", "measuring_sha256"), "cc"),
]


@pytest.mark.parametrize(("field", "path", "value"), CHANGES, ids=[c[0] for c in CHANGES])
def test_a_checked_field_that_differs_bars_the_comparison_until_it_is_named(
    field: str, path: tuple[str, ...], value: object
) -> None:
    a, b = side(), side({path: value})
    found = compare.differences(a, b, CELLS)
    known = known_fields(a, b, CELLS)

    with pytest.raises(SpecError, match=field) as caught:
        compare.refuse(found, (), known)

    assert caught.value.exit_code == 2
    assert caught.value.fix.endswith(f"--across {field}")
    compare.refuse(found, [field], known)


def test_what_is_not_checked_is_told_and_bars_nothing() -> None:
    a = side()
    b = side({("provenance", "roles_sha256"): "other", ("plan", "settings", "mirror"): "n", ("plan", "seed"): 2})

    found = compare.differences(a, b, CELLS)

    assert {d.field for d in found} == {"roles_sha256", "mirror", "seed"}
    compare.refuse(found, (), known_fields(a, b, CELLS))


def test_what_only_one_run_recorded_differs() -> None:
    old = side()
    assert isinstance(old.provenance, dict)
    del old.provenance["measuring_sha256"]

    got = compare.differences(old, side(), CELLS)

    assert [(d.field, d.a, d.b) for d in got] == [("measuring_sha256", "not recorded", "aa")]


def test_naming_httpd_means_its_version_too() -> None:
    a = side()
    b = side(
        {
            ("plan", "settings", "httpd"): "upstream:2.4.62",
            (*HOST, "httpd"): {"upstream:2.4.62": {"version": "2.4.62", "build_key": "k2"}},
        }
    )

    compare.refuse(compare.differences(a, b, CELLS), ["httpd"], known_fields(a, b, CELLS))


def test_a_field_that_does_not_exist_is_refused_with_the_nearest_that_does() -> None:
    with pytest.raises(SpecError, match="no field is called") as caught:
        compare.refuse((), ["kernal"], known_fields(side(), side(), CELLS))

    assert "`kernel`" in caught.value.fix


def test_two_versions_of_httpd_are_written_as_levels_of_one_run() -> None:
    a = side()
    b = side({(*HOST, "httpd", "distro", "version"): "2.4.69"})

    got = yaml.safe_load(compare.suggestion(a, b, CELLS, compare.differences(a, b, CELLS)))

    assert got["factors"] == {
        "httpd": ["distro:2.4.68", "distro:2.4.69"],
        "listen_backlog": [100, {"label": "again", "value": 100}],
    }
    assert got["verdict"] == {
        "factor": "httpd",
        "reference": "distro:2.4.68",
        "smallest_effects": {"throughput_rps": 0.05},
    }


def test_what_no_run_can_vary_has_no_experiment_to_suggest() -> None:
    a, b = side(), side({(*HOST, "facts", "kernel"): "6.2"})

    assert compare.suggestion(a, b, CELLS, compare.differences(a, b, CELLS)) == ""


def test_a_run_whose_provenance_has_another_shape_is_named(tmp_path: Path) -> None:
    places = [synthetic.write(synthetic.synthesise(12), tmp_path / name) for name in ("a", "b")]
    a, b = (store.RunDirectory(place) for place in places)
    b.write("provenance.json", {"hosts": {"h1": {"kernel": "6.1"}}})

    with pytest.raises(StoreError, match=r"hosts\.h1\.facts is missing") as err:
        compare_runs(a, b)
    assert err.value.where == str(b.path / "provenance.json")
