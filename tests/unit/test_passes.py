"""Watched and unwatched passes: which of them answer, which of them bear witness, and what watching itself costs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cgidlab.analysis import analyse
from cgidlab.analysis.analyse import decide
from cgidlab.analysis.observer import observer_effects
from cgidlab.analysis.pairs import by_unit
from cgidlab.gathered import answering
from cgidlab.model import FailureKind, Figures, Outcome, Repetitions, Status, TrialRecord, VerdictRule
from cgidlab.runs import reporting, tables
from cgidlab.runs.blockwise import Blockwise
from cgidlab.verdict import judge, summary_json
from cgidlab.verdict.ending import Ending
from cgidlab.verdict.overflow import Overflow
from tests.unit.test_measure import BEGIN_US, Trial
from tests.unit.trial_records import TAIL, THROUGHPUT, experiment, trial

BOTH = VerdictRule("listen_backlog", "100", (THROUGHPUT, TAIL))
PASSES = Repetitions(6, 6, passes=4, watch_every=4)
FULL = {
    "queue_limit": 100, "queue_depth_max": 101, "queue_full_share": 0.5, "workers_in_connect_max": 50,
    "workers_in_connect_mean": 20.0, "connects": 2000, "connect_p50_us": 100.0, "connect_p99_us": 90_000.0,
    "connect_max_us": 200_000.0, "connects_turned_away": 0,
}  # fmt: skip
EMPTY = {**FULL, "queue_limit": 1024, "queue_depth_max": 3, "queue_full_share": 0.0, "workers_in_connect_max": 0,
         "workers_in_connect_mean": 0.0, "connect_p99_us": 200.0, "connect_max_us": 800.0}  # fmt: skip


def run(*, watching: float = 0.9, blocks: int = 6, passes: int = 4, noise: float = 0.01) -> list[TrialRecord]:
    """Return a run of which one pass a block is watched, and runs so much slower there."""
    rng = np.random.default_rng(3)
    found: list[TrialRecord] = []
    for nth in range(blocks * passes):
        block, number = nth // passes + 1, nth % passes + 1
        watched = number == block % passes + 1
        pace = float(np.exp(noise * rng.standard_normal()))
        for label in ("100", "1024"):
            served = 1000.0 * pace * float(np.exp(noise * rng.standard_normal()))
            seen = (FULL if label == "100" else EMPTY) if watched else {}
            figures = Figures(
                throughput_rps=served * (watching if watched else 1.0),
                latency_p99_ms=50.0 / (watching if watched else 1.0),
                requests=1000,
                errors=0,
                **seen,  # type: ignore[arg-type]  # of the right types
            )
            made = trial(block, figures, {"listen_backlog": label}, started_s=1000.0 + 10 * nth)
            key = f"{made.key} p{number}"
            outcome = replace(made.outcome, key=key)
            found.append(
                replace(made, number=len(found) + 1, key=key, outcome=outcome, pass_number=number, watched=watched)
            )
    return found


def whole(records: list[TrialRecord], p99_ms: float = 80.0) -> list[TrialRecord]:
    """Return each cell's windows of a block as one."""
    first = {(r.block, r.levels): r for r in answering(records)}
    return [replace(r, pass_number=0, figures=Figures(latency_p99_ms=p99_ms, requests=3000)) for r in first.values()]


def analysed(records: list[TrialRecord]) -> analyse.Analysis:
    return analyse.analyse([*records, *whole(records)], experiment(records, BOTH, PASSES))


def test_responses_are_those_of_passes_in_which_nothing_watched() -> None:
    slow, fast = analysed(run(watching=0.5)), analysed(run(watching=1.0))

    assert slow.effects == fast.effects
    (throughput,) = [e for e in slow.effects if e.response == "throughput_rps"]
    assert throughput.blocks == 6 * 3, "three of four passes a block, each a unit"
    medians = [c.median("throughput_rps") for c in slow.cells]
    assert medians == [c.median("throughput_rps") for c in fast.cells]
    assert all(m is not None and m > 950 for m in medians)


def test_a_percentile_is_that_of_a_blocks_windows_together() -> None:
    found = analysed(run())

    assert [c.median("latency_p99_ms") for c in found.cells] == [80.0, 80.0]
    (tail,) = [e for e in found.effects if e.response == "latency_p99_ms"]
    assert tail.blocks == 6
    assert "p99 latency of a block's windows together in a closed loop" in judge(found, run()).lines[2]


def test_witnesses_are_those_of_watched_passes_and_an_unwatched_one_denies_nothing() -> None:
    records = run()
    verdict = judge(analysed(records), records)

    assert verdict.overflow is Overflow.OBSERVED
    assert [(dict(c.levels)["listen_backlog"], c.trials, c.observed, c.silent) for c in verdict.cells] == [
        ("100", 6, 6, ()),
        ("1024", 6, 0, ()),
    ]


