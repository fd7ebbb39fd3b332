"""A run of version 0.1.0, kept as it was, is read by every later version, and says the same."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from cgidlab import cli
from cgidlab.design import catalogue
from cgidlab.design.plan import make
from cgidlab.engine import resuming
from cgidlab.errors import SpecError, StoreError
from cgidlab.parsers import plan_document, versions
from cgidlab.runs import records, store
from cgidlab.runs.concluding import conclude

REPO = Path(__file__).parents[2]
KEPT = REPO / "tests" / "data" / "run-0.1.0"


@pytest.fixture
def run(tmp_path: Path) -> store.RunDirectory:
    """Return a copy of the kept run without its summary."""
    path = tmp_path / "smoke" / KEPT.name
    shutil.copytree(KEPT, path)
    (path / "summary.json").unlink()
    return store.open_run(path)


def summary(path: Path) -> dict[str, Any]:
    """Return what a run's trials are and measured: how effects are judged and said is another matter now."""
    value: dict[str, Any] = json.loads((path / "summary.json").read_text())
    value = versions.up_to_date("summary.json", value, "x")
    kept = ("experiment", "run_id", "trials", "reasons", "failures", "damaged", "blocks", "timing")
    columns = versions.up_to_date("summary.json", json.loads((KEPT / "summary.json").read_text()), "x")["cells"][0][
        "medians"
    ]
    cells = [
        {**c, "medians": {n: c["medians"][n] for n in columns}, "spreads": {n: c["spreads"][n] for n in columns}}
        for c in value["cells"]
    ]
    seen = {name: value["verdict"][name] for name in ("overflow", "retries")}
    return {**{name: value[name] for name in kept}, "cells": cells, "verdict": seen}


def test_it_says_what_it_said_then(run: store.RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", str(run.path)]) == 0

    assert summary(run.path) == summary(KEPT)
    assert "trials: 4 complete" in capsys.readouterr().out


def test_it_says_the_same_when_its_raw_files_are_measured_again(run: store.RunDirectory) -> None:
    for figures in run.trials.glob("*/figures.json"):
        figures.unlink()

    assert conclude(run, verify=True).damaged == ()

    assert summary(run.path) == summary(KEPT)


def test_every_other_verb_reads_it(run: store.RunDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = run.path.with_name("other")
    shutil.copytree(run.path, other)

    assert cli.main(["status", str(run.path)]) == 0
    assert cli.main(["history", "smoke", "--results", str(tmp_path)]) == 0
    assert cli.main(["compare", str(run.path), str(other)]) == 0
    assert "finished: 4 of 4 trials done" in capsys.readouterr().out


def test_going_on_with_it_says_that_what_measures_is_another_now(run: store.RunDirectory) -> None:
    continued = resuming.load(run, REPO, None)

    assert continued.pending == 0
    with pytest.raises(SpecError, match="this has changed") as refused:
        resuming.refuse(continued, continued.differences, ())
    assert "- measuring: " in str(refused.value)


def test_it_goes_on_in_the_order_in_which_it_was_begun(run: store.RunDirectory) -> None:
    begun = [(t["number"], t["cell"], t["key"]) for t in run.read("plan.json")["trials"]]
    today = make(store.experiment_of(run), catalogue.load(REPO / "roles"))
    assert [(t.number, t.cell.id) for t in today.trials] != [(n, cell) for n, cell, _ in begun], "another order today"

    continued = resuming.load(run, REPO, None)

    assert [(t.number, t.cell.id, t.key) for t in continued.loaded.plan.trials] == begun


def test_its_plan_is_of_an_older_version_and_is_brought_up_to_date(run: store.RunDirectory) -> None:
    assert json.loads((run.path / "plan.json").read_bytes())["schema_version"] < versions.CURRENT["plan.json"]

    plan = run.read("plan.json")

    assert plan["schema_version"] == versions.CURRENT["plan.json"]
    assert plan["kind"] == "experiment"
    assert (plan["rule"]["bounds"], plan["rule"]["required"]["thresholds"]) == ({}, [])
    assert (plan["extended"], plan["derived"], plan["search"]) == (None, {}, None)


def test_a_plan_from_before_noise_was_looked_at_is_read(run: store.RunDirectory) -> None:
    plan = json.loads((run.path / "plan.json").read_bytes())
    del plan["noise"], plan["document_sha256"]

    found = plan_document.PLAN.parse(json.dumps(plan).encode(), where="x")

    assert found.noise.reruns == 0


def test_the_words_of_an_older_summary_are_those_of_today() -> None:
    limits = {"verdict": {"limits": [{"name": "load generator", "text": "the load generator used 0.9 of a core"}]}}
    older = {
        "schema_version": 1,
        "cells": [{"medians": {"loadgen_cpu_share": 0.9}}],
        **limits,
        "drift": {"change": 0.1},
    }

    found = versions.up_to_date("summary.json", older, "x")

    assert found["cells"] == [{"medians": {"driver_cpu_share": 0.9}}]
    assert found["verdict"]["limits"][0]["name"] == "driver"
    assert found["drift"] is None
    apart = {"range": 0.1}
    assert versions.up_to_date("summary.json", {"schema_version": 1, "drift": apart}, "x")["drift"] == apart


def test_what_was_measured_is_not_measured_again_for_a_words_sake(run: store.RunDirectory) -> None:
    (trial, *_), _ = run.stored_trials()
    before = (trial.directory / "figures.json").read_bytes()

    record = records.load(run.path, trial)

    assert b"loadgen_cpu_share" in before
    assert record.figures.driver_cpu_share == json.loads(before)["figures"]["loadgen_cpu_share"]


@pytest.mark.parametrize("kind", versions.CURRENT)
def test_every_older_version_of_every_kind_has_a_way_up(kind: str) -> None:
    newest = versions.CURRENT[kind]
    for version in range(1, newest + 1):
        assert versions.up_to_date(kind, {"schema_version": version}, "x")["schema_version"] == newest
    wrong: tuple[object, ...] = (0, -1, True, "1", 1.0, None, newest + 1, 10**30)
    for value in wrong:
        with pytest.raises(StoreError, match="schema_version is"):
            versions.up_to_date(kind, {"schema_version": value}, "x")
