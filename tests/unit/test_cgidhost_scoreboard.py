"""The scoreboard in httpd's memory: found by what must stand in it, refused where nothing agrees."""

import mmap
import os
import struct
from collections.abc import Sequence

import pytest
from cgidhost.ending import Unavailable
from cgidhost.scoreboard import LETTERS, Scoreboard, agree, layouts, states

ENTRY = 336  # bytes of a worker's entry in httpd 2.4.68 on x86_64


def board(letters: Sequence[str], *, entry: int = ENTRY, to_status: int = 12, before: int = 100) -> bytes:
    """Return memory with a scoreboard in it: thread id, number, pid, generation, state, then what else there is."""
    data = bytearray(b"\x07" * before * 4)
    for number, letter in enumerate(letters):
        one = bytearray(entry)
        struct.pack_into("=Qi", one, 0, 0x7F0000000000 + number, number)
        one[8 + to_status] = LETTERS.index(letter)
        data += one
    return bytes(data) + b"\0" * 4096


IDLE = "_" * 40


@pytest.mark.parametrize("entry", [264, 336, 512])
@pytest.mark.parametrize("to_status", [12, 20, 24])
def test_states_are_found_whatever_an_entrys_size(entry: int, to_status: int) -> None:
    said = "_" * 20 + "WWR" + "_" * 17
    memory = board(said, entry=entry, to_status=to_status)

    found = [states(memory, one, len(said)) for one in layouts(memory, len(said))]

    assert [LETTERS[state] for state in next(f for f in found if agree(f, said))] == list(said)


def test_one_that_answers_while_it_is_compared_may_differ_and_no_more() -> None:
    seen = bytes(LETTERS.index(c) for c in IDLE)

    assert agree(seen, "W" + IDLE[1:])
    assert not agree(seen, "WWW" + IDLE[3:])
    assert not agree(seen, IDLE[1:])
    assert not agree(b"\xff" * len(IDLE), IDLE)


def test_memory_without_a_scoreboard_has_no_layout() -> None:
    assert layouts(b"\0" * 100_000, 40) == []
    assert layouts(b"", 40) == []


def test_a_live_processs_shared_memory_is_read_and_counted_as_server_status_counts() -> None:
    memory = board(IDLE)
    with mmap.mmap(-1, len(memory)) as shared:
        shared.write(memory)
        found = Scoreboard(os.getpid(), IDLE)
        first = memory.index(struct.pack("=Q", 0x7F0000000000)) + 8 + 12

        before = found.count()
        for number, letter in enumerate("WRKC.SI"):
            shared[first + number * ENTRY] = LETTERS.index(letter)
        after = found.count()

    assert before == (0, 40)
    assert after == (4, 33), "starting, finished and empty places are neither"


@pytest.mark.parametrize(
    ("pid", "said", "want"),
    [
        (os.getpid(), "R_W" * 30, "nothing in httpd's shared memory"),
        (os.getpid(), "", "fewer than three"),
        (2**22 + 1, IDLE, "httpd's memory: No such file"),
    ],
    ids=["another server's", "no page", "no process"],
)
def test_what_cannot_be_found_is_unavailable_with_its_reason(pid: int, said: str, want: str) -> None:
    with pytest.raises(Unavailable, match=want):
        Scoreboard(pid, said)
