"""Whole runs side by side: which tests must be in one worker, and what all workers share."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import workers
from tests.workers import pytest_configure_node, pytest_xdist_setupnodes

__all__ = ["pytest_configure_node", "pytest_xdist_setupnodes"]

# Workers have the files of the machine in common: tests that would find each other's go one after the other. Those of
# one file, or of one group here, are in one worker, and share what is made once.
_TOGETHER = {
    "test_cgidhost": "sockets below /run",
    "test_faults": "sockets below /run",
    "test_calibrate": "a calibration",
    "test_smoke": "a calibration",
}


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> workers.Scheduler:
    """Keep a file in one worker, since its tests share runs, and with it the files that would be in its way."""
    return workers.Scheduler(config, log, lambda nodeid: _TOGETHER.get(workers.module(nodeid), workers.module(nodeid)))


@pytest.fixture(scope="session")
def calibrated(repo_root: Path, provisioned_host: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Calibrate this machine once and return the results directory; what was printed is in `printed.json`."""
    assert provisioned_host
    results = tmp_path_factory.mktemp("results")
    words = ("calibrate", "--controls-only", "--format", "json", "--results", str(results))
    ran = subprocess.run(
        [sys.executable, "runner.py", *words], check=False, cwd=repo_root, capture_output=True, text=True, timeout=600
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (results / "printed.json").write_text(ran.stdout)
    return results
