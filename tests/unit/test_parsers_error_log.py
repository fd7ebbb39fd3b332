"""error_log: logs as httpd wrote them, all forms of its lines, and whatever else a file may hold."""

import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cgidlab.parsers import error_log
from cgidlab.parsers.error_log import LogCounts, Window, parse_error_log, sorting

DATA = Path(__file__).parent.parent / "data" / "error_log"
CLIENT = "[client 127.0.0.1:40100]"
RETRY = "connect #3 to cgi daemon failed, sleeping before retry"


def found(log: LogCounts) -> dict[str, int]:
    return {name: count for name, count in log.messages.items() if count}


def parse(tmp_path: Path, text: str | bytes, window: Window | None = None) -> LogCounts:
    path = tmp_path / "error_log"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return parse_error_log(path, window)


def grep(path: Path, pattern: str) -> int:
    """Count lines the slow and simple way."""
    return len(re.findall(pattern, path.read_text(), re.MULTILINE))


@pytest.mark.parametrize("form", ["own", "default"])
def test_an_overflow_leaves_no_trace_in_the_log(form: str) -> None:
    log = parse_error_log(DATA / f"overflow.{form}.log")

    assert (log.lines, log.unreadable_lines, found(log)) == (3, 0, {})


@pytest.mark.parametrize(
    ("log_name", "errno"),
    [("shutdown_under_load", "2"), ("dead_daemon", "111"), ("wrong_socket", "2")],
)
@pytest.mark.parametrize("form", ["own", "default"])
def test_every_message_of_a_real_log_is_counted_under_its_number(log_name: str, errno: str, form: str) -> None:
    path = DATA / f"{log_name}.{form}.log"
    log = parse_error_log(path)

    numbers = set(re.findall(r"AH\d{5}", path.read_text()))
    want = {n: c for n in numbers if (c := grep(path, rf"\[cgid:\w+\].* {n}: "))}
    assert found(log) == want
    assert log.unreadable_lines == 0
    assert log.lines == grep(path, "^") - 1
    assert log.inside.by_errno == {"111": 0, "2": 0, "other": 0} | {errno: want["AH01256"]}
    attempts = {n: grep(path, rf"connect #{n} to cgi daemon failed") for n in range(1, 15)}
    assert log.inside.by_attempt == {n: count for n, count in attempts.items() if count}


def test_requests_are_told_apart_by_their_id() -> None:
    path = DATA / "dead_daemon.own.log"

    want = len(set(re.findall(r"\[request (\S+)\] .*AH01256", path.read_text())))
    assert parse_error_log(path).inside.requests == want


def test_two_requests_on_one_connection_are_two(tmp_path: Path) -> None:
    line = "[2026-11-23 15:04:05.000000] [cgid:debug] [pid 1:tid 2] [request {}] (2)No: [client 1:1] AH01256: " + RETRY

    log = parse(tmp_path, "".join(line.format(name) + "\n" for name in ("a", "b", "a")))

    assert log.inside.requests == 2


def test_requests_without_an_id_are_told_apart_by_thread_and_client() -> None:
    assert parse_error_log(DATA / "wrong_socket.default.log").inside.requests == 3


OLDER = [
    ("shutdown_under_load", "2.4.54"),
    ("dead_daemon", "2.4.54"),
    ("dead_daemon", "2.4.35"),
    ("wrong_socket", "2.4.54"),
]


@pytest.mark.parametrize(("name", "version"), OLDER, ids=lambda word: word)
def test_what_older_httpds_really_wrote_is_counted_like_what_grep_finds(name: str, version: str) -> None:
    path = DATA / f"{name}.{version}.log"
    log = parse_error_log(path)

    numbers = set(re.findall(r"AH\d{5}", path.read_text()))
    assert found(log) == {n: c for n in numbers if (c := grep(path, rf"\[cgid:\w+\].* {n}: "))}
    assert "AH10246" not in numbers, "it came with 2.4.60"
    errno = "111" if name == "dead_daemon" else "2"
    assert log.inside.by_errno == {"111": 0, "2": 0, "other": 0} | {errno: grep(path, "AH01256")}
    assert log.inside.total > 0
    attempts = {n: grep(path, rf"connect #{n} to cgi daemon failed") for n in range(1, 15)}
    assert log.inside.by_attempt == {n: count for n, count in attempts.items() if count}
    assert log.inside.requests == len(set(re.findall(r"tid \d+\].*client ([^\]]+)\] AH01256", path.read_text())))
    assert log.unreadable_lines == 0


