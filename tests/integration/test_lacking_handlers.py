"""Real Ansible asks a package manager that lacks packages: which handlers that costs is said, nothing is installed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tests.integration.test_provision import Played, _play

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

PLAY = """\
- name: See which handlers there can be
  hosts: all
  gather_facts: false
  tasks:
    - name: Look at the host
      ansible.builtin.include_role: {name: host, tasks_from: survey}
    - name: Ask
      ansible.builtin.include_role: {name: systems, tasks_from: offered}
"""
# Nothing is installed, and of four packages there is one. What apt-get is told is written down.
FAKES = {
    "dpkg-query": "exit 1",
    "apt-config": "exit 0",
    "apt-get": 'echo "$*" >>"$(dirname "$0")/told"',
    "apt-cache": "printf 'plenty:\\n  Installed: (none)\\n  Candidate: 1.0\\nnone:\\n  Candidate: (none)\\n'",
}


def _handler(program: str, *packages: str, **more: dict[str, str]) -> dict[str, Any]:
    return {"program": program, "version": ["--version"], "Debian": packages, "RedHat": packages, **more}


def _ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **known: dict[str, Any]) -> Played:
    fakes = tmp_path / "bin"
    fakes.mkdir()
    for name, text in FAKES.items():
        (fakes / name).write_text(f"#!/bin/sh\n{text}\n")
        (fakes / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{fakes}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "play.yml").write_text(PLAY)
    variables = {
        "systems_installed": list(known),
        "__systems_known": known,
        "__systems_found_in": {"Debian": {"lost": "elsewhere"}, "RedHat": {"lost": "elsewhere"}},
        "host_cache_dir": str(tmp_path / "cache"),
        "host_work_dir": str(tmp_path / "work"),
    }
    return _play(tmp_path / "play.yml", variables, tmp_path)


def _told(tmp_path: Path) -> list[str]:
    path = tmp_path / "bin" / "told"
    return path.read_text().splitlines() if path.exists() else []


def test_all_handlers_that_cannot_be_had_are_named_at_once_and_nothing_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = _ask(
        tmp_path,
        monkeypatch,
        fcgid=_handler("ls", module={"name": "mod_x", "Debian": "none", "RedHat": "none"}),
        gunicorn=_handler("no-such-program", "plenty"),
        uwsgi=_handler("no-such-program", "plenty", "lost"),
        php_fpm=_handler("ls", "lost"),
    )

    said = " ".join(played.output.split())
    assert played.code != 0
    assert (
        "cannot run every handler of the experiment: fcgid needs none, which no repository of this host has; "
        "uwsgi needs lost, which no repository of this host has (elsewhere has it). Add"
    ) in said
    assert "Traceback" not in said
    assert [line for line in _told(tmp_path) if "install" in line or "download" in line] == []
    assert os.geteuid() != 0 or "-q update" in _told(tmp_path), "an index that lacks something is fetched anew first"


def test_what_is_there_by_other_means_or_offered_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    php_fpm, uwsgi = _handler("ls", "lost"), _handler("no-such-program", "plenty")

    played = _ask(tmp_path, monkeypatch, php_fpm=php_fpm, uwsgi=uwsgi)

    assert (played.code, played.changed) == (0, 1), played.output  # the host's directories were made
