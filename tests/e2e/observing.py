"""The helper that watches a server, started without Ansible: for tests of what it sees."""

import csv
import io
import json
import subprocess
import tarfile
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
HELPERS = ROOT / "roles" / "trial" / "files"
PYTHON = "/usr/bin/python3"  # what a host has, and not this project's own
_END_S = 90.0


@dataclass(frozen=True)
class Target:
    """What was seen of one socket."""

    said: dict[str, Any]  # its entry in observation.json
    archive: Path

    @cached_property
    def files(self) -> dict[str, bytes]:
        """Return every file of its archive."""
        with tarfile.open(self.archive) as tar:
            return {m.name: found.read() for m in tar if (found := tar.extractfile(m)) is not None}

    @cached_property
    def result(self) -> dict[str, Any]:
        """Return result.json."""
        found: dict[str, Any] = json.loads(self.files["result.json"])
        return found

    def column(self, instrument: str, name: str) -> list[int]:
        """Return a column of an instrument's file, without its empty fields."""
        rows = csv.DictReader(io.StringIO(self.files[f"instruments/{instrument}.csv"].decode()))
        return [int(row[name]) for row in rows if row[name]]

    def unavailable(self, instrument: str) -> str:
        """Return why an instrument did not run; empty when it did."""
        state = self.result["instruments"][instrument]
        return str(state["reason"]) if state["state"] == "unavailable" else ""

    @property
    def events(self) -> list[str]:
        """Return what happened to its server."""
        return [str(event["what"]) for event in self.said["events"]]


@dataclass
class Watch:
    """One observation under way."""

    directory: Path
    pid: int
    order: dict[str, Any] = field(default_factory=dict)

    def live(self) -> dict[str, Any]:
        """Return what was seen last; empty before there is anything."""
        try:
            found: dict[str, Any] = json.loads((self.directory / "live.json").read_text())
        except OSError:
            return {}
        return found

    def await_live(self) -> None:
        """Return when it has begun to watch."""
        self._await("live.json")

    def stop(self) -> None:
        """Ask it to end with what it has."""
        (self.directory / "stop").touch()

    def result(self) -> dict[str, Any]:
        """Wait for its end and return observation.json."""
        self._await("observation.json")
        found: dict[str, Any] = json.loads((self.directory / "observation.json").read_text())
        return found

    def targets(self) -> dict[str, Target]:
        """Wait for its end and return what was seen, by label."""
        return {t["label"]: Target(t, Path(t["archive"])) for t in self.result()["targets"]}

    def _await(self, name: str) -> None:
        deadline = time.monotonic() + _END_S
        while not (self.directory / name).exists():
            log = self.directory / "observe.log"
            assert not (self.directory / "failed.json").exists(), log.read_text()
            assert time.monotonic() < deadline, f"no {name}: {log.read_text()}"
            time.sleep(0.02)  # the file is the announcement


def watch(directory: Path, *, prefix: tuple[str, ...] = (), **changes: Any) -> Watch:  # noqa: ANN401 -- an order's values
    """Start to observe this machine, for two seconds if not told otherwise."""
    order = {
        "duration_s": 2.0,
        "until_full": False,
        "around_s": 2.0,
        "cost_share": 0.05,
        "sockets": [],
        "status_url": "",
        "error_logs": [],
        "lease_s": 60.0,
        "every": False,
        "whole_requests": False,
        **changes,
    }
    directory.mkdir(exist_ok=True)
    argv = [*prefix, PYTHON, "-B", "-m", "cgidhost", "observe", "--order", json.dumps(order), "--dir", str(directory)]
    ran = subprocess.run(argv, check=True, capture_output=True, text=True, cwd=HELPERS)
    return Watch(directory, int(json.loads(ran.stdout)["pid"]), order)
