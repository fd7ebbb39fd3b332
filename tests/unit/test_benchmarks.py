"""What the benchmarks calculate and print; what they measure is nobody's test."""

import json
import math
import os
import random
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from benchmarks import decides, disk_doses, earlier, figures, instruments, noise, scale, unchanged
from benchmarks.figures import Row, Series
from cgidlab.design import catalogue, spec, strict_yaml
from cgidlab.model import Experiment

V1_FILES = ("blkio.throttle.read_iops_device", "blkio.throttle.write_iops_device")
COSTS = {
    "CPU time of the runner": 0.1,
    "CPU time of Ansible": 0.3,
    "between two blocks": 4.0,
    "brought home": 500.0,
    "kept": 2000.0,
    "the runner's memory, at most": 200.0,
    "Ansible's memory, at most": 100.0,
    "the runner's open files, at most": 20.0,
    "the runner's threads, at most": 4.0,
}


def _kept(name: str, rows: list[Row], commit: str = "0123456789abcdef") -> dict[str, object]:
    provenance = {"commit": commit, "kernel": "6.1", "python": "3.11.2", "cpu": "a CPU", "cores": 2}
    made = "2026-01-02T03:04:05+00:00"
    return {"name": name, "made": made, "provenance": provenance, "rows": [asdict(row) for row in rows]}


def _row(what: str, series: dict[str, float], note: str = "") -> Row:
    return Row(what, "-", reached=True, ours=tuple(Series(n, "s", [v]) for n, v in series.items()), note=note)


def test_notes_stand_below_the_table_with_what_it_was_made_with() -> None:
    text = figures.table([_kept("one", [_row("first", {"": 1.5}), _row("second", {"": 2.5}, "Because.")])])

    assert text.splitlines()[2:] == [
        "| first | - | 1.5 s | - | yes |",
        "| second | - | 2.5 s | - | yes (1) |",
        "",
        "1. Because.",
        "",
        "Made 2026-01-02 on 2 cores (a CPU), Linux 6.1, Python 3.11.2, commit 0123456789.",
    ]


def test_both_designs_of_the_sweep_are_ones_that_can_be_run() -> None:
    text = decides.SWEEP.read_text()
    options = catalogue.load(figures.ROOT / "roles")

    def made(changed: dict[str, str]) -> Experiment:
        document = strict_yaml.parse(decides.design(text, changed).encode(), "x")
        return spec.build(document, options)

    now, before = made({"repetitions": "500"}), made({**decides.BEFORE, "repetitions": "500"})

    assert (now.settings["window_s"], now.repetitions.passes, now.repetitions.watch_every) == (1.0, 4, 8)
    assert (before.settings["window_s"], before.repetitions.passes, before.repetitions.watch_every) == (10.0, 1, 1)
    assert now.repetitions.min == before.repetitions.max == 500
    assert now.factors == before.factors


def test_results_of_two_commits_are_told_apart() -> None:
    text = figures.table([_kept("one", []), _kept("two", [], commit="abc+changes")])

    assert "commit 0123456789: one." in text
    assert "commit abc with changes: two." in text


def test_the_trimmed_interval_does_not_follow_a_few_wild_pairs() -> None:
    rng = random.Random(1)  # noqa: S311 -- noise, not a secret
    values = [rng.gauss(0.0, 0.02) for _ in range(200)]

    calm = instruments.trimmed_interval(values)
    wild = instruments.trimmed_interval([*values[:190], *(10 * v for v in values[190:])])

    assert calm.holds(0.0)
    assert wild.high - wild.low < 1.2 * (calm.high - calm.low)


def test_the_trimmed_interval_holds_the_mean_as_often_as_it_says() -> None:
    rng = random.Random(2)  # noqa: S311 -- same
    times = 1000
    held = sum(instruments.trimmed_interval([rng.gauss(0.0, 1.0) for _ in range(30)]).holds(0.0) for _ in range(times))

    assert held / times == pytest.approx(0.95, abs=0.025)


