"""The role exporter on a host that systemd booted: installs, changes nothing the second time, goes without a trace."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rigs import systemd_host
from tests.rigs.systemd_host import Booted
from tests.servers.distribution import await_true

pytestmark = [pytest.mark.needs_root, pytest.mark.slow]

UNIT = "cgidlab-exporter.service"
ASK = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:9177/metrics', timeout=9).read().decode())"
LISTEN = (
    "import socket, time; s = socket.socket(socket.AF_UNIX); s.bind('/run/of-lab.sock'); s.listen(5); time.sleep(600)"
)
MADE = "find /etc /usr /var -xdev -newercc /run/marker -not -path '/var/log/*' 2>/dev/null; true"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booted]:
    if systemd_host.missing():
        pytest.skip(systemd_host.missing())
    with systemd_host.booted(tmp_path_factory.mktemp("booted")) as made:
        made.run("sh", "-c", "touch /run/marker")
        yield made


def played(repo_root: Path, host: Booted, *words: str) -> "subprocess.CompletedProcess[str]":
    program = str(Path(sys.executable).parent / "ansible-playbook")
    argv = [program, "-i", str(host.inventory), "playbooks/exporter.yml", *words]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1"}
    return subprocess.run(argv, check=False, cwd=repo_root, env=environment, capture_output=True, text=True)


def play(repo_root: Path, host: Booted, *words: str) -> str:
    """Play the playbook and return its last line: how many tasks did what."""
    ran = played(repo_root, host, *words)
    assert ran.returncode == 0, (
        ran.stdout + ran.stderr + host.run("journalctl", "-u", UNIT, "--no-pager", check=False).stdout
    )
    return ran.stdout.strip().splitlines()[-1]


def has(host: Booted, path: str) -> bool:
    """Say whether the host has a file."""
    return host.run("test", "-e", path, check=False).returncode == 0


def test_it_installs_watches_is_idempotent_and_goes(repo_root: Path, host: Booted) -> None:
    host.run("sh", "-c", f'python3 -c "{LISTEN}" >/dev/null 2>&1 &')

    assert "failed=0" in play(repo_root, host)
    metrics = host.run("python3", "-c", ASK).stdout
    status = host.run("systemctl", "show", UNIT, "-p", "ActiveState,DynamicUser,NRestarts").stdout
    main = host.run("systemctl", "show", UNIT, "-p", "MainPID", "--value").stdout.strip()
    capabilities = host.run("sh", "-c", f"grep -E '^(Uid|CapEff|NoNewPrivs)' /proc/{main}/status").stdout

    assert 'unix_listen_queue_limit{namespace="host",path="/run/of-lab.sock",server="python3"} 5.0' in metrics, metrics
    assert "unix_listen_queue_connects_counted 1.0" in metrics, host.run("journalctl", "-u", UNIT, "--no-pager").stdout
    assert "ActiveState=active" in status
    assert "NRestarts=0" in status
    assert "NoNewPrivs:\t1" in capabilities
    assert "Uid:\t0" not in capabilities

    assert "changed=0" in play(repo_root, host)
    assert "changed=0" in play(repo_root, host, "--check")

    play(repo_root, host, "-e", "exporter_state=absent")
    assert host.run("systemctl", "is-active", UNIT, check=False).stdout.strip() == "inactive"
    left = [path for path in host.run("sh", "-c", MADE).stdout.split() if "exporter" in path]
    assert left == []
    assert "changed=0" in play(repo_root, host, "-e", "exporter_state=absent")


def test_a_text_file_is_written_where_node_exporter_reads_and_gone_when_it_is_not_wanted(
    repo_root: Path, host: Booted
) -> None:
    path = "/var/lib/node-exporter/unix.prom"
    host.run("mkdir", "-p", str(Path(path).parent))

    play(repo_root, host, "-e", f"exporter_listen= exporter_textfile={path}")
    await_true(lambda: has(host, path))
    assert "unix_listen_queue_looks_total" in host.run("cat", path).stdout
    assert "changed=0" in play(repo_root, host, "-e", f"exporter_listen= exporter_textfile={path}")

    host.run("touch", f"{path}.123.456")  # of one that was killed while it wrote
    host.run("systemctl", "kill", "--signal=KILL", UNIT)
    await_true(lambda: not has(host, path))
    assert host.run("ls", "-A", str(Path(path).parent)).stdout == ""
    await_true(lambda: has(host, path))  # it was started anew

    play(repo_root, host, "-e", "exporter_state=absent")
    assert host.run("ls", "-A", str(Path(path).parent)).stdout == ""


def test_a_text_file_that_could_not_be_written_is_refused_before_anything_is_installed(
    repo_root: Path, host: Booted
) -> None:
    ran = played(repo_root, host, "-e", "exporter_listen= exporter_textfile=/no/such/directory/unix.prom")

    assert ran.returncode != 0
    assert "in a directory that is there" in ran.stdout
    assert not has(host, f"/etc/systemd/system/{UNIT}")


def test_systemd_finds_no_fault_in_the_unit_and_little_exposure(repo_root: Path, host: Booted) -> None:
    unit = repo_root / "contrib" / "systemd" / UNIT
    program = host.root / "usr/local/lib/cgidlab-exporter"
    (host.root / "run" / UNIT).write_text(
        unit.read_text().replace("/usr/local/lib/cgidlab-exporter/exporter.pyz", "/etc/hostname")
    )

    verified = host.run("systemd-analyze", "verify", f"/run/{UNIT}", check=False)
    exposed = host.run("systemd-analyze", "security", "--offline=yes", "--threshold=35", f"/run/{UNIT}", check=False)

    assert not program.exists()
    assert (verified.returncode, verified.stderr) == (0, "")
    assert exposed.returncode == 0, exposed.stdout
