"""A distribution's Apache, installed from its package on a host of its own, watched over SSH through a real overflow.

`make servers` runs this: it fetches the packages from the distribution's mirror.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.rigs import ssh_hosts
from tests.servers.distribution import HOST, await_true, fetch, install, start

pytestmark = [pytest.mark.needs_root, pytest.mark.slow]

CLIENTS, WORKERS = 390, 400
WORKER_LIMITS = f"""\
<IfModule mpm_event_module>
    StartServers 16
    ServerLimit 16
    ThreadsPerChild 25
    MinSpareThreads 25
    MaxSpareThreads {WORKERS}
    MaxRequestWorkers {WORKERS}
</IfModule>
"""
SCRIPT = "#!/bin/sh\necho Content-Type: text/plain\necho\necho hello\n"
ASK = "import sys, urllib.request as r; sys.exit(r.urlopen('http://127.0.0.1/cgi-bin/hello', timeout=5).status != 200)"
# What a host is: files by their last change, sysctls, processes, packages.
LIST_JUST_SERVED = "find /var/log/apache2 -name access.log -newermt '-2 seconds'"
LIST_CHANGED = "find / /run /dev/shm -xdev -newercc /run/marker 2>/dev/null; true"
LIST_SYSCTLS = (
    "sysctl -a 2>/dev/null | grep -Ev '^(kernel.(random|ns_last_pid)|fs.(file-nr|inode|dentry)|vm.stat|dev.cdrom)'"
)
LIST_PROCESSES = "ps -e -o pid=,args= | grep -Ev ' (ps -e|grep -Ev|sh -c)'; true"
LIST_PACKAGES = "dpkg-query -W"
# A directory remembers that something was in it for a while; and sshd notes every login.
NOT_OURS = {"/tmp", "/run/marker", "/var/log/lastlog", "/var/log/wtmp"}  # noqa: S108 -- names on the host


@dataclass(frozen=True)
class Observed:
    """One `runner.py observe --format json`."""

    status: int
    said: dict[str, Any]
    stderr: str

    @property
    def instance(self) -> dict[str, Any]:
        """Return the only instance."""
        (one,) = self.said["instances"]
        assert isinstance(one, dict)
        return one


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Fetch the distribution's Apache without installing anything here."""
    found = fetch(tmp_path_factory.mktemp("packages"), "apache2")
    assert any(p.name.startswith("apache2_") for p in found), "apache2 is installed on this machine itself"
    return found


@pytest.fixture(scope="module")
def rig(packages: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ssh_hosts.Rig]:
    """Return a host on which the packages are installed and Apache runs."""
    if ssh_hosts.missing():
        pytest.skip(ssh_hosts.missing())
    with ssh_hosts.Rig([HOST], tmp_path_factory.mktemp("rig")) as made:
        root = made[HOST].root
        install(made, packages)
        made.run(HOST, "a2enmod", "-q", "cgid", "mpm_event")
        (root / "etc/apache2/mods-available/mpm_event.conf").write_text(WORKER_LIMITS)
        script = root / "usr/lib/cgi-bin/hello"
        script.write_text(SCRIPT)
        script.chmod(0o755)
        made.run(HOST, "a2enconf", "-q", "serve-cgi-bin")
        made.run(HOST, "apache2ctl", "start")
        await_true(lambda: made.run(HOST, "python3", "-c", ASK, check=False).returncode == 0)
        yield made


def observe(repo_root: Path, results: Path, inventory: Path, *words: str) -> Observed:
    argv = [sys.executable, "runner.py", "observe", "--target", str(inventory), "--host", HOST, "--format", "json"]
    ran = subprocess.run(
        [*argv, "--results", str(results), *words], check=False, cwd=repo_root, capture_output=True, text=True
    )
    return Observed(ran.returncode, json.loads(ran.stdout) if ran.stdout else {}, ran.stderr)


@pytest.fixture(scope="module")
def overflow(repo_root: Path, rig: ssh_hosts.Rig, tmp_path_factory: pytest.TempPathFactory) -> Observed:
    """Watch Apache as it came from the distribution while more clients ask for CGI pages than its queue holds."""
    url = "http://127.0.0.1/cgi-bin/hello"
    load = start(rig, "h2load", "--h1", "-D", "600", "-c", str(CLIENTS), "-t", "1", url)
    try:
        log = "/var/log/apache2/error.log"
        words = ("--duration", "15", "--error-log", log)
        return observe(repo_root, tmp_path_factory.mktemp("results"), rig.inventory, *words)
    finally:
        rig.run(HOST, "sh", "-c", "kill -9 $(pgrep -x h2load)", check=False)
        load.wait()


