"""`--target vagrant` as a user meets it, and the Vagrantfile as Vagrant itself reads it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

VAGRANT = shutil.which("vagrant")
with_vagrant = pytest.mark.skipif(VAGRANT is None, reason="vagrant is not installed (playbooks/test-tools.yml does it)")

STATUS = "1700000000,,ui,info,Current machine states:\n"
STATES = {
    "running": "1700000000,{name},state,running\n",
    "stopped": "1700000000,{name},state,shutoff\n",
    "absent": "1700000000,{name},state,not_created\n",
}
CONFIG = "Host server\n  HostName 127.0.0.1\n  User vagrant\n  Port 2222\n  IdentityFile /lab/key\n"


def run(repo_root: Path, tmp_path: Path, path: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Start the runner with a PATH and Vagrant's state of its own."""
    return subprocess.run(
        [sys.executable, repo_root / "runner.py", *words],
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "VAGRANT_DOTFILE_PATH": str(tmp_path / "state")},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def pretend(directory: Path, states: dict[str, str], *, config: str = CONFIG, code: int = 0) -> str:
    """Make a program `vagrant` that answers like the real one, and return a PATH that finds it first."""
    directory.mkdir()
    status = STATUS + "".join(STATES[state].format(name=name) for name, state in states.items())
    (directory / "status").write_text(status)
    (directory / "config").write_text(config)
    program = directory / "vagrant"
    program.write_text(
        f'#!/bin/sh\ncase $1 in status) cat {directory}/status ;; *) echo "$*" >>{directory}/asked;\n'
        f'[ {code} = 0 ] || {{ echo "The provider is broken." >&2; exit {code}; }}; cat {directory}/config ;; esac\n'
    )
    program.chmod(0o755)
    return f"{directory}{os.pathsep}{os.environ['PATH']}"


def without_vagrant(tmp_path: Path) -> str:
    """Return a PATH on which everything is found but Vagrant."""
    place = tmp_path / "bin"
    place.mkdir()
    for directory in reversed(os.environ["PATH"].split(os.pathsep)):
        for program in Path(directory).glob("*"):
            link = place / program.name
            link.unlink(missing_ok=True)
            if program.name != "vagrant":
                link.symlink_to(program)
    return str(place)


def test_planning_for_vagrant_needs_neither_vagrant_nor_machines(repo_root: Path, tmp_path: Path) -> None:
    smoke = str(repo_root / "experiments" / "smoke.yml")

    planned = run(repo_root, tmp_path, without_vagrant(tmp_path), "plan", smoke, "--target", "vagrant")

    assert planned.returncode == 0, planned.stderr
    assert not (tmp_path / "state").exists()


def test_a_run_without_vagrant_says_what_to_install(repo_root: Path, tmp_path: Path) -> None:
    smoke = str(repo_root / "experiments" / "smoke.yml")

    ran = run(repo_root, tmp_path, without_vagrant(tmp_path), smoke, "--target", "vagrant")

    assert ran.returncode == 3
    assert "needs Vagrant, which is not installed" in ran.stderr
    assert "docs/vagrant.md" in ran.stderr


@pytest.mark.parametrize(
    ("states", "want"),
    [
        pytest.param({"server": "absent", "generator1": "absent"}, "were never brought up", id="none was ever made"),
        pytest.param({"server": "running", "generator1": "stopped"}, "generator1 \\(shutoff\\)", id="one is stopped"),
    ],
)
def test_machines_that_are_not_up_are_named(repo_root: Path, tmp_path: Path, states: dict[str, str], want: str) -> None:
    path = pretend(tmp_path / "pretended", states)

    ran = run(repo_root, tmp_path, path, str(repo_root / "experiments" / "smoke.yml"), "--target", "vagrant")

    assert ran.returncode == 3
    assert re.search(want, ran.stderr)
    assert "fix: run: vagrant up" in ran.stderr


