"""What a server of a stranger's leaves in its directories, or names, costs its own trial at most."""

import errno
import hashlib
import os
import subprocess
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from cgidhost import archive, own, process, recover
from cgidhost.ending import TrialEnd
from cgidhost.sut import cgid
from cgidhost.sut.cgid import Cgid

if TYPE_CHECKING:
    from cgidhost.server import Server
    from cgidhost.sockdiag import SockDiag


def nest(directory: Path, depth: int) -> None:
    """Make directories in each other, deeper than any path can be written, each with a file in it."""
    at = os.open(directory, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=at)
        inner = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=inner))
        os.close(at)
        at = inner
    os.close(at)


def names_in(path: str) -> list[str]:
    with tarfile.open(path) as tar:
        return tar.getnames()


@pytest.fixture
def trial(tmp_path: Path) -> Path:
    """Return a trial's directory with a log, in a dead block below a host's work directory."""
    trial = tmp_path / "work" / "block" / "001"
    (trial / "logs").mkdir(parents=True)
    (trial / "logs" / "error_log").write_text("one\n")
    (trial.parent / own.BLOCK).write_text("{}")
    return trial


def test_directories_deeper_than_a_walk_can_go_are_packed_around_and_removed(trial: Path) -> None:
    """The block's process ended with its other trials undone, and neither `recover` nor a new block got any further."""
    nest(trial / "logs", 3000)
    (trial / "logs" / "link").symlink_to(trial.parent.parent.parent)
    kept = trial.parent.parent.parent / "kept"
    kept.write_text("")
    try:
        packed = archive.pack(str(trial), str(trial) + ".tar.gz", lambda: b"{}")
        found = names_in(packed.path)
        said = recover.recover(str(trial.parent.parent), [], [])
    finally:
        os.system(f"rm -rf '{trial.parent}'")  # noqa: S605 -- pytest's own way to remove it has the same limit

    assert "logs/error_log" in found
    assert max(name.count("/") for name in found) < 16
    assert said == {"undone": [f"removed {trial.parent}"], "problems": []}
    assert kept.exists()


def test_a_name_that_is_no_text_is_left_out_of_an_archive(trial: Path) -> None:
    """One such file of a server ended the block's process."""
    for name in (b"\xff", b"a\nb", b"\x1b[2J"):
        Path(os.fsdecode(os.fsencode(trial / "logs") + b"/" + name)).touch()

    packed = archive.pack(str(trial), str(trial) + ".tar.gz", lambda: b"{}")

    assert names_in(packed.path) == ["logs/error_log", "result.json", "SHA256SUMS"]


def test_a_second_name_of_a_file_is_neither_packed_nor_read(trial: Path) -> None:
    """Where the kernel lets everybody make hard links, what only root may read was sent home."""
    secret = trial.parent / "secret"
    secret.write_text("secret")
    (trial / "logs" / "httpd_output").hardlink_to(secret)

    packed = archive.pack(str(trial), str(trial) + ".tar.gz", lambda: b"{}")

    assert names_in(packed.path) == ["logs/error_log", "result.json", "SHA256SUMS"]
    with pytest.raises(OSError, match="second name"):
        process.read_plain(str(trial / "logs" / "httpd_output"))


def test_more_than_is_taken_of_a_trial_is_not_packed(trial: Path) -> None:
    """Eight TB of nothing in a sparse file would have been read to their end."""
    with (trial / "logs" / "big").open("wb") as file:
        file.truncate(archive.MOST_BYTES + 1)

    with pytest.raises(OSError, match="more than") as caught:
        archive.pack(str(trial), str(trial) + ".tar.gz", lambda: b"{}")

    assert caught.value.errno == errno.EFBIG
    assert sorted(p.name for p in trial.parent.iterdir()) == ["001", own.BLOCK]


def _hidden(run: Path, socket: Path) -> None:
    server = SimpleNamespace(run_dir=str(run), listener=SimpleNamespace(path=str(socket)), find_acceptors=lambda _: [1])
    begin, _end = Cgid.faults["hide_socket"](cast("Server", server), cast("SockDiag", None))
    begin()


def test_a_socket_is_hidden_where_it_lies_and_nowhere_else(tmp_path: Path) -> None:
    """A daemon that bound it below a directory and then put a link there had root rename any file of the host."""
    run, etc = tmp_path / "run", tmp_path / "etc"
    for directory in (run, etc):
        directory.mkdir()
    (etc / "shadow").write_text("")
    (run / "d").symlink_to(etc)
    (run / "cgid.sock").touch()

    _hidden(run, run / "cgid.sock")
    for path in (run / "d" / "shadow", Path(f"{run}/../etc/shadow")):
        with pytest.raises(TrialEnd, match="does not lie right below"):
            _hidden(run, path)

    assert [p.name for p in etc.iterdir()] == ["shadow"]
    assert (run / "cgid.sock.hidden").exists()


@pytest.mark.parametrize("kind", ["FIFO", "device"])
def test_nobody_waits_for_a_module_that_only_the_daemon_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Root's first process read a FIFO in its place for ever, and a link to /dev/zero until the memory was gone."""
    module = tmp_path / "mod_cgid.so"
    if kind == "FIFO":
        os.mkfifo(module)
    else:
        module.symlink_to("/dev/zero")
    line = f"7f00-7f01 r-xp 00000000 08:01 1    {module}\n"
    monkeypatch.setattr(process, "read_text", lambda _path: line)

    with pytest.raises(OSError, match=r"no plain file|symbolic"):
        cgid.sha256_of_module(1, "/x/mod_cgid.so")


def test_a_module_has_the_hash_of_its_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "mod_cgid.so"
    module.write_bytes(b"x" * 3_000_000)
    monkeypatch.setattr(process, "read_text", lambda _path: f"7f00-7f01 r-xp 00000000 08:01 1    {module}\n")

    assert cgid.sha256_of_module(1, str(module)) == hashlib.sha256(b"x" * 3_000_000).hexdigest()


def test_the_children_of_a_process_that_ends_meanwhile_are_told_by_who_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel has ESRCH where a thread was reaped after its list was opened."""

    def gone(path: str) -> str:
        raise ProcessLookupError(3, "No such process", path)

    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as child:
        monkeypatch.setattr(process, "read_text", gone)
        monkeypatch.setattr(process, "parent_of", {child.pid: os.getpid()}.get)

        assert process.children(os.getpid()) == [child.pid]