def test_scale_is_calculated_from_kept_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "RESULTS", tmp_path)
    results = {
        "measuring": [_row("share", {"": 88.0}), _row("costs", COSTS)],
        "trials_ssh": [_row("overhead", {"from one trial's begin to the next one's": 0.5})],
        "reporting": [_row("`report` of a run of 10,000 trials", {"wall": 15.0, "memory": 400.0})],
    }
    for name, rows in results.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(_kept(name, rows)))

    text = scale.section(10_000, 50)

    # 834 blocks of 12 in 17 rounds, each 12 x 11.5 s and 4 s.
    assert "| wall time | 40 min | 17 rounds of blocks of 142 s |" in text
    assert "| CPU of the control machine | 1.1 core hours, 1.7 cores busy |" in text
    assert "| disk of the control machine | 20.0 GB |" in text
    assert "What breaks first: a core of the control machine, at 30 servers a core." in text


def test_scale_says_which_results_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "RESULTS", tmp_path)

    assert "measuring.json" in scale.section()


def test_a_covariate_explains_what_it_was_not_fitted_on() -> None:
    """A figure that moves with throughput within blocks explains it, one that moves by itself explains nothing."""
    rng = np.random.default_rng(5)
    pace = rng.normal(0, 0.1, 120)
    rows = [
        {
            "block": str(i // 4),
            "listen_backlog": str(i % 2),
            "clients": str(i // 2 % 2),
            "throughput_rps": str(1000 * math.exp(value + (i % 2) + i // 4)),
        }
        for i, value in enumerate(pace + rng.normal(0, 0.02, 120))
    ]

    assert noise.explained(rows, pace) > 0.9
    assert noise.explained(rows, rng.normal(0, 1, 120)) < noise.USEFUL


@pytest.mark.parametrize(
    ("version", "limit", "want"),
    [
        (1, 300, {"blkio.throttle.read_iops_device": "8:0 300", "blkio.throttle.write_iops_device": "8:0 300"}),
        (1, disk_doses.NO_LIMIT, dict.fromkeys(V1_FILES, "8:0 0")),
        (2, 300, {"io.max": "8:0 riops=300 wiops=300"}),
        (2, disk_doses.NO_LIMIT, {"io.max": "8:0 riops=max wiops=max"}),
    ],
)
def test_a_group_is_told_in_its_versions_own_words_what_it_may_do(version: int, limit: int, want: object) -> None:
    assert disk_doses.orders(version, "8:0", limit) == want


@pytest.mark.parametrize("partition", [False, True])
def test_the_whole_disk_is_held_back_where_a_directory_lies_on_a_part_of_it(tmp_path: Path, *, partition: bool) -> None:
    number = tmp_path.stat().st_dev
    disk, sys_dev = tmp_path / "vda", tmp_path / "block"
    about = disk / "vda1" if partition else disk
    for path, text in ((disk, "8:0\n"), (about, "8:1\n" if partition else "8:0\n")):
        path.mkdir(exist_ok=True)
        (path / "dev").write_text(text)
    if partition:
        (about / "partition").write_text("1\n")
    sys_dev.mkdir()
    (sys_dev / f"{os.major(number)}:{os.minor(number)}").symlink_to(about)

    assert disk_doses.device_of(tmp_path, sys_dev) == "8:0"


def test_a_directory_on_no_block_device_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="lies on no block device"):
        disk_doses.device_of(tmp_path, tmp_path)


def test_each_way_to_hold_the_disk_back_stands_between_untouched_slots() -> None:
    order = list(disk_doses.order_of(disk_doses.WAYS, 4))

    assert set(order[::2]) == {None}
    assert {way: order[1::2].count(way) for way in disk_doses.WAYS} == dict.fromkeys(disk_doses.WAYS, 8)


def test_beside_an_earlier_checkout_a_trial_costs_what_lies_between_two_begins(tmp_path: Path) -> None:
    for number, begin_s in enumerate((10.0, 12.0, 13.8)):
        trial = tmp_path / "overhead" / "id" / "trials" / str(number)
        trial.mkdir(parents=True)
        phases = [{"begin_ns": (begin_s + after) * 1e9, "end_ns": 0} for after in (0.3, 0.0)]
        (trial / "result.json").write_text(json.dumps({"phases": phases}))

    (tmp_path / "overhead" / "latest").symlink_to("id")

    assert earlier.spacing_s(tmp_path) == pytest.approx([0.5, 0.3])
    assert earlier.line("a trial", [0.4], [0.3]) == "a trial: earlier 0.4 s, here 0.3 s: 0.75 times"


def test_a_place_without_a_checkout_is_not_compared_with(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no checkout of the project"):
        earlier.Checkout.at(tmp_path)


def test_runs_in_which_nothing_differs_have_queues_that_no_client_fills() -> None:
    document = strict_yaml.parse(decides.design(decides.SWEEP.read_text(), unchanged.CELLS).encode(), "x")
    found = spec.build(document, catalogue.load(figures.ROOT / "roles"))

    levels = {f.name: [int(lv.value) for lv in f.levels] for f in found.factors}
    assert levels == {"listen_backlog": [1024, 2048], "clients": [50, 200]}
    assert min(levels["listen_backlog"]) > int(str(found.settings["workers"])) >= max(levels["clients"])
    assert (found.rule.reference, found.repetitions.passes) == ("1024", 2)


def test_a_false_alarm_is_any_claim_of_a_difference() -> None:
    words = ("costs_at_least", "gains_at_least", "real_near", "equivalent", "inconclusive", "described")
    assert unchanged.alarms([{"answer": word} for word in words]) == 3

    assert unchanged.row([0] * 10, [0] * 9).reached
    assert not unchanged.row([0] * 9 + [1], [0] * 9).reached
    assert not unchanged.row([0] * 10, [0] * 8 + [1]).reached
    assert not unchanged.row([0] * 9, [0] * 8).reached, "ten are asked for"


def test_what_lies_between_blocks_is_told_with_the_judging_and_without_it(tmp_path: Path) -> None:
    """By a clock that runs since the boot, 1,000 s after 1970's."""
    for name, block, begin_s, end_s, judged_s in (
        ("a", 1, 10.0, 11.0, 1013.5),
        ("b", 1, 12.0, 13.0, 1013.75),
        ("c", 2, 14.0, 15.0, 1016.0),
    ):
        trial = tmp_path / "trials" / name
        trial.mkdir(parents=True)
        phase = {"begin_ns": int(begin_s * 1e9), "end_ns": int(end_s * 1e9)}
        clock = {"realtime_ns": 1_000_000_000_000, "monotonic_ns": 0}
        (trial / "result.json").write_text(json.dumps({"phases": [phase], "clock": clock}))
        (trial / "trial.json").write_text(json.dumps({"block": block}))
        (trial / "outcome.json").write_text("{}")
        os.utime(trial / "outcome.json", (judged_s, judged_s))

    found = decides.between(tmp_path)

    assert (found.over_s, found.judged_s) == ([1.0], [0.25])


def test_two_designs_say_the_same_where_both_intervals_leave_room_for_it() -> None:
    def known(**ratios: tuple[float, float]) -> decides.Known:
        named = {("throughput_rps", level, "at"): of for level, of in ratios.items()}
        return decides.Known(
            [1.0],
            1,
            6,
            named,
            {"throughput_rps": (0.98, 0.97, 0.99)},
            {"s_per_trial": 0.1, "share_in_windows": 0.001},
            decides.Between([1.1], [0.2]),
        )

    now, then = known(a=(0.00, 0.03), b=(0.05, 0.03)), known(a=(0.05, 0.04), b=(0.15, 0.04))

    row = decides.rows({"now": now, "then": then}, 15.0)[-1]

    assert row.ours[0].values == pytest.approx([1.0, 2.0])
    assert not row.reached
    assert row.beside[0].values == [0.98, 0.97, 0.99]
    assert decides.rows({"now": now, "then": now}, 15.0)[-1].reached
