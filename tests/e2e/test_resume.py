"""A run whose runner was killed goes on, and ends as if nothing had been."""

import csv
import json
import os
import pty
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_faults import EXPERIMENT, Run
from tests.waiting import eventually

pytestmark = [pytest.mark.needs_root, pytest.mark.slow]

TWO_BLOCKS = EXPERIMENT.replace("repetitions: 1", "repetitions: 2").replace("window_s: 1.0", "window_s: 1.5")


@pytest.fixture
def run(provisioned_host: dict[str, Any], tmp_path: Path, repo_root: Path) -> Iterator[Run]:
    """Return a run that a test starts; whatever is left of it is ended."""
    assert provisioned_host
    made = Run(tmp_path, repo_root, alone=False)  # its trials have namespaces, so they leave none
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.communicate()


KEPT = "trials/{:03d}-*/outcome.json"
ARRIVED = "ansible/block-*/incoming/{:03d}.arrival.json"


def kill_after(run: Run, trial: int, sign: str = KEPT) -> None:
    """Start a run and kill its runner at a sign of its first trials: the next one is at its beginning or under load."""
    run.start(experiment=TWO_BLOCKS)
    assert run.process is not None
    results = run.place / "results"
    first = [sign.format(number) for number in range(1, trial + 1)]
    assert eventually(lambda: all(any(results.glob(f"faults/2*/{one}")) for one in first), 240)
    run.send(signal.SIGKILL)
    run.process.communicate()
    assert eventually(lambda: not run.processes()), run.processes()


def on_a_terminal(run: Run, answers: str) -> str:
    """Run to the end on a terminal on which somebody types, and return what was shown there."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answers.encode())
        run.start(experiment=TWO_BLOCKS, terminal=theirs)
        os.close(theirs)
        said = b""
        with suppress(OSError):  # the other end has gone
            while data := os.read(ours, 1 << 16):
                said += data
        assert run.process is not None
        assert run.process.wait(60) == 0, said.decode()
    finally:
        os.close(ours)
    return said.decode()


def described(directory: Path) -> dict[str, object]:
    """Return what two runs of one experiment must have in common, figures aside."""
    summary = json.loads((directory / "summary.json").read_text())
    rows = list(csv.DictReader((directory / "trials.csv").open()))
    outcomes = [json.loads(p.read_text()) for p in sorted(directory.glob("trials/*/outcome.json"))]
    return {
        "trials": sorted(p.name for p in (directory / "trials").iterdir()),
        "files": sorted({p.name for p in directory.glob("trials/*/*")}),
        "outcomes": [(o["key"], o["status"]) for o in outcomes],
        "columns": list(rows[0]),
        "rows": [(r["trial"], r["block"], r["status"], r["listen_backlog"]) for r in rows],
        "summary": sorted(summary),
        "counts": summary["trials"],
        "cells": [(c["levels"], c["n"], c["planned"]) for c in summary["cells"]],
        "state": json.loads((directory / "state.json").read_text())["state"],
    }


def test_a_run_whose_runner_was_killed_goes_on_and_ends_as_if_nothing_had_been(run: Run) -> None:
    kill_after(run, 2)
    killed = run.directory
    kept = {p.parent.name: p.stat().st_mtime_ns for p in killed.glob("trials/*/outcome.json")}
    assert len(kept) == 2

    assert run.start(experiment=TWO_BLOCKS).end() == 2, run.output
    assert "the last run of this experiment was interrupted" in run.output
    assert "2 trials done, 2 pending" in run.output

    said = on_a_terminal(run, "what?\nr\n")
    assert said.count("Go on with it (r, --resume), or begin again (n, --new)?") == 2, said
    assert run.directory == killed, "it is the same run"
    resumed = described(killed)
    assert {
        n: t
        for n, t in ((p.parent.name, p.stat().st_mtime_ns) for p in killed.glob("trials/*/outcome.json"))
        if n in kept
    } == kept
    assert run.left() == {}

    assert run.start(experiment=TWO_BLOCKS).end() == 0, run.output
    assert run.directory != killed, "a run that is whole is in nobody's way"
    calls = sorted(p.parent.name for p in run.directory.glob("ansible/block-*/vars.json"))
    assert calls == ["block-001"], "both blocks went through one call of Ansible"
    assert described(run.directory) == resumed
    provenance = json.loads((killed / "provenance.json").read_text())
    assert [(r["done"], r["accepted"]) for r in provenance["resumed"]] == [(2, [])]


@pytest.mark.matrix
def test_a_run_in_which_something_changed_is_refused_unless_that_is_accepted(run: Run) -> None:
    kill_after(run, 1, ARRIVED)
    arrived = [p.name[:3] for p in sorted(run.directory.glob(ARRIVED.replace("{:03d}", "*")))]
    assert run.outcomes() == [], "nothing is measured while the block's other trial is"
    path = run.directory / "provenance.json"
    provenance = json.loads(path.read_text())
    provenance["roles_sha256"], provenance["hosts"]["local"]["facts"]["kernel"] = "0" * 64, "1.2.3"
    del provenance["document_sha256"]  # or the file would be taken for damaged
    path.write_text(json.dumps(provenance))

    assert run.start("--resume", run.directory.name, experiment=TWO_BLOCKS).end() == 2, run.output
    before = sorted(p.name for p in (run.directory / "trials").iterdir())
    assert [name[:3] for name in before] == arrived, "what came home is kept"
    assert "  - roles: the roles changed: 000000000000, now " in run.output
    assert "kernel" not in run.output, "no host was asked yet"

    assert run.start("--resume", "--accept-changed", "roles", experiment=TWO_BLOCKS).end() == 2, run.output
    assert "  - kernel: kernel of local changed: 1.2.3, now " in run.output
    assert sorted(p.name for p in (run.directory / "trials").iterdir()) == before, "nothing was touched"

    accepted = ("--accept-changed", "roles", "--accept-changed", "kernel")
    assert run.start("--resume", *accepted, experiment=TWO_BLOCKS).end() == 0, run.output
    assert [o["status"] for o in run.outcomes()] == ["complete"] * 4
    assert json.loads(path.read_text())["resumed"][-1]["done"] == len(arrived)
    recorded = json.loads(path.read_text())["resumed"][-1]["accepted"]
    assert {d["field"] for d in recorded} == {"roles", "kernel"}
    assert run.left() == {}
