"""A run that is only done when there is a reason: for cron after an upgrade."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cgidlab.runs.store import RunDirectory
from tests import workers

pytestmark = [pytest.mark.needs_root, pytest.mark.slow]

SHORT = ("--only", "listen_backlog=1024", "--set", "warmup_s=0.2", "--uncalibrated", "--if-changed")


def runner(root: Path, results: Path, *words: str) -> subprocess.CompletedProcess[str]:
    prefix, files = workers.outside()  # whether there is a newer httpd is asked of the distribution's archive
    argv = [*prefix, sys.executable, "runner.py", "experiments/smoke.yml", *SHORT, "--results", str(results), *words]
    return subprocess.run(argv, check=False, cwd=root, capture_output=True, text=True, timeout=1800, pass_fds=files)


def runs(results: Path) -> list[Path]:
    return sorted(path.parent for path in (results / "smoke").glob("*/plan.json") if not path.parent.is_symlink())


def as_if_built_before(run: Path, build: Path) -> str:
    """Give the cache a second build, have a run say that it had that one, and return the key's first letters.

    It is the first one under another key, which its marker then says: a build of its own would take a minute and show
    nothing more.
    """
    key = "0123456789abcdef"
    copy = build.parent / key
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(build, copy, symlinks=True)
    marker = copy / "build.json"
    described = json.loads(marker.read_text().replace(str(build), str(copy)))
    marker.write_text(json.dumps({**described, "build_key": key + "0" * 48}))
    kept = RunDirectory(run)
    provenance = kept.read("provenance.json")
    provenance["hosts"]["local"]["httpd"]["distro"]["build_key"] = key + "0" * 48
    kept.write("provenance.json", {name: value for name, value in provenance.items() if name != "schema_version"})
    return key


@pytest.mark.long
def test_a_run_is_done_once_and_again_only_when_something_changed(
    repo_root: Path, provisioned_host: dict[str, Any], tmp_path: Path
) -> None:
    assert provisioned_host
    results = tmp_path / "results"

    first = runner(repo_root, results, "--set", "window_s=0.5")
    same = runner(repo_root, results, "--set", "window_s=0.5")
    after_same = runs(results)
    build = Path(provisioned_host["httpd"]["distro"]["prefix"]).parent
    old = as_if_built_before(after_same[0], build)
    try:
        other = runner(repo_root, results, "--set", "window_s=0.5")
        again = runner(repo_root, results, "--set", "window_s=0.5")
    finally:
        shutil.rmtree(build.parent / old)

    assert first.returncode == 0, first.stdout + first.stderr
    assert first.stdout.startswith("no finished run yet, so this is the first (local: httpd 2.4.")
    assert (same.returncode, len(after_same)) == (0, 1), same.stdout + same.stderr
    assert same.stdout.startswith(f"nothing changed since {after_same[0].name}, so nothing is run")
    assert len(runs(results)) == 2, other.stdout + other.stderr
    assert other.stdout.startswith(f"changed since {after_same[0].name}: httpd distro on local, build")
    assert "the build that distro was before runs beside the new one" in other.stdout
    assert "ran in the same blocks, in random order: that is stronger evidence" in other.stdout
    assert "these are two separate runs" not in other.stdout
    trials = [json.loads(path.read_text()) for path in sorted(runs(results)[1].glob("trials/*/trial.json"))]
    assert {t["levels"]["httpd"] for t in trials} == {"distro", "distro before"}
    assert {t["settings"]["httpd"] for t in trials} == {"distro", f"built:{old}"}
    assert {t["block"] for t in trials if t["levels"]["httpd"] == "distro"} == {t["block"] for t in trials}
    proven = [json.loads(p.read_text()) for p in runs(results)[1].glob("trials/*/readback.json")]
    binaries = {c["found"] for document in proven for c in document["checks"] if c["name"] == "httpd_binary"}
    assert binaries == {str(build / "prefix/bin/httpd"), str(build.parent / old / "prefix/bin/httpd")}
    assert (again.returncode, len(runs(results))) == (0, 2), again.stdout + again.stderr
    assert again.stdout.startswith(f"nothing changed since {runs(results)[1].name}, so nothing is run")
