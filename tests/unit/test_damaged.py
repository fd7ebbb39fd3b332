"""A damaged file of a run is named and counted, and everything else is still shown."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from cgidlab import cli
from cgidlab.errors import StoreError
from cgidlab.runs import store
from cgidlab.runs.concluding import conclude
from tests.unit.run_directories import EXPERIMENT, archive, keep, planned


@pytest.fixture
def run(tmp_path: Path) -> store.RunDirectory:
    """Return a finished run of eight trials, one of them failed."""
    plan = planned(tmp_path, EXPERIMENT.replace("repetitions: 3", "repetitions: 4"))
    made = store.create(tmp_path / "results", plan, "a")
    for trial in plan.trials[:-1]:
        keep(made, archive(tmp_path / "a.tar.gz", trial), trial)
    bad = plan.trials[-1]
    keep(made, archive(tmp_path / "a.tar.gz", bad, ended="failed", kind="sut", reason="httpd ended with -9"), bad)
    made.write("provenance.json", {"calibration": {"skipped": True}})
    made.set_state(store.FINISHED)
    return made


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-7] ^= 0x04
    path.write_bytes(bytes(data))


def newer(path: Path) -> None:
    text = path.read_text()
    path.write_text(
        re.sub(r'"schema_version": \d+', '"schema_version": 9', text) if text.startswith("{") else "v2\n" + text
    )


def noise(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 8)


WAYS = [emptied, truncated, flipped, newer, noise]


@pytest.mark.parametrize("name", ["outcome.json", "trial.json", "result.json", "SHA256SUMS"])
def test_trials_with_a_damaged_file_are_left_out_and_the_report_shows_the_rest(
    run: store.RunDirectory, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = sorted(run.trials.iterdir())[: len(WAYS)]
    for directory, how in zip(damaged, WAYS, strict=True):
        how(directory / name)

    exit_status = cli.main(["report", str(run.path)])

    said = capsys.readouterr()
    summary = json.loads((run.path / "summary.json").read_text())
    page = (run.path / "report.html").read_text()
    assert exit_status == 1
    assert summary["trials"] == {"complete": 2, "invalid": 0, "failed": 1}
    assert [d["file"].split("/")[1] for d in summary["damaged"]] == [d.name for d in damaged]
    assert "5 damaged files are left out" in summary["verdict"]["warnings"]
    assert "left out of everything here" in page
    for directory in damaged:
        assert f"  at:  {directory}" in said.err
        assert directory.name in page


@pytest.mark.parametrize("how", WAYS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", ["provenance.json", "state.json"])
def test_a_run_with_a_damaged_file_of_its_own_is_still_reported(
    run: store.RunDirectory, how: Callable[[Path], None], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    how(run.path / name)

    assert cli.main(["report", str(run.path)]) == 1

    assert str(run.path / name) in capsys.readouterr().err
    summary = json.loads((run.path / "summary.json").read_text())
    assert summary["trials"]["complete"] == 7
    assert [d["file"] for d in summary["damaged"]] == [name]
    assert cli.main(["report", str(run.path), "--format", "md"]) == 1
    assert name in capsys.readouterr().out.replace("\\", "")


@pytest.mark.parametrize("how", WAYS, ids=lambda f: f.__name__)
def test_a_run_whose_plan_is_damaged_is_reported_from_its_trials_and_names_it(
    run: store.RunDirectory, how: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    how(run.path / "plan.json")

    assert cli.main(["report", str(run.path)]) == 1

    assert str(run.path / "plan.json") in capsys.readouterr().err


@pytest.mark.parametrize("how", WAYS, ids=lambda f: f.__name__)
def test_damaged_figures_are_measured_again(run: store.RunDirectory, how: Callable[[Path], None]) -> None:
    figures = next(run.trials.glob("001-*")) / "figures.json"
    before = figures.read_bytes()
    how(figures)

    assert conclude(run, verify=True).damaged == ()
    assert figures.read_bytes() == before


def test_no_bit_of_an_outcome_can_change_unseen(run: store.RunDirectory) -> None:
    path = next(run.trials.glob("001-*")) / "outcome.json"
    whole = path.read_bytes()
    want = store.read_trial(path.parent)
    seen = 0
    for bit in range(len(whole) * 8):
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bytes(data))
        try:
            assert store.read_trial(path.parent) == want
        except StoreError:
            seen += 1
    assert seen > len(whole) * 4


def test_failures_are_counted_by_kind(run: store.RunDirectory) -> None:
    conclude(run)

    summary = json.loads((run.path / "summary.json").read_text())
    assert {kind: n for kind, n in summary["failures"].items() if n} == {"sut": 1}
    assert set(summary["failures"]) == {"infra", "sut", "client", "treatment", "noise", "timeout", "interrupted"}
    page = (run.path / "report.html").read_text()
    assert "<b>1 sut</b>: httpd did not start, died, or a CGI answered wrongly; not run again" in page


def test_status_counts_an_outcome_that_cannot_be_read(
    run: store.RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    run.set_state(store.INTERRUPTED, expected_trials=8)
    truncated(next(run.trials.glob("001-*")) / "outcome.json")

    assert cli.main(["status", str(run.path)]) == 0

    assert "interrupted: 7 of 8 trials done (6 complete, 1 failed), 1 damaged, 1 pending" in capsys.readouterr().out
