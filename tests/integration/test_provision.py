"""Real Ansible builds: what it makes, and what it leaves when something fails.

The source is one of a few lines that configure, make and make install treat like any other.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
BUILD_TIMEOUT_S = 1200
START_TIMEOUT_S = 120  # the machine may be busy


@dataclass(frozen=True)
class Played:
    """How an ansible-playbook ended."""

    code: int
    output: str

    @property
    def changed(self) -> int:
        """The number of changed tasks on the one host there is."""
        return int(self.output.rsplit("changed=", 1)[1].split()[0])


def _play(playbook: Path, variables: dict[str, Any], directory: Path) -> Played:
    (directory / "vars.json").write_text(json.dumps(variables))
    argv: list[str | Path] = [PLAYBOOK, playbook, "-i", "inventories/local.yml", "-e", f"@{directory}/vars.json"]
    # A module that is killed leaves its unpacked payload behind: here, not in everybody's directory.
    changes = {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "TMPDIR": str(directory)}
    process = subprocess.run(
        argv,
        cwd=ROOT,
        env={**os.environ, **changes},
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT_S,
        check=False,
    )
    return Played(process.returncode, process.stdout + process.stderr)


# --- faults, on a small source ---------------------------------------------------------------------------------------

PLAY = """\
- name: Build
  hosts: all
  gather_facts: false
  roles: [host, build]
