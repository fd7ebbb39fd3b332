"""Runs over SSH, on hosts made of namespaces: spread over servers, and when one of them fails."""

import csv
import json
import os
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cgidlab.engine import ansible, execute
from tests.rigs import ssh_hosts

pytestmark = [pytest.mark.needs_root, pytest.mark.slow]

EXPERIMENT = """\
schema_version: 1
name: spread
question: Does a queue of 5 overflow under 40 clients while one of 1024 does not?
factors: {listen_backlog: [5, 1024]}
settings: {workers: 100, threads_per_child: 100}
load: {loop: closed, driver: h2load, clients: 40}
warmup_s: 0.2
window_s: 1.0
repetitions: 4
seed: 1
noise: ignore
verdict: {factor: listen_backlog, reference: 1024}
"""
WAIT_S = 600.0  # for a busy machine


@pytest.fixture(scope="module")
def rig(provisioned_host: dict[str, Any]) -> Iterator[ssh_hosts.Rig]:
    """Three hosts that share what this machine has built, read-only; `provisioned_host` has built it."""
    assert provisioned_host
    reason = ssh_hosts.missing()
    if reason:
        pytest.skip(reason)
    with ssh_hosts.Rig(3) as made:
        yield made


class Run:
    """`runner.py` with the experiment above, on some of the rig's hosts."""

    def __init__(self, rig: ssh_hosts.Rig, repo_root: Path, directory: Path, *servers: str) -> None:
        self._directory = directory
        (directory / "spread.yml").write_text(EXPERIMENT)
        inventory = rig.write_inventory(f"{directory.name}.yml", servers=servers, generators=servers)
        words = ["--target", str(inventory), "--results", str(directory), "--uncalibrated"]
        self.inventory = inventory
        self._process = subprocess.Popen(
            [sys.executable, "runner.py", str(directory / "spread.yml"), *words],
            cwd=repo_root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "COLUMNS": "200"},
        )
        self.output = ""

    @property
    def directory(self) -> Path:
        """Return the run directory."""
        return self._directory / "spread" / "latest"

    def end(self) -> int:
        """Wait for the end and return the exit status."""
        self.output = self._process.communicate(timeout=WAIT_S)[0]
        return self._process.returncode

    def until(self, what: Callable[[], bool]) -> None:
        """Wait for something to be so while the run goes on."""
        deadline = time.monotonic() + WAIT_S
        while not what():
            assert self._process.poll() is None, self._process.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def rows(self) -> list[dict[str, str]]:
        """Return trials.csv."""
        return list(csv.DictReader((self.directory / "trials.csv").open()))

    def state(self) -> dict[str, Any]:
        """Return state.json."""
        found: dict[str, Any] = json.loads((self.directory / "state.json").read_text())
        return found

    def trials_of(self, host: str) -> int:
        """Return how many trials of a host have an outcome."""
        done = self.directory.glob("trials/*/outcome.json")
        return sum(json.loads((p.parent / "trial.json").read_text())["host"] == host for p in done)


def _is_complete_in_whole_blocks(run: Run) -> bool:
    """Say whether each of the four blocks has both cells complete on one and the same host."""
    cells: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in run.rows():
        if row["status"] == "complete":
            cells[row["block"], row["host"]].add(row["listen_backlog"])
    whole = {block for (block, _), levels in cells.items() if levels == {"5", "1024"}}
    return whole == {"1", "2", "3", "4"}


@pytest.fixture(scope="module")
def spread(rig: ssh_hosts.Rig, repo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run the experiment once over two servers."""
    run = Run(rig, repo_root, tmp_path_factory.mktemp("spread"), "h1", "h2")
    assert run.end() == 0, run.output
    return run


def test_whole_blocks_run_on_both_servers(spread: Run) -> None:
    assert _is_complete_in_whole_blocks(spread)
    assert {row["host"] for row in spread.rows()} == {"h1", "h2"}
    assert {row["queue_limit"] == row["listen_backlog"] for row in spread.rows()} == {True}


def test_both_servers_measured_at_the_same_time(spread: Run) -> None:
    spans = defaultdict(list)
    for row in spread.rows():
        spans[row["host"]].append(float(row["started_s"]))

    assert max(min(starts) for starts in spans.values()) < min(max(starts) for starts in spans.values())


def test_logs_come_home_whole(spread: Run) -> None:
    for directory in (spread.directory / "trials").iterdir():
        checked = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], check=False, cwd=directory)
        assert checked.returncode == 0


def test_nothing_of_a_finished_trial_stays_on_its_host(spread: Run, rig: ssh_hosts.Rig) -> None:
    assert spread
    for host in ("h1", "h2"):
        # Ansible's own directory is there once a module has run.
        left = rig.run(
            host, "sh", "-c", "find /var/tmp /tmp $(ls -d /root/.ansible/tmp 2>/dev/null) -type f"
        ).stdout.split()
        running = rig.run(host, "sh", "-c", "cat /proc/[0-9]*/comm").stdout.split()
        assert left == ["/var/tmp/cgidlab-0/lock"]  # noqa: S108 -- same
        assert not {"httpd", "h2load", "python3"} & set(running)


def test_provisioning_again_changes_nothing(spread: Run, repo_root: Path, tmp_path: Path) -> None:
    """With the run's own variables: what it asked for is there."""
    site = execute.Site(repo_root, spread.inventory)
    variables = json.loads((spread.directory / "ansible/provision/vars.json").read_text())
    played = ansible.play(
        site.playbook("provision"),
        site.inventory,
        {**variables, "cgidlab_provision_dir": str(tmp_path)},
        tmp_path / "ansible",
        timeout_s=WAIT_S,
    )

    assert played.ok, (played.directory / "stdout").read_text()
    assert played.changed == {}


def test_a_full_disk_loses_the_server_and_not_the_run(rig: ssh_hosts.Rig, repo_root: Path, tmp_path: Path) -> None:
    """In the middle of a block, of which some trials are complete: it is nobody's unless another has it whole."""
    run = Run(rig, repo_root, tmp_path, "h1", "h2")
    over = threading.Event()

    def keep_full() -> None:
        while not over.wait(0.1):  # what a trial leaves is removed, and makes room again
            rig.fill_disk("h1")

    try:
        run.until(lambda: run.trials_of("h1") > 0)
        filling = threading.Thread(target=keep_full)
        filling.start()
        try:
            assert run.end() == 0, run.output
        finally:
            over.set()
            filling.join()
    finally:
        rig.free_disk("h1")

    assert [lost["host"] for lost in run.state()["lost"]] == ["h1"]
    assert _is_complete_in_whole_blocks(run)


@pytest.mark.matrix
def test_the_blocks_of_a_server_that_dies_go_to_the_others(rig: ssh_hosts.Rig, repo_root: Path, tmp_path: Path) -> None:
    run = Run(rig, repo_root, tmp_path, "h2", "h3")
    run.until(lambda: run.trials_of("h3") > 0)
    rig.kill("h3")

    assert run.end() == 0, run.output
    assert [lost["host"] for lost in run.state()["lost"]] == ["h3"]
    assert "h3 is lost" in run.output
    assert _is_complete_in_whole_blocks(run)


def test_a_changed_host_key_ends_the_run_before_it_begins(rig: ssh_hosts.Rig, repo_root: Path, tmp_path: Path) -> None:
    rig.change_host_key("h2")
    run = Run(rig, repo_root, tmp_path, "h1", "h2")

    assert run.end() == 3, run.output
    assert "h2 cannot be reached: Host key for" in run.output
    assert "ssh-keygen -R" in run.output
    assert not list(run.directory.glob("trials/*"))
