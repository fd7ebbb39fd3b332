"""Any user of a host can start what looks like httpd: root, who observes, reads so much of it and waits so long."""

import contextlib
import ctypes
import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cgidhost.ending import Unavailable
from cgidhost.observe import about, config, gauges, memory, proctable, requests
from cgidhost.observe.logtail import LogTail
from cgidhost.waiting import within

from tests.unit.test_observe import BINARY, NEVER, tree


@contextlib.contextmanager
def at_once() -> Iterator[None]:
    """Fail where something is waited for; whoever cannot read a file may have taken the end of waiting for that."""
    began_s = time.monotonic()
    with within(5):
        yield
    assert time.monotonic() - began_s < 4


@pytest.mark.parametrize("kind", ["a device", "a pipe", "a file of the kernel's"])
def test_no_more_than_plain_files_are_read_of_what_says_that_it_is_a_server(kind: str, tmp_path: Path) -> None:
    """Any user of a host can start what looks like httpd, and have root read the file that it names."""
    os.mkfifo(tmp_path / "pipe")
    words = ["httpd", "-f", {"a device": "/dev/zero", "a pipe": f"{tmp_path}/pipe"}.get(kind, "/proc/self/maps")]

    with at_once():
        found = config.read(words, b"", "", set(), NEVER)

    assert found.max_request_workers is None


def test_a_program_that_says_it_is_a_pipe_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a process may not be looked into, the file that its command line names is read in its program's place."""
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(proctable, "words", lambda _pid: [str(tmp_path / "pipe")])
    master = proctable.Process(2**22 + 1, 1, "httpd", "S", 0)  # as good as one that nobody may look into

    with at_once():
        assert about.describe(master, None, "", memory.ForeignMemory())["version"] is None


@pytest.mark.parametrize("kind", ["a pipe", "a device", "a link to another's file", "another's file"])
def test_what_took_a_logs_name_meanwhile_is_not_read_unless_it_is_its_owners_plain_file(
    kind: str, tmp_path: Path
) -> None:
    """Whoever may write beside a log may put anything in its place, for root to wait for, or to bring home."""
    if "another's" in kind and os.geteuid() != 0:
        pytest.skip("needs root")
    log, secret, gained = tmp_path / "error_log", tmp_path / "secret", tmp_path / "gained"
    log.write_text("before\n")
    secret.write_text("secret\n")
    if os.geteuid() == 0:
        os.chown(log, 1234, 1234)
    tail = LogTail(str(log))
    with log.open("a") as file:
        file.write("more\n")
    log.unlink()
    if kind == "a pipe":
        os.mkfifo(log)
    elif kind == "another's file":
        secret.rename(log)
    else:
        log.symlink_to({"a device": "/dev/zero"}.get(kind, str(secret)))
        if os.geteuid() == 0:
            os.chown(log, 1234, -1, follow_symlinks=False)

    with at_once():
        tail.write_new(str(gained))

    assert gained.read_text() == "more\n"


def test_a_log_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "error_log")

    with at_once(), pytest.raises(OSError, match="no plain file"):
        LogTail(str(tmp_path / "error_log"))


@pytest.mark.needs_root
def test_a_link_leads_to_a_log_of_its_owners_alone(tmp_path: Path) -> None:
    """Or of anybody's where it is root's, as with cronolog."""
    for name, uid in (("mine", 1234), ("roots", 0)):
        (tmp_path / name).write_text("x")
        os.chown(tmp_path / name, uid, uid)
    (tmp_path / "second").symlink_to("roots")
    for name, target, uid in (("a", "mine", 1234), ("b", "mine", 0), ("c", "roots", 1234), ("d", "second", 1234)):
        (tmp_path / name).symlink_to(target)
        os.chown(tmp_path / name, uid, uid, follow_symlinks=False)

    for name in "ab":
        LogTail(str(tmp_path / name))
    for name in "cd":
        with pytest.raises(OSError, match="another user's"):
            LogTail(str(tmp_path / name))


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
    assert requests.entries(lambda _address, _length: b"", whole) == []


@pytest.fixture
def foreign() -> Iterator[memory.ForeignMemory]:
    """Return what reads memory, with little patience."""
    made = memory.ForeignMemory(within_s=0.3)
    yield made
    made.close()


def test_memory_is_read_as_it_is_and_what_cannot_be_read_is_left_out(foreign: memory.ForeignMemory) -> None:
    text = ctypes.create_string_buffer(b"x" * 300_000)
    address = ctypes.addressof(text)

    assert foreign.read(os.getpid(), address, 300_000) == b"x" * 300_000
    text.value = b"y"
    assert foreign.read(os.getpid(), address, 1, again=True) == b"y"
    assert foreign.read(os.getpid(), 8, 8, again=True) == b""
    assert foreign.read(os.getpid(), 2**64, 8) == b""
    assert foreign.read(2**22 + 1, address, 8) == b""
    assert foreign.cpu_ns > 0


def test_memory_that_never_comes_is_given_up_and_keeps_nobody_from_the_others(
    foreign: memory.ForeignMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of somebody's own file system is mapped there: no signal ends the reading of it."""
    read = memory.read_now

    def wait_for_some(kept: dict[int, int], pid: int, *where: int, again: bool) -> bytes:
        if pid > 10**6:
            signal.pause()
        return read(kept, pid, *where, again=again)

    monkeypatch.setattr(memory, "read_now", wait_for_some)
    here = ctypes.addressof(text := ctypes.create_string_buffer(b"text"))
    maps = "7f0000000000-7f0000001000 rw-s 00000000 00:29 2                          /mnt/x\n"
    master = proctable.Process(10**6 + 1, 1, "httpd", "S", 0)

    with at_once():
        with pytest.raises(Unavailable, match="does not come"):
            about.scoreboard(master.pid, maps, foreign)
        monkeypatch.setattr(about, "read_text", lambda *_: maps)
        assert about.describe(master, None, "", foreign)["server_limit"] is None
        assert foreign.read(os.getpid(), here, 4) == text.value
    for number in range(2, 5):
        with pytest.raises(Unavailable):
            foreign.read(10**6 + number, here, 4)
    with pytest.raises(Unavailable):  # whoever has so many of them has no second for each
        foreign.read(os.getpid(), here, 4)


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
