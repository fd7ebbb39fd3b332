"""Two runs are compared by unpaired trials, and refused where that would be meaningless."""

import copy
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from benchmarks import answers, window_noise
from cgidlab import compare
from cgidlab.analysis.findings import Answer
from cgidlab.compare import differing, telling
from cgidlab.errors import SpecError, StoreError
from cgidlab.model import TrialRecord
from cgidlab.runs import store
from cgidlab.runs.comparing import compare_runs
from scripts import make_synthetic_run as synthetic
from tests.unit.trial_records import Array, run

REFERENCE = ("listen_backlog", "100")
LOW = (("listen_backlog", "1"), ("clients", "50"))
ONE = (("listen_backlog", "100"), ("clients", "50"))
TWO = (("listen_backlog", "100"), ("clients", "200"))
THROUGHPUT = {"throughput_rps": 0.05}
P99 = {"latency_p99_ms": 0.20}


def around(middle: float, n: int = 8, spread: float = 0.01) -> Array:
    """Return n log values with this mean and about this spread, the same each time."""
    values = np.random.default_rng(n).normal(0, spread, n)
    return np.asarray(values - values.mean() + middle, dtype=float)


def level(effect: Array, pace: Array, response: str = "throughput_rps") -> list[TrialRecord]:
    """Return a run whose backlog of 1 differs from that of 100 by `effect`, on a host of this pace block by block."""
    return run({("100", "50"): pace, ("1", "50"): pace + effect}, response=response)


def judged(
    a: Array, b: Array, response: str = "throughput_rps", thresholds: Mapping[str, float] = THROUGHPUT
) -> compare.Ratio:
    """Return what backlog 1 lost against 100 in run B, compared with run A, whose host was 30 % slower."""
    found = compare.ratios(
        level(a, np.full(a.size, 6.0), response),
        level(b, np.full(b.size, 6.3), response),
        [LOW, ONE],
        thresholds,
        reference=REFERENCE,
    )
    return next(r for r in found if r.response == response and r.against)


def test_what_a_level_lost_in_run_b_is_compared_with_what_it_lost_in_run_a_whatever_the_hosts_pace() -> None:
    got = judged(around(0), around(math.log(0.9)))

    assert got.estimate == pytest.approx(0.9)
    assert got.interval is not None
    assert got.interval.holds(0.9)
    assert (got.at, got.against) == (LOW, "100")


@pytest.mark.parametrize(
    ("response", "thresholds", "change", "spread", "want"),
    [
        pytest.param("throughput_rps", THROUGHPUT, 0.80, 0.01, Answer.COSTS_AT_LEAST, id="less throughput is worse"),
        pytest.param("throughput_rps", THROUGHPUT, 1.20, 0.01, Answer.GAINS_AT_LEAST, id="more throughput is better"),
        pytest.param("throughput_rps", THROUGHPUT, 1.00, 0.01, Answer.EQUIVALENT, id="the same throughput"),
        pytest.param("throughput_rps", THROUGHPUT, 0.95, 0.01, Answer.REAL_NEAR, id="just at the threshold"),
        pytest.param("throughput_rps", THROUGHPUT, 0.95, 0.06, Answer.INCONCLUSIVE, id="at the threshold, in noise"),
        pytest.param("latency_p99_ms", P99, 1.50, 0.01, Answer.COSTS_AT_LEAST, id="a longer tail is worse"),
        pytest.param("latency_p99_ms", P99, 0.60, 0.01, Answer.GAINS_AT_LEAST, id="a shorter tail is better"),
        pytest.param("latency_p99_ms", THROUGHPUT, 1.50, 0.01, Answer.DESCRIBED, id="a response without a threshold"),
    ],
)
def test_a_response_is_worse_only_wholly_beyond_its_threshold(
    response: str, thresholds: Mapping[str, float], change: float, spread: float, want: Answer
) -> None:
    got = judged(around(0, spread=spread), around(math.log(change), spread=spread), response, thresholds)

    assert got.answer is want
    assert got.worse == (want is Answer.COSTS_AT_LEAST)


