"""A full disk ends a run only when it stays full."""

import time
from pathlib import Path

import pytest

from cgidlab import files
from cgidlab.engine.room import FULL_S, Room
from cgidlab.runs.store import RunDirectory


def wants(monkeypatch: pytest.MonkeyPatch, *looks: tuple[float, bool]) -> list[str | None]:
    """Return what is said at each look: its time, and whether the disk is full then."""
    room, said = Room(RunDirectory(Path("/results/run-1"))), []
    for now_s, full in looks:
        monkeypatch.setattr(time, "monotonic", lambda now_s=now_s: now_s)
        monkeypatch.setattr(files, "is_full", lambda _path, full=full: full)
        found = room.want()
        said.append(None if found is None else found.fix)
    return said


def test_a_disk_that_stays_full_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    said = wants(monkeypatch, (10, False), (11, True), (11 + FULL_S - 0.1, True), (11 + FULL_S, True))

    assert said == [None, None, None, "make room, then go on: --resume run-1"]


def test_a_moment_without_room_is_no_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    assert wants(monkeypatch, (10, True), (10 + FULL_S - 0.1, False), (10 + FULL_S, True)) == [None] * 3
