"""The state of a run is what is true now, not what was written last, and costs little to ask."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cgidlab import cli, processes
from cgidlab.design import catalogue, plan, spec, strict_yaml
from cgidlab.errors import StoreError
from cgidlab.model import FailureKind, Outcome, Plan, Status
from cgidlab.runs import status, store

ROOT = Path(__file__).parents[2]
CATALOGUE = catalogue.load(ROOT / "roles")


@pytest.fixture(scope="module")
def sweep() -> Plan:
    return plan.make(spec.build(strict_yaml.read(ROOT / "experiments" / "backlog-sweep.yml"), CATALOGUE), CATALOGUE)


def done(run: store.RunDirectory, number: int, ended: Status = Status.COMPLETE, at_s: float | None = None) -> None:
    """Leave what a trial that ended leaves; nothing but its outcome may be needed."""
    directory = run.trials / f"{number:03d}"
    directory.mkdir()
    kind = None if ended is Status.COMPLETE else FailureKind.INFRA
    store.write_outcome(directory, Outcome(f"{number}", ended, "", kind))
    if at_s is not None:
        os.utime(directory / "outcome.json", (at_s, at_s))


def test_trials_are_counted_by_how_they_ended(tmp_path: Path, sweep: Plan) -> None:
    run = store.create(tmp_path, sweep, "a")
    run.set_state(store.RUNNING, expected_trials=10)
    for number, ended in enumerate([Status.COMPLETE, Status.COMPLETE, Status.INVALID, Status.FAILED]):
        done(run, number, ended)
    (run.trials / "005-goes-on").mkdir()

    got = status.status(run.path)

    assert got.state == store.RUNNING
    assert got.trials == {Status.COMPLETE: 2, Status.INVALID: 1, Status.FAILED: 1}
    assert (got.done, got.expected, got.pending) == (4, 10, 6)


def test_the_time_left_follows_the_pace_of_the_trials(tmp_path: Path, sweep: Plan) -> None:
    run = store.create(tmp_path, sweep, "a")
    run.set_state(store.RUNNING, expected_trials=10, estimated_s=1.0)
    for number in range(4):
        done(run, number, at_s=1000.0 + 20 * number)

    assert status.status(run.path).left_s == pytest.approx(6 * 20)


def test_before_there_is_a_pace_the_estimate_is_the_time_left(tmp_path: Path, sweep: Plan) -> None:
    run = store.create(tmp_path, sweep, "a")
    run.set_state(store.RUNNING, expected_trials=10, estimated_s=50.0)

    assert status.status(run.path).left_s == 50.0


def test_a_run_whose_process_was_killed_is_interrupted(tmp_path: Path, sweep: Plan) -> None:
    run = store.create(tmp_path, sweep, "a")
    code = (
        "import sys, pathlib, cgidlab.runs.store as s; s.RunDirectory(pathlib.Path(sys.argv[1])).set_state(s.RUNNING)"
    )
    subprocess.run([sys.executable, "-c", code, str(run.path)], check=True, cwd=ROOT)

    got = status.status(run.path)

    assert (got.state, got.left_s) == (store.INTERRUPTED, None)
    assert "is gone" in got.note


def test_a_pid_that_another_process_has_now_is_not_the_one_that_was_written_down() -> None:
    me = processes.identity()

    assert processes.lives(**me)
    assert not processes.lives(me["pid"], me["started_ticks"] - 1, me["boot_id"])
    assert not processes.lives(me["pid"], me["started_ticks"], "another boot")


def test_a_process_that_nobody_waited_for_yet_lives_no_more() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as child:
        started = int(Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[19])
        assert processes.lives(child.pid, started, None)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

        assert not processes.lives(child.pid, started, None)


def test_a_finished_run_has_nothing_pending_however_many_blocks_it_took(tmp_path: Path, sweep: Plan) -> None:
    run = store.create(tmp_path, sweep, "a")
    run.set_state(store.RUNNING, expected_trials=72, budget={"budget_s": 60.0, "blocks": 1})
    done(run, 1)
    run.set_state(store.FINISHED)

    got = status.status(run.path)

    assert (got.state, got.pending, got.left_s) == (store.FINISHED, 0, None)
    assert "budget" in got.note


def test_a_state_without_a_number_of_trials_takes_it_from_the_plan(tmp_path: Path, sweep: Plan) -> None:
    run = store.create(tmp_path, sweep, "a")

    least = sweep.experiment.repetitions.min

    assert status.status(run.path).expected == sum(t.block <= least for t in sweep.trials)


def test_without_a_name_the_newest_run_of_every_experiment_is_shown(
    tmp_path: Path, sweep: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    store.create(tmp_path, sweep, "older")
    store.create(tmp_path, sweep, "newer").set_state(store.FINISHED)
    torn = tmp_path / "torn" / "one"
    torn.mkdir(parents=True)
    (torn / "plan.json").write_text("{}")
    (torn / "state.json").write_text("{")
    (tmp_path / "torn" / "latest").symlink_to("one")

    exit_status = cli.main(["status", "--results", str(tmp_path), "--format", "json"])

    runs = json.loads(capsys.readouterr().out)["runs"]
    assert exit_status == 0
    assert [(r["experiment"], r["run_id"], r["state"]) for r in runs] == [
        ("backlog-sweep", "newer", "finished"),
        ("torn", "one", "unreadable"),
    ]


def test_a_run_that_is_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not a run directory"):
        status.status(tmp_path)


def test_five_thousand_trials_are_counted_in_a_second(tmp_path: Path, sweep: Plan) -> None:
    """Files that are large in a real trial are made unreadable as JSON here: asking must not open them."""
    run = store.create(tmp_path, sweep, "a")
    run.set_state(store.RUNNING, expected_trials=5000)
    outcome = json.dumps({"schema_version": 1, "key": "k", "status": "complete", "reason": "", "kind": None})
    for number in range(5000):
        directory = run.trials / str(number)
        directory.mkdir()
        (directory / "outcome.json").write_text(outcome)
        (directory / "trial.json").write_text("{")
    (run.path / "plan.json").write_text("{")
    began_s = time.process_time()

    got = status.status(run.path)

    assert got.done == 5000
    assert time.process_time() - began_s < 2
