"""The SSH hosts that later tests stand on: each has its own everything, can be broken, and goes without a trace."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rigs import ssh_hosts

pytestmark = pytest.mark.needs_root


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ssh_hosts.Rig]:
    reason = ssh_hosts.missing()
    if reason:
        pytest.skip(reason)
    with ssh_hosts.Rig(2, tmp_path_factory.mktemp("rig")) as made:
        yield made


def _ssh(rig: ssh_hosts.Hosts, name: str, command: str, user: str = "root") -> subprocess.CompletedProcess[str]:
    argv = ["ssh", "-F", "none", "-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={rig.directory}/known_hosts"]
    argv += [
        "-o",
        "GlobalKnownHostsFile=none",
        "-i",
        str(rig.directory / "key"),
        f"{user}@{rig[name].address}",
        command,
    ]
    return subprocess.run(argv, check=False, capture_output=True, text=True)


def _interfaces() -> set[str]:
    return {path.name for path in Path("/sys/class/net").iterdir()}


def test_each_host_is_a_machine_of_its_own(rig: ssh_hosts.Rig) -> None:
    identity = "hostname; cat /etc/machine-id /proc/sys/kernel/random/boot_id; ip -4 -brief address show eth0"
    here = subprocess.run(
        ["sh", "-c", "hostname; cat /proc/sys/kernel/random/boot_id"], check=True, capture_output=True
    )

    said = {name: _ssh(rig, name, identity).stdout.split() for name in ("h1", "h2")}

    assert said["h1"][0] == "h1"
    assert f"{rig['h1'].address}/24" in said["h1"]
    assert not set(said["h1"]) & ({*said["h2"], *here.stdout.decode().split()} - {"UP"} - set(said["h1"][3:5]))


def test_what_a_host_writes_is_seen_by_nobody_else(rig: ssh_hosts.Rig) -> None:
    rig.run("h1", "sh", "-c", "echo h1 > /etc/only-h1; echo h1 > /var/tmp/only-h1; sysctl -qw net.core.somaxconn=77")

    assert _ssh(rig, "h2", "ls /etc/only-h1 /var/tmp/only-h1").returncode != 0
    assert not Path("/etc/only-h1").exists()
    assert _ssh(rig, "h1", "cat /proc/sys/net/core/somaxconn").stdout == "77\n"
    assert Path("/proc/sys/net/core/somaxconn").read_text() != "77\n"


def test_the_other_user_cannot_become_root(rig: ssh_hosts.Rig) -> None:
    assert _ssh(rig, "h1", "id -un", user="lab").stdout == "lab\n"
    assert _ssh(rig, "h1", "sudo -n true || su -c true", user="lab").returncode != 0


def test_a_skewed_clock_moves_what_programs_read_and_nothing_else(rig: ssh_hosts.Rig) -> None:
    clocks = "import time; print(time.time(), time.monotonic())"
    read = f"python3 -c '{clocks}'; date +%s.%N"
    try:
        rig.skew_clock("h1", 3.0)
        before = time.time(), time.monotonic()
        said = [float(word) for word in _ssh(rig, "h1", read).stdout.split()]
        after = time.time(), time.monotonic()
        beside = float(_ssh(rig, "h2", "date +%s.%N").stdout)
        assert before[0] + 3 <= said[0] <= said[2] <= after[0] + 3
        assert before[1] <= said[1] <= after[1]
        assert before[0] <= beside <= time.time()
    finally:
        rig.skew_clock("h1", 0)

    assert float(_ssh(rig, "h1", "date +%s.%N").stdout) <= time.time()


def test_a_full_disk_refuses_every_byte_until_it_is_freed(rig: ssh_hosts.Rig) -> None:
    rig.fill_disk("h1")

    refused = _ssh(rig, "h1", "echo words > /var/tmp/words")

    rig.free_disk("h1")
    assert "No space left" in refused.stderr or "I/O error" in refused.stderr
    assert _ssh(rig, "h1", "echo words > /var/tmp/words").returncode == 0


def test_a_changed_host_key_is_refused(rig: ssh_hosts.Rig) -> None:
    assert _ssh(rig, "h2", "true").returncode == 0

    rig.change_host_key("h2")

    refused = _ssh(rig, "h2", "true")
    assert refused.returncode == 255
    assert "HOST IDENTIFICATION HAS CHANGED" in refused.stderr


def test_a_killed_host_is_silent_and_the_others_live() -> None:
    if ssh_hosts.missing():
        pytest.skip(ssh_hosts.missing())
    with ssh_hosts.Rig(2) as rig:
        rig.kill("h1")

        assert not rig["h1"].root.exists()
        assert _ssh(rig, "h2", "true").returncode == 0


@pytest.mark.parametrize("how", ["closed", "killed"])
def test_nothing_is_left_of_a_rig(how: str, tmp_path: Path, repo_root: Path) -> None:
    """However the process that made it ended."""
    if ssh_hosts.missing():
        pytest.skip(ssh_hosts.missing())
    before = _interfaces()
    program = (
        "import sys, pathlib\n"
        "from tests.rigs import ssh_hosts\n"
        "rig = ssh_hosts.Rig(1, pathlib.Path(sys.argv[1]))\n"
        "print('made', flush=True)\n"
        "sys.stdin.read()\n"
        "rig.close()\n"
    )
    argv = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(
        argv, cwd=repo_root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": "."}
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == b"made\n"
        made = ssh_hosts.Hosts(tmp_path)
        assert _interfaces() > before
        keeper = os.pidfd_open(made.keeper)
        if how == "killed":
            process.send_signal(signal.SIGKILL)
        process.stdin.close()
        process.wait()

    deadline = time.monotonic() + 60
    assert select.select([keeper], [], [], 60)[0]
    while _interfaces() != before and time.monotonic() < deadline:
        time.sleep(0.05)
    os.close(keeper)
    assert _interfaces() == before
    assert not any(host.root.exists() for host in made.hosts)
