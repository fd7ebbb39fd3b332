"""The exporter for good: a week at a thousandfold pace leaves memory and descriptors flat, and no counter falls."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.needs_root, pytest.mark.slow]

SAMPLES = 100_000
MOST_GROWTH_KB = 512  # in 33,333 samples: two days and a half


def test_a_week_leaves_memory_and_descriptors_flat(repo_root: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{repo_root / 'roles/trial/files'}{os.pathsep}{repo_root}"}
    argv = [sys.executable, "-m", "tests.servers.week", str(tmp_path), str(SAMPLES)]

    ran = subprocess.run(argv, check=False, cwd=repo_root, env=environment, capture_output=True, text=True)

    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout)
    (early_kb, early_fds), (late_kb, late_fds) = said["used"]
    assert late_fds <= early_fds + 1  # of a moment
    assert late_kb < early_kb + MOST_GROWTH_KB, said["used"]
    assert said["rows"] < 1100  # those that are there, and those that went in the last hour

    def total(name: str, path: str) -> list[float]:
        wanted = rf'^{name}{{[^}}]*path="[^"]*/{path}"[^}}]*}} (\S+)$'
        found = re.findall(wanted, said["scrape"], re.MULTILINE)
        return [float(value) for value in found]

    # One series each, whatever was replaced or restarted, and every connection of the week in it.
    assert total("unix_listen_queue_connections_total", r"replaced\.sock") == [SAMPLES / 40]
    assert len(total("unix_listen_queue_listeners", r"cgisock\.\*")) == 1
