"""A run directory gives back what was put into it, and says which file it cannot read."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cgidlab.design import catalogue, plan, spec, strict_yaml
from cgidlab.errors import StoreError
from cgidlab.model import FailureKind, Outcome, Plan, Repetitions, Status
from cgidlab.runs import store

ROOT = Path(__file__).parents[2]
CATALOGUE = catalogue.load(ROOT / "roles")


@pytest.fixture
def sweep() -> Plan:
    return plan.make(spec.build(strict_yaml.read(ROOT / "experiments" / "backlog-sweep.yml"), CATALOGUE), CATALOGUE)


def test_latest_points_to_the_newest_run(tmp_path: Path, sweep: Plan) -> None:
    store.create(tmp_path, sweep, "first")
    second = store.create(tmp_path, sweep, "second")

    assert store.open_run(tmp_path / "backlog-sweep" / "latest") == second


def test_a_run_id_is_never_used_twice(tmp_path: Path, sweep: Plan) -> None:
    store.create(tmp_path, sweep, "same")

    with pytest.raises(StoreError, match="exists"):
        store.create(tmp_path, sweep, "same")


def test_the_experiment_comes_back_as_it_was_planned(tmp_path: Path, sweep: Plan) -> None:
    run = store.create(tmp_path, sweep, "a")

    assert store.experiment_of(run) == sweep.experiment


def test_passes_and_what_is_to_be_known_come_back_as_well(tmp_path: Path, sweep: Plan) -> None:
    asked = Repetitions(6, 12, passes=3, watch_every=4, half_widths=(("throughput_rps", 0.02),))
    wanted = plan.make(replace(sweep.experiment, repetitions=asked), CATALOGUE)
    run = store.create(tmp_path, wanted, "a")
    for trial in wanted.trials[:40]:
        directory = run.trials / trial.directory
        directory.mkdir()
        (directory / "trial.json").write_text(json.dumps(store.trial_json(trial, "h")))
        store.write_outcome(directory, Outcome(trial.key, Status.FAILED, "lost", FailureKind.INFRA))

    got, damaged = run.stored_trials()

    assert damaged == ()
    assert store.experiment_of(run) == wanted.experiment
    assert [(t.number, t.block, t.pass_number, t.watched) for t in got] == [
        (t.number, t.block, t.pass_number, t.watched) for t in wanted.trials[:40]
    ]
    assert {t.watched for t in got} == {True, False}


def test_a_trial_without_an_outcome_was_not_done(tmp_path: Path, sweep: Plan) -> None:
    run = store.create(tmp_path, sweep, "a")
    want = Outcome(sweep.trials[0].key, Status.INVALID, "why", FailureKind.TREATMENT)
    for trial in sweep.trials[:2]:
        directory = run.trials / trial.directory
        directory.mkdir()
        (directory / "trial.json").write_text(json.dumps(store.trial_json(trial, "h")))
    store.write_outcome(run.trials / sweep.trials[0].directory, want)

    got, damaged = run.stored_trials()

    assert damaged == ()
    assert [(t.number, t.outcome) for t in got] == [(1, want)]
    assert dict(got[0].levels) == {name: lv.label for name, lv in sweep.trials[0].cell.levels}


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("", "cannot be read"),
        ("{", "cannot be read"),
        ('{"schema_version": 5}', "reads up to 4"),
        ("[]", "is not an object"),
        ('{"schema_version": 1, "document_sha256": "0"}', "was changed"),
        (None, "missing"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, sweep: Plan, text: str | None, want: str) -> None:
    run = store.create(tmp_path, sweep, "a")
    if text is None:
        (run.path / "plan.json").unlink()
    else:
        (run.path / "plan.json").write_text(text)

    with pytest.raises(StoreError, match=want) as caught:
        store.experiment_of(run)

    assert caught.value.where == str(run.path / "plan.json")


def test_what_is_no_run_directory_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not a run directory"):
        store.open_run(tmp_path)
