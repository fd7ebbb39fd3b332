"""What comes with a package starts neither now nor with the host, on a host that systemd booted."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rigs import systemd_host
from tests.rigs.systemd_host import Booted

pytestmark = [pytest.mark.needs_root, pytest.mark.slow]

UNIT = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"
# As dh_installsystemd writes it.
POSTINST = """#!/bin/sh
set -e
deb-systemd-helper enable lab-served.service
deb-systemd-invoke start lab-served.service
"""
CONTROL = "Package: lab-served\nVersion: 1\nArchitecture: all\nMaintainer: lab\nDescription: serves\n"
# A flat repository of that one package, and no other source.
REPOSITORY = """set -e
mkdir -p /repo && dpkg-deb --build /made /repo/lab-served.deb >/dev/null
cd /repo && dpkg-deb --field lab-served.deb > Packages
echo "Filename: ./lab-served.deb" >> Packages
echo "Size: $(stat -c %s lab-served.deb)" >> Packages
echo "SHA256: $(sha256sum lab-served.deb | cut -d' ' -f1)" >> Packages
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*
echo "deb [trusted=yes] file:/repo ./" > /etc/apt/sources.list
"""
PLAY = """
- hosts: servers
  gather_facts: false
  become: true
  vars:
    __host_survey: {os_family: Debian}
    __host_missing: [lab-served]
    __host_can_become: true
    __host_install_command: apt install
  tasks:
    - ansible.builtin.include_role: {name: host, tasks_from: packages}
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booted]:
    if systemd_host.missing():
        pytest.skip(systemd_host.missing())
    with systemd_host.booted(tmp_path_factory.mktemp("booted")) as made:
        for name, text in {
            "made/DEBIAN/control": CONTROL,
            "made/DEBIAN/postinst": POSTINST,
            "made/lib/systemd/system/lab-served.service": UNIT,
            "etc/systemd/system/of-others.service": UNIT,
        }.items():
            (made.root / name).parent.mkdir(parents=True, exist_ok=True)
            (made.root / name).write_text(text)
        (made.root / "made/DEBIAN/postinst").chmod(0o755)
        made.run("sh", "-c", REPOSITORY)
        made.run("systemctl", "enable", "of-others.service")
        yield made


def test_a_package_starts_no_service_now_nor_with_the_host(repo_root: Path, host: Booted, tmp_path: Path) -> None:
    (tmp_path / "play.yml").write_text(PLAY)
    argv = [
        str(Path(sys.executable).parent / "ansible-playbook"),
        "-i",
        str(host.inventory),
        str(tmp_path / "play.yml"),
    ]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_ROLES_PATH": str(repo_root / "roles")}

    ran = subprocess.run(argv, check=False, cwd=repo_root, env=environment, capture_output=True, text=True)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert host.run("dpkg-query", "-W", "-f", "${Status}", "lab-served").stdout == "install ok installed"
    state = {
        unit: host.run("systemctl", "is-enabled", unit, check=False).stdout.strip()
        for unit in ("lab-served.service", "of-others.service")
    }
    assert state == {"lab-served.service": "disabled", "of-others.service": "enabled"}
    assert host.run("systemctl", "is-active", "lab-served.service", check=False).stdout.strip() == "inactive"
