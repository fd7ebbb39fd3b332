"""`runner.py doctor` on hosts that can be reached, and on those that have something wrong with them."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.rigs import ssh_hosts, ssh_keeper

Examined = tuple[int, dict[str, dict[str, dict[str, Any]]], list[str]]

pytestmark = [pytest.mark.needs_root, pytest.mark.slow]


def _doctor(repo_root: Path, target: str) -> tuple[int, dict[str, dict[str, dict[str, Any]]]]:
    """Return the exit status, and the rows by host and check."""
    argv = [sys.executable, "runner.py", "doctor", "--target", target, "--format", "json"]
    ran = subprocess.run(argv, check=False, cwd=repo_root, capture_output=True, text=True)
    assert ran.stdout, ran.stderr
    hosts = json.loads(ran.stdout)["hosts"]
    return ran.returncode, {h["host"]: {row["check"]: row for row in h["rows"]} for h in hosts}


def _files(rig: ssh_hosts.Rig) -> set[str]:
    """Return each file that the host wrote, with the time of its last change; but what sshd notes of a login."""
    logins = ("-path", f"{ssh_keeper.WRITTEN}/var/log/*", "-prune", "-o")
    found = rig.run("well", "find", ssh_keeper.WRITTEN, *logins, "-type", "f", "-printf", "%p %C@\\n")
    return set(found.stdout.splitlines())


@pytest.fixture(scope="module")
def examined(repo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Examined]:
    """Examine a host that is well and six that are not, in one go."""
    reason = ssh_hosts.missing()
    if reason:
        pytest.skip(reason)
    names = ("well", "dead", "rekeyed", "skewed", "full", "python", "user")
    with ssh_hosts.Rig(names, tmp_path_factory.mktemp("doctor"), disk_mb=400) as rig:
        rig.kill("dead")
        rig.change_host_key("rekeyed")
        rig.skew_clock("skewed", -1000.5)
        rig.fill_disk("full", leave_bytes=50 << 20)
        inventory = json.loads(rig.inventory.read_text())
        inventory["all"]["hosts"]["python"]["ansible_python_interpreter"] = "/opt/python"
        inventory["all"]["hosts"]["user"]["ansible_user"] = "lab"
        rig.inventory.write_text(json.dumps(inventory))
        before = _files(rig)
        found = _doctor(repo_root, str(rig.inventory))
        yield *found, sorted(_files(rig) - before)


def test_a_host_that_is_well_is_well_in_every_row(examined: Examined) -> None:
    rows = examined[1]["well"]

    # A round trip takes its time where the machine that makes the hosts is busy.
    assert {row["state"] for check, row in rows.items() if check != "round trip"} == {"ok"}, rows
    assert {"reachable", "become", "python", "kernel", "packages", "clock offset", "round trip"} <= set(rows)


def test_nothing_is_changed(examined: Examined) -> None:
    assert examined[2] == []


def test_one_row_that_fails_is_the_exit_status_of_provisioning_that_would_fail(
    examined: Examined,
) -> None:
    assert examined[0] == 3


@pytest.mark.parametrize(
    ("host", "check", "found", "advice"),
    [
        ("dead", "reachable", "198.1", "whether the host is up"),
        ("rekeyed", "reachable", "has changed", "ssh-keygen -R"),
        ("skewed", "clock offset", "-1000", "chronyc"),
        ("full", "disk (work)", "0.0 GiB", "host_work_dir"),
        ("python", "python", "/opt/python", "ansible_python_interpreter"),
    ],
)
def test_what_is_wrong_fails_with_what_to_do(
    examined: Examined, host: str, check: str, found: str, advice: str
) -> None:
    row = examined[1][host][check]

    assert row["state"] == "fail"
    assert found in row["found"]
    assert advice in row["advice"]


def test_a_user_who_cannot_become_root_is_told_what_that_costs(examined: Examined) -> None:
    rows = examined[1]["user"]

    assert rows["become"]["state"] == "warn"
    assert "NOPASSWD" in rows["become"]["advice"]
    assert rows["bpf, perf events"]["state"] == "warn"


def test_this_machine_can_be_examined_too(repo_root: Path, provisioned_host: dict[str, Any]) -> None:
    assert provisioned_host
    status, rows = _doctor(repo_root, "local")

    assert rows["local"]["reachable"]["state"] == "ok"
    assert rows["local"]["packages"]["state"] == "ok"
    assert status in {0, 3}  # a small disk is the machine's own business