def test_a_cell_without_a_watched_trial_has_no_witness_and_keeps_its_response() -> None:
    records = [r for r in run() if not (r.watched and dict(r.levels)["listen_backlog"] == "1024")]
    found = analysed(records)
    verdict = judge(found, records)

    assert {dict(c.levels)["listen_backlog"]: c.overflow for c in verdict.cells} == {
        "100": Overflow.OBSERVED,
        "1024": Overflow.INCONCLUSIVE,
    }
    assert "no valid trial was watched in 1 of 2 cells" in verdict.lines[0]
    assert not found.lost
    assert next(e for e in found.effects if e.response == "throughput_rps").blocks == 18


def test_a_run_that_ends_before_a_watched_trial_had_its_turn_blames_no_witness() -> None:
    records = [r for r in run(blocks=1) if not r.watched]
    going = Ending("./runner.py run --resume X", interrupted=True, done=len(records), planned=48)

    broken, over = judge(analysed(records), records, ending=going), judge(analysed(records), records)

    for verdict in (broken, over):
        assert verdict.lines[0] == "Whether the queue overflowed cannot be said; no valid trial was watched."
        assert verdict.answers[0].text == "NOT KNOWN: no valid trial was watched."
    assert broken.lines[4] == "Go on with the run, `./runner.py run --resume X`."
    assert over.lines[4] == "Get a valid trial that is watched before changing anything."


def test_a_run_that_ends_within_a_watched_pass_blames_no_witness_either() -> None:
    records = [r for r in run(blocks=1) if not r.watched or dict(r.levels)["listen_backlog"] == "1024"]
    going = Ending("./runner.py run --resume X", interrupted=True, done=len(records), planned=48)

    verdict = judge(analysed(records), records, ending=going)

    assert verdict.answers[0].text == "NOT KNOWN: no valid trial was watched."
    assert verdict.lines[4] == "Go on with the run, `./runner.py run --resume X`."
    still = judge(analysed(records), records, ending=replace(going, running=True))
    assert still.lines[4] == "Wait for the run's end."
    assert still.answers[-2].told_in("ja")[1] == "実行が終わるのを待つ。"


def test_a_cell_that_only_watched_passes_have_is_lost_for_responses() -> None:
    records = [r for r in run() if r.watched or dict(r.levels)["listen_backlog"] == "100"]

    assert analysed(records).lost == ((("listen_backlog", "1024"),),)


@pytest.mark.parametrize("cost", [0.9, 0.99, 1.0])
def test_what_watching_costs_comes_with_its_interval(cost: float) -> None:
    found = analysed(run(watching=cost)).observer

    throughput, tail = found
    assert throughput.interval is not None
    assert throughput.interval.holds(cost)
    assert throughput.passes == 6
    assert throughput.matters is (cost == 0.9)
    assert tail.ratio == pytest.approx(1 / cost)


def test_drift_from_pass_to_pass_is_no_effect_of_watching() -> None:
    records = [
        replace(r, figures=replace(r.figures, throughput_rps=1000.0 * 0.97 ** (4 * r.block + r.pass_number)))
        for r in run(watching=1.0)
    ]

    found = observer_effects(records, BOTH)[0]

    assert found.ratio == pytest.approx(1.0, abs=0.02)


def test_the_trust_line_names_an_observer_that_matters_and_no_other() -> None:
    def trust(cost: float) -> str:
        records = run(watching=cost)
        return next(line.text for line in judge(analysed(records), records).answers if line.topic == "trust")

    assert "Watching changed throughput by -10 % (-1" in trust(0.9)
    assert "atching" not in trust(0.99)


def test_the_report_and_the_summary_say_which_passes_answer_and_what_watching_does() -> None:
    records = run()
    found = analysed(records)

    said = reporting.watching_words(found)
    summary = summary_json(found, judge(found, records), experiment="x", run_id="r", timing={}, failures={})

    assert said.startswith("A block is 4 passes over its cells. One pass in 4 is watched by all instruments")
    assert "Where it is watched, throughput of a window differs by \N{MINUS SIGN}" in said
    assert summary["passes"] == {"of_a_block": 4, "answering": 3.0, "answering_blocks_share": 1.0}
    assert [o["watched_passes"] for o in summary["observer"]] == [6, 6]
    assert summary["trials"]["complete"] == 48, "a record of a block's windows together is no trial"


def test_a_run_of_which_every_pass_is_watched_is_as_it_was() -> None:
    records = [replace(r, watched=True) for r in run()]
    found = analyse.analyse(records, experiment(records, BOTH, Repetitions(6, 6, passes=4)))

    assert found.observer == ()
    assert next(e for e in found.effects if e.response == "throughput_rps").blocks == 24
    assert reporting.watching_words(found).startswith(
        "A block is 4 passes over its cells. All passes are watched by all instruments"
    )


def test_a_run_that_ended_before_an_unwatched_pass_says_whose_its_responses_are() -> None:
    records = [r for r in run() if r.watched]

    said = judge(analysed(records), records)

    assert "no pass was run that nothing watched: responses are of a watched server" in said.warnings
    assert not [w for w in judge(analysed(run()), run()).warnings if "nothing watched:" in w]


