"""Our own driver, really compiled: it renews connections that a server closes, and counts what it cannot mend."""

import re
import resource
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from cgidlab.drivers import DRIVERS
from cgidlab.drivers.base import Requests, Sendings, Totals

ROOT = Path(__file__).parents[2]
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhi\n\r\n0\r\n\r\n"
Serve = Callable[[socket.socket, int], bool]
"""Answers a request on a connection, which is the connection's nth; False closes it."""


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the driver, compiled as provisioning does it; warnings are errors."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("needs gcc")
    path = tmp_path_factory.mktemp("steady") / "steady"
    source = ROOT / "roles" / "load" / "files" / "steady.c"
    subprocess.run([compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-o", path, source], check=True)
    return path


@contextmanager
def serving(serve: Serve, asked: list[str] | None = None) -> Iterator[int]:
    """Serve connections on loopback, a thread each, and yield the port; `asked` gets the paths."""
    listener = socket.create_server(("127.0.0.1", 0))

    def one(connection: socket.socket) -> None:
        number = 0
        with connection, suppress(OSError):  # the driver hangs up when its time is over
            while request := connection.recv(65536):
                assert re.match(rb"GET /cgi-bin/\S+ HTTP/1.1\r\nHost: 127.0.0.1:", request)
                if asked is not None:
                    asked.append(request.split()[1].decode())
                number += 1
                if not serve(connection, number):
                    return

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def load(
    program: Path, rows: Path, port: int, *, clients: int = 4, seconds: float = 0.6, uses_us: int = 0
) -> tuple[Requests, Totals]:
    """Return the rows and totals of one run."""
    argv = [
        str(program),
        *(["--uses", str(uses_us)] if uses_us else []),
        str(clients),
        str(seconds),
        str(rows),
        "127.0.0.1",
        str(port),
        "/cgi-bin/hello",
    ]
    ran = subprocess.run(argv, check=True, capture_output=True, timeout=30)
    driver = DRIVERS["steady"]
    totals = driver.totals(ran.stdout)
    assert totals is not None, ran.stdout
    assert driver.clients(argv) == clients
    return driver.requests(rows), totals


@dataclass(frozen=True)
class Sent:
    """What one run by a schedule left."""

    requests: Requests
    sendings: Sendings
    totals: Totals
    exit_code: int
    errors: str


def send(
    program: Path, place: Path, port: int, due_us: Sequence[int], *, seconds: float = 5.0, listed: str = ""
) -> Sent:
    """Return what an open loop of such moments gave; it ends after `seconds` at the latest."""
    due, sent, rows = (place / name for name in ("due.log", "sent.log", "rows.log"))
    due.write_text("# when requests are due\n" + "".join(f"{at}\n" for at in due_us))
    argv = [str(program), "--schedule", str(due), str(sent), str(seconds), str(rows)]
    argv += ["127.0.0.1", str(port), *(["-", listed] if listed else ["/cgi-bin/hello"])]
    ran = subprocess.run(argv, check=False, capture_output=True, timeout=30, text=True)
    driver = DRIVERS["steady"]
    totals, sendings = driver.totals(ran.stdout.encode()), driver.sendings(rows)
    assert totals is not None, ran
    assert sendings is not None
    assert driver.clients(argv) is None
    return Sent(driver.requests(rows), sendings, totals, ran.returncode, ran.stderr)


def keeping(answer: bytes) -> Serve:
    def serve(connection: socket.socket, _number: int) -> bool:
        connection.sendall(answer)
        return True

    return serve


@pytest.mark.parametrize("answer", [ANSWER, CHUNKED], ids=["length", "chunked"])
def test_every_answer_is_a_row_with_its_time(program: Path, tmp_path: Path, answer: bytes) -> None:
    with serving(keeping(answer)) as port:
        requests, totals = load(program, tmp_path / "rows.log", port)

    assert totals.unanswered == 0
    assert totals.done == len(requests.status) > 100
    assert set(requests.status.tolist()) == {200}
    assert 0 < requests.latency_us.mean() < 100_000


def test_it_uses_the_cpu_time_besides_that_it_is_told_to(program: Path, tmp_path: Path) -> None:
    def used_s() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    with serving(keeping(ANSWER)) as port:
        before_s = used_s()
        requests, totals = load(program, tmp_path / "rows.log", port, uses_us=20_000)

    assert 0 < totals.done == len(requests.status)
    assert used_s() - before_s >= 0.019 * totals.done


def test_an_open_loop_is_not_told_to_use_cpu(program: Path) -> None:
    argv = [str(program), "--uses", "9", "--schedule", "due.log", "sent.log", "1", "rows.log", "127.0.0.1", "80", "/"]

    assert subprocess.run(argv, check=False, capture_output=True, timeout=30).returncode == 2


def test_a_kept_connection_that_is_closed_is_renewed_and_no_request_is_lost(program: Path, tmp_path: Path) -> None:
    """What the event MPM does to a process whose threads are all busy: h2load lost the client for good."""

    def serve(connection: socket.socket, number: int) -> bool:
        if number == 3:
            return False  # the third request is read, and the connection closed without an answer
        connection.sendall(ANSWER)
        return True

    with serving(serve) as port:
        requests, totals = load(program, tmp_path / "rows.log", port)

    assert totals.unanswered == 0
    assert len(requests.status) > 100


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nhi\n",
        b"HTTP/1.0 200 OK\r\n\r\nhi\n",
        b"HTTP/1.1 200 OK\r\n\r\nhi\n",
    ],
    ids=["said", "HTTP/1.0", "until closed"],
)
def test_a_server_that_closes_after_each_answer_is_asked_on(program: Path, tmp_path: Path, answer: bytes) -> None:
    def serve(connection: socket.socket, _number: int) -> bool:
        connection.sendall(answer)
        return False

    with serving(serve) as port:
        requests, totals = load(program, tmp_path / "rows.log", port)

    assert totals.unanswered == 0
    assert len(requests.status) > 50


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\nhi", b"SSH-2.0-x\r\n\r\n"],
    ids=["none", "torn", "other"],
)
def test_what_a_new_connection_does_not_answer_is_counted_and_is_no_row(
    program: Path, tmp_path: Path, answer: bytes
) -> None:
    def serve(connection: socket.socket, _number: int) -> bool:
        connection.sendall(answer)
        return False

    with serving(serve) as port:
        requests, totals = load(program, tmp_path / "rows.log", port, seconds=0.3)

    assert len(requests.status) == 0
    assert totals.unanswered == totals.done > 0


