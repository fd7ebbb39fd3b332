"""Real Ansible builds from git and from tarballs, side by side, and says what can be had."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.integration.test_provision import _build, _builds, _source

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def _git(directory: Path, *arguments: str) -> None:
    who = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org"]
    subprocess.run(["git", *who, "-C", str(directory), *arguments], check=True, capture_output=True)


def _versions(directory: Path) -> set[str]:
    return {json.loads((built / "build.json").read_text())["source"].split(",")[0] for built in _builds(directory)}


def _tarball(source: Path, directory: Path) -> dict[str, str]:
    """Pack a source as the release 2.4.1 and return it as the runner tells a role of it."""
    path = directory / "httpd-2.4.1.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(source, "httpd-2.4.1")
    return {"path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def test_a_branch_and_a_tarball_are_built_side_by_side_and_a_version_that_cannot_be_is_named(tmp_path: Path) -> None:
    """The tarball stands for a release without any network; the second play builds what moved and what is broken."""
    repository = _source(tmp_path / "httpd")
    (repository / "modules/filters/mod_include.h").touch()  # git keeps no empty directory
    tarball = _tarball(repository, tmp_path)
    _git(repository, "init", "-q", "-b", "trunk")
    _git(repository, "add", ".")
    _git(repository, "commit", "-qm", "one")
    nowhere = (tmp_path / "nowhere").as_uri()
    branch = f"git:{repository}#trunk"

    first = _build(
        tmp_path, "", build_sources=[branch, "upstream:2.4.1"], build_tarballs=[tarball], build_mirror=nowhere
    )

    assert first.code == 0, first.output
    assert _versions(tmp_path) == {f"git {repository} trunk", "upstream 2.4.1"}

    (repository / "modules/generators/mod_cgid.c").write_text("int y;\n")
    _git(repository, "commit", "-qam", "two")
    broken = _source(tmp_path / "broken", make="echo x.c:7:1: error: what; false")

    # The tarball is not named again: a run that goes on finds what it began with.
    second = _build(tmp_path, "", build_sources=[f"path:{broken}", branch, "upstream:2.4.1"], build_mirror=nowhere)

    assert second.code != 0
    assert f"httpd path:{broken} (path {broken}): make failed with exit status 2: x.c:7:1: error: what" in second.output
    assert f"--only httpd={branch},upstream:2.4.1" in second.output
    assert len(_builds(tmp_path)) == 3, "the branch moved, and the tarball's build was there"


@pytest.mark.slow
def test_what_can_be_had_is_listed_with_how_it_is_verified(repo_root: Path, tmp_path: Path) -> None:
    mirror, releases = tmp_path / "mirror", tmp_path / "releases"
    mirror.mkdir()
    releases.mkdir()
    tarball = _tarball(_source(tmp_path / "httpd"), mirror)
    (mirror / "SHA256SUMS").write_text(f"{tarball['sha256']}  httpd-2.4.1.tar.gz\n")
    inventory = tmp_path / "inventory.yml"
    names = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "host_cache_dir": str(tmp_path / "cache"),
        "host_work_dir": str(tmp_path / "work"),
        "build_mirror": (tmp_path / "nowhere").as_uri(),
    }
    inventory.write_text(
        json.dumps(
            {"all": {"vars": names, "children": {g: {"hosts": {"local": {}}} for g in ("servers", "generators")}}}
        )
    )
    argv = [sys.executable, "runner.py", "sources", "--format", "json", "--target", str(inventory)]

    argv += ["--sources", str(mirror)]

    ran = subprocess.run(argv, cwd=repo_root, capture_output=True, text=True, check=False, timeout=600)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    (host,) = json.loads(ran.stdout)["hosts"]
    by_origin = {one["origin"]: one for one in host["sources"]}
    assert by_origin["--sources"]["httpd"] == "upstream:2.4.1"
    assert by_origin["--sources"]["verified"] == "checksum"
    assert by_origin["upstream"]["available"] is False
    assert "No such file" in by_origin["upstream"]["reason"]
    offered = [one for one in host["sources"] if one["httpd"].startswith("distro")]
    assert offered, "a version or the reason why there is none"
    assert all(one["verified"] == "the distribution's signed index" for one in offered if one["available"])
    assert all(one["reason"] for one in host["sources"] if not one["available"])