@pytest.mark.parametrize("cell", [LOW, ONE], ids=["the level's", "the reference's"])
@pytest.mark.parametrize("side", [0, 1], ids=["in run A", "in run B"])
def test_of_a_tail_that_windows_cut_short_in_either_run_nothing_is_claimed(
    cell: tuple[tuple[str, str], ...], side: int
) -> None:
    runs = [level(around(x), np.full(8, 6.0), "latency_p99_ms") for x in (0, math.log(1.5))]

    def found(waiting: int) -> compare.Ratio:
        figures = {"requests": 1000, "waiting_beyond_p99": waiting}
        sides = list(runs)
        sides[side] = [
            replace(r, figures=replace(r.figures, **figures)) if set(r.levels) == set(cell) else r for r in runs[side]
        ]
        return next(r for r in compare.ratios(sides[0], sides[1], [LOW, ONE], P99, reference=REFERENCE) if r.against)

    assert found(10).answer is Answer.COSTS_AT_LEAST
    assert found(11).answer is Answer.INCONCLUSIVE
    assert "lower bound" in telling.word(found(11))


def test_below_six_blocks_in_either_run_nothing_is_claimed() -> None:
    got = judged(around(0, n=20), around(math.log(0.5), n=5))

    assert (got.interval, got.family_interval, got.answer) == (None, None, Answer.INCONCLUSIVE)
    assert got.estimate == pytest.approx(0.5)
    assert "descriptive only" in got.note


def absolute(change: float, earlier: int, apart: float = 0.04) -> compare.Ratio:
    """Return the comparison of a response itself, after so many earlier runs that lie `apart`."""
    rng = np.random.default_rng(4)
    past = [{frozenset(ONE): {"throughput_rps": math.exp(x)}} for x in 6.9 + rng.normal(0, apart, earlier)]
    a, b = (run({("100", "50"): around(6.9 + shift)}) for shift in (0.0, math.log(change)))
    found = compare.ratios(a, b, [ONE], THROUGHPUT, reference=REFERENCE, earlier=past)
    return next(r for r in found if r.response == "throughput_rps")


def test_a_response_itself_is_not_judged_while_nobody_knows_how_far_separate_runs_lie_apart() -> None:
    """The same build in separate runs: Welch's interval left out "no change" in 54 of 62 pairs."""
    got = absolute(0.8, earlier=3)

    assert (got.interval, got.answer, got.worse) == (None, Answer.INCONCLUSIVE, False)
    assert got.estimate == pytest.approx(0.8)
    assert got.note == "no claim: 3 of the 4 runs that would say how far separate runs lie apart"


def test_earlier_runs_say_how_wide_the_interval_of_a_response_itself_is() -> None:
    got = absolute(0.93, earlier=8)
    large = absolute(0.5, earlier=8)

    assert got.interval is not None
    assert got.interval.holds(1.0)
    assert re.fullmatch(r"separate runs lie apart by \d % here, as 8 runs say", got.note)
    assert (got.answer, large.answer, large.earlier) == (Answer.INCONCLUSIVE, Answer.COSTS_AT_LEAST, 8)


def test_of_several_cells_a_response_itself_is_judged_once_over_all_of_them() -> None:
    """A pace that all cells of a run share is one observation and not as many as there are cells."""
    logs = {("100", str(clients)): around(6.9) for clients in (50, 200)}
    past = [{frozenset(c): {"throughput_rps": 1000.0 + 40 * i} for c in (ONE, TWO)} for i in range(5)]

    found = compare.ratios(run(logs), run(logs), [ONE, TWO], THROUGHPUT, earlier=past)

    judged_ = [r for r in found if r.threshold is not None]
    assert [(r.pooled, r.n_a) for r in judged_] == [(True, 8)]


def test_a_response_that_is_zero_is_compared_by_difference_and_not_judged() -> None:
    trials = run({("100", "50"): around(0)})

    found = compare.ratios(trials, run({("100", "50"): np.full(8, -math.inf)}), [ONE], THROUGHPUT)

    got = next(r for r in found if r.response == "throughput_rps")
    assert (got.scale, got.answer) == ("difference", Answer.INCONCLUSIVE)
    assert got.estimate == pytest.approx(-1.0, abs=0.01)


