"""Depth and limit of the cgid socket's and the TCP listener's queue: listen_queue.csv."""

from __future__ import annotations

import os
import socket
import tempfile
from functools import partial
from typing import Callable, Mapping, Optional

from ..ending import Unavailable
from ..sockdiag import Queue, SockDiag, UnixListener, is_error, queue_in, tcp_query, unix_query
from .base import Gauge, Scene


class ListenQueue(Gauge):
    """One socket asked by inode and cookie, so the cost does not grow with the host's sockets.

    A hundred times a second it matters what a sample does: answers are kept as they came, and read together.
    """

    name = "listen_queue"
    columns = "cgid_depth,cgid_limit,tcp_depth,tcp_limit"
    period_ns = 10_000_000

    @classmethod
    def prepared(cls, scene: Scene) -> Callable[[], Gauge]:
        """Return what makes it for the queues of the trial's server."""
        server = scene.the_server
        return partial(cls, scene.directory, server.listener, server.address, server.port)

    @classmethod
    def probes(cls) -> Mapping[str, Callable[[], str]]:
        """Say whether the kernel tells of a unix socket's queue."""
        return {"unix_diag": _probe}

    def __init__(self, directory: str, listener: Optional[UnixListener], address: str, port: int) -> None:
        """Open a netlink socket in the caller's network namespace; raise Unavailable where there is no sock_diag."""
        try:
            self._diag = SockDiag()
            self._tcp: Optional[bytes] = tcp_query(address, port)
            self._path = "" if listener is None else listener.path
            self._unix = None if listener is None else unix_query(listener)
            if self._unix is not None:
                self._diag.unix_queue(self._unix)
        except OSError as error:
            raise Unavailable(f"sock_diag: {error.strerror}") from error
        try:
            self._diag.queues(self._tcp)
        except OSError:  # a kernel without tcp_diag: its fields stay empty
            self._tcp = None
        self._ask_from_now()
        self._unread: list[tuple[int, list[bytes]]] = []
        super().__init__(directory)

    def _ask_from_now(self) -> None:
        wanted = [request for request in (self._unix, self._tcp) if request is not None]
        self._requests, self._count = b"".join(wanted), len(wanted)

    def sample(self, now_ns: int) -> None:
        """Ask for both queues; look for a socket that is gone."""
        answers = self._ask()
        daemon_is_there = self._unix is not None or not self._path
        if daemon_is_there and not any(map(is_error, answers)):
            self._unread.append((now_ns, answers))
            self.samples += 1
        else:
            self._read_unread()
            super().sample(now_ns)

    def _ask(self) -> list[bytes]:
        return self._diag.ask(self._requests, self._count) if self._count else []

    def _read_unread(self) -> None:
        self._lines += [
            f"{now_ns},{self._row([queue_in(one) for one in answers])}\n" for now_ns, answers in self._unread
        ]
        self._unread.clear()

    def flush(self) -> None:
        """Read and write out what was gathered; raise OSError."""
        self._read_unread()
        super().flush()

    def read(self) -> str:
        """Return the four fields, empty where a socket is not there now."""
        return self._row([queue_in(answer) for answer in self._ask()])

    def _row(self, queues: list[Optional[Queue]]) -> str:
        unix = queues.pop(0) if self._unix is not None else None
        if unix is None and self._path:
            unix = self._find_again()
        return f"{fields(unix)},{fields(queues[0] if queues else None)}"

    def _find_again(self) -> Optional[Queue]:
        """Look for the socket that a restarted daemon binds to the same path."""
        listener = self._diag.find_unix(self._path)
        self._unix = None if listener is None else unix_query(listener)
        self._ask_from_now()
        return None if listener is None else listener.queue


def fields(queue: Optional[Queue]) -> str:
    """Return the CSV fields of a queue, empty where it was not there."""
    return "," if queue is None else f"{queue.depth},{queue.limit}"


def _probe() -> str:
    """Ask for the queue of a socket made for this, and compare."""
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as one:
        path = os.path.join(directory, "s")
        one.bind(path)
        one.listen(7)
        diag = SockDiag()
        found = diag.find_unix(path)
        queue = None if found is None else diag.unix_queue(unix_query(found))
    limit = None if queue is None else queue.limit
    return "" if limit == 7 else f"a queue of 7 was found as {limit}"  # noqa: PLR2004 -- as listened above
