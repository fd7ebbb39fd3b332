"""A long log is sorted by a process of its own: it says the same, and no end of that process is taken for the log's."""

import gzip
import os
import signal
import threading
from pathlib import Path

import pytest

from cgidlab import unpack
from cgidlab.errors import LabError
from cgidlab.parsers.error_log import beside, parse_error_log, scan, sorting

DATA = Path(__file__).parent.parent / "data" / "error_log"


@pytest.fixture
def two_processes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let processes be made, whatever pytest runs in; return those that were."""
    made: list[int] = []
    fork = os.fork

    def forked() -> int:
        pid = fork()
        made.append(pid)
        return pid

    monkeypatch.setattr(os, "fork", forked)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    return made


@pytest.mark.parametrize("path", sorted(DATA.glob("*.log")), ids=lambda path: path.name)
def test_a_long_log_is_sorted_by_another_process_and_says_the_same(
    monkeypatch: pytest.MonkeyPatch, path: Path, two_processes: list[int]
) -> None:
    want = parse_error_log(path)
    assert two_processes == []
    monkeypatch.setattr(beside, "_SHORT", 0)
    monkeypatch.setattr(sorting, "_MOST", 7)

    assert parse_error_log(path) == want
    assert len(two_processes) == 1


@pytest.mark.parametrize(
    ("name", "value"), [("active_count", 2), ("sched_getaffinity", {0})], ids=["threads", "one processor"]
)
def test_a_program_with_threads_and_one_without_a_free_processor_sort_by_themselves(
    monkeypatch: pytest.MonkeyPatch, two_processes: list[int], name: str, value: object
) -> None:
    monkeypatch.setattr(beside, "_SHORT", 0)
    monkeypatch.setattr(threading if name == "active_count" else os, name, lambda *_: value)

    parse_error_log(DATA / "dead_daemon.own.log")
    assert two_processes == []


def test_what_reading_raises_in_the_other_process_is_raised_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, two_processes: list[int]
) -> None:
    monkeypatch.setattr(beside, "_SHORT", 0)
    packed = tmp_path / "error_log.gz"
    good = b"".join(p.read_bytes() for p in sorted(DATA.glob("*.log")))
    packed.write_bytes(gzip.compress(good * 100)[:-2000])

    with pytest.raises(LabError, match="damaged or cut"):
        parse_error_log(packed, open_stream=unpack.open_stream)
    assert len(two_processes) == 1


def test_a_process_that_is_ended_from_outside_is_no_end_of_the_log(
    monkeypatch: pytest.MonkeyPatch, two_processes: list[int]
) -> None:
    monkeypatch.setattr(beside, "_SHORT", 0)
    monkeypatch.setattr(beside, "_send_all", lambda *_: os.kill(os.getpid(), signal.SIGKILL))

    with pytest.raises(LabError, match="ended from outside"):
        parse_error_log(DATA / "dead_daemon.own.log")
    with pytest.raises(ChildProcessError):
        os.waitpid(two_processes[0], os.WNOHANG)


def test_a_reader_that_gives_up_ends_the_other_process(
    monkeypatch: pytest.MonkeyPatch, two_processes: list[int]
) -> None:
    monkeypatch.setattr(beside, "_SHORT", 0)
    monkeypatch.setattr(sorting, "_MOST", 1)

    def interrupt(*_: object) -> None:
        if two_processes:
            raise KeyboardInterrupt

    monkeypatch.setattr(scan.Scan, "_count", interrupt)
    with pytest.raises(KeyboardInterrupt):
        parse_error_log(DATA / "dead_daemon.own.log")
    with pytest.raises(ChildProcessError):
        os.waitpid(two_processes[0], os.WNOHANG)