@pytest.mark.parametrize("earlier", [0, 6], ids=["no history", "six earlier runs"])
def test_two_runs_of_one_build_raise_a_false_alarm_in_under_five_per_cent(earlier: int) -> None:
    """100 pairs, hosts whose pace differs by 8 % from run to run: none may be worse, few may seem to differ."""
    found = answers.pairs_of_runs(100, np.random.default_rng(7), window_noise.one_over_f, earlier=earlier)

    assert found.worse <= 2
    assert found.differ <= 11  # 5 % and three standard errors of 100 draws
    assert found.welch_differ > 50, "what the rule before made of the same pairs"


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


def side(change: Mapping[tuple[str, ...], object] | None = None) -> compare.Recorded:
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
    return compare.Recorded(**values)


HOST = ("provenance", "hosts", "local")
CHANGES: list[tuple[str, tuple[str, ...], object]] = [
    ("window_s", ("plan", "settings", "window_s"), 10.0),
    ("cpu_model", (*HOST, "facts", "cpu_model"), "Xeon"),
    ("cpus", (*HOST, "facts", "cpus"), 4),
    ("kernel", (*HOST, "facts", "kernel"), "6.2"),
    ("httpd_version", (*HOST, "httpd", "distro", "version"), "2.4.62"),
    ("driver_version", (*HOST, "tools", "h2load", "version"), "1.60.0"),
    ("measuring", ("provenance", "measuring_sha256"), "cc"),
]


@pytest.mark.parametrize(("field", "path", "value"), CHANGES, ids=[c[0] for c in CHANGES])
def test_a_checked_field_that_differs_bars_the_comparison_until_it_is_named(
    field: str, path: tuple[str, ...], value: object
) -> None:
    a, b = side(), side({path: value})
    found = differing.overall(a, b, CELLS)

    assert [d.word for d in differing.barred(found, ())] == [field]
    assert differing.barred(found, [field]) == ()


def test_what_is_not_checked_is_told_and_bars_nothing() -> None:
    a = side()
    b = side({("provenance", "roles_sha256"): "other", ("plan", "settings", "mirror"): "n", ("plan", "seed"): 2})

    found = differing.overall(a, b, CELLS)

    assert {d.word for d in found} == {"roles", "mirror", "seed"}
    assert differing.barred(found, ()) == ()


def test_what_only_one_run_recorded_differs() -> None:
    old = side()
    assert isinstance(old.provenance, dict)
    del old.provenance["measuring_sha256"]

    got = differing.overall(old, side(), CELLS)

    assert [(d.word, d.before, d.now) for d in got] == [("measuring", "not recorded", "aa")]


def test_naming_httpd_means_its_version_too() -> None:
    a = side()
    b = side(
        {
            ("plan", "settings", "httpd"): "upstream:2.4.62",
            (*HOST, "httpd"): {"upstream:2.4.62": {"version": "2.4.62", "build_key": "k2"}},
        }
    )

    assert differing.barred(differing.overall(a, b, CELLS), ["httpd"]) == ()


def test_a_field_that_does_not_exist_is_refused_with_the_nearest_that_does() -> None:
    with pytest.raises(SpecError, match="no field is called") as caught:
        differing.check_words(["kernal"], (side(), side()), "--across")

    assert "`kernel`" in caught.value.fix


def test_two_versions_of_httpd_are_written_as_levels_of_one_run() -> None:
    a = side()
    b = side({(*HOST, "httpd", "distro", "version"): "2.4.69"})

    got = yaml.safe_load(compare.suggestion(a, b, CELLS, differing.overall(a, b, CELLS)))

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

    assert compare.suggestion(a, b, CELLS, differing.overall(a, b, CELLS)) == ""


def test_a_run_whose_provenance_has_another_shape_is_named(tmp_path: Path) -> None:
    places = [synthetic.write(synthetic.synthesise(12), tmp_path / name) for name in ("a", "b")]
    a, b = (store.RunDirectory(place) for place in places)
    b.write("provenance.json", {"hosts": {"h1": {"kernel": "6.1"}}})

    with pytest.raises(StoreError, match=r"hosts\.h1\.facts is missing") as err:
        compare_runs(a, b)
    assert err.value.where == str(b.path / "provenance.json")
