"""Controls on a really built httpd: with the helper as it is, and with one whose queue witness is broken on purpose."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.needs_root, pytest.mark.slow]

SEES = 'f"{queue.depth},{queue.limit}"'
BLIND = 'f"0,{queue.limit}"'


def runner(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "runner.py", *words], check=False, cwd=root, capture_output=True, text=True, timeout=600
    )


@pytest.fixture(scope="module")
def host(calibrated: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((calibrated / "printed.json").read_text())["hosts"][0]
    return found


def test_every_control_passes_or_says_why_its_witness_cannot_run(host: dict[str, Any]) -> None:
    assert {row["state"] for row in host["rows"]} <= {"pass", "unavailable"}
    assert all(row["reason"] for row in host["rows"] if row["state"] == "unavailable")
    passed = {(row["control"], row["witness"]) for row in host["rows"] if row["state"] == "pass"}
    assert {("full queue", "listen_queue"), ("full queue", "worker_states"), ("refused", "error_log")} <= passed


def test_the_httpd_was_measured(host: dict[str, Any]) -> None:
    (facts,) = host["builds"]
    assert facts["version"].startswith("2.4.")
    assert facts["ah_numbers"] is True
    assert facts["retries_on_enoent"] is True, "since 2.4.13"
    assert facts["fd_passing"] is False, "configure leaves it out unless told otherwise"
    if any(row["witness"] == "connect_times" and row["state"] == "pass" for row in host["rows"]):
        assert facts["connects_per_request"] == pytest.approx(2, abs=0.2), "since 2.4.25"


def test_what_was_printed_is_what_is_kept(calibrated: Path) -> None:
    latest = calibrated / "calibration" / "latest"

    kept = json.loads((latest / "calibration.json").read_text())

    assert json.loads((calibrated / "printed.json").read_text()) == {
        k: v for k, v in kept.items() if k != "document_sha256"
    }
    assert json.loads((latest / "state.json").read_text())["state"] == "finished"
    assert len(list((latest / "trials").glob("*/outcome.json"))) >= 4
    assert "hosts" in json.loads((latest / "provenance.json").read_text())


def test_a_run_with_a_blind_witness_finds_it_out_and_does_not_count_it(
    repo_root: Path, provisioned_host: dict[str, Any], tmp_path: Path
) -> None:
    """It calibrates by itself, since no other helper's controls speak for this one."""
    assert provisioned_host
    copy = tmp_path / "project"
    copy.mkdir()
    for name in ("cgidlab", "experiments", "inventories", "playbooks", "roles"):
        shutil.copytree(repo_root / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", ".mypy_cache"))
    for name in ("runner.py", "ansible.cfg"):
        if (repo_root / name).exists():
            shutil.copy(repo_root / name, copy / name)
    instrument = copy / "roles/trial/files/cgidhost/instruments/listen_queue.py"
    assert SEES in instrument.read_text()
    instrument.write_text(instrument.read_text().replace(SEES, BLIND))
    words = ("experiments/smoke.yml", "--results", str(tmp_path / "results"), "--set", "window_s=1.0")

    ran = runner(copy, *words)

    assert "calibrating the witnesses on this host" in ran.stderr, ran.stderr
    rows = json.loads((tmp_path / "results/calibration/latest/calibration.json").read_text())["hosts"][0]["rows"]
    assert {(r["control"], r["witness"]) for r in rows if r["state"] == "fail"} == {("full queue", "listen_queue")}
    run = tmp_path / "results/smoke/latest"
    verdict = json.loads((run / "summary.json").read_text())["verdict"]
    assert "listen_queue is not proven on local" in verdict["text"]
    assert verdict["overflow"] == "observed", "the other witnesses saw it"
    assert all("queue" in cell["silent"] for cell in verdict["cells"])
    assert "queue_depth_max" in (run / "trials.csv").read_text(), "the raw figures are kept"