def test_an_overflow_left_no_trace_in_an_older_httpds_log_either() -> None:
    log = parse_error_log(DATA / "overflow.2.4.54.log")

    assert (log.unreadable_lines, found(log)) == (0, {})


def test_the_form_of_2_2_is_counted_by_its_words() -> None:
    path = DATA / "dead_daemon.2.2.log"
    text = path.read_text()
    log = parse_error_log(path)
    attempts = [int(n) for n in re.findall(r"connect #(\d+) to cgi daemon failed", text)]

    assert "AH012" not in text
    assert found(log) == {
        "AH01239": text.count("cgid daemon process died, restarting"),
        "AH01256": len(attempts),
        "AH01258": text.count("cgid daemon is gone; is Apache terminating?"),
    }
    assert log.inside.by_errno == {"111": len(attempts), "2": 0, "other": 0}
    assert log.inside.by_attempt == Counter(attempts)
    assert log.unreadable_lines == 0


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(
            "[2026-11-23 15:04:05.123456] [cgid:debug] [pid 12:tid 34] [request ZxY] {errno}: {client} AH01256: ",
            id="own",
        ),
        pytest.param(
            "[Mon Nov 23 15:04:05.123456 2026] [cgid:debug] [pid 1:tid 2] m.c(1321): {errno}: {client} AH01256: ",
            id="2.4",
        ),
        pytest.param(
            "[Mon Nov 23 15:04:05 2026] [cgid:debug] [pid 1:tid 2] {errno}: {client} AH01256: ", id="2.4-to-the-second"
        ),
        pytest.param("[2026-11-23 15:04:05] [cgid:debug] [pid 1] {errno}: {client} AH01256: ", id="iso-to-the-second"),
        pytest.param("[Mon Nov 23 15:04:05 2026] [debug] mod_cgid.c(1070): {client} {errno}: ", id="2.2"),
    ],
)
@pytest.mark.parametrize(
    ("errno", "want"),
    [("(111)Connection refused", "111"), ("(2)No such file or directory", "2"), ("(11)Try again", "other")],
    ids=["refused", "missing", "other"],
)
def test_a_retry_is_read_in_every_form(tmp_path: Path, head: str, errno: str, want: str) -> None:
    log = parse(tmp_path, head.format(errno=errno, client=CLIENT) + RETRY + "\n")

    assert log.inside.by_errno[want] == log.inside.total == 1
    assert log.inside.by_attempt == {3: 1}


TEXTS_OF_22 = {
    "AH01239": "cgid daemon process died, restarting",
    "AH01243": "(98)Address already in use: Couldn't bind unix domain socket /run/cgisock",
    "AH01244": "(1)Operation not permitted: Couldn't set permissions on unix domain socket /run/cgisock",
    "AH01245": "(95)Operation not supported: Couldn't listen on unix domain socket",
    "AH01252": "(8)Exec format error: couldn't create child process: 8: hello",
    "AH01257": "[client 127.0.0.1] (111)Connection refused: unable to connect to cgi daemon after multiple tries: /x",
    "AH01258": "[client 127.0.0.1] (111)Connection refused: cgid daemon is gone; is Apache terminating?: /cgi/x",
    "AH01259": "[client 127.0.0.1] CGI process 77 didn't exit, sending SIGKILL",
    "AH01260": "[client 127.0.0.1] CGI process 77 didn't exit, sending SIGKILL again",
    "Script timed out": "[client 127.0.0.1] Script timed out before returning headers: hello",
}


