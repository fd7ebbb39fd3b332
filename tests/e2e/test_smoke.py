"""The whole chain on a really built httpd: `./runner.py experiments/smoke.yml`."""

import csv
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_faults import processes

pytestmark = [pytest.mark.needs_root, pytest.mark.slow]


@dataclass(frozen=True)
class Smoke:
    """One run of the smoke experiment, and the host's state around it."""

    status: int
    output: str
    run: Path
    rows: list[dict[str, str]]
    watched: list[dict[str, str]]  # of these, those of the pass in which all instruments were on
    summary: dict[str, Any]
    before: dict[str, str]
    after: dict[str, str]
    left: list[str]  # the run's own processes and mounts, after it


def _host_state() -> dict[str, str]:
    """Return the sysctls that a run must leave as they were."""
    return {name: (Path("/proc/sys/net") / name).read_text() for name in ("core/somaxconn", "unix/max_dgram_qlen")}


def _left(run_id: str) -> list[str]:
    """Return what is there of a run: what the machine has of others is none of its business."""
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [*(name for name, _ in processes(run_id).values()), *(m for m in mounts if run_id in m or "/cgid-" in m)]


@pytest.fixture(scope="module")
def smoke(repo_root: Path, calibrated: Path) -> Smoke:
    """Run the experiment once for all tests of this module; provisioning and calibration are done by then."""
    results = calibrated
    before = _host_state()
    ran = subprocess.run(
        [sys.executable, "runner.py", "experiments/smoke.yml", "--results", str(results)],
        check=False,
        cwd=repo_root,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    )
    run = results / "smoke" / "latest"
    assert run.exists(), ran.stderr
    rows = list(csv.DictReader((run / "trials.csv").open()))
    return Smoke(
        status=ran.returncode,
        output=ran.stdout + ran.stderr,
        run=run,
        rows=rows,
        watched=[row for row in rows if row["watched"] == "yes"],
        summary=json.loads((run / "summary.json").read_text()),
        before=before,
        after=_host_state(),
        left=_left(run.resolve().name),
    )


def test_all_trials_are_complete(smoke: Smoke) -> None:
    assert smoke.status == 0, smoke.output
    assert [r["status"] for r in smoke.rows] == ["complete"] * 4
    assert smoke.summary["trials"] == {"complete": 4, "invalid": 0, "failed": 0}


def test_one_of_two_passes_is_watched_and_in_the_other_only_free_counters_are_read(smoke: Smoke) -> None:
    assert len(smoke.watched) == 2
    assert len({row["pass"] for row in smoke.watched}) == 1
    for row in smoke.rows:
        assert float(row["throughput_rps"]) > 0
        assert 0 < float(row["host_cpu_share"]) <= 1
        assert 0 < float(row["driver_cpu_share"]) <= 1
        if row not in smoke.watched:
            assert row["queue_depth_max"] == row["workers_in_connect_max"] == row["connects"] == ""
            seen = {p.name for p in (smoke.run / row["directory"] / "instruments").iterdir()}
            assert seen == {"host.json", "sentinel.json"}
    assert [o["response"] for o in smoke.summary["observer"]] == ["throughput_rps", "latency_p99_ms"]
    assert smoke.summary["control_cpu"]["share_in_windows"] < 1, "measured, however busy this machine is"


def test_the_limit_in_force_is_the_level(smoke: Smoke) -> None:
    for row in smoke.watched:
        assert row["queue_limit"] == row["listen_backlog"]


def test_the_short_queue_was_full_and_the_long_one_was_not(smoke: Smoke) -> None:
    for row in smoke.watched:
        if row["listen_backlog"] == "5":
            assert int(row["queue_depth_max"]) == 6  # the kernel queues one more than the limit
            assert float(row["queue_full_share"]) > 0
            assert int(row["workers_in_connect_max"]) > 0
        else:
            assert int(row["queue_depth_max"]) < 1024
            assert float(row["queue_full_share"]) == 0
            assert int(row["workers_in_connect_max"]) == 0


def test_no_worker_retried(smoke: Smoke) -> None:
    assert {row["retries_in_window"] for row in smoke.rows} == {"0"}


def test_connect_was_timed_or_said_to_be_unavailable(smoke: Smoke) -> None:
    for directory in sorted((smoke.run / "trials").iterdir()):
        state = json.loads((directory / "result.json").read_text())["instruments"]["connect_times"]
        row = next(r for r in smoke.rows if r["directory"] == f"trials/{directory.name}")
        if row not in smoke.watched:
            assert state["state"] == "off"
        elif state["state"] == "ran":
            assert row["connects_refused"] == "0"
            # Each request connects twice: for itself, and to ask for the script's process.
            assert 1.8 < int(row["connects"]) / int(row["requests"]) < 2.2
        else:
            assert state["reason"]
            assert row["connect_max_us"] == ""


def test_the_verdict_says_that_the_queue_overflowed(smoke: Smoke) -> None:
    assert smoke.summary["verdict"]["overflow"] == "observed"
    said = " ".join(smoke.output.split())  # the terminal shows it wrapped
    assert all(" ".join(answer["text"].split()) in said for answer in smoke.summary["verdict"]["answers"])
    assert "NO with 1024. YES with 5: " in said


def test_the_calibration_that_was_there_proves_its_witnesses(smoke: Smoke) -> None:
    assert "calibrating" not in smoke.output
    assert "not proven" not in smoke.summary["verdict"]["text"]


def test_every_raw_file_has_its_checksum(smoke: Smoke) -> None:
    for directory in (smoke.run / "trials").iterdir():
        checked = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], check=False, cwd=directory)
        assert checked.returncode == 0
        assert (directory / "load" / "requests.parquet").exists()


def test_the_host_is_as_it_was(smoke: Smoke) -> None:
    assert smoke.after == smoke.before
    assert smoke.left == []


def test_the_report_can_be_made_again_from_the_directory_alone(smoke: Smoke, repo_root: Path) -> None:
    text = (smoke.run / "trials.csv").read_text()
    for name in ("trials.csv", "summary.json", "report.html"):
        (smoke.run / name).unlink()

    ran = subprocess.run(
        [sys.executable, "runner.py", "report", str(smoke.run)],
        check=False,
        cwd=repo_root,
        capture_output=True,
        text=True,
    )

    assert ran.returncode == 0, ran.stderr
    assert (smoke.run / "trials.csv").read_text() == text
    assert "<html" in (smoke.run / "report.html").read_text()
