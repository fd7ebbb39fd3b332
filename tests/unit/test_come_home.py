"""Trials that come home while a block runs are reported once each, in their order, whenever they are seen."""

import json
import threading
from pathlib import Path

from cgidlab.engine.arrivals import Arrival, WatchedArrivals


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

    with WatchedArrivals(tmp_path, on_arrival):
        leave(tmp_path, 1)
        leave(tmp_path, 2)
        assert second.wait(30)
        leave(tmp_path, 3)
        (tmp_path / "004.tar.gz").write_bytes(b"an archive alone is no arrival")

    assert seen == [1, 2, 3]