@pytest.mark.parametrize(("number", "text"), TEXTS_OF_22.items(), ids=TEXTS_OF_22)
def test_texts_without_a_number_count_under_the_number_they_got(tmp_path: Path, number: str, text: str) -> None:
    assert found(parse(tmp_path, f"[Mon Nov 23 15:04:05 2026] [error] {text}\n")) == {number: 1}


@pytest.mark.parametrize("words", ["stderr from /srv/cgi/x: some words", "some words: /srv/cgi/x"], ids=["new", "old"])
@pytest.mark.parametrize("number", error_log.LISTED)
def test_every_listed_message_is_found_in_both_forms_of_2_4_and_there_with_0_otherwise(
    tmp_path: Path, number: str, words: str
) -> None:
    text = f"{number}: {words}" if number.startswith("AH") else f"{number} before returning headers: hello"
    log = parse(tmp_path, f"[Mon Nov 23 15:04:05.000001 2026] [cgid:error] [pid 1:tid 2] {CLIENT} {text}\n")

    assert log.messages == dict.fromkeys(error_log.LISTED, 0) | {number: 1}


def test_the_same_number_from_another_module_or_in_a_clients_text_is_not_ours(tmp_path: Path) -> None:
    lines = [
        "[Mon Nov 23 15:04:05.000001 2026] [core:error] [pid 1:tid 2] AH01256: connect #1 to cgi daemon failed",
        f"[Mon Nov 23 15:04:05.000001 2026] [cgid:error] [pid 1:tid 2] {CLIENT} AH01264: no: /AH01256: connect #1",
    ]

    assert found(parse(tmp_path, "\n".join(lines) + "\n")) == {"AH01264": 1}


def test_a_line_of_the_module_that_is_no_message_is_read_and_not_counted(tmp_path: Path) -> None:
    log = parse(tmp_path, "[2026-11-23 15:04:05.123456] [cgid:debug] [pid 1:tid 2] using passed fd 9 as stderr\n")

    assert (log.lines, log.unreadable_lines, log.messages) == (1, 0, dict.fromkeys(error_log.LISTED, 0))


def test_a_window_holds_its_begin_and_not_its_end(tmp_path: Path) -> None:
    line = "[2026-11-23 15:04:0{}.000000] [cgid:debug] [pid 1:tid 2] [request a] (2)No: [client -] AH01256: " + RETRY
    begin = int(datetime(2026, 11, 23, 15, 4, 2, tzinfo=UTC).timestamp()) * 10**9

    log = parse(tmp_path, "".join(line.format(s) + "\n" for s in range(1, 7)), Window(begin, begin + 3 * 10**9))

    assert (log.before.total, log.inside.total, log.after.total) == (1, 3, 2)
    assert log.messages["AH01256"] == 6
    assert log.messages_inside["AH01256"] == 3


def test_times_are_of_the_logs_own_zone(tmp_path: Path) -> None:
    path = tmp_path / "error_log"
    path.write_text(f"[Tue Nov 24 00:04:05.500000 2026] [cgid:debug] [pid 1] (2)No: {CLIENT} AH01256: {RETRY}\n")
    moment = int(datetime(2026, 11, 23, 15, 4, 5, tzinfo=UTC).timestamp()) * 10**9

    log = parse_error_log(path, Window(moment, moment + 10**9), zone=ZoneInfo("Asia/Tokyo"))

    assert log.inside.total == 1


@pytest.mark.parametrize(
    "line",
    [
        "no log line at all",
        "",
        "2026-11-23 15:04:05 INFO main: done",
        "Nov 23 15:04:05 web1 sshd[12]: session opened",
        '127.0.0.1 - - [23/Nov/2026:15:04:05 +0000] "GET /AH01256: HTTP/1.1" 200 6',
        "\0\0\0",
        "[",
    ],
)
def test_a_line_that_cannot_be_read_is_counted_and_its_neighbours_are_read(tmp_path: Path, line: str) -> None:
    good = (DATA / "wrong_socket.own.log").read_text()

    log = parse(tmp_path, good + line + "\n" + good)

    assert (log.unreadable_lines, log.lines, log.inside.total) == (1, 101, 84)


