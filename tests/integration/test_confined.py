"""A stranger's build does no harm: what it can reach, what it can leave behind, and what is told of it."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import stat
import subprocess
import tarfile
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration import test_provision
from tests.integration.test_provision import _build, _builds, _source
from tests.role_code import utility

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.needs_root

lab_build = utility("lab_build")
lab_confined = utility("lab_confined")
lab_trust = utility("lab_trust")
LabError = lab_build.LabError


@pytest.fixture
def within(tmp_path: Path) -> Any:  # noqa: ANN401 -- a module of a host, which has no types
    """Return a confinement with a directory `work` to write to."""
    (tmp_path / "build").mkdir()
    confinement = lab_confined.Confinement(str(tmp_path / "build"))
    confinement.give("work")
    return confinement


def _said(within: Any, script: str, *words: str) -> str:  # noqa: ANN401 -- same
    argv = within.wrapped(["sh", "-c", script, "sh", *words], str(Path(within.directory, "work")))
    ran = subprocess.run(argv, capture_output=True, text=True, env=within.environment(), check=False)
    return ran.stdout + ran.stderr


def test_a_build_is_a_user_without_rights_and_has_no_way_to_more(within: Any) -> None:  # noqa: ANN401 -- same
    said = _said(within, "id -u; id -G; grep -E 'CapEff|NoNewPrivs' /proc/self/status; unshare -Ur true; mknod x c 1 1")

    assert said.splitlines()[:2] == [str(lab_confined.account()[0]), str(lab_confined.account()[1])]
    assert "CapEff:\t0000000000000000" in said
    assert "NoNewPrivs:\t1" in said
    assert said.count("Operation not permitted") == 2, said


def test_a_build_writes_to_its_own_directory_and_nowhere_else(within: Any, tmp_path: Path) -> None:  # noqa: ANN401 -- same
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)

    said = _said(
        within,
        'for d in / /etc /usr /var "$@"; do touch $d/x && echo $d; done 2>/dev/null',
        str(tmp_path / "open"),
        ".",
    )

    assert said.split() == ["."]
    assert list((tmp_path / "open").iterdir()) == []
    assert (tmp_path / "build" / "work" / "x").exists()


def test_a_build_has_no_network(within: Any) -> None:  # noqa: ANN401 -- same
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        said = _said(within, "cat /proc/net/dev; exec 3<>/dev/tcp/127.0.0.1/$1 && echo reached", str(port))

    assert "reached" not in said
    assert [line.split(":")[0].strip() for line in said.splitlines() if ":" in line and "sh:" not in line] == ["lo"]


def test_a_build_sees_nothing_of_the_users(
    within: Any,  # noqa: ANN401 -- same
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not its files, not its environment, not its processes, and not the lock of the build."""
    monkeypatch.setenv("MY_TOKEN", "canary-1f7c")
    (tmp_path / "secret").write_text("canary-1f7c")
    (tmp_path / "secret").chmod(0o644)
    with (tmp_path / "lock").open("w") as lock:
        looks = (
            "env; ls /root /home /run; ls -l /proc/self/fd /proc/1/fd; echo processes: $(ls /proc | grep -cx '[0-9]*')"
        )
        argv = within.wrapped(["sh", "-c", f"cat {tmp_path}/secret; {looks}"], "/")
        ran = subprocess.run(
            argv, capture_output=True, text=True, env=within.environment(), pass_fds=[lock.fileno()], check=False
        )

    assert "canary-1f7c" not in ran.stdout
    assert str(tmp_path / "lock") not in ran.stdout
    assert int(ran.stdout.split("processes: ")[1]) < 10, ran.stdout
    assert ran.stderr.count("No such file or directory") == 4, ran.stderr


def test_what_a_build_starts_ends_with_its_step(within: Any, tmp_path: Path) -> None:  # noqa: ANN401 -- same
    _said(within, "setsid sh -c 'while :; do date +%N > alive; sleep 0.05; done' & sleep 0.3")

    alive = tmp_path / "build" / "work" / "alive"
    before = alive.read_text()
    assert all(alive.read_text() == before for _ in range(3) if not threading.Event().wait(0.1))


def test_others_who_are_nobody_do_not_get_at_a_build_that_goes_on(within: Any, tmp_path: Path) -> None:  # noqa: ANN401 -- same
    assert stat.S_IMODE((tmp_path / "build").stat().st_mode) == 0o700

    within.done()

    assert stat.S_IMODE((tmp_path / "build").stat().st_mode) == 0o755
    assert [path.name for path in (tmp_path / "build").iterdir()] == ["work"]


# --- what it leaves --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "want"),
    [
        ("ln -s /etc/shadow mod_cgid.so", "is a link that leads out of the build"),
        ("ln -s ../../../.. up", "is a link that leads out of the build"),
        ("mkfifo httpd", "is no file"),
        ("touch a; ln a b", "has a second name"),
    ],
)
def test_what_is_no_plain_file_of_a_build_is_refused(within: Any, script: str, want: str) -> None:  # noqa: ANN401 -- same
    said = _said(within, script)

    with pytest.raises(LabError, match=want):
        lab_trust.settle(str(Path(within.directory, "work")), within.uid)
    assert said == ""


def test_another_users_file_in_a_build_is_refused(within: Any) -> None:  # noqa: ANN401 -- same
    path = Path(within.directory, "work", "x")
    path.touch()

    with pytest.raises(LabError, match="belongs to the user root and not to who built it"):
        lab_trust.settle(str(path.parent), within.uid)


