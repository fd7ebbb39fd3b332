"""The commit that slows mod_cgid down is found in a small repository, across a kill and one that does not build."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.needs_root, pytest.mark.slow]

# Beside what httpd's own has for the role to read: what is built is there already, and mod_cgid is built by its role.
CONFIGURE = """\
#!/bin/sh
# asks for pcre2-config, and knows --enable-mpms-shared
set -e
for word; do case $word in --prefix=*) prefix=${word#--prefix=};; esac; done
printf 'all:\\n\\t@test ! -e BROKEN || { echo "mod_cgid.c:7:1: error: planted"; false; }\\n' > Makefile
printf 'install:\\n\\tmkdir -p %s\\n\\tcp -R prebuilt/. %s/\\n' "$prefix" "$prefix" >> Makefile
"""
EXPERIMENT = """\
schema_version: 1
name: planted
question: Does the median latency of a short script stay as it is?
factors: {clients: [4]}
settings: {workers: 100, threads_per_child: 100}
load: {loop: closed, driver: h2load}
warmup_s: 0.3
watch_every: 1
window_s: 0.7
repetitions: {min: 6, max: 12, until: decided}
seed: 1
noise: ignore
verdict: {smallest_effects: {latency_p50_ms: 50%}}   # the change that is planted is larger on any machine
"""
SLOW = "apr_sleep(20000); "
ANCHOR = 'nph = !(strncmp(argv0, "nph-", 4));'
PLANTED, UNBUILDABLE, LAST = 1, 2, 4


def git(repository: Path, *arguments: str) -> str:
    who = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org", "-c", "commit.gpgsign=false"]
    argv = ["git", *who, "-C", str(repository), *arguments]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def repository(provisioned_host: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository of five commits, 0 to 4: one slows mod_cgid down, and the next cannot be built."""
    built = provisioned_host["httpd"]["distro"]
    place = tmp_path_factory.mktemp("bisect") / "httpd"
    (place / "include").mkdir(parents=True)
    (place / "modules").mkdir()
    shutil.copytree(built["prefix"], place / "prebuilt", symlinks=True)
    shutil.copy(place / "prebuilt/include/ap_release.h", place / "include/ap_release.h")
    for kind in ("generators", "filters"):
        shutil.copytree(Path(built["generators_dir"]).parent / kind, place / "modules" / kind)
    (place / "configure").write_text(CONFIGURE)
    (place / "configure").chmod(0o755)
    git(place, "init", "-q", "-b", "trunk")
    source = place / "modules/generators/mod_cgid.c"
    text = source.read_text()
    for number in range(LAST + 1):
        if number == PLANTED:
            before, handler, after = text.partition("static int cgid_handler(")
            assert ANCHOR in after
            text = before + handler + after.replace(ANCHOR, SLOW + ANCHOR, 1)
        source.write_text(f"{text}/* {number} */\n")
        if number == UNBUILDABLE:
            (place / "BROKEN").touch()
        elif (place / "BROKEN").exists():
            (place / "BROKEN").unlink()
        git(place, "add", "-A", "-f")
        git(place, "commit", "-qm", f"commit {number}")
        git(place, "tag", f"n{number}")
    return place


class Bisect:
    """The verb on that repository, and what it leaves."""

    def __init__(self, repository: Path, root: Path, directory: Path) -> None:
        self.root, self.results = root, directory / "results"
        self.file = directory / "planted.yml"
        self.file.write_text(EXPERIMENT)
        self.repository = repository

    def start(self, *words: str, good: str = "n0", bad: str = f"n{LAST}") -> subprocess.Popen[str]:
        """Begin, or go on."""
        argv = [sys.executable, "runner.py", "bisect", str(self.file), "--repository", str(self.repository)]
        argv += ["--good", good, "--bad", bad, "--response", "latency_p50_ms", "--format", "json"]
        argv += ["--results", str(self.results), *words]
        return subprocess.Popen(argv, cwd=self.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def runs(self) -> list[Path]:
        """Return the directories of all runs, the oldest first."""
        found = (self.results / "planted-bisect").glob("*/plan.json")
        return sorted(path.parent for path in found if not path.parent.is_symlink())

    def ended(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        """Return what it found, with its exit status and what it said meanwhile."""
        out, said = process.communicate(timeout=1800)
        assert process.returncode in (0, 1), said
        found: dict[str, Any] = json.loads(out)
        return {**found, "status": process.returncode, "said": said}


@pytest.mark.long
def test_the_commit_is_found_across_a_kill_and_a_commit_that_cannot_be_built(
    repository: Path, repo_root: Path, tmp_path: Path
) -> None:
    bisect = Bisect(repository, repo_root, tmp_path)
    killed = bisect.start()
    until = time.monotonic() + 600
    while time.monotonic() < until and killed.poll() is None:
        if any(len(list(run.glob("trials/*/outcome.json"))) > 2 for run in bisect.runs()):
            break
        time.sleep(0.5)
    killed.send_signal(signal.SIGKILL)
    said = killed.communicate()[1]
    begun = bisect.runs()
    assert len(begun) == 1, said

    found = bisect.ended(bisect.start())

    names = [git(repository, "rev-parse", f"n{n}") for n in range(LAST + 1)]
    assert (found["status"], found["answer"], found["change"]) == (0, "commit", "worse"), found["said"]
    assert found["first_bad"]["hash"] == names[PLANTED]
    assert found["first_bad"]["subject"] == f"commit {PLANTED}"
    assert found["ratio"]["interval"][0] > 1.5
    assert [one["hash"] for one in found["skipped"]] == [names[UNBUILDABLE]]
    assert "error: planted" in found["skipped"][0]["why"]
    steps = found["steps"]
    assert [s["turn"] for s in steps] == ["before", "skipped", "before"]
    assert Path(steps[0]["run"]) == begun[0], "the killed run was gone on with"
    assert json.loads((begun[0] / "state.json").read_text())["state"] == "finished"
    assert {Path(s["run"]) for s in steps} == set(bisect.runs())
    assert "commits left, after" in found["said"]

    runs = bisect.runs()
    again = bisect.ended(bisect.start())

    assert again["first_bad"] == found["first_bad"]
    assert again["steps"] == steps
    assert bisect.runs() == runs, "nothing is run twice"

    same = bisect.ended(bisect.start(good="n3"))

    assert (same["status"], same["answer"], same["first_bad"], same["range"]) == (1, "cannot_be_told_apart", None, [])
