"""The BPF programs of the host's helper, loaded into this kernel and tried on real sockets."""

import ctypes
import errno
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from cgidhost import bpf, bpfcounts
from cgidhost.bpfqueue import WAITS_NS
from cgidhost.ending import Unavailable
from cgidhost.waiting import Patience

pytestmark = pytest.mark.needs_root

FORMAT = """name: sys_enter_connect
format:
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:int __syscall_nr;	offset:8;	size:4;	signed:1;
	field:int fd;	offset:16;	size:8;	signed:0;
	field:struct sockaddr * uservaddr;	offset:24;	size:8;	signed:0;
	field:int addrlen;	offset:32;	size:8;	signed:0;
"""


@pytest.fixture(params=["function", "system call"])
def tracer(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[bpf.ConnectTracer]:
    """Return a tracer of sockets below `mine/`, in each of the two places."""
    (tmp_path / "mine").mkdir()
    if request.param == "system call":
        monkeypatch.setattr("cgidhost.btf.KERNEL", str(tmp_path / "not described"))
    try:
        made = bpf.ConnectTracer(f"{tmp_path}/mine/")
    except Unavailable as why:
        pytest.skip(f"this kernel lets nobody trace: {why}")
    if made.place != request.param:
        made.close()
        pytest.skip(f"this kernel lets nobody attach to a function: {made.why_not_function}")
    yield made
    made.close()


def connect(path: Path) -> int:
    """Connect once without waiting and return the error number."""
    with socket.socket(socket.AF_UNIX) as one:
        one.setblocking(False)  # noqa: FBT003 -- the socket module's own signature
        return one.connect_ex(str(path))


def test_a_fields_place_is_read_from_the_tracepoints_own_description() -> None:
    assert bpf.field_at(FORMAT, "uservaddr") == 24
    with pytest.raises(Unavailable, match="no field ret"):
        bpf.field_at(FORMAT, "ret")


def test_every_connect_below_the_prefix_is_recorded_with_its_result_and_no_other(
    tracer: bpf.ConnectTracer, tmp_path: Path
) -> None:
    path = tmp_path / "mine" / "s"
    begin_ns = time.monotonic_ns()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        assert connect(path) == errno.ECONNREFUSED
        listener.listen(0)
        with ExitStack() as stack:
            first = stack.enter_context(socket.socket(socket.AF_UNIX))
            first.connect(str(path))
            assert connect(path) == errno.EAGAIN
    assert connect(tmp_path / "mine" / "none") == errno.ENOENT
    assert connect(tmp_path / "other") == errno.ENOENT
    end_ns = time.monotonic_ns()

    found = tracer.take()
    assert [-c.result for c in found] == [errno.ECONNREFUSED, 0, errno.EAGAIN, errno.ENOENT]
    assert all(begin_ns < c.end_ns < end_ns and 0 < c.took_ns < 1_000_000_000 for c in found)
    assert tracer.take() == []


def test_a_connect_that_sleeps_in_a_full_queue_is_as_long_as_its_sleep(
    tracer: bpf.ConnectTracer, tmp_path: Path
) -> None:
    path = str(tmp_path / "mine" / "s")
    with ExitStack() as stack:
        listener, filler, sleeper = (stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(3))
        listener.bind(path)
        listener.listen(0)
        filler.connect(path)
        tracer.take()
        thread = threading.Thread(target=sleeper.connect, args=(path,))
        thread.start()
        Patience(os.pipe()[0]).until("the sleeper's sleep", lambda: _sleeps_in_connect(thread), 10)
        asleep_ns = time.monotonic_ns()
        time.sleep(0.1)  # the length of the sleep is what is measured
        listener.accept()[0].close()
        thread.join()
        slept_ns = time.monotonic_ns() - asleep_ns

        (found,) = tracer.take()
        assert found.result == 0
        assert 100_000_000 <= found.took_ns <= slept_ns + 1_000_000_000


def _sleeps_in_connect(thread: threading.Thread) -> bool:
    return Path(f"/proc/self/task/{thread.native_id}/wchan").read_text() == "unix_wait_for_peer"


def test_the_ring_goes_round_without_losing_or_cutting_a_record(tracer: bpf.ConnectTracer, tmp_path: Path) -> None:
    each = 40_000
    total = 0
    for _ in range(4):  # more than the ring holds, in parts that fit
        with socket.socket(socket.AF_UNIX) as one:
            for _ in range(each):
                one.connect_ex(f"{tmp_path}/mine/none")
        found = tracer.take()
        assert {c.result for c in found} == {-errno.ENOENT}
        total += len(found)

    assert total * 32 > bpf.RING_BYTES
    assert total == 4 * each
    assert tracer.lost() == 0


def test_connects_without_room_are_counted_as_lost(tracer: bpf.ConnectTracer, tmp_path: Path) -> None:
    fit = bpf.RING_BYTES // 32
    with socket.socket(socket.AF_UNIX) as one:
        for _ in range(fit + 1000):
            one.connect_ex(f"{tmp_path}/mine/none")

    assert len(tracer.take()) + tracer.lost() == fit + 1000
    assert tracer.lost() >= 1000


@pytest.fixture(params=["function", "system call"])
def counter(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[bpfcounts.ConnectCounter]:
    """Return a counter of all connects, in each of the two places."""
    if request.param == "system call":
        monkeypatch.setattr("cgidhost.btf.KERNEL", str(tmp_path / "not described"))
    try:
        made = bpfcounts.ConnectCounter()
    except Unavailable as why:
        pytest.skip(f"this kernel lets nobody trace: {why}")
    if made.place != request.param:
        made.close()
        pytest.skip(f"this kernel lets nobody attach to a function: {made.why_not_function}")
    yield made
    made.close()


def test_connects_are_counted_by_path_and_by_what_became_of_them(
    tmp_path: Path, counter: bpfcounts.ConnectCounter
) -> None:
    full, dead = tmp_path / "full", tmp_path / "dead"
    with ExitStack() as opened:
        for path in (full, dead):
            listener = opened.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(str(path))
            listener.listen(1)
        listener.close()
        for path in [full] * 5 + [dead] * 3 + [tmp_path / "none"] * 2:
            client = opened.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)  # noqa: FBT003 -- the socket module's own signature
            client.connect_ex(str(path))
        found = counter.counts()

    assert found[str(full)][:4] == (5, 3, 0, 0)
    assert found[str(dead)][:4] == (3, 0, 3, 0)
    assert found[str(tmp_path / "none")][:4] == (2, 0, 0, 2)
    assert found[str(full)].took_ns > 0


def test_one_path_is_one_however_the_address_ends(tmp_path: Path, counter: bpfcounts.ConnectCounter) -> None:
    """Some pass the whole structure with anything behind the zero, some the text alone."""
    libc = ctypes.CDLL(None, use_errno=True)
    path = os.fsencode(tmp_path / "s")
    family = struct.pack("=H", socket.AF_UNIX)
    for address in (family + path, family + path + b"\0", (family + path + b"\0").ljust(110, b"x")):
        with socket.socket(socket.AF_UNIX) as client:
            libc.connect(client.fileno(), address, len(address))

    found = {p: c for p, c in counter.counts().items() if p.startswith(str(tmp_path))}
    assert {p: c.connects for p, c in found.items()} == {str(tmp_path / "s"): 3}


def test_who_waits_for_a_place_is_seen_while_he_does(tmp_path: Path, counter: bpfcounts.ConnectCounter) -> None:
    path = str(tmp_path / "s")
    with ExitStack() as opened:
        listener = opened.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(path)
        listener.listen(0)
        first, second = (opened.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(2))
        first.connect(path)
        thread = threading.Thread(target=second.connect, args=(path,))
        thread.start()
        deadline = time.monotonic() + 30
        while counter.waiting(1_000_000).get(path) != 1:
            assert time.monotonic() < deadline
            time.sleep(0.005)  # nothing announces it
        listener.accept()[0].close()
        thread.join()

    assert path not in counter.waiting(0)
    assert counter.counts()[path].took_ns > 1_000_000


@pytest.fixture(params=["function", "system call"])
def timed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[bpfcounts.ConnectCounter]:
    """Return a counter that also times how long connections wait, in each of the two places."""
    if request.param == "system call":
        monkeypatch.setattr("cgidhost.bpf._FUNCTION", "no_function_of_this_name")
    try:
        made = bpfcounts.ConnectCounter()
    except Unavailable as why:
        pytest.skip(f"this kernel lets nobody trace: {why}")
    if made.place != request.param or made.why_no_waits:
        made.close()
        pytest.skip(f"this kernel lets nobody time it there: {made.why_not_function or made.why_no_waits}")
    yield made
    made.close()


def test_how_long_a_connection_waited_for_accept_is_measured(tmp_path: Path, timed: bpfcounts.ConnectCounter) -> None:
    path = str(tmp_path / "s")
    with ExitStack() as opened:
        listener = opened.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(path)
        listener.listen(10)
        clients = [opened.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(3)]
        for client in clients:
            client.connect(path)
        before = timed.counts()[path]
        time.sleep(0.06)  # what is measured
        for _ in clients:
            listener.accept()[0].close()

    counts = timed.counts()[path]
    assert before.waited == (0,) * (len(WAITS_NS) + 1)
    assert sum(counts.waited) == 3
    assert sum(counts.waited[: WAITS_NS.index(50_000_000) + 1]) == 0
    assert counts.waited_ns > 3 * 60_000_000


def test_a_connection_that_is_taken_before_its_connect_has_ended_counts_too(
    tmp_path: Path, timed: bpfcounts.ConnectCounter
) -> None:
    path, rounds = str(tmp_path / "s"), 300
    with socket.socket(socket.AF_UNIX) as listener, socket.create_server(("127.0.0.1", 0)) as other:
        listener.bind(path)
        listener.listen(10)

        def take() -> None:
            for _ in range(rounds):
                listener.accept()[0].close()

        thread = threading.Thread(target=take)
        thread.start()
        for _ in range(rounds):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)
                client.recv(1)  # until it was taken
            with socket.create_connection(other.getsockname()):
                other.accept()[0].close()  # of another family: not counted
        thread.join()

    counts = timed.counts()[path]
    assert counts.connects == rounds
    assert sum(counts.waited) == pytest.approx(rounds, abs=3)


def test_a_path_that_is_forgotten_begins_anew(tmp_path: Path, timed: bpfcounts.ConnectCounter) -> None:
    path = str(tmp_path / "none")
    for _ in range(2):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect_ex(path)
        found = timed.counts()[path]
        timed.forget(path)

    assert found.connects == 1
    assert path not in timed.counts()
