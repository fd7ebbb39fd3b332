"""What a host sends is kept whole or not at all, and never outside the trial's directory."""

import hashlib
import io
import os
import tarfile
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


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
