"""How deep a stranger nests directories, or an answer, ends one thing with its name and never a program of ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cgidlab.engine import ansible, hoststate
from cgidlab.engine.ansible import Played, TaskFailure, TaskResult
from cgidlab.engine.execute import Site
from tests.role_code import utility

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
lab_build = utility("lab_build")
lab_source_git = utility("lab_source_git")
lab_source_local = utility("lab_source_local")
lab_trust = utility("lab_trust")
LabError = lab_build.LabError
DEEP = "[" * 100_000


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """Return a directory in which others lie in each other, deeper than a walk can go."""
    top = tmp_path / "deep"
    top.mkdir()
    at = os.open(top, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=at)
        inner = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = inner
    os.close(at)
    yield top
    subprocess.run(["rm", "-rf", tmp_path], check=True)  # pytest's own way has the same limit


def test_a_build_that_left_a_deep_directory_is_thrown_away(deep: Path) -> None:
    """No source of that key could ever be built again."""
    with lab_build.building(str(deep)) as (_lock, done):
        assert done is None
        assert list(deep.iterdir()) == []


def test_what_a_build_leaves_is_not_used_when_it_is_too_deep(deep: Path) -> None:
    with pytest.raises(LabError, match="is deeper than 64 directories"):
        lab_trust.settle(str(deep), os.geteuid())


def test_a_source_that_is_too_deep_is_refused(deep: Path) -> None:
    with pytest.raises(LabError, match="is deeper than 64 others"):
        lab_source_local.tree_sha256(str(deep))


def test_a_tarball_that_is_too_deep_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("/".join("d" * 1500)))

    with pytest.raises(LabError, match="deeper than 64 others"):
        lab_source_local.unpack_tar(str(tmp_path / "a.tar"), str(tmp_path / "httpd"), None)


@pytest.mark.parametrize(
    "ask", [lab_source_local.describe_path, lambda p: lab_source_local.unpack_tar(p, p + ".d", None)]
)
def test_a_tarball_of_headers_without_end_is_refused(tmp_path: Path, ask: Callable[[str], object]) -> None:
    info = tarfile.TarInfo("x")
    info.type = tarfile.XHDTYPE
    (tmp_path / "a.tar").write_bytes(info.tobuf() * 3000 + bytes(1024))

    with pytest.raises(LabError, match="headers of headers without end"):
        ask(str(tmp_path / "a.tar"))


@pytest.mark.parametrize("kind", ["answer", "failure"])
def test_a_host_whose_answer_is_nested_without_end_is_a_host_with_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def play(*_args: object, callbacks: Any, **_words: object) -> Played:  # noqa: ANN401 -- stands in for Ansible
        if kind == "answer":
            callbacks.on_result(TaskResult("h1", "host : Undo what is left", "command", False, {"stdout": DEEP}))  # noqa: FBT003
            return Played(True, False, False, {}, (), tmp_path)  # noqa: FBT003
        return Played(False, False, False, {}, (TaskFailure("h1", "t", DEEP, False),), tmp_path)  # noqa: FBT003

    monkeypatch.setattr(ansible, "play", play)
    site = Site(ROOT, ROOT / "inventories" / "local.yml")

    found = hoststate.recover(site, ["h1"], {}, tmp_path / "work", lambda _task: None)

    assert [f.host for f in found] == ["h1"]
    assert found[0].problems


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_no_filter_of_the_users_runs_on_a_source_from_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A .gitattributes of a stranger had git-lfs run as us, outside of the build's confinement."""
    repository = tmp_path / "httpd"
    repository.mkdir()
    (repository / "text").write_text("text\n")
    (repository / ".gitattributes").write_text("text filter=evil\n")
    config = tmp_path / "config"
    config.write_text("[user]\nname = a\nemail = a@b\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "first"]):
        subprocess.run(["git", "-C", repository, *words], check=True)
    config.write_text(f'[filter "evil"]\nsmudge = "touch {tmp_path}/ran; cat"\n')

    described, _ = lab_source_git.describe_git(str(repository), str(tmp_path / "cache"), str(tmp_path))

    with tarfile.open(described["path"]) as tar:
        member = tar.extractfile("httpd/text")
        assert member is not None
        assert member.read() == b"text\n"
    assert not (tmp_path / "ran").exists()