def test_nobody_there_is_counted_without_spinning(program: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    requests, totals = load(program, tmp_path / "rows.log", port, clients=2, seconds=0.5)

    assert len(requests.status) == 0
    assert 0 < totals.unanswered < 200


def test_of_a_list_each_request_is_the_next_one_whichever_client_sends_it(program: Path, tmp_path: Path) -> None:
    """Clients that each began with the first would ask for the same one at the same time."""
    asked: list[str] = []
    clients, paths = 3, [f"/cgi-bin/x?{n}" for n in range(7)]
    listed = tmp_path / "requests"
    listed.write_text("".join(f"{path}\n" for path in paths))
    all_asked = threading.Barrier(clients)

    def serve(connection: socket.socket, _number: int) -> bool:
        with suppress(threading.BrokenBarrierError):  # the last round, which the driver's end cuts short
            all_asked.wait(5)
        connection.sendall(ANSWER)
        return True

    with serving(serve, asked) as port:
        argv = [str(program), str(clients), "0.3", str(tmp_path / "rows"), "127.0.0.1", str(port), "-", str(listed)]
        subprocess.run(argv, check=True, capture_output=True, timeout=30)

    rounds = len(asked) // clients
    assert rounds > len(paths)
    for n in range(rounds):
        want = [paths[at % len(paths)] for at in range(clients * n, clients * (n + 1))]
        assert sorted(asked[clients * n : clients * (n + 1)]) == sorted(want), f"round {n}"


def test_of_a_list_each_request_of_a_schedule_is_the_next_one(program: Path, tmp_path: Path) -> None:
    asked: list[str] = []
    listed = tmp_path / "requests"
    listed.write_text("".join(f"/cgi-bin/x?{n}\n" for n in range(7)))
    with serving(keeping(ANSWER), asked) as port:
        got = send(program, tmp_path, port, [n * 5_000 for n in range(70)], listed=str(listed))

    assert got.totals == Totals(70, 0)
    assert {asked.count(f"/cgi-bin/x?{n}") for n in range(7)} == {10}


def test_an_empty_list_is_an_error(program: Path, tmp_path: Path) -> None:
    (tmp_path / "requests").write_text("\n")
    argv = [str(program), "1", "0.1", str(tmp_path / "rows"), "127.0.0.1", "9", "-", str(tmp_path / "requests")]

    ran = subprocess.run(argv, check=False, capture_output=True, timeout=30)

    assert (ran.returncode, ran.stderr) == (2, b"steady: there is nothing to ask for\n")


def test_a_schedule_is_followed_and_its_rows_begin_when_they_were_due(program: Path, tmp_path: Path) -> None:
    due = [n * 2_000 for n in range(200)]

    with serving(keeping(ANSWER)) as port:
        got = send(program, tmp_path, port, due)

    sendings = got.sendings
    assert got.exit_code == 0
    assert (got.totals.done, got.totals.unanswered) == (200, 0)
    assert {b - a for a, b in pairwise(sendings.due_us.tolist())} == {2_000}
    assert sorted(got.requests.start_us.tolist()) == sendings.due_us.tolist()
    late_us = dict(zip(sendings.due_us.tolist(), sendings.lag_us.tolist(), strict=True))
    assert all(took > late_us[at] for at, took in zip(*columns(got.requests), strict=True)), "the lag counts"


def columns(requests: Requests) -> tuple[list[int], list[int]]:
    return requests.start_us.tolist(), requests.latency_us.tolist()


def test_it_waits_for_no_answer_and_takes_a_new_connection_where_none_is_free(program: Path, tmp_path: Path) -> None:
    """Each answer comes after 300 ms: a driver that waits for them would need six seconds for twenty."""
    connections: list[int] = []

    def serve(connection: socket.socket, number: int) -> bool:
        if number == 1:
            connections.append(1)
        time.sleep(0.3)
        connection.sendall(ANSWER)
        return True

    first, second = [n * 5_000 for n in range(20)], [800_000 + n * 5_000 for n in range(20)]
    with serving(serve) as port:
        got = send(program, tmp_path, port, first + second)

    assert got.totals.unanswered == 0
    assert len(connections) == 20, "the second twenty find the connections of the first"
    assert got.requests.latency_us.min() >= 300_000
    assert got.sendings.lag_us.max() < 250_000


def test_a_whole_burst_is_out_at_once(program: Path, tmp_path: Path) -> None:
    with serving(keeping(ANSWER)) as port:
        got = send(program, tmp_path, port, [0] * 100 + [300_000] * 100)

    assert got.totals == Totals(200, 0)
    assert len(set(got.sendings.due_us.tolist())) == 2


def test_an_idle_connection_that_the_server_closed_is_renewed_and_costs_no_request(
    program: Path, tmp_path: Path
) -> None:
    def serve(connection: socket.socket, number: int) -> bool:
        if number == 2:
            return False  # read, and closed without an answer
        connection.sendall(ANSWER)
        return True

    with serving(serve) as port:
        got = send(program, tmp_path, port, [n * 10_000 for n in range(40)])

    assert got.totals == Totals(40, 0)


def test_what_is_refused_is_counted_and_the_next_is_sent_when_it_is_due(program: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    got = send(program, tmp_path, port, [n * 10_000 for n in range(30)])

    assert got.totals == Totals(30, 30)
    assert got.exit_code == 0
    assert len(got.sendings.due_us) == 30


def test_what_has_no_answer_when_its_time_is_over_is_unanswered(program: Path, tmp_path: Path) -> None:
    def serve(_connection: socket.socket, _number: int) -> bool:
        time.sleep(2)
        return False

    with serving(serve) as port:
        got = send(program, tmp_path, port, [0, 1000, 2000], seconds=0.5)

    assert got.totals == Totals(3, 3)
    assert len(got.requests.status) == 0


def test_requests_that_were_never_sent_make_it_fail(program: Path, tmp_path: Path) -> None:
    with serving(keeping(ANSWER)) as port:
        got = send(program, tmp_path, port, [0, 1000, 60_000_000], seconds=0.3)

    assert got.exit_code == 1
    assert "1 requests of the schedule were never sent" in got.errors
