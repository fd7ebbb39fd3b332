"""What strace wrote of connect(): real lines, and whatever else a file may hold."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgidlab.instruments.strace import parse_strace

DATA = Path(__file__).parent.parent / "data" / "trial"
SOCKET = "/run/cgid-x-1/cgid.sock"

# strace 6.1 on a program that meets no socket, one that nobody listens on, a free one and a full queue.
LINES = [
    (
        b'21 1795458375.261604 connect(3, {sa_family=AF_UNIX, sun_path="/run/cgid-x-1/cgid.sock.9"}, 27)'
        b" = -1 ENOENT (No such file or directory) <0.000075>"
    ),
    (
        b'21 1795458375.262645 connect(4, {sa_family=AF_UNIX, sun_path="/run/cgid-x-1/cgid.sock.9"}, 27)'
        b" = -1 ECONNREFUSED (Connection refused) <0.000054>"
    ),
    b'62 1795458375.265199 connect(4, {sa_family=AF_UNIX, sun_path="/run/cgid-x-1/cgid.sock.9"}, 27) = 0 <0.000051>',
    b"62 1795458375.265806 +++ exited with 0 +++",
    b'63 1795458375.266264 connect(5, {sa_family=AF_UNIX, sun_path="/run/cgid-x-1/cgid.sock.9"}, 27 <unfinished ...>',
    b'64 1795458375.266884 connect(6, {sa_family=AF_UNIX, sun_path="/run/cgid-x-1/cgid.sock.9"}, 27 <unfinished ...>',
    (
        b'21 1795458375.467283 connect(7, {sa_family=AF_INET, sin_port=htons(1), sin_addr=inet_addr("127.0.0.1")}, 16)'
        b" = -1 ECONNREFUSED (Connection refused) <0.000072>"
    ),
    b"63 1795458375.467599 <... connect resumed>) = 0 <0.201312>",
    b"21 1795458375.508405 --- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=22, si_uid=0} ---",
]


def parse(lines: Sequence[bytes]) -> tuple[int, list[tuple[int, int, int]]]:
    found = parse_strace(b"".join(line + b"\n" for line in lines), SOCKET)
    return found.bad_lines, list(
        zip(*(c.tolist() for c in (found.end_ns, found.duration_us, found.result)), strict=True)
    )


def test_calls_to_the_socket_are_read_with_their_end_time_and_result() -> None:
    assert parse(LINES) == (
        0,
        [
            (1795458375_261679_000, 75, -2),
            (1795458375_262699_000, 54, -111),
            (1795458375_265250_000, 51, 0),
            (1795458375_467599_000, 201312, 0),
        ],
    )


@pytest.mark.parametrize(
    "end",
    [
        LINES[4].replace(b"unfinished", b"detached"),
        b"63 1795458375.366264 <... connect resumed>) = ?",
        b"63 1795458375.366264 <... connect resumed>) = ? <unavailable>",
    ],
    ids=["strace went away", "cut", "its process ended"],
)
def test_a_call_whose_end_nobody_saw_has_no_entry(end: bytes) -> None:
    assert parse([LINES[4], end])[1] == []


def test_calls_to_other_sockets_are_not_counted_although_they_were_interrupted() -> None:
    other = [line.replace(SOCKET.encode(), b"/dev/log") for line in LINES]

    assert parse(other) == (0, [])


@pytest.mark.parametrize(
    ("end", "want"),
    [
        (b"= ? ERESTARTSYS (To be restarted if SA_RESTART is set) <0.100000>", -512),
        (b"= -1 EAGAIN (Resource temporarily unavailable) <0.100000>", -11),
        (b"= -1 EPROTOTYPE (Protocol wrong type for socket) <0.100000>", -4095),
    ],
    ids=["broken off", "would block", "an errno that has no name here"],
)
def test_every_way_to_fail_is_negative(end: bytes, want: int) -> None:
    assert parse([LINES[4], b"63 1795458375.366264 <... connect resumed>) " + end]) == (
        0,
        [(1795458375_366264_000, 100_000, want)],
    )


def test_what_cannot_be_read_is_counted() -> None:
    assert parse([*LINES[:3], b"strace: Process 7 attached", b""])[0] == 2
    assert parse_strace(LINES[2] + b"\n" + LINES[2][:30], SOCKET).bad_lines == 1
    assert parse_strace(b"", SOCKET).bad_lines == 0


@given(st.lists(st.one_of(st.binary(max_size=60), st.sampled_from(LINES)), max_size=30))
def test_no_bytes_break_the_parser_and_every_entry_is_a_line(lines: list[bytes]) -> None:
    found = parse_strace(b"\n".join(lines), SOCKET)

    assert len(found.end_ns) + found.bad_lines <= b"\n".join(lines).count(b"\n") + 1
    assert (found.duration_us >= 0).all()
    assert np.isin(found.result, [0, -2, -111]).all()
