"""A run that is only done when there is a reason: for cron after an upgrade."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests import workers

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.needs_root, pytest.mark.slow]

SHORT = ("--only", "listen_backlog=1024", "--set", "warmup_s=0.2", "--uncalibrated", "--if-changed")


def runner(root: Path, results: Path, *words: str) -> subprocess.CompletedProcess[str]:
    prefix, files = workers.outside()  # whether there is a newer httpd is asked of the distribution's archive
    argv = [*prefix, sys.executable, "runner.py", "experiments/smoke.yml", *SHORT, "--results", str(results), *words]
    return subprocess.run(argv, check=False, cwd=root, capture_output=True, text=True, timeout=1800, pass_fds=files)


def runs(results: Path) -> list[Path]:
    return sorted(path.parent for path in (results / "smoke").glob("*/plan.json") if not path.parent.is_symlink())


def test_a_run_is_done_once_and_again_only_when_something_changed(
    repo_root: Path, provisioned_host: dict[str, Any], tmp_path: Path
) -> None:
    assert provisioned_host
    results = tmp_path / "results"

    first = runner(repo_root, results, "--set", "window_s=0.5")
    same = runner(repo_root, results, "--set", "window_s=0.5")
    after_same = runs(results)
    other = runner(repo_root, results, "--set", "window_s=0.6")

    assert first.returncode == 0, first.stdout + first.stderr
    assert first.stdout.startswith("no finished run yet, so this is the first (local: httpd 2.4.")
    assert (same.returncode, len(after_same)) == (0, 1), same.stdout + same.stderr
    assert same.stdout.startswith(f"nothing changed since {after_same[0].name}, so nothing is run")
    assert len(runs(results)) == 2, other.stdout + other.stderr
    assert other.stdout.startswith(f"changed since {after_same[0].name}: what the command line set")
    assert "these are two separate runs" in other.stdout
    assert f"A  {after_same[0].resolve()}" in other.stdout
