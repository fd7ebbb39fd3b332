"""Our own driver, really compiled: it renews connections that a server closes, and counts what it cannot mend."""

import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from cgidlab.drivers import DRIVERS
from cgidlab.drivers.base import Requests, Totals

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


def load(program: Path, rows: Path, port: int, *, clients: int = 4, seconds: float = 0.6) -> tuple[Requests, Totals]:
    """Return the rows and totals of one run."""
    argv = [str(program), str(clients), str(seconds), str(rows), "127.0.0.1", str(port), "/cgi-bin/hello"]
    ran = subprocess.run(argv, check=True, capture_output=True, timeout=30)
    driver = DRIVERS["steady"]
    totals = driver.totals(ran.stdout)
    assert totals is not None, ran.stdout
    assert driver.clients(argv) == clients
    return driver.requests(rows), totals


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
    listed = tmp_path / "requests"
    listed.write_text("".join(f"/cgi-bin/x?{n}\n" for n in range(7)))
    with serving(keeping(ANSWER), asked) as port:
        argv = [str(program), "3", "0.3", str(tmp_path / "rows"), "127.0.0.1", str(port), "-", str(listed)]
        subprocess.run(argv, check=True, capture_output=True, timeout=30)

    assert asked[:3].count("/cgi-bin/x?0") == 1
    counts = [asked.count(f"/cgi-bin/x?{n}") for n in range(7)]
    assert min(counts) > 1
    assert max(counts) - min(counts) <= 1


def test_an_empty_list_is_an_error(program: Path, tmp_path: Path) -> None:
    (tmp_path / "requests").write_text("\n")
    argv = [str(program), "1", "0.1", str(tmp_path / "rows"), "127.0.0.1", "9", "-", str(tmp_path / "requests")]

    ran = subprocess.run(argv, check=False, capture_output=True, timeout=30)

    assert (ran.returncode, ran.stderr) == (2, b"steady: there is nothing to ask for\n")
