"""What `plan` expects of a run by the spread of the last one, and what a run shows of its precision as it narrows."""

import io
import json
import math
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cgidlab import cli
from cgidlab.analysis.effects import effects
from cgidlab.analysis.findings import unanswered
from cgidlab.analysis.power import chance_decided
from cgidlab.design import limiting, plan
from cgidlab.design.plan import trial_s
from cgidlab.engine.foretelling import Foretelling
from cgidlab.engine.pacing import Pacing, session_s
from cgidlab.gathered import answering
from cgidlab.model import Figures, Outcome, Plan, Repetitions, Status, TrialRecord
from cgidlab.progress import Display
from cgidlab.runs import expecting, store
from tests.unit.run_directories import CATALOGUE, planned

TEXT = """\
schema_version: 1
name: small
question: When is it known?
factors: {listen_backlog: [5, 100, 1024]}
settings: {workers: 50, threads_per_child: 25}
window_s: 1.0
passes: 4
repetitions: {min: 6, max: 12, until: decided}
noise: ignore
verdict: {factor: listen_backlog, reference: 100}
"""


def effect(sd: float, ratio: float, response: str = "throughput_rps", **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "response": response, "factor": "listen_backlog", "level": "5", "reference": "100", "pooled": False,
        "scale": "ratio", "estimate": ratio, "interval": [0.9, 1.1], "answer": "inconclusive",
        "smallest": 0.05 if response == "throughput_rps" else 0.2, "block_sd": sd, "blocks": 24, "trimmed": 0, **more,
    }  # fmt: skip


def finished(results: Path, design: Plan, *effects: dict[str, Any], run_id: str = "20260101T000000Z-aaaa") -> None:
    run = store.create(results, design, run_id)
    verdict = {"overflow": "observed", "lines": []}
    run.write("summary.json", {"trials": {}, "verdict": verdict, "effects": effects, "cells": [], "block_s": 30.0})
    run.set_state(store.FINISHED)


@pytest.mark.parametrize(
    "changed",
    [
        {"effects": [effect(0.02, -1.0)]},
        {"effects": [effect(0.02, 1.0, answer="x")]},
        {"effects": [effect(0.02, 1.0, interval=[-1.0, 2.0])]},
        {"effects": [effect(0.02, 1.0, trimmed=12)]},
        {"effects": [{k: v for k, v in effect(0.02, 1.0).items() if k != "blocks"}]},
        {"effects": [effect(0.02, 1.0)], "block_s": -30.0},
        {"effects": [effect(0.02, 1.0)], "block_s": 1e300},
    ],
)
def test_nothing_is_expected_by_a_summary_that_no_run_writes(changed: dict[str, Any], tmp_path: Path) -> None:
    design = planned(tmp_path, TEXT)
    finished(tmp_path, design, effect(0.02, 1.0))
    run = store.RunDirectory(tmp_path / "small" / "20260101T000000Z-aaaa")
    assert expecting.expected(design, tmp_path) is not None

    run.write("summary.json", {**run.read("summary.json"), **changed})

    assert expecting.expected(design, tmp_path) is None
    assert expecting.last_block_s(design, tmp_path) is None


@pytest.mark.parametrize(
    ("sd", "ratio", "want"),
    [
        pytest.param(0.02, 1.0, (1, 6), id="a small spread is decided at the first look"),
        pytest.param(0.08, 1.0, (1, 10), id="a larger one at a later look"),
        pytest.param(0.5, 1.0, (0, 6), id="a wide one at none"),
        pytest.param(0.02, 1.05, (1, 6), id="a real change near what matters is an answer"),
    ],
)
def test_the_spread_of_the_last_run_says_when_it_will_be_decided(
    tmp_path: Path, sd: float, ratio: float, want: tuple[int, int]
) -> None:
    design = planned(tmp_path, TEXT)
    finished(tmp_path / "results", design, effect(sd, ratio))

    found = expecting.expected(design, tmp_path / "results")

    assert found is not None
    assert (found.decided, found.blocks) == want
    assert found.seconds == found.blocks * 30.0


