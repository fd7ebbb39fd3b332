"""What a killed block left on a host is undone once, from its own journal or from the control machine's."""

import contextlib
import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cgidhost import commands, kernel, recover, snapshot, undo, workdir
from cgidhost.ending import BlockError

from cgidlab.parsers.host_snapshot import parse_snapshot


@pytest.fixture
def sysctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file that stands where the kernel's somaxconn is."""
    path = tmp_path / "somaxconn"
    path.write_text("77\n")
    monkeypatch.setitem(kernel.SYSCTLS, "somaxconn", f"../..{path}")
    return path


@pytest.fixture
def dead(tmp_path: Path) -> Path:
    """Return the directory of a block that nobody runs any more, below a host's work directory."""
    block = tmp_path / "work" / "run-block-001"
    block.mkdir(parents=True)
    (block / "block.json").write_text("{}")
    return block


def recovered(dead: Path, sysctls: str = "[]") -> list[str]:
    """Recover the host and return what was undone; there must be no problem."""
    answer = recover.recover(str(dead.parent), [str(dead)], recover.parse_sysctls(sysctls))
    assert answer["problems"] == []
    undone: list[str] = answer["undone"]
    return undone


def test_what_the_journal_names_is_undone_and_a_second_time_nothing(dead: Path, sysctl: Path) -> None:
    undo.note(str(dead), sysctl="somaxconn", old="4096", new="77")

    first, second = recovered(dead), recovered(dead)

    assert sysctl.read_text() == "4096"
    assert len(first) == 2
    assert "77 back to 4096" in first[0]
    assert second == []
    assert not dead.exists()


def test_a_value_that_somebody_else_has_set_since_stays(dead: Path, sysctl: Path) -> None:
    undo.note(str(dead), sysctl="somaxconn", old="4096", new="77")
    sysctl.write_text("512\n")

    recovered(dead)

    assert sysctl.read_text() == "512\n"


def test_a_value_of_an_earlier_boot_is_not_touched(dead: Path, sysctl: Path) -> None:
    line = {"sysctl": "somaxconn", "old": "4096", "new": "77", "boot_id": "of another boot"}
    (dead / "journal.jsonl").write_text(json.dumps(line) + "\n")

    recovered(dead)

    assert sysctl.read_text() == "77\n"
    assert not dead.exists()


def test_a_lost_journal_is_made_up_for_by_the_control_machines(dead: Path, sysctl: Path) -> None:
    known = [{"setting": "somaxconn", "old": "4096", "new": ["5", "77"], "boot_id": undo.boot_id()}]

    first, second = recovered(dead, json.dumps(known)), recovered(dead, json.dumps(known))

    assert sysctl.read_text() == "4096"
    assert any("back to 4096" in text for text in first)
    assert second == []


def test_a_cut_or_damaged_line_of_the_journal_hides_no_other(dead: Path, sysctl: Path) -> None:
    undo.note(str(dead), sysctl="somaxconn", old="4096", new="77")
    with (dead / "journal.jsonl").open("ab") as file:
        file.write(b'\xff\x00 not json\n[]\n{"sysctl": "somax')

    recovered(dead)

    assert sysctl.read_text() == "4096"


def test_a_host_without_anything_is_left_as_it_is(tmp_path: Path) -> None:
    assert recover.recover(str(tmp_path / "never"), [], []) == {"undone": [], "problems": []}
    assert list(tmp_path.iterdir()) == []


def test_a_process_with_the_mark_of_a_dead_block_is_ended(dead: Path) -> None:
    mine = subprocess.Popen(["sleep", "60"], env={**os.environ, "CGIDLAB_TRIAL": f"{dead}/001"})
    reaper = threading.Thread(target=mine.wait)
    reaper.start()
    try:
        undone = recovered(dead)

        reaper.join(5)
        assert mine.returncode == -9
        assert any("ended 1 process" in text for text in undone)
    finally:
        mine.kill()
        mine.wait()


@pytest.fixture
def held(dead: Path) -> Iterator[None]:
    """Hold the lock of the host, as a living block of another run does."""
    lock = workdir.Lock(str(dead.parent))
    assert lock.take()
    yield
    lock.close()


@pytest.mark.usefixtures("held")
def test_a_host_on_which_another_run_lives_is_refused(dead: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cgidhost.commands._HOST_S", 0.1)

    with pytest.raises(BlockError, match="runs a block on this host"):
        recovered(dead)

    assert dead.exists()


def test_directories_of_other_things_below_the_work_directory_stay(dead: Path) -> None:
    foreign = dead.parent / "notes"
    foreign.mkdir()
    (foreign / "text").write_text("mine")

    recovered(dead)

    assert (foreign / "text").read_text() == "mine"


@pytest.mark.parametrize("text", ["", "{}", '[{"setting": "somaxconn"}]', "[1]", '{"a": "{{ x }}"}'])
def test_what_is_no_list_of_sysctls_is_refused(text: str) -> None:
    with pytest.raises(BlockError):
        recover.parse_sysctls(text if text != "{}" else "null")


def test_a_sysctl_that_no_trial_sets_is_not_taken_from_anybody() -> None:
    wish = [{"setting": "../../etc/passwd", "old": "x", "new": [], "boot_id": ""}]

    assert recover.parse_sysctls(json.dumps(wish)) == []


def test_a_snapshot_says_what_is_of_a_block_and_holds_nobodys_words(dead: Path) -> None:
    secret = "planted-canary-7c1f"  # noqa: S105 -- looked for, not used
    left = subprocess.Popen(
        ["sleep", "60"], env={**os.environ, "CGIDLAB_TRIAL": f"{dead}/001", "PASSWORD": secret}, cwd="/"
    )
    try:
        found = snapshot.take(str(dead.parent), "/nowhere")
    finally:
        left.kill()
        left.wait()

    (process,) = (p for p in found["processes"] if p["pid"] == left.pid)
    assert process["run"] == str(dead)
    assert {"path": str(dead), "run": str(dead)} in found["files"]
    assert "net.core.somaxconn" in found["sysctls"]
    assert any(m["point"] == "/proc" for m in found["mounts"])
    assert os.getpid() not in {p["pid"] for p in found["processes"]}
    assert secret not in json.dumps(found)


def test_a_socket_whose_name_has_lines_does_not_keep_a_snapshot_from_being_taken(tmp_path: Path) -> None:
    """Anybody on the host can make one."""
    name = f"{tmp_path}/a\n0000000000000000: odd\n\n.sock"
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(name)
        one.listen()
        found = [entry["address"] for entry in snapshot.take("/nowhere", "/nowhere")["listeners"]]

    assert f"{tmp_path}/a" in found


def test_what_anybody_on_a_host_calls_things_leaves_a_snapshot_that_can_be_read(
    dead: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A process of any user with such a word in its environment, or a socket of such a name, made it none."""
    left = subprocess.Popen(["sleep", "60"], env={undo.MARK[:-1].encode(): b"/x\xff/001"}, cwd="/")
    try:
        with contextlib.chdir(tmp_path), socket.socket(socket.AF_UNIX) as listening:
            listening.bind(b"\xff.sock")
            listening.listen()
            commands.say(**snapshot.take(str(dead.parent), "/nowhere"))
    finally:
        left.kill()
        left.wait()

    said = capsys.readouterr().out
    (process,) = (p for p in json.loads(said)["processes"] if p["pid"] == left.pid)
    assert process["run"] == r"/x\xff"
    assert parse_snapshot(said.encode(), where="h1")
