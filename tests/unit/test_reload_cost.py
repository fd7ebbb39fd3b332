"""What a reload costs: the figures of a trial, a cell's mean with its interval, and what the verdict says of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cgidlab import measure
from cgidlab.analysis.analyse import analyse
from cgidlab.analysis.reload_cost import ReloadCost
from cgidlab.analysis.reloads import rate_interval, reload_costs
from cgidlab.errors import StoreError
from cgidlab.model import Figures, Repetitions, Scalar, TrialRecord, VerdictRule
from cgidlab.verdict import Verdict, japanese, judge, summary_json
from tests.unit.test_languages import ENGLISH, NAMES
from tests.unit.test_measure import BEGIN_NS, BEGIN_US, SECOND, Trial, retry, steady_rows
from tests.unit.trial_records import TAIL, THROUGHPUT, experiment, trial

RELOADED: Mapping[str, Scalar] = {
    "fault": "graceful", "fault_at_s": 1.0, "fault_for_s": 2.0, "fault_every_s": 4.0, "window_s": 10.0,
    "clients": 10, "loop": "closed", "log_level": "warn cgid:debug", "patches": "",
}  # fmt: skip


# A trial.


def reloaded(tmp_path: Path, sent_s: Sequence[float] = (1.0, 5.0), **changes: object) -> Path:
    """Return a trial in which six answers were a 503, five requests had no answer, and httpd was reloaded twice."""
    rows = [(s, 503 if i in range(300, 306) else c, d) for i, (s, c, d) in enumerate(steady_rows())]
    stdout = f"steady: {len(rows)} answered, 5 unanswered, 9 connections renewed\n"
    made = Trial(
        rows=rows, stdout=stdout, driver="steady",
        argv=("steady", "10", "12", "rows.log", "127.0.0.1", "80", "/cgi-bin/hello"),
        error_log="".join(retry(t, 2) for t in (1.1, 1.2, 5.1)), settings=dict(RELOADED),
    )  # fmt: skip
    path = replace(made, **changes).write(tmp_path)  # type: ignore[arg-type]  # fields of any type
    found = [
        {"sent_ns": BEGIN_NS + int(s * SECOND), "daemon_before": 5 + i, "daemon_after": 6 + i}
        for i, s in enumerate(sent_s)
    ]
    (path / "reloads.json").write_text(json.dumps({"schema_version": 1, "action": "graceful", "reloads": found}))
    return path


def test_what_a_reload_loses_is_what_failed_by_the_number_of_reloads(tmp_path: Path) -> None:
    measured = measure.measure(reloaded(tmp_path))

    f = measured.figures
    assert (f.errors, f.gave_up_503, f.retries_enoent_in_window) == (11, 6, 3)
    assert (f.reloads, f.lost_per_reload, f.enoent_per_reload) == (2, 5.5, 1.5)
    assert [c.state for c in measured.checks if c.name == "reloads"] == ["passed"]
    assert not any(c.failed for c in measured.checks), measured.checks


@pytest.mark.parametrize("sent_s", [(1.0,), (1.0, 5.0, 9.0), (-0.5, 5.0), ()])
def test_a_trial_with_another_number_of_reloads_than_was_ordered_is_invalid(
    tmp_path: Path, sent_s: Sequence[float]
) -> None:
    measured = measure.measure(reloaded(tmp_path, sent_s))

    check = next(c for c in measured.checks if c.name == "reloads")
    assert check.failed
    assert check.reason.startswith("reloads proved: ")
    assert check.reason.endswith(" of 2")


def test_a_trial_without_reloads_has_no_figure_of_them(tmp_path: Path) -> None:
    f = measure.measure(Trial().write(tmp_path)).figures

    assert (f.reloads, f.lost_per_reload, f.enoent_per_reload) == (None, None, None)


def test_what_was_lost_is_not_known_of_a_driver_that_does_not_count_it(tmp_path: Path) -> None:
    ab = ["ab", "-k", "http://127.0.0.1/cgi-bin/hello"]
    path = reloaded(tmp_path, driver="ab", argv=tuple(ab))
    header = "starttime\tseconds\tctime\tdtime\tttime\twait\n"
    (path / "load/rows.log").write_text(header + f"Mon Nov 23 15:04:05 2026\t{BEGIN_US // 10**6 + 2}\t0\t9\t9\t9\n")

    measured = measure.measure(path)

    assert (measured.figures.reloads, measured.figures.lost_per_reload) == (2, None)
    assert "how many requests got no answer" in next(c.reason for c in measured.checks if c.name == "reloads")


@pytest.mark.parametrize(
    "wrong",
    [
        '{"schema_version": 1, "action": "graceful"}',
        '{"schema_version": 1, "action": "melt", "reloads": []}',
        '{"schema_version": 1, "action": "graceful", "reloads": [{"sent_ns": "1"}]}',
        '{"schema_version": 9, "action": "graceful", "reloads": []}',
    ],
)
def test_a_file_of_reloads_that_is_none_is_refused_by_name(tmp_path: Path, wrong: str) -> None:
    path = reloaded(tmp_path)
    (path / "reloads.json").write_text(wrong)

    with pytest.raises(StoreError) as caught:
        measure.measure(path)

    assert "reloads.json" in str(caught.value.where)


# A cell.


def cell(
    lost: Sequence[float], levels: Mapping[str, str], *, kind: str = "graceful", p99: float = 50.0
) -> list[TrialRecord]:
    """Return a trial of two reloads a block, with so many requests lost at each."""
    rng = np.random.default_rng(len(lost) + int(p99))
    return [
        trial(
            block,
            Figures(
                throughput_rps=1000 * float(np.exp(rng.normal(0, 0.002))),
                latency_p99_ms=p99 * float(np.exp(rng.normal(0, 0.02))),
                requests=5000, errors=round(2 * value), gave_up_503=round(2 * value), queue_full_share=0.5,
                queue_depth_max=101, queue_limit=100, workers_in_connect_max=50,
                reloads=None if kind == "none" else 2,
                lost_per_reload=None if kind == "none" else value,
                enoent_per_reload=None if kind == "none" else 3.0,
            ),
            {**levels, "fault": kind},
            settings={"fault": kind},
        )
        for block, value in enumerate(lost, start=1)
    ]  # fmt: skip


def only(records: Sequence[TrialRecord]) -> ReloadCost:
    (found,) = reload_costs(records, (6,))
    return found


def test_a_cells_cost_is_the_mean_over_blocks_with_students_interval_where_blocks_differ() -> None:
    found = only(cell([80, 120, 90, 110, 70, 130], {"clients": "200"}))

    assert (found.kind, found.blocks, found.reloads, found.lost, found.enoent) == ("graceful", 6, 12, 100.0, 3.0)
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx((75.1, 124.9), abs=0.5)


def test_six_blocks_that_are_alike_by_luck_are_not_known_better_than_a_count_can_be() -> None:
    found = only(cell([1, 1, 1, 1, 1, 1], {"clients": "200"}))

    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx((0.517, 1.747), abs=0.001)  # Garwood: 12 in 12


def test_an_interval_does_not_go_below_nothing() -> None:
    found = only(cell([0, 0, 0, 0, 0, 6], {"clients": "200"}))

    assert found.interval is not None
    assert found.interval.low == 0
    assert found.interval.high > 3.5


def test_none_lost_gives_no_interval_and_says_how_rare_it_is() -> None:
    found = only(cell([0] * 6, {"clients": "50"}))

    assert (found.lost, found.interval) == (0.0, None)
    assert found.rarest == pytest.approx(0.393, abs=0.001)


def test_below_six_blocks_nothing_is_claimed() -> None:
    for lost in ([0] * 5, [5] * 5):
        found = only(cell(lost, {"clients": "50"}))
        assert (found.interval, found.rarest) == (None, None)


@pytest.mark.parametrize(
    ("mean", "shape", "clump", "least"),
    [
        pytest.param(0.5, None, 1, 0.96, id="few, by chance alone"),
        pytest.param(100.0, None, 1, 0.955, id="many, by chance alone"),
        pytest.param(100.0, 10.0, 1, 0.92, id="many, blocks differ by a third"),
        pytest.param(5.0, 4.0, 1, 0.91, id="few, blocks differ by half"),
        pytest.param(20.0, None, 20, 0.91, id="twenty at a time"),
    ],
)
def test_the_interval_holds_the_mean_as_often_as_the_document_says(
    mean: float, shape: float | None, clump: int, least: float
) -> None:
    """Six blocks of two reloads; docs/statistics.md has the table."""
    rng = np.random.default_rng(7)
    held = total = 0
    for _ in range(1000):
        rates = mean * (rng.gamma(shape, 1 / shape, 6) if shape else np.ones(6))
        values = clump * rng.poisson(2 * rates / clump) / 2
        if not values.any():
            continue
        total += 1
        held += rate_interval([float(v) for v in values], 12, 0.05).holds(mean)

    assert held / total >= least


# What is said.


def run(*, short: Sequence[float] = (95,) * 6, long: Sequence[float] = (190,) * 6) -> list[TrialRecord]:
    """Return a run in which a queue of 1024 halves the tail, and a graceful reload loses so many with each queue."""
    return [
        *cell([0] * 6, {"listen_backlog": "100", "clients": "200"}, kind="none", p99=200.0),
        *cell([0] * 6, {"listen_backlog": "1024", "clients": "200"}, kind="none", p99=100.0),
        *cell(short, {"listen_backlog": "100", "clients": "200"}, p99=900.0),
        *cell(long, {"listen_backlog": "1024", "clients": "200"}, p99=900.0),
    ]


def judged(records: Sequence[TrialRecord]) -> Verdict:
    made = experiment(records, VerdictRule("listen_backlog", "100", (THROUGHPUT, TAIL)), Repetitions(6, 6))
    return judge(analyse(records, made), records)


def line(found: Verdict, name: str) -> str:
    return next(answer.text for answer in found.answers if answer.name == name)


def test_advice_for_a_longer_queue_names_what_it_costs_at_each_reload() -> None:
    said = line(judged(run()), "Do")

    assert "; about 190 requests are lost at each graceful reload with 1024, 95 with 100." in said


def test_a_run_that_measured_no_reload_names_no_price() -> None:
    said = line(judged([r for r in run() if r.settings["fault"] == "none"]), "Do")

    assert "both to 1024" in said
    assert "lost" not in said


def test_a_price_of_one_queue_alone_is_none() -> None:
    records = [r for r in run() if dict(r.levels) != {"listen_backlog": "100", "clients": "200", "fault": "graceful"}]

    assert "lost" not in line(judged(records), "Do")


def test_the_verdict_begins_with_what_a_reload_loses() -> None:
    found = judged(run(short=[0] * 6, long=[180, 200, 190, 185, 195, 190]))

    assert found.answers[0].name == "Reload"
    assert found.answers[0].text == (
        "Requests lost at each graceful reload at 200 clients: none in 12 reloads, and in fewer than 39 % of such "
        "trials any (95 %) with 100; 190 (182 to 198) with 1024."
    )
    told = "each graceful reload lost 190 (182 to 198) at listen_backlog=1024, clients=200, fault=graceful"
    assert told in found.text


def test_requests_that_a_reload_loses_are_no_riddle() -> None:
    found = judged(run())

    assert not any("find out why" in answer.text for answer in found.answers)
    assert [c.fails for c in found.errors] == [False] * 4
    other = [replace(r, settings={**r.settings, "fault": "none"}) for r in run()]
    assert any(c.fails for c in judged(other).errors), "without a reload they are"


@pytest.mark.parametrize("short", [[0] * 6, [95] * 6, [5] * 4])
def test_all_of_it_is_said_in_japanese(short: Sequence[float]) -> None:
    found = judged(run(short=short))

    for answer in found.answers:
        if answer.name in ("Reload", "Do"):
            assert not ENGLISH.search(NAMES.sub("", answer.told_in("ja")[1])), answer.told_in("ja")


def test_the_summary_has_each_cells_cost() -> None:
    records = run(short=[0] * 6)
    made = experiment(records, VerdictRule("listen_backlog", "100", (THROUGHPUT, TAIL)), Repetitions(6, 6))
    analysis = analyse(records, made)
    found = summary_json(analysis, judge(analysis, records), experiment="x", run_id="r", timing={}, failures={})

    assert [(r["levels"]["listen_backlog"], r["lost"], r["interval"] is None) for r in found["reloads"]] == [
        ("100", 0.0, True),
        ("1024", 190.0, False),
    ]


def test_levels_that_lose_alike_are_told_together() -> None:
    found = judged(run(short=[0] * 6, long=[0] * 6))

    assert found.answers[0].text.endswith("of such trials any (95 %) with 100 and 1024.")


def test_each_clause_of_several_is_japanese_by_itself() -> None:
    told = (
        "none in 12 reloads, and in fewer than 39 % of such trials any (95 %) with mod_cgi and uWSGI; "
        "114 (108 to 120) with mod_cgid"
    )

    assert japanese.said(told) == (
        "mod_cgi、uWSGI では 再読み込み 12 回で失われたものはなく、失うのはこうした試行の 39 % 未満(95 %)、"
        "mod_cgid では 114 件(108〜120)"
    )
    two = "throughput 349.2 % more (270.4 to 444.8) with uWSGI; p99 latency 498.0 % more (383.1 to 640.3) with mod_cgi"
    assert japanese.said(two) == (
        "uWSGI のときスループットが 349.2 % 増(270.4〜444.8)、mod_cgi のときp99 レイテンシが 498.0 % 増(383.1〜640.3)"
    )