def test_what_a_trimmed_run_did_not_keep_is_no_better_known(tmp_path: Path) -> None:
    """Its spread belongs to what was kept: with a quarter out at either end that is smaller by a root of two."""
    design = planned(tmp_path, TEXT)
    wide = 0.08
    finished(tmp_path / "whole", design, effect(wide, 1.0))
    finished(tmp_path / "trimmed", design, effect(wide / math.sqrt(2), 1.0, trimmed=6))

    assert expecting.expected(design, tmp_path / "trimmed") == expecting.expected(design, tmp_path / "whole")


def test_a_percentile_has_a_unit_a_block_and_throughput_one_a_pass_that_answers(tmp_path: Path) -> None:
    design = planned(tmp_path, TEXT)
    finished(tmp_path / "results", design, effect(0.25, 1.0, "latency_p99_ms"), effect(0.05, 1.0))

    found = expecting.expected(design, tmp_path / "results")

    assert found is not None
    assert found.decided == 1, "a quarter of spread in 12 blocks does not decide 20 %"


@pytest.mark.parametrize("more", ["", "require: {latency_p99_ms: '<= 300', at: {listen_backlog: [100]}}\n"])
def test_a_plan_is_written_as_it_is_read_again(tmp_path: Path, more: str) -> None:
    found = store.plan_json(planned(tmp_path, TEXT + more))

    assert json.loads(json.dumps(found)) == found


def test_nothing_is_said_without_a_finished_run_of_the_same_cells(tmp_path: Path) -> None:
    design, results = planned(tmp_path, TEXT), tmp_path / "results"
    finished(results, planned(tmp_path, TEXT.replace("window_s: 1.0", "window_s: 2.0")), effect(0.02, 1.0))
    running = store.create(results, design, "20260102T000000Z-bbbb")
    running.set_state(store.RUNNING)

    assert expecting.expected(design, results) is None
    assert expecting.expected(design, tmp_path / "nowhere") is None


def test_plan_says_it_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finished(tmp_path / "results", planned(tmp_path, TEXT), effect(0.02, 1.0))

    status = cli.main(["plan", str(tmp_path / "small.yml"), "--results", str(tmp_path / "results")])

    said = "1 of 1 comparisons probably decided after 3 min (block 6), by the spread of 20260101T000000Z-aaaa"
    assert status == 0
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("truth", [0.0, 0.03, 0.05, 0.1, -0.2])
@pytest.mark.parametrize("error", [0.005, 0.02, 0.05])
def test_the_chance_of_a_decision_is_that_of_many_estimates(truth: float, error: float) -> None:
    equal, together = 1.7, 3.0
    estimates = truth + error * np.random.default_rng(1).standard_normal(200_000)
    low, high = math.log1p(-0.05), math.log1p(0.05)
    inside = (estimates - equal * error > low) & (estimates + equal * error < high)
    beyond = np.abs(estimates) > together * error

    want = float(np.mean(inside | beyond))

    assert chance_decided(truth, error, 0.05, (equal, together)) == pytest.approx(want, abs=0.005)


def paced(tmp_path: Path, design: Plan, noise: float) -> tuple[str, list[TrialRecord]]:
    """Run a design's blocks, of cells that differ by noise alone; return what was said, and the trials."""
    run = store.create(tmp_path / "results", design, "a")
    stream = io.StringIO()
    pacing = Pacing(design, run, Display(stream), None)
    rng = np.random.default_rng(4)
    records: list[TrialRecord] = []
    for number, block in enumerate(design.blocks, start=1):
        records += [
            TrialRecord(
                t.number, t.block, t.key, "trials/none", "local", tuple((n, lv.label) for n, lv in t.cell.levels),
                t.cell.settings, Outcome(t.key, Status.COMPLETE, "", None),
                Figures(throughput_rps=1000 * math.exp(noise * rng.standard_normal())), 0.1, None,
                pass_number=t.pass_number, watched=t.watched,
            )
            for t in block
        ]  # fmt: skip
        if pacing.stops_after(number, records):
            break
    return stream.getvalue(), records


