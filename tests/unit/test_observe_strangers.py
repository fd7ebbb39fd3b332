"""Any user of a host can start what looks like httpd: root, who observes, reads so much of it and waits so long."""

import contextlib
import os
import resource
import socket
import threading
import time
from pathlib import Path

import pytest
from cgidhost.ending import Unavailable
from cgidhost.observe import about, config, gauges, requests
from cgidhost.waiting import within

from tests.unit.test_observe import BINARY, NEVER, tree


@pytest.mark.parametrize("kind", ["a device", "a pipe", "a file of the kernel's"])
def test_no_more_than_plain_files_are_read_of_what_says_that_it_is_a_server(kind: str, tmp_path: Path) -> None:
    """Any user of a host can start what looks like httpd, and have root read the file that it names."""
    os.mkfifo(tmp_path / "pipe")
    words = ["httpd", "-f", {"a device": "/dev/zero", "a pipe": f"{tmp_path}/pipe"}.get(kind, "/proc/self/maps")]

    with within(5):
        found = config.read(words, b"", "", set(), NEVER)

    assert found.max_request_workers is None


@pytest.mark.parametrize(
    "text",
    [
        "Include apache2.conf\n",
        "Include /dev/zero\n",
        "Define A " + "x" * 5000 + "\nDefine B ${A}${A}\n",
        "Define A0 " + "x" * 20 + "\n" + "".join(f"Define A{n + 1} ${{A{n}}}${{A{n}}}\n" for n in range(40)),
        "".join(f"Define A{n} x\n" for n in range(2000)),
        "#" * (5 << 20),
        "Include " + "*/" * 10 + "\0/*\nInclude apache2.conf\n",
    ],
    ids=["itself", "a device", "a long value", "a value that doubles", "many values", "a large file", "no name"],
)
def test_a_configuration_that_would_fill_the_memory_is_not_known(text: str, tmp_path: Path) -> None:
    words = tree(tmp_path, etc__apache2__apache2_conf=f"LogLevel debug\n{text}")
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/zero").symlink_to("/dev/zero")

    with within(20):
        assert config.read(words, BINARY, str(tmp_path), set(), NEVER) == config.NOTHING


def test_a_pattern_is_not_compared_with_all_names_of_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = tree(tmp_path, etc__apache2__apache2_conf="Include many/*/*.conf\n")
    for number in range(30):
        (tmp_path / "etc/apache2/many" / str(number)).mkdir(parents=True)
    assert config.read(words, BINARY, str(tmp_path), set(), NEVER).log_level == "warn"
    monkeypatch.setattr(config, "_MOST_NAMES", 20)

    assert config.read(words, BINARY, str(tmp_path), set(), NEVER) == config.NOTHING


@pytest.mark.parametrize("number", ["\N{SUPERSCRIPT TWO}", "9" * 5000, "-1", "4e2"])
def test_a_number_of_workers_that_is_none_is_not_taken(number: str, tmp_path: Path) -> None:
    words = tree(tmp_path, etc__apache2__apache2_conf=f"MaxRequestWorkers {number}\n")

    assert config.read(words, BINARY, str(tmp_path), set(), NEVER).max_request_workers is None


def test_a_status_page_that_never_ends_or_is_none_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(about, "_STATUS_S", 0.5)
    answers = [b"SSH-2.0-x\r\n", b"HTTP/1.0 302 no\r\nLocation: http://127.0.0.1:9/\r\n\r\n", b"HTTP/1.0 200 OK\r\nX: "]
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/server-status?auto"
        for answer in answers:
            thread = threading.Thread(target=_trickle, args=(server, answer))
            thread.start()
            with within(10):
                assert about.ask_status(os.getpid(), url) is None
            thread.join()


def _trickle(server: socket.socket, answer: bytes) -> None:
    """Answer one request and then say a byte now and then."""
    connection, _ = server.accept()
    with connection, contextlib.suppress(OSError):
        connection.recv(4096)
        connection.sendall(answer)
        for _ in range(30 if answer.endswith(b": ") else 0):
            time.sleep(0.1)
            connection.sendall(b"x")


def test_memory_that_looks_like_a_scoreboard_and_is_none_ends_nothing() -> None:
    """It says that it has 20,000 processes of 20,000 threads, or is gone when it is read."""
    size = 64 + 20_000 * (64 + 20_000 * 264)
    assert requests.places(about.FoundScoreboard(0, size, 20_000, 20_000)) is None

    whole = requests.places(about.FoundScoreboard(0, 64 + 2 * (64 + 3 * 264), 2, 3))
    assert whole is not None
    with (Path("/dev/null")).open("rb") as gone:
        assert requests.entries(gone.fileno(), whole) == []


def test_more_threads_than_files_may_be_open_end_nothing(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    ended = threading.Event()
    threads = [threading.Thread(target=ended.wait) for _ in range(40)]
    for thread in threads:
        thread.start()
    pids: list[int] = []
    try:
        try:
            workers = gauges.Workers(str(tmp_path), lambda: pids or [os.getpid()], 1000)
        except Unavailable as why:
            pytest.skip(str(why))
        before = len(list(Path("/proc/self/fd").iterdir()))
        pids += [os.getpid()] * 100
        resource.setrlimit(resource.RLIMIT_NOFILE, (before + 20, hard))
        workers.sample(10**18)

        assert workers.missed == 1
        assert len(list(Path("/proc/self/fd").iterdir())) < before
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        ended.set()
        for thread in threads:
            thread.join()