def test_minutes_are_those_of_passes_for_throughput_and_of_blocks_for_a_percentile() -> None:
    found = analysed(run())
    effects = {e.response: replace(e, more_blocks=6) for e in found.effects}

    assert found.block_s == pytest.approx(40)
    assert found.more_minutes(effects["throughput_rps"]) == pytest.approx(6 * 40 / 3 / 60)
    assert found.more_minutes(effects["latency_p99_ms"]) == pytest.approx(6 * 40 / 60)


def test_a_trial_that_was_run_again_does_not_take_the_percentile_from_its_block() -> None:
    noisy = trial(1, Figures(), {"listen_backlog": "100"}, status=Status.INVALID)
    again = replace(trial(1, Figures(latency_p99_ms=40.0), {"listen_backlog": "100"}), number=9)

    assert by_unit([noisy, again], "latency_p99_ms") == {("local", 1, 0): 40.0}


# Until it is known well enough ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("share", "stops"), [(0.02, True), (0.001, False)])
def test_a_run_stops_at_a_look_that_knows_enough(share: float, *, stops: bool) -> None:
    wanted = Repetitions(6, 30, passes=4, watch_every=4, half_widths=(("throughput_rps", share),))
    records = run()

    found = decide([*records, *whole(records)], BOTH, wanted)

    assert found.stop is stops
    known = next(p for p in found.precision if p.response == "throughput_rps")
    assert known.half_width is not None
    assert 0.001 < known.half_width < 0.02
    if stops:
        assert found.reason == "the only comparison is known well enough after 6 blocks"
    else:
        assert found.reason == "1 of 1 comparisons is not known well enough after 6 blocks", "30 would not do"


def test_how_many_blocks_a_half_width_takes_is_said_where_they_are_allowed() -> None:
    wanted = Repetitions(6, 30, passes=4, watch_every=4, half_widths=(("throughput_rps", 0.004),))

    found = decide(run(), BOTH, wanted)

    assert not found.stop
    assert found.blocks_needed is not None
    assert 6 < found.blocks_needed <= 30
    assert found.reason.endswith(f"; probably {found.blocks_needed} blocks would do")


# Windows together -----------------------------------------------------------------------------------------------------


def test_the_requests_of_a_blocks_unwatched_windows_are_taken_as_one(tmp_path: Path) -> None:
    rows = {1: [(i, 10_000) for i in range(99)], 2: [(i, 10_000 + 1000 * i) for i in range(99)], 3: [(0, 900_000)]}
    records = []
    for number, made in rows.items():
        place = tmp_path / f"trials/{number}"
        place.mkdir(parents=True)
        written = _window(place, made)
        record = trial(1, Figures(latency_p99_ms=1.0, worst_second_p99_ms=float(number)), {"listen_backlog": "100"})
        record = replace(record, figures=replace(record.figures, waiting_beyond_p99=number))
        directory = str(written.relative_to(tmp_path))
        records.append(replace(record, number=number, pass_number=number, watched=number == 3, directory=directory))

    blockwise = Blockwise(tmp_path)
    (found,), damaged = blockwise.of(records)

    latencies = sorted([v for _, v in rows[1]] + [v for _, v in rows[2]])
    assert damaged == ()
    assert (found.pass_number, found.watched, found.figures.requests) == (0, False, 198)
    assert found.figures.latency_p99_ms == pytest.approx(latencies[-2] / 1000), "nearest rank of 198"
    assert found.figures.latency_max_ms == pytest.approx(latencies[-1] / 1000)
    assert found.figures.worst_second_p99_ms == 2.0
    assert found.figures.waiting_beyond_p99 == 1 + 2, "of both windows, and not of the watched one"
    assert found.figures.throughput_rps is None


def _window(place: Path, made: list[tuple[int, int]]) -> Path:
    return Trial(rows=[(BEGIN_US + 1000 * i, 200, latency) for i, latency in made]).write(place)


def test_a_block_of_one_pass_needs_no_such_record_and_torn_rows_are_told(tmp_path: Path) -> None:
    one = trial(1, Figures(latency_p99_ms=1.0), {"listen_backlog": "100"})
    two = replace(one, pass_number=2, directory="trials/none")

    assert Blockwise(tmp_path).of([one]) == ((), ())
    found, damaged = Blockwise(tmp_path).of([replace(one, directory="trials/none"), two])
    assert found == ()
    assert [e.what for e in damaged] == ["the file is missing"]


def test_the_table_of_trials_says_pass_and_whether_it_was_watched(tmp_path: Path) -> None:
    records = run(blocks=1)
    lost = replace(records[0], outcome=Outcome("k", Status.FAILED, "lost", FailureKind.INFRA))

    tables.write(tmp_path, [lost, *records[1:]])

    rows = [line.split(",") for line in (tmp_path / "trials.csv").read_text().splitlines()]
    assert rows[0][:5] == ["trial", "block", "pass", "watched", "host"]
    assert [row[2:4] for row in rows[1:]] == [[str(r.pass_number), "yes" if r.watched else "no"] for r in records]