def test_what_vagrant_complains_of_is_shown(repo_root: Path, tmp_path: Path) -> None:
    path = pretend(tmp_path / "pretended", {"server": "running"}, code=1)

    ran = run(repo_root, tmp_path, path, str(repo_root / "experiments" / "smoke.yml"), "--target", "vagrant")

    assert ran.returncode == 3
    assert "The provider is broken." in ran.stderr


def test_the_inventory_is_written_beside_vagrants_state_and_only_machines_that_exist_are_asked_for(
    repo_root: Path, tmp_path: Path
) -> None:
    path = pretend(tmp_path / "pretended", {"server": "running", "generator1": "absent"})

    ran = run(repo_root, tmp_path, path, str(repo_root / "experiments" / "smoke.yml"), "--target", "vagrant")

    assert ran.returncode == 3  # nobody listens on that port
    assert "server cannot be reached" in ran.stderr
    assert (tmp_path / "pretended" / "asked").read_text() == "ssh-config server\n"
    written = json.loads((tmp_path / "state" / "cgidlab" / "inventory.json").read_text())
    assert written["all"]["children"]["servers"]["hosts"]["server"]["ansible_port"] == 2222


def vagrant(repo_root: Path, tmp_path: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Start the real Vagrant on the Vagrantfile, with its state and its boxes below `tmp_path`."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("CGIDLAB_", "VAGRANT_"))}
    # A provider that is there: Vagrant lists no machine without one, and this one it asks for its version alone.
    provider = tmp_path / "provider" / "VBoxManage"
    provider.parent.mkdir(exist_ok=True)
    provider.write_text("#!/bin/sh\necho 7.0.20r0\n")
    provider.chmod(0o755)
    places = {
        "VAGRANT_HOME": str(tmp_path / "home"),
        "VAGRANT_DOTFILE_PATH": str(tmp_path / "state"),
        "PATH": f"{provider.parent}{os.pathsep}{os.environ['PATH']}",
    }
    return subprocess.run(
        ["/usr/bin/env", "vagrant", *words],
        cwd=repo_root,
        env={**environment, **places, "VAGRANT_CHECKPOINT_DISABLE": "1", **settings},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@with_vagrant
@pytest.mark.parametrize(
    ("settings", "machines"),
    [
        pytest.param({}, ["server", "generator1"], id="all defaults"),
        pytest.param(
            {
                "CGIDLAB_CENTOS": "10",
                "CGIDLAB_GENERATORS": "3",
                "CGIDLAB_MEMORY_MB": "1024",
                "CGIDLAB_CORES": "1",
                "CGIDLAB_NETWORK": "10.20.30",
                "CGIDLAB_BOX_URL": "https://mirror.example/lab.box",
            },
            ["server", "generator1", "generator2", "generator3"],
            id="every setting moved",
        ),
        pytest.param({"CGIDLAB_GENERATORS": "0"}, ["server"], id="no generator"),
    ],
)
def test_vagrant_finds_the_vagrantfile_valid(
    repo_root: Path, tmp_path: Path, settings: dict[str, str], machines: list[str]
) -> None:
    validated = vagrant(repo_root, tmp_path, "validate", "--ignore-provider", **settings)
    assert validated.returncode == 0, validated.stdout + validated.stderr

    listed = vagrant(repo_root, tmp_path, "status", "--machine-readable", **settings)
    names = re.findall(r"^\d+,([^,]+),(?:state|provider-name),", listed.stdout, re.MULTILINE)
    assert list(dict.fromkeys(names)) == machines, listed.stdout + listed.stderr
    assert not (tmp_path / "state" / "cgidlab").exists()


@with_vagrant
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CGIDLAB_CENTOS", "8"),
        ("CGIDLAB_GENERATORS", "many"),
        ("CGIDLAB_MEMORY_MB", "64"),
        ("CGIDLAB_CORES", "0"),
        ("CGIDLAB_NETWORK", "192.168"),
    ],
)
def test_a_setting_that_is_unusable_is_named(repo_root: Path, tmp_path: Path, name: str, value: str) -> None:
    validated = vagrant(repo_root, tmp_path, "validate", "--ignore-provider", **{name: value})

    assert validated.returncode != 0
    assert f"{name}={value} is not usable" in validated.stderr
