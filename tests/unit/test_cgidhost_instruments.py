"""Instruments of the host's helper from start to stop, whichever they are."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cgidhost.ending import TrialEnd, Unavailable
from cgidhost.instruments import INSTRUMENTS
from cgidhost.instruments.base import Attached, Scene, State
from cgidhost.instruments.running import Running
from cgidhost.instruments.server_memory import ServerMemory, with_descendants
from cgidhost.waiting import Patience

from cgidlab.failures import is_out_of_room
from cgidlab.model import FailureKind, Outcome, Status
from tests.waiting import eventually


class Shell(Attached):
    """A shell that does what the test says."""

    name = "shell"
    program = "sh"
    script = "echo ready > ready; exec sleep 60"
    at = ""

    def arguments(self, scene: Scene) -> list[str]:
        """Run the script in the instrument's directory."""
        self.at = scene.directory
        return ["-c", f"cd {scene.directory}; {self.script}"]

    def is_ready(self) -> bool:
        """Say whether the script said so."""
        return (Path(self.at) / "ready").exists()

    @classmethod
    def at_edge(cls, scene: Scene) -> dict[str, Any]:
        """Return how many files there are."""
        return {"files": len(list(Path(scene.directory).iterdir()))}

    @classmethod
    def edges_document(cls, begin: Mapping[str, Any], end: Mapping[str, Any]) -> dict[str, Any]:
        """Return both."""
        return {"begin": begin["files"], "end": end["files"]}


def scene(directory: Path, **tools: str | None) -> Scene:
    return Scene(str(directory), tools, {}, None)


@pytest.fixture
def patience() -> Patience:
    return Patience(os.pipe()[0])


def test_an_instrument_whose_program_is_not_there_says_so(tmp_path: Path) -> None:
    assert Shell.why_not(scene(tmp_path, sh=None)) == Shell.why_not(scene(tmp_path)) == "sh is not installed"
    assert Shell.why_not(scene(tmp_path, sh="/bin/sh")) == ""


def test_a_program_that_ends_before_it_observes_is_unavailable_in_its_own_words(
    tmp_path: Path, patience: Patience
) -> None:
    class Refused(Shell):
        script = "echo not permitted >&2; exit 1"

    with pytest.raises(Unavailable, match="not permitted"):
        Refused(scene(tmp_path, sh="/bin/sh")).wait_until_ready(patience, 30)


def test_a_program_that_never_observes_is_ended(tmp_path: Path, patience: Patience) -> None:
    class Hanging(Shell):
        script = "echo $$ > pid; exec sleep 60"

    one = Hanging(scene(tmp_path, sh="/bin/sh"))
    patience.until("the shell", lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), 30)
    with pytest.raises(Unavailable, match="not within"):
        one.wait_until_ready(patience, 0.01)

    assert "sh ended with -9" in str(one.stop()["reason"])


def test_every_instrument_is_told_of_from_before_the_load_until_it_stopped(
    tmp_path: Path, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cgidhost.instruments.running.INSTRUMENTS", {**INSTRUMENTS, Shell.name: Shell})
    told: list[tuple[str, object]] = []
    running = Running(
        scene(tmp_path, sh="/bin/sh"),
        ["shell", "strace", "host"],
        lambda name, state: told.append((name, (state["state"], state["reason"]))),
    )

    running.announce()
    before = dict(told)
    running.start(patience)
    running.window_begins()
    (tmp_path / "another").touch()
    running.window_ends()
    running.stop(patience)

    assert before["shell"] == before["host"] == ("unavailable", "the trial ended before its load")
    assert before["listen_queue"] == ("off", "")
    assert dict(told)["strace"] == ("unavailable", "strace is not installed")
    assert dict(told)["shell"] == dict(told)["host"] == ("ran", "")
    edges = json.loads((tmp_path / "shell.json").read_text())
    assert edges["end"] == edges["begin"] + 1
    assert json.loads((tmp_path / "host.json").read_text())["cpus"] >= 1
    assert (tmp_path / "host.csv").read_text().startswith("monotonic_ns,user,")


def test_rows_that_the_disk_did_not_take_are_no_instrument_that_cannot_run(tmp_path: Path, patience: Patience) -> None:
    (tmp_path / "host.csv").symlink_to("/dev/full")
    told: dict[str, State] = {}
    running = Running(scene(tmp_path), ["host"], lambda name, state: told.update({name: state}))
    running.start(patience)

    with pytest.raises(TrialEnd, match="host: writing its file: No space left on device") as ended:
        running.stop(patience)

    assert is_out_of_room(Outcome("k", Status.FAILED, ended.value.reason, FailureKind(ended.value.kind)))
    assert told["host"]["state"] == "unavailable"


def test_in_an_unwatched_trial_only_what_is_free_is_read_at_the_windows_edges(
    tmp_path: Path, patience: Patience
) -> None:
    told: dict[str, object] = {}
    running = Running(scene(tmp_path), [], lambda name, state: told.update({name: state["state"]}), watched=False)

    running.announce()
    running.start(patience)
    running.watch_load(os.getpid())
    running.window_begins()
    running.window_ends()
    running.stop(patience)

    assert told == {**dict.fromkeys(INSTRUMENTS, "off"), "host": "edges"}
    assert [p.name for p in tmp_path.iterdir()] == ["host.json"]
    edges = json.loads((tmp_path / "host.json").read_text())
    assert edges["end"]["idle"] >= edges["begin"]["idle"] > 0
    assert edges["end"]["driver_cpu_ns"] > edges["begin"]["driver_cpu_ns"] > 0


def test_an_instrument_of_the_server_has_nothing_to_look_at_on_a_generator(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="on another machine"):
        scene(tmp_path).the_server  # noqa: B018 -- asking is the point


def test_the_memory_of_a_server_is_that_of_all_that_descend_from_its_first_processes(tmp_path: Path) -> None:
    """A child of a child counts, and one that is over does not: it is a zombie here until it is waited for."""
    script = "sleep 60 & sleep 60 & (sleep 60 & wait) & echo begun; wait"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True, process_group=0) as shell:
        assert shell.stdout is not None
        assert shell.stdout.readline() == "begun\n"
        with subprocess.Popen(["true"]) as over:
            os.waitid(os.P_PID, over.pid, os.WEXITED | os.WNOWAIT)
            try:
                eventually(lambda: len(with_descendants([shell.pid])) == 5)
                gauge = ServerMemory(str(tmp_path), [shell.pid, over.pid])
                pss_kb, processes = map(int, gauge.read().split(","))
            finally:
                os.killpg(shell.pid, 9)
    gauge.finish()

    assert processes == 5
    assert 100 < pss_kb < 50_000


def test_memory_of_a_process_that_is_gone_makes_the_instrument_unavailable(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as over:
        pass

    with pytest.raises(Unavailable, match="the memory of httpd cannot be read"):
        ServerMemory(str(tmp_path), [over.pid])