def test_an_overflow_of_the_distributions_queue_is_seen(overflow: Observed) -> None:
    assert overflow.status == 0, overflow.stderr
    seen = overflow.instance

    assert seen["socket"].startswith("/var/run/apache2/")
    assert (seen["queue_limit"], seen["queue_depth_max"]) == (100, 101)
    assert seen["verdict"]["overflow"] == "observed", seen["verdict"]["text"]
    assert seen["workers_in_connect_max"] > 20
    assert seen["queue_full_share"] > 0.05
    assert seen["connect_max_us"] > 1000


def test_the_distributions_apache_is_known_without_asking_it(overflow: Observed) -> None:
    seen = overflow.instance

    assert seen["version"].startswith("Apache/2.4.")
    assert (seen["mpm"], seen["threads_per_child"], seen["server_limit"]) == ("event", 25, 16)
    assert (seen["max_request_workers"], seen["log_level"]) == (WORKERS, "warn")
    assert seen["retries"] is None  # at LogLevel warn an empty log proves nothing
    assert "LogLevel is warn" in seen["verdict"]["text"]
    assert "LogLevel debug" in seen["verdict"]["text"]


def test_watching_a_loaded_server_costs_less_than_one_per_cent_of_a_core(overflow: Observed) -> None:
    assert 0 < overflow.said["cost"]["cpu_share"] < 0.0105  # the allowance, and what the last sample took


def changes(rig: ssh_hosts.Rig) -> list[str]:
    """Return what has changed on the host since its marker was touched, by path."""
    return rig.run(HOST, "sh", "-c", LIST_CHANGED).stdout.splitlines()


def _is_of_this_machine(rig: ssh_hosts.Rig, path: str) -> bool:
    """Say whether a host shows a file only because this machine, whose root it stands on, has it."""
    try:
        here, there = Path(path).lstat(), (rig[HOST].root / path.lstrip("/")).lstat()
    except OSError:
        return False
    return (here.st_mtime_ns, here.st_size) == (there.st_mtime_ns, there.st_size)


def state(rig: ssh_hosts.Rig) -> dict[str, list[str]]:
    listed = {"sysctls": LIST_SYSCTLS, "processes": LIST_PROCESSES, "packages": LIST_PACKAGES}
    return {name: rig.run(HOST, "sh", "-c", words).stdout.splitlines() for name, words in listed.items()}


@pytest.mark.parametrize("user", ["root", "lab"])
def test_nothing_on_the_host_is_changed(repo_root: Path, rig: ssh_hosts.Rig, tmp_path: Path, user: str) -> None:
    inventory = rig.write_inventory(f"{user}.yml", variables={"ansible_user": user})
    await_true(lambda: "sshd: " not in "\n".join(state(rig)["processes"]).replace("sshd: /", ""))
    # What the load of an earlier test asked for last is still being answered, and written down.
    await_true(lambda: not rig.run(HOST, "sh", "-c", LIST_JUST_SERVED).stdout)
    before = state(rig)
    rig.run(HOST, "sh", "-c", "touch /run/marker")

    found = observe(repo_root, tmp_path, inventory, "--duration", "2")

    assert found.status == 0, found.stderr
    await_true(lambda: "sshd: " not in "\n".join(state(rig)["processes"]).replace("sshd: /", ""))
    # What this machine's root lends is busy; what the host itself wrote stays.
    changed = set(changes(rig)) - NOT_OURS
    for _ in range(10):
        changed &= {path for path in changes(rig) if not _is_of_this_machine(rig, path)}
    assert changed == set()
    for name, after in state(rig).items():
        assert set(after) ^ set(before[name]) == set(), name


def test_without_root_the_queue_is_seen_and_what_is_missing_is_said(
    repo_root: Path, rig: ssh_hosts.Rig, tmp_path: Path
) -> None:
    inventory = rig.write_inventory("lab.yml", variables={"ansible_user": "lab"})

    found = observe(repo_root, tmp_path, inventory, "--duration", "2")

    assert found.status == 0, found.stderr
    seen = found.instance
    assert (seen["queue_limit"], seen["workers_in_connect_max"], seen["cgid_cpu_share"]) == (100, None, None)
    assert "not seen: sleepers and connect times" in seen["verdict"]["text"]
    assert any("--become" in note for host in found.said["hosts"] for note in host["notes"])