"""
RELEASE_H = (
    "#define AP_SERVER_MAJORVERSION_NUMBER 2\n#define AP_SERVER_MINORVERSION_NUMBER 4\n"
    "#define AP_SERVER_PATCHLEVEL_NUMBER 1\n"
)
# Stands for httpd: tells its version, has the two directories that are kept, and is built by configure and make.
CONFIGURE = """\
#!/bin/sh
set -e
for word; do case $word in --prefix=*) prefix=${word#--prefix=};; esac; done
{configure}
printf 'all:\\n\\t@%s\\n' '{make}' > Makefile
printf 'install:\\n\\tmkdir -p %s/bin\\n\\tinstall httpd %s/bin/httpd\\n' "$prefix" "$prefix" >> Makefile
printf '#!/bin/sh\\necho "Server version: Apache/2.4.1 (Unix)"\\n' > httpd
"""


def _source(root: Path, *, configure: str = ":", make: str = "true") -> Path:
    for directory in ("include", "modules/generators", "modules/filters"):
        (root / directory).mkdir(parents=True)
    (root / "include/ap_release.h").write_text(RELEASE_H)
    (root / "modules/generators/mod_cgid.c").write_text("int x;\n")
    (root / "configure").write_text(CONFIGURE.replace("{configure}", configure).replace("{make}", make))
    (root / "configure").chmod(0o755)
    return root


def write_helper(path: Path) -> None:
    """Write a helper, as far as provisioning is concerned."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("cgidhost/__main__.py"), "print('of the trial')\n")


def _build(directory: Path, httpd: str, **changes: object) -> Played:
    (directory / "play.yml").write_text(PLAY)
    helper = directory / "cgidhost.pyz"
    write_helper(helper)
    variables = {
        "build_httpd": httpd,
        "host_cache_dir": str(directory / "cache"),
        "host_work_dir": str(directory / "work"),
        "host_helper_archive": str(helper),
        **changes,
    }
    return _play(directory / "play.yml", variables, directory)


def _builds(directory: Path) -> list[Path]:
    return [path for path in (directory / "cache/httpd").glob("*") if path.is_dir()]


def test_a_local_source_is_built_once_and_found_again(tmp_path: Path) -> None:
    source = _source(tmp_path / "httpd")

    first = _build(tmp_path, f"path:{source}")
    second = _build(tmp_path, f"path:{source}")

    assert (first.code, second.code, second.changed) == (0, 0, 0), first.output + second.output
    (built,) = _builds(tmp_path)
    assert json.loads((built / "build.json").read_text())["version"] == "2.4.1"
    assert not (built / "src").exists()


def test_changed_flags_are_another_build(tmp_path: Path) -> None:
    source = _source(tmp_path / "httpd")

    _build(tmp_path, f"path:{source}")
    _build(tmp_path, f"path:{source}", build_cflags="-O1")

    assert len(_builds(tmp_path)) == 2


@pytest.mark.parametrize(
    ("steps", "want"),
    [
        pytest.param(
            {"configure": "echo configure: error: no pcre2; exit 1"},
            "configure failed with exit status 1: configure: error: no pcre2",
            id="configure",
        ),
        pytest.param(
            {"make": "echo x.c:7:1: error: what; false"},
            "make failed with exit status 2: x.c:7:1: error: what",
            id="make",
        ),
        pytest.param({"make": "echo No space left on device; false"}, "the disk is full", id="disk full"),
    ],
)
def test_a_build_that_fails_says_why_once_and_leaves_only_its_log(
    tmp_path: Path, steps: dict[str, str], want: str
) -> None:
    played = _build(tmp_path, f"path:{_source(tmp_path / 'httpd', **steps)}")

    assert played.code != 0
    assert want in played.output
    assert "Traceback" not in played.output
    assert _builds(tmp_path) == []
    assert list((tmp_path / "cache/httpd").glob("*.log"))


def test_a_missing_compiler_is_named_before_anything_is_built(tmp_path: Path) -> None:
    played = _build(tmp_path, f"path:{_source(tmp_path / 'httpd')}", build_compiler="no-such-cc")

    assert "no working C compiler no-such-cc" in played.output
    assert not (tmp_path / "cache/httpd").exists()


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()


def _pids_of(command: str) -> list[int]:
    """Return the processes with exactly this command line, as far as they still are there when looked at."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if _command(int(directory.name)) == command:
                found.append(int(directory.name))
    return found


def _ancestors(pid: int) -> Iterator[int]:
    """Yield the parents of a process, nearest first, up to this one."""
    while True:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        if pid in (0, 1, os.getpid()):
            return
        yield pid


def _wait_for(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + START_TIMEOUT_S
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen in {START_TIMEOUT_S} s"
        time.sleep(0.02)


def test_a_build_killed_in_the_middle_of_make_ends_with_its_parent_and_is_made_again(tmp_path: Path) -> None:
    gate = f"gate-{tmp_path.parent.name}-{os.getpid()}"
    # As long as nobody opens the gate make waits, in a directory that is the build's own.
    source = _source(tmp_path / "httpd", make=f"touch half-built; mkfifo {gate}; exec cat {gate}")
    first = threading.Thread(target=_build, args=(tmp_path, f"path:{source}"))
    first.start()
    _wait_for(lambda: _pids_of(f"cat {gate}"), "make")
    (waiting,) = _pids_of(f"cat {gate}")
    chain = list(_ancestors(waiting))
    make = next(pid for pid in chain if _command(pid).startswith("make"))
    (half_built,) = _builds(tmp_path)

    # Whoever is above the first process that make shares its namespaces with. Stopped first: who sees its child die
    # before it dies itself tidies up after a build that failed.
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in chain[chain.index(make) + 2 :]:
            os.kill(pid, number)
    first.join()

    _wait_for(lambda: not _pids_of(f"cat {gate}"), "the end of make")
    assert (half_built / "work/httpd/half-built").exists()
    assert not (half_built / "build.json").exists()
    played: list[Played] = []
    second = threading.Thread(target=lambda: played.append(_build(tmp_path, f"path:{source}")))
    second.start()
    _wait_for(lambda: _pids_of(f"cat {gate}"), "the second make")
    (half_built / "work/httpd" / gate).open("w").close()
    second.join()
    assert played[0].code == 0, played[0].output
    assert _builds(tmp_path) == [half_built]
    assert not (half_built / "work").exists()


def test_two_builds_at_the_same_time_build_once(tmp_path: Path) -> None:
    source = _source(tmp_path / "httpd", make="sleep 1")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    played: list[Played] = []

    def build(name: str) -> None:
        cache = str(tmp_path / "cache")
        played.append(_build(tmp_path / name, f"path:{source}", host_cache_dir=cache))

    threads = [threading.Thread(target=build, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [one.code for one in played] == [0, 0], played
    said = [re.search(r"TASK \[build : Build httpd\] \*+\n(\w+): ", one.output) for one in played]
    assert sorted(found.group(1) for found in said if found) == ["changed", "ok"]


# --- releases of the project, from a server on loopback with a key made for the test ---------------------------------


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """Publish a signed release and yield its directory and base URL."""
    directory = tmp_path_factory.mktemp("mirror")
    _source(directory / "httpd-2.4.1")
    with tarfile.open(directory / "httpd-2.4.1.tar.gz", "w:gz") as archive:
        archive.add(directory / "httpd-2.4.1", "httpd-2.4.1")
    _sign(directory)
    handler = functools.partial(_QuietHandler, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield directory, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base class names it so
        """Say nothing."""


def _gpg(home: Path, *arguments: str | Path) -> bytes:
    base: list[str | Path] = ["gpg", "--batch", "--homedir", home, "--pinentry-mode", "loopback", "--passphrase", ""]
    return subprocess.run([*base, *arguments], capture_output=True, check=True).stdout


def _sign(directory: Path) -> None:
    """Write .sha256, .asc and KEYS beside the tarball, with a new key."""
    tarball = directory / "httpd-2.4.1.tar.gz"
    digest = hashlib.sha256(tarball.read_bytes()).hexdigest()
    (directory / f"{tarball.name}.sha256").write_text(f"{digest} *{tarball.name}\n")
    # Short, because gpg's agent makes a socket in it.
    with tempfile.TemporaryDirectory() as home:
        _gpg(Path(home), "--quick-generate-key", "Release Manager <rm@example.org>", "ed25519", "sign", "never")
        (directory / "KEYS").write_bytes(_gpg(Path(home), "--armor", "--export"))
        asc = directory / f"{tarball.name}.asc"
        asc.unlink(missing_ok=True)
        _gpg(Path(home), "--armor", "--detach-sign", "--output", asc, tarball)
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "gpg-agent"], check=True)


def test_a_release_with_a_good_checksum_and_signature_is_built(release: tuple[Path, str], tmp_path: Path) -> None:
    played = _build(tmp_path, "upstream:2.4.1", build_mirror=release[1])

    assert played.code == 0, played.output
    (built,) = _builds(tmp_path)
    found = json.loads((built / "build.json").read_text())
    assert found["source"].startswith("upstream 2.4.1, signed by ")
    assert found["source_sha256"] == hashlib.sha256((release[0] / "httpd-2.4.1.tar.gz").read_bytes()).hexdigest()


def _change_tarball(directory: Path) -> None:
    with (directory / "httpd-2.4.1.tar.gz").open("ab") as file:
        file.write(b"x")


def _change_tarball_and_checksum(directory: Path) -> None:
    _change_tarball(directory)
    digest = hashlib.sha256((directory / "httpd-2.4.1.tar.gz").read_bytes()).hexdigest()
    (directory / "httpd-2.4.1.tar.gz.sha256").write_text(f"{digest} *httpd-2.4.1.tar.gz\n")


def _sign_with_a_key_that_is_not_published(directory: Path) -> None:
    keys = (directory / "KEYS").read_bytes()
    _sign(directory)
    (directory / "KEYS").write_bytes(keys)


def _take_signature_away(directory: Path) -> None:
    (directory / "httpd-2.4.1.tar.gz.asc").unlink()


@pytest.mark.parametrize(
    ("tamper", "want"),
    [
        pytest.param(_change_tarball, "does not have the checksum", id="tarball"),
        pytest.param(_change_tarball_and_checksum, "is not valid by any of the project's keys", id="and checksum"),
        pytest.param(_sign_with_a_key_that_is_not_published, "is not valid by any of the project's keys", id="key"),
        pytest.param(_take_signature_away, "cannot be downloaded", id="no signature"),
    ],
)
def test_a_release_that_cannot_be_verified_is_an_error_and_nothing_of_it_is_kept(
    release: tuple[Path, str], tmp_path: Path, tamper: Callable[[Path], None], want: str
) -> None:
    mirror = tmp_path / "mirror"
    shutil.copytree(release[0], mirror)
    tamper(mirror)

    played = _build(tmp_path, "upstream:2.4.1", build_mirror=mirror.as_uri())

    assert played.code != 0
    assert want in played.output
    assert [path for path in (tmp_path / "cache/sources").iterdir() if path.is_dir()] == []
    assert not (tmp_path / "cache/httpd").exists()
