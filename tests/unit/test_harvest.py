"""What a host sends is kept whole or not at all, and never outside the trial's directory."""

import gzip
import hashlib
import io
import os
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cgidlab.errors import StoreError
from cgidlab.runs import harvest

FILES = {"result.json": b"{}", "logs/error_log": b"one\n"}


def archive(path: Path, files: dict[str, bytes], change: Callable[[tarfile.TarInfo], None] | None = None) -> Path:
    """Make an archive as a host makes it, with a change to its last member for the tests that need one."""
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items())
    with tarfile.open(path, "w:gz") as tar:
        for name, data in {"SHA256SUMS": sums.encode(), **files}.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            if change and name == list(files)[-1]:
                change(member)
            tar.addfile(member, io.BytesIO(data) if member.isfile() else None)
    return path


def test_a_whole_archive_becomes_the_trials_directory(tmp_path: Path) -> None:
    directory = tmp_path / "trials" / "001-x"
    directory.parent.mkdir()

    harvest.unpack(archive(tmp_path / "a.tar.gz", FILES), directory, {"schema_version": 1, "key": "k"})

    assert (directory / "logs" / "error_log").read_bytes() == b"one\n"
    assert '"key": "k"' in (directory / "trial.json").read_text()
    assert [p.name for p in directory.parent.iterdir()] == ["001-x"]


def _as_link(member: tarfile.TarInfo) -> None:
    member.type, member.linkname, member.size = tarfile.SYMTYPE, "/etc/passwd", 0


def _as_device(member: tarfile.TarInfo) -> None:
    member.type, member.size = tarfile.CHRTYPE, 0


def _named(name: str) -> Callable[[tarfile.TarInfo], None]:
    return lambda member: setattr(member, "name", name)


@pytest.mark.parametrize(
    "change",
    [_as_link, _as_device, _named("../outside"), _named("/outside"), _named("logs/../../outside"), _named("other")],
    ids=["link", "device", "parent", "absolute", "hidden parent", "not listed"],
)
def test_a_hostile_archive_leaves_nothing(tmp_path: Path, change: Callable[[tarfile.TarInfo], None]) -> None:
    trials = tmp_path / "trials"
    trials.mkdir()

    with pytest.raises(StoreError):
        harvest.unpack(archive(tmp_path / "a.tar.gz", FILES, change), trials / "001-x", {"schema_version": 1})

    assert list(trials.iterdir()) == []
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("name", ["outcome.json", "figures.json", "trial.json", "load/requests.parquet"])
def test_what_this_machine_writes_is_not_taken_from_a_host(tmp_path: Path, name: str) -> None:
    (tmp_path / "trials").mkdir()
    packed = archive(tmp_path / "a.tar.gz", {**FILES, name: b"{}"})

    with pytest.raises(harvest.BadArchive, match="which is no file of a trial"):
        harvest.unpack(packed, tmp_path / "trials" / "001-x", {"schema_version": 1})


@pytest.mark.parametrize(
    "kind", [os.mkfifo, Path.mkdir, lambda p: p.symlink_to("/dev/zero")], ids=["FIFO", "directory", "link"]
)
def test_what_is_no_file_is_no_archive_and_nobody_waits_for_it(tmp_path: Path, kind: Callable[[Path], None]) -> None:
    trials = tmp_path / "trials"
    trials.mkdir()
    kind(tmp_path / "a.tar.gz")

    with pytest.raises(harvest.BadArchive, match="and no file"):
        harvest.unpack(tmp_path / "a.tar.gz", trials / "001-x", {"schema_version": 1})

    assert list(trials.iterdir()) == []


def _header(name: str, kind: bytes = tarfile.REGTYPE, data: bytes = b"") -> bytes:
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, len(data)
    return member.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % tarfile.BLOCKSIZE)


def _long(name: str) -> bytes:
    return _header("././@LongLink", tarfile.GNUTYPE_LONGNAME, name.encode() + b"\0") + _header("short")


def _sparse() -> bytes:
    """Return a member whose header says that its one byte stands behind 4 GiB of nothing."""
    return _header("x", tarfile.XHDTYPE, b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n") + _header(
        "logs/error_log", data=b"1\n4294967296\n1\n".ljust(512, b"\0") + b"x"
    )


@pytest.mark.parametrize(
    "members",
    [
        _header("x", tarfile.XHDTYPE, b"7 a=bc\n") * 2000 + _header("f"),
        _header("x", tarfile.GNUTYPE_LONGNAME, b"f\0") * 2000 + _header("f"),
        _header("x", tarfile.XGLTYPE, b"7 a=bc\n") + _header("f"),
        _header("x", tarfile.XHDTYPE, b"9 a=bcde\n" * 40_000) + _header("f"),
        _long("/".join("a" * 1500)),
        _long("/".join("a" * 20)),
        _long("a" * 300),
        _header("f") + _header("f"),
        _header("f") + _header("f/g"),
        _header("f/g") + _header("f"),
        _sparse(),
    ],
    ids=[
        "headers of headers",
        "names of names",
        "a header for all",
        "a header without end",
        "too deep to remove",
        "too deep",
        "a name too long",
        "a name twice",
        "below a file",
        "a directory's name",
        "sparse",
    ],
)
def test_an_archive_that_no_host_packs_is_to_blame_and_leaves_nothing(tmp_path: Path, members: bytes) -> None:
    """Depth and chains of headers ended the run with a traceback, and the others as if this disk were full."""
    trials = tmp_path / "trials"
    trials.mkdir()
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(members + bytes(1024)))

    with pytest.raises(harvest.BadArchive):
        harvest.unpack(tmp_path / "a.tar.gz", trials / "001-x", {"schema_version": 1})

    assert list(trials.iterdir()) == []


def test_what_headers_say_of_many_files_is_not_kept_in_memory(tmp_path: Path) -> None:
    """A thousand headers of 4 MB each would have been 60 GB."""
    said = b"".join(b"12 %05d=xy\n" % number for number in range(1200))
    packed = b"".join(_header("x", tarfile.XHDTYPE, said) + _header(f"f{number}") for number in range(20))
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(packed + bytes(1024)))
    (tmp_path / "trials").mkdir()

    tracemalloc.start()
    try:
        with pytest.raises(StoreError, match="has no SHA256SUMS"):
            harvest.unpack(tmp_path / "a.tar.gz", tmp_path / "trials" / "001-x", {"schema_version": 1})
        assert tracemalloc.get_traced_memory()[1] < 3 << 20
    finally:
        tracemalloc.stop()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_archive_is_refused_or_harmless(tmp_path: Path, data: st.DataObject) -> None:
    good = archive(tmp_path / "good.tar.gz", FILES).read_bytes()
    at = data.draw(st.integers(0, len(good) - 1))
    cut = data.draw(st.booleans())
    bad = tmp_path / "bad.tar.gz"
    bad.write_bytes(
        good[:at] if cut else good[:at] + bytes([good[at] ^ data.draw(st.integers(1, 255))]) + good[at + 1 :]
    )
    directory = tmp_path / "trials" / "001-x"
    directory.parent.mkdir(exist_ok=True)

    try:
        harvest.unpack(bad, directory, {"schema_version": 1})
    except StoreError:
        return
    # A flipped bit in the compressed stream's header may change nothing that matters.
    assert {name: (directory / name).read_bytes() for name in FILES} == FILES


def test_an_archive_that_unpacks_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harvest, "MAX_UNPACKED_BYTES", 3)

    with pytest.raises(StoreError, match="more than 3 bytes"):
        harvest.unpack(archive(tmp_path / "a.tar.gz", FILES), tmp_path / "001-x", {"schema_version": 1})