@pytest.mark.parametrize(
    ("line", "retries"),
    [
        ("AH00558: httpd: Could not determine the server's name", 0),
        ("[Mon Xxx 23 15:04:05.123456 2026] [cgid:debug] [pid 1] (2)No: [client -] AH01256: " + RETRY, 1),
        ("[Mon Nov 33 15:04:05.123456 2026] [cgid:debug] [pid 1] (2)No: [client -] AH01256: " + RETRY, 1),
        ("[Mon Nov 23 15:04:0x.123456 2026] [cgid:debug] [pid 1] (2)No: [client -] AH01256: " + RETRY, 1),
    ],
    ids=["no time", "no month", "no day", "no second"],
)
def test_a_line_of_httpd_without_a_time_is_counted_but_in_no_window(tmp_path: Path, line: str, retries: int) -> None:
    log = parse(tmp_path, line + "\n")
    cut = parse(tmp_path, line + "\n", Window(0, 10**18))

    assert (log.unreadable_lines, log.messages["AH01256"], log.inside.total) == (0, retries, retries)
    assert (cut.messages["AH01256"], cut.inside.total, cut.untimed) == (retries, 0, retries)


def test_a_last_line_without_its_newline_is_read(tmp_path: Path) -> None:
    text = (DATA / "wrong_socket.own.log").read_bytes().rstrip(b"\n")

    assert parse(tmp_path, text).messages["AH01257"] == 3


@pytest.mark.parametrize("chunk", [200, 333, 1000, 4096])
@pytest.mark.parametrize("name", ["dead_daemon.own.log", "dead_daemon.default.log", "dead_daemon.2.2.log"])
def test_where_the_file_is_cut_into_chunks_does_not_matter(
    monkeypatch: pytest.MonkeyPatch, chunk: int, name: str
) -> None:
    want = parse_error_log(DATA / name)
    monkeypatch.setattr(sorting, "_CHUNK", chunk + 200)
    monkeypatch.setattr(sorting, "_HEAD", 150)

    assert parse_error_log(DATA / name) == want


def test_a_line_longer_than_the_buffer_counts_once_by_its_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorting, "_CHUNK", 1000)
    monkeypatch.setattr(sorting, "_HEAD", 300)
    good = (DATA / "wrong_socket.own.log").read_bytes()
    long = good.splitlines()[3] + b" AH01256: connect #9" * 1000 + b"\n"

    log = parse(tmp_path, good + long + good)

    assert (log.lines, log.unreadable_lines, log.inside.total) == (101, 0, 85)
    assert 9 not in set(log.inside.by_attempt) - set(parse(tmp_path, good).inside.by_attempt)


line = st.one_of(
    st.binary(max_size=80),
    st.sampled_from((DATA / "dead_daemon.own.log").read_bytes().splitlines()),
    st.sampled_from((DATA / "dead_daemon.2.2.log").read_bytes().splitlines()),
    st.sampled_from((DATA / "wrong_socket.default.log").read_bytes().splitlines()).flatmap(
        lambda text: st.integers(0, len(text)).map(lambda n: text[:n])
    ),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(line), ended=st.booleans(), chunk=st.integers(300, 5000))
@example(lines=[b"\n\n\n" * 40], ended=False, chunk=300)
def test_no_file_breaks_the_parser_and_no_line_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[bytes], *, ended: bool, chunk: int
) -> None:
    monkeypatch.setattr(sorting, "_CHUNK", chunk)
    monkeypatch.setattr(sorting, "_HEAD", 250)
    text = b"\n".join(lines) + (b"\n" if ended and lines else b"")

    log = parse(tmp_path, text)

    assert log.lines == text.count(b"\n") + (1 if text and not text.endswith(b"\n") else 0)
    assert 0 <= log.unreadable_lines <= log.lines
    assert sum(log.kinds.values()) == log.lines
    assert sum(log.messages.values()) <= log.lines
