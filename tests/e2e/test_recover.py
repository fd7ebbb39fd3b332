"""A host that nobody could clean up is given back by `runner.py recover`, once; what a run leaves is reported."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.rigs import ssh_hosts
from tests.waiting import eventually

pytestmark = [pytest.mark.needs_root, pytest.mark.slow]

EXPERIMENT = """\
schema_version: 1
name: recover
question: Is the host given back?
factors: {listen_backlog: [5, 1024]}
settings: {workers: 50, threads_per_child: 25, isolation: host, somaxconn: 77}
load: {loop: closed, driver: h2load, clients: 10}
warmup_s: 0.3
window_s: 30.0
repetitions: 1
seed: 1
noise: ignore
verdict: {factor: listen_backlog, reference: 1024}
"""
SOMAXCONN = "/proc/sys/net/core/somaxconn"


@pytest.fixture(scope="module")
def rig(provisioned_host: dict[str, Any]) -> Iterator[ssh_hosts.Rig]:
    assert provisioned_host
    if ssh_hosts.missing():
        pytest.skip(ssh_hosts.missing())
    with ssh_hosts.Rig(1) as made:
        yield made


class Runner:
    """The runner against a rig, with results of its own."""

    def __init__(self, rig: ssh_hosts.Rig, place: Path, root: Path) -> None:
        self.rig, self.place, self.root = rig, place, root
        (place / "recover.yml").write_text(EXPERIMENT)
        self.process: subprocess.Popen[str] | None = None

    @property
    def directory(self) -> Path:
        """Return the newest run directory."""
        return (self.place / "results" / "recover" / "latest").resolve()

    def argv(self, *words: str) -> list[str]:
        """Return a command line of the runner."""
        return [sys.executable, "runner.py", *words, "--results", str(self.place / "results")]

    def start(self, *words: str) -> None:
        """Start a run."""
        argv = self.argv(str(self.place / "recover.yml"), "--uncalibrated", "--target", str(self.rig.inventory), *words)
        self.process = subprocess.Popen(
            argv, cwd=self.root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def recover(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `recover`."""
        return subprocess.run(
            self.argv("recover", *words), cwd=self.root, capture_output=True, text=True, check=False, timeout=300
        )

    def held(self) -> list[dict[str, Any]]:
        """Return what the run's journal says it holds."""
        found: list[dict[str, Any]] = json.loads((self.directory / "journal.json").read_text())["held"]
        return found

    def on_host(self, *argv: str) -> str:
        """Return what a program says on the host."""
        return self.rig.run("h1", *argv, check=False).stdout

    def left(self) -> list[str]:
        """Return what is on the host of any trial: processes by name, directories of blocks and of sockets."""
        work = "/var/tmp/cgidlab-0"  # noqa: S108 -- where the host's root has it
        marked = "grep -lz CGIDLAB_TRIAL= /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3"
        pids = self.on_host("sh", "-c", marked).split()
        files = self.on_host("sh", "-c", f"ls -d {work}/*-block-* /run/cgid-* 2>/dev/null").split()
        return [*pids, *files]


@pytest.fixture
def runner(rig: ssh_hosts.Rig, tmp_path: Path, repo_root: Path) -> Iterator[Runner]:
    made = Runner(rig, tmp_path, repo_root)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.communicate()


def _kill_everything(runner: Runner) -> None:
    """End runner and block at the same moment with SIGKILL, so that neither can undo anything."""
    assert runner.process is not None
    rows = "/var/tmp/cgidlab-0/*/001/load/rows.log"  # noqa: S108 -- same
    assert eventually(lambda: runner.on_host("cat", SOMAXCONN).strip() == "77", 240)
    assert eventually(lambda: runner.on_host("sh", "-c", f"wc -c {rows} 2>/dev/null").strip() not in {"", "0"}, 240)
    helpers = runner.on_host("sh", "-c", "grep -l cgidhost.pyz /proc/[0-9]*/cmdline 2>/dev/null | cut -d/ -f3").split()
    runner.on_host("sh", "-c", f"kill -STOP {' '.join(helpers)} 2>/dev/null")
    os.kill(runner.process.pid, signal.SIGKILL)
    runner.on_host("sh", "-c", f"kill -KILL {' '.join(helpers)} 2>/dev/null")
    runner.process.communicate()


def test_a_host_that_lost_runner_and_helper_is_recovered_and_a_second_time_nothing_happens(runner: Runner) -> None:
    before = runner.on_host("cat", SOMAXCONN)
    here = Path(SOMAXCONN).read_text()
    runner.start()
    _kill_everything(runner)
    assert runner.on_host("cat", SOMAXCONN) == "77\n"
    assert Path(SOMAXCONN).read_text() == here, "the rig's host has sysctls of its own"
    assert [h["host"] for h in runner.held()] == ["h1"]
    assert runner.held()[0]["sysctls"][0] | {"boot_id": ""} == {
        "setting": "somaxconn",
        "old": before.strip(),
        "new": ["77"],
        "boot_id": "",
    }

    runner.rig.cut("h1")
    runner.rig.close_connections()
    mine = ("--target", str(runner.rig.inventory))
    unnamed = runner.recover(str(runner.directory))
    away = runner.recover(str(runner.directory), *mine)
    runner.rig.mend("h1")
    back = runner.recover(str(runner.directory), *mine)
    again = runner.recover("h1", *mine)

    assert (unnamed.returncode, "--target" in unnamed.stderr) == (2, True), unnamed.stdout + unnamed.stderr

    assert (away.returncode, "unreachable" in away.stdout) == (3, True), away.stdout + away.stderr
    assert back.returncode == 0, back.stdout + back.stderr
    assert f"net.core.somaxconn: 77 back to {before.strip()}" in back.stdout
    assert runner.on_host("cat", SOMAXCONN) == before
    assert runner.left() == []
    assert runner.held() == []
    assert (again.returncode, again.stdout) == (0, "h1: nothing was left\n"), again.stdout + again.stderr


def test_a_leftover_that_was_planted_is_reported_with_whose_it_is(runner: Runner) -> None:
    runner.start("--set", "window_s=1.0", "--set", "isolation=namespaces")
    assert eventually(lambda: runner.on_host("sh", "-c", "ls -d /var/tmp/cgidlab-0/*-block-001 2>/dev/null"), 240)
    run_id = runner.directory.name
    mark = f"CGIDLAB_TRIAL=/var/tmp/cgidlab-0/{run_id}-block-001/009"
    ours = "setsid env {} sleep 300 >/dev/null 2>&1 &"
    runner.on_host("sh", "-c", ours.format(mark))
    runner.on_host("sh", "-c", ours.format("SOMEBODY=else"))
    runner.on_host("sh", "-c", f"echo 91 > {SOMAXCONN}")
    try:
        assert runner.process is not None
        output = runner.process.communicate(timeout=300)[0]
    finally:
        runner.on_host("sh", "-c", "kill $(pidof sleep); echo 4096 > " + SOMAXCONN)

    summary = json.loads((runner.directory / "summary.json").read_text())
    found = summary["hosts"]["h1"]
    assert any("net.core.somaxconn was" in text and "is 91" in text for text in found["run"]), found
    assert sum("(sleep)" in text for text in found["run"]) == 1, found
    assert found["others"] >= 1
    assert "warning: the host h1 is not as it was: the run left" in output
    assert any("is not as it was" in w for w in summary["verdict"]["warnings"])
    assert "is not as it was" in (runner.directory / "report.html").read_text()
