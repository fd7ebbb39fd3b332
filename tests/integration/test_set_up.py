"""Making .venv and finding it: scripts/setup.sh and runner.py, really started, without a network."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

LOCK = "# a lock without packages, so that pip needs no network\n"


@pytest.fixture
def clone(repo_root: Path, tmp_path: Path) -> Path:
    """Return a directory with what set-up reads and locks that name no package."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(repo_root / "scripts" / "setup.sh", tmp_path / "scripts")
    shutil.copy(repo_root / "runner.py", tmp_path)
    for name in ("requirements.lock", "requirements-dev.lock"):
        (tmp_path / name).write_text(LOCK)
    return tmp_path


def set_up(clone: Path, lock: str = "requirements.lock", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run set-up as make does."""
    return subprocess.run(
        [clone / "scripts" / "setup.sh", lock],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def start_runner(clone: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Start runner.py with an interpreter that has the standard library and nothing else."""
    return subprocess.run(
        [sys.executable, "-I", "-S", clone / "runner.py", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_a_second_set_up_does_nothing_and_an_interrupted_or_outdated_one_is_made_anew(clone: Path) -> None:
    first = set_up(clone)
    assert first.returncode == 0, first.stderr
    stamp = clone / ".venv" / ".cgidlab-stamp"
    witness = clone / ".venv" / "witness"

    witness.touch()
    assert (set_up(clone).returncode, set_up(clone).stderr, witness.exists()) == (0, "", True)

    stamp.unlink()  # as a kill in the middle leaves it
    assert set_up(clone).returncode == 0
    assert (stamp.exists(), witness.exists()) == (True, False)

    witness.touch()
    (clone / "requirements.lock").write_text(LOCK * 2)
    assert set_up(clone).returncode == 0
    assert not witness.exists()


def test_development_packages_come_on_top_and_serve_both_locks(clone: Path) -> None:
    (clone / "requirements-dev.lock").write_text(LOCK * 3)
    assert set_up(clone).returncode == 0
    witness = clone / ".venv" / "witness"
    witness.touch()

    assert set_up(clone, "requirements-dev.lock").returncode == 0
    said = set_up(clone)

    assert (said.returncode, said.stderr, witness.exists()) == (0, "", True)


def test_the_users_pip_settings_change_neither_what_is_installed_nor_where(clone: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    config = tmp_path / "pip.conf"
    config.write_text(f"[install]\nuser = true\ntarget = {elsewhere}\n")

    said = set_up(
        clone,
        PIP_CONFIG_FILE=str(config),
        PIP_PREFIX=str(elsewhere),
        PIP_CONSTRAINT=str(tmp_path / "missing"),
        PYTHONPATH=str(elsewhere),
    )

    assert (said.returncode, elsewhere.exists()) == (0, False), said.stderr


def test_a_lock_that_is_not_there_is_one_clear_error(clone: Path) -> None:
    said = set_up(clone, "requirements-other.lock")

    assert said.returncode == 1
    assert said.stderr.startswith("error: there is no lock file requirements-other.lock\n  fix: ")
    assert not (clone / ".venv").exists()


def test_without_packages_and_without_venv_the_runner_names_the_command_in_one_line(clone: Path) -> None:
    said = start_runner(clone, "validate", "x.yml")

    assert (said.returncode, said.stdout, said.stderr.count("\n")) == (2, "", 1)
    assert said.stderr.startswith("error: packages of requirements.lock are missing (ansible, ansible_runner, ")
    assert said.stderr.endswith(f"); install them with: make -C {clone} setup\n")


def test_the_runner_starts_again_with_the_venv_that_set_up_made(clone: Path) -> None:
    python = clone / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$@"\nexit 7\n')
    python.chmod(0o755)
    unfinished = start_runner(clone, "plan", "a b.yml")
    (clone / ".venv" / ".cgidlab-stamp").touch()

    said = start_runner(clone, "plan", "a b.yml")

    assert unfinished.returncode == 2
    assert (said.returncode, said.stdout) == (7, f"{clone / 'runner.py'} plan a b.yml\n")


def test_a_venv_whose_packages_are_gone_does_not_make_the_runner_start_itself_for_ever(clone: Path) -> None:
    assert set_up(clone).returncode == 0

    said = subprocess.run(
        [clone / ".venv" / "bin" / "python", clone / "runner.py"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    assert said.returncode == 2
    assert "make -C" in said.stderr


def test_without_a_network_the_index_that_cannot_be_reached_is_named_within_seconds(clone: Path) -> None:
    (clone / "requirements.lock").write_text("some-package==1.0 --hash=sha256:00\n")
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    direct = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "PIP_PROXY"), "")

    said = set_up(clone, PIP_INDEX_URL=f"http://127.0.0.1:{port}/simple", **direct)
    begin = time.monotonic()
    again = set_up(clone, PIP_INDEX_URL="http://no-such-host.invalid/simple", **direct)

    assert said.returncode == 1
    assert f"error: the package index cannot be reached: 127.0.0.1:{port} (Connection refused)\n  fix: " in said.stderr
    assert "the package index cannot be reached: no-such-host.invalid:80 (" in again.stderr
    assert time.monotonic() - begin < 60, "a venv on a busy machine, and 8 s"


def test_make_works_in_a_path_with_spaces(repo_root: Path, tmp_path: Path) -> None:
    place = tmp_path / "my own lab"
    (place / "scripts").mkdir(parents=True)
    for name in ("scripts/setup.sh", "Makefile"):
        shutil.copy(repo_root / name, place / name)
    for name in ("requirements.lock", "requirements-dev.lock"):
        (place / name).write_text(LOCK)
    (place / "runner.py").write_text('#!/usr/bin/env python3\nimport sys\nprint(sys.prefix, *sys.argv, sep="|")\n')
    (place / "runner.py").chmod(0o755)

    ran = subprocess.run(
        ["make", "smoke", "ARGS=--set window_s=5"], cwd=place, capture_output=True, text=True, check=False, timeout=300
    )

    assert ran.returncode == 0, ran.stderr
    assert f"{place}/.venv|./runner.py|experiments/smoke.yml|--set|window_s=5" in ran.stdout