def test_what_a_build_leaves_is_roots_and_has_no_rights_of_its_own(within: Any) -> None:  # noqa: ANN401 -- same
    _said(
        within, "umask 0; mkdir -p a/b; cp /bin/true a/b/x; chmod 6777 a/b/x; touch y; ln -s b/x a/link; chmod 3777 a"
    )
    work = Path(within.directory, "work")

    lab_trust.settle(str(work), within.uid)

    for path in (work, *work.rglob("*")):
        about = path.lstat()
        assert about.st_uid == about.st_gid == 0, path
        if not path.is_symlink():
            assert stat.S_IMODE(about.st_mode) in (0o755, 0o644), (path, oct(about.st_mode))
    assert os.access(work / "a/link", os.X_OK)


# --- the whole of it, by Ansible -------------------------------------------------------------------------------------


def test_configure_make_and_the_built_httpd_itself_run_without_rights(tmp_path: Path) -> None:
    """The last one says its version, which root used to ask it for."""
    source = _source(tmp_path / "httpd", configure="id -u > who", make="cat who; test $$(id -u) != 0")
    says = 'echo "Server version: Apache/2.4.1 (Unix)"'
    script = (source / "configure").read_text()
    assert says in script
    (source / "configure").write_text(script.replace(says, says + "; id -u; touch /etc/planted; test $(id -u) != 0"))

    played = _build(tmp_path, f"path:{source}")

    assert played.code == 0, played.output
    (built,) = _builds(tmp_path)
    assert not Path("/etc/planted").exists()
    description = json.loads((built / "build.json").read_text())
    assert description["unconfined"] == ""
    for path in (built, *built.rglob("*")):
        assert path.lstat().st_uid == 0, path


def test_a_source_whose_module_is_a_link_to_a_file_of_roots_gets_none_of_it(tmp_path: Path) -> None:
    """Root copied what was called mod_cgid.c, and everybody may read the cache."""
    (tmp_path / "secret").write_text("canary-9a2b")
    (tmp_path / "secret").chmod(0o600)
    source = _source(tmp_path / "httpd")
    (source / "modules/generators/mod_cgid.c").unlink()
    (source / "modules/generators/mod_cgid.c").symlink_to(tmp_path / "secret")

    played = _build(tmp_path, f"path:{source}")

    assert played.code == 0, played.output
    assert [p for p in (tmp_path / "cache").rglob("*") if p.is_file() and b"canary-9a2b" in p.read_bytes()] == []


def test_another_users_file_in_the_cache_ends_the_run_with_its_name(tmp_path: Path) -> None:
    source = _source(tmp_path / "httpd")
    first = _build(tmp_path, f"path:{source}")
    (built,) = _builds(tmp_path)
    os.chown(built / "prefix/bin/httpd", 1234, 1234)

    second = _build(tmp_path, f"path:{source}")

    assert first.code == 0, first.output
    assert second.code != 0
    assert f"{built}/prefix/bin/httpd belongs to the user 1234" in second.output


# --- a host that allows no namespaces --------------------------------------------------------------------------------


@pytest.fixture
def in_a_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Have Ansible run without the right to make namespaces, as root in a container does; give a place for a cache."""
    play = tmp_path / "ansible-playbook"
    play.write_text(f'#!/bin/sh\nexec setpriv --bounding-set -sys_admin {test_provision.PLAYBOOK} "$@"\n')
    play.chmod(0o755)
    monkeypatch.setattr(test_provision, "PLAYBOOK", play)
    # Where everybody may pass: there is nothing but their modes to keep others from a build's files then.
    with tempfile.TemporaryDirectory(prefix="cgidlab-test-", dir="/var/tmp") as place:
        Path(place).chmod(0o755)
        yield Path(place)


def test_without_namespaces_a_strangers_source_is_refused_by_name(tmp_path: Path, in_a_container: Path) -> None:
    source = _source(tmp_path / "httpd")

    played = _build(tmp_path, f"path:{source}", host_cache_dir=str(in_a_container / "cache"))

    assert played.code != 0
    assert (
        "its source is no verified release, and nothing confines its build here (this host allows no" in played.output
    )
    assert "Operation not permitted" in played.output
    assert not list((in_a_container / "cache/httpd").glob("*/build.json"))


def test_without_namespaces_a_verified_source_is_built_without_rights_and_that_is_told(
    tmp_path: Path, in_a_container: Path
) -> None:
    source = _source(tmp_path / "httpd", make="touch /etc/planted; test $$(id -u) != 0")
    with tarfile.open(tmp_path / "httpd-2.4.1.tar.gz", "w:gz") as archive:
        archive.add(source, "httpd-2.4.1")
    path = tmp_path / "httpd-2.4.1.tar.gz"
    tarball = {"path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    cache = in_a_container / "cache"

    played = _build(tmp_path, "upstream:2.4.1", host_cache_dir=str(cache), build_tarballs=[tarball])

    assert played.code == 0, played.output
    (marker,) = (cache / "httpd").glob("*/build.json")
    assert "Operation not permitted" in json.loads(marker.read_text())["unconfined"]
    assert not Path("/etc/planted").exists()
    assert all(path.lstat().st_uid == 0 for path in cache.rglob("*"))
