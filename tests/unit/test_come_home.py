"""Trials that come home while a block runs are reported once each, in their order, whenever they are seen."""

import json
import os
import threading
import time
from pathlib import Path

import pytest

from cgidlab.engine.arrivals import Arrival, WatchedArrivals
from cgidlab.errors import StoreError


def leave(incoming: Path, number: int) -> None:
    partial = incoming / f".{number:03d}.partial"
    partial.write_text(json.dumps({"number": number, "host": "h", "state": "ended", "ended": "complete"}))
    partial.replace(incoming / f"{number:03d}.arrival.json")


def test_each_is_reported_once_however_often_one_looks(tmp_path: Path) -> None:
    seen: list[int] = []
    second = threading.Event()

    def on_arrival(arrival: Arrival) -> None:
        seen.append(arrival.number)
        if arrival.number == 2:
            second.set()

    over = threading.Event()
    with WatchedArrivals(tmp_path, on_arrival, over, [0.0] * 3):
        leave(tmp_path, 1)
        leave(tmp_path, 2)
        assert second.wait(30)
        leave(tmp_path, 3)
        (tmp_path / "004.tar.gz").write_bytes(b"an archive alone is no arrival")

    assert seen == [1, 2, 3]
    assert not over.is_set()


def test_a_block_is_over_once_all_that_came_home_is_reported(tmp_path: Path) -> None:
    over = threading.Event()
    seen: list[tuple[int, bool]] = []
    with WatchedArrivals(tmp_path, lambda arrival: seen.append((arrival.number, over.is_set())), over, [0.0] * 2):
        leave(tmp_path, 1)
        leave(tmp_path, 2)
        (tmp_path / "over.json").write_text("{}")
        assert over.wait(30)

        assert seen == [(1, False), (2, False)]


def test_what_reporting_one_raised_keeps_nobody_waiting(tmp_path: Path) -> None:
    over = threading.Event()

    def raised(_: Arrival) -> None:
        raise StoreError("no room")

    def block() -> None:
        with WatchedArrivals(tmp_path, raised, over, [0.0]):
            leave(tmp_path, 1)
            (tmp_path / "over.json").write_text("{}")
            assert over.wait(30)

    with pytest.raises(StoreError, match="no room"):
        block()


def test_a_directory_that_cannot_be_looked_into_keeps_nobody_waiting(tmp_path: Path) -> None:
    over = threading.Event()

    def block() -> None:
        with WatchedArrivals(tmp_path / "gone", lambda _: None, over, [0.0]):
            assert over.wait(30)

    with pytest.raises(StoreError, match="what comes home cannot be taken: No such file"):
        block()


def test_no_look_is_due_in_the_window_of_the_last_trial(tmp_path: Path) -> None:
    """It begins once the one before it has come home; when that was seen does not matter."""
    pauses = []
    watched = WatchedArrivals(tmp_path, lambda _: None, threading.Event(), [9.0, 9.0])
    for number, ago_s in ((1, 3.0), (2, 0.0)):
        pauses.append(watched._pause_s())  # noqa: SLF001 -- how long it waits is all there is to see
        leave(tmp_path, number)
        came_s = time.time() - ago_s
        os.utime(tmp_path / f"{number:03d}.arrival.json", (came_s, came_s))
        watched._report()  # noqa: SLF001 -- same
        pauses.append(watched._pause_s())  # noqa: SLF001 -- same

    assert pauses == [0.5, 0.5, 0.5, 0.05]


def test_the_last_trial_is_looked_for_often_once_it_should_be_over(tmp_path: Path) -> None:
    watched = WatchedArrivals(tmp_path, lambda _: None, threading.Event(), [9.0, 9.0])
    leave(tmp_path, 1)
    came_s = time.time() - 10.0
    os.utime(tmp_path / "001.arrival.json", (came_s, came_s))
    watched._report()  # noqa: SLF001 -- as above

    assert watched._pause_s() == 0.05  # noqa: SLF001 -- same
