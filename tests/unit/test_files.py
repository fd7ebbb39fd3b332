"""A file is there whole or not at all."""

import json
import os
from pathlib import Path

import pytest

from cgidlab import files
from cgidlab.errors import StoreError


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.json"
    files.write_json(path, {"a": 1})

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        files.write_json(path, {"a": 2})

    assert json.loads(path.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_the_data_reaches_the_disk_before_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    real_sync, real_replace = os.fsync, Path.replace

    def sync(handle: int) -> None:
        order.append("sync")
        real_sync(handle)

    def replace(self: Path, target: Path) -> Path:
        order.append("rename")
        return real_replace(self, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", replace)

    files.write_text(tmp_path / "x", "text")

    assert order == ["sync", "rename", "sync"]


def test_nobody_else_can_read_a_runs_files(tmp_path: Path) -> None:
    files.write_text(tmp_path / "x", "text")

    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640


def test_nan_is_not_written_as_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(tmp_path / "x", {"a": float("nan")})


@pytest.mark.parametrize(
    ("user", "blocks", "free", "for_others", "full"),
    [
        (0, 100, 5, 0, False),
        (1000, 100, 5, 0, True),
        (0, 100, 0, 0, True),
        (0, 0, 0, 0, False),  # a file system that counts no blocks
    ],
)
def test_a_disk_is_full_when_whoever_asks_can_write_no_more(
    user: int, blocks: int, free: int, for_others: int, *, full: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = os.statvfs_result((4096, 4096, blocks, free, for_others, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _path: told)
    monkeypatch.setattr(os, "geteuid", lambda: user)

    assert files.is_full(tmp_path) is full