def test_the_progress_says_what_is_answered_only_over_all_levels_of_the_other_factors(tmp_path: Path) -> None:
    loads = TEXT.replace("1024]}", "1024], clients: [10, 20, 40]}")

    design = planned(tmp_path, loads)

    said, records = paced(tmp_path, design, 0.045)

    last = re.findall(
        r"throughput known to .*?, (\d+) of 6 answered(?: \((\d+) only by what they have in common\))?", said
    )[-1]
    found = effects(answering(records), design.experiment.rule, design.experiment.repetitions, registered_only=True)
    cells = [e for e in found if not e.pooled and e.response == "throughput_rps"]
    alone = sum(e.answer.decided for e in cells)
    together = sum(e not in unanswered(found) for e in cells) - alone
    assert together > 0 < alone
    assert last == (str(alone + together), str(together))


def test_the_progress_shows_how_well_it_is_known_and_stops_when_that_is_enough(tmp_path: Path) -> None:
    experiment = replace(
        planned(tmp_path, TEXT).experiment,
        repetitions=Repetitions(6, 12, passes=4, watch_every=4, half_widths=(("throughput_rps", 0.025),)),
    )
    said, records = paced(tmp_path, plan.make(experiment, CATALOGUE), 0.03)

    ended = records[-1].block
    assert "after block 2: throughput known to \N{PLUS-MINUS SIGN}" in said
    assert f"stopping after block {ended}: every one of 2 comparisons is known well enough after {ended} blocks" in said
    assert 6 < ended <= 12


class Begun:
    """A session whose hosts are made ready in so many seconds."""

    def __init__(self, design: Plan, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.design, self.results, self.now = design, place / "results", 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def said(self, run_id: str, provisioned_s: float, calibrated_s: float, design: Plan | None = None) -> str:
        """Return what was said at its begin."""
        stream = io.StringIO()
        run = store.create(self.results, design or self.design, run_id)
        foretold = Foretelling(design or self.design, run, Display(stream), 600.0)
        self.now += provisioned_s
        foretold.calibrating(1)
        self.now += calibrated_s
        foretold.over(1)
        return stream.getvalue()


def test_the_time_left_begins_with_what_making_hosts_ready_took_in_the_last_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = Begun(planned(tmp_path, TEXT), tmp_path, monkeypatch)
    elsewhere = planned(tmp_path, TEXT.replace("name: small\n", "name: other\ntarget: vagrant\n"))
    upstream = planned(tmp_path, TEXT.replace("settings: {", 'settings: {httpd: "upstream:2.4.60", '))

    unknown = begun.said("20260101T000000Z-aaaa", 80.0, 40.0)
    first = begun.said("20260102T000000Z-aaaa", 20.0, 0.0)
    second = begun.said("20260103T000000Z-aaaa", 25.0, 0.0)
    other_host = begun.said("20260104T000000Z-aaaa", 90.0, 9.0, elsewhere)
    other_build = begun.said("20260105T000000Z-aaaa", 70.0, 30.0, upstream)

    assert unknown == "about 10 min of trials; how long hosts take to be made ready is not known here yet\n"
    assert first.startswith(
        "about 12 min left: 2 min until trials begin, as in the last runs here, and about 10 min of"
    )
    assert second.startswith("about 10 min left: 20 s until trials begin"), "what is done once is not awaited again"
    assert other_host == unknown
    assert other_build == unknown
    assert expecting.made_ready(begun.design, begun.results) == expecting.MadeReady(1, 20.0, 0.0)


def test_a_sessions_trials_take_what_the_last_runs_blocks_took_or_what_is_estimated(tmp_path: Path) -> None:
    design, results = planned(tmp_path, TEXT), tmp_path / "results"
    six = sum(trial_s(t.cell.settings) for block in design.blocks[:6] for t in block)

    estimate = session_s(design, results, None, ())
    assert estimate > six + limiting.extra_s(design), "and what limits is tried among them"
    assert session_s(design, results, 120.0, ()) < estimate, "of a budget no more than fits"
    finished(results, design, effect(0.02, 1.0))
    assert session_s(design, results, None, ()) == 6 * 30.0
