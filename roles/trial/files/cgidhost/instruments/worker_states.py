"""What the worker threads wait for, by wait channel, and what httpd says of them: worker_states.csv, wchan.json."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from functools import partial
from typing import Any, Callable, Mapping, Optional

from .. import SCHEMA_VERSION
from ..ending import Unavailable
from ..process import read_text
from ..scoreboard import Scoreboard
from ..sockdiag import SockDiag
from ..wholefile import write_json
from .base import Gauge, Scene, read_again

CLASSES = ("connect", "read", "idle", "running", "other")
_READS = ("unix_stream_read_generic", "unix_stream_data_wait")
_SLEEP_S = 1.0
_LISTENS = ("do_epoll_wait", "ep_poll", "inet_csk_accept")


def class_of(wchan: str) -> str:
    """Return the class of a worker thread that sleeps in the kernel function `wchan` ("0": it does not sleep)."""
    if wchan == "0":
        return "running"
    if wchan == "unix_wait_for_peer":
        return "connect"
    if wchan.startswith(_READS):
        return "read"
    if wchan.startswith(("futex", "do_futex", *_LISTENS)):
        return "idle"
    return "other"


def worker_threads(pid: int, threads_per_child: int) -> list[int]:
    """Return the threads of a server process that handle requests: not its main thread and not its listener.

    Single-threaded processes (prefork) are workers themselves. The listener
    is the one in epoll or accept, else the youngest, for httpd makes it last.
    """
    tids = sorted(int(t) for t in os.listdir(f"/proc/{pid}/task"))
    if len(tids) == 1:
        return tids
    tids.remove(pid)
    if len(tids) > threads_per_child:
        listening = [t for t in tids if read_text(f"/proc/{pid}/task/{t}/wchan").startswith(_LISTENS)]
        tids.remove(listening[0] if listening else tids[-1])
    return tids


class WorkerStates(Gauge):
    """All worker threads' wait channels through descriptors that stay open, and the scoreboard where it can be read."""

    name = "worker_states"
    columns = "threads," + ",".join(CLASSES) + ",board_busy,board_ready"
    period_ns = 200_000_000

    @classmethod
    def prepared(cls, scene: Scene) -> Callable[[], Gauge]:
        """Open httpd's memory in the trial's own process: where tracing is restricted, only an ancestor may."""
        server = scene.the_server
        board, why = None, ""
        try:
            board = Scoreboard(server.pid, server.status().get("Scoreboard", ""))
        except (Unavailable, OSError) as error:
            why = str(error)
        pids = server.worker_pids
        if server.reloads:
            diag = SockDiag()
            pids = lambda: server.find_worker_pids(diag)  # noqa: E731 -- the same name for the same thing
        return partial(cls, scene.directory, pids, server.threads_per_child, board, why, replaced=server.reloads)

    @classmethod
    def probes(cls) -> Mapping[str, Callable[[], str]]:
        """Say whether the kernel shows what a process sleeps in."""
        return {"wchan": _probe}

    def __init__(
        self,
        directory: str,
        worker_pids: Callable[[], list[int]],
        threads_per_child: int,
        board: Optional[Scoreboard] = None,
        why_no_board: str = "",
        *,
        replaced: bool = False,
    ) -> None:
        """Open the threads' files; raise Unavailable where wait channels cannot be read.

        Without a `board` its fields stay empty; result.json then says `why_no_board`. Where processes will be
        `replaced` by others, those are looked for at each sample.
        """
        self._board = board
        self._why_no_board = why_no_board
        self._worker_pids = worker_pids
        self._threads_per_child = threads_per_child
        self._directory = directory
        self._fds: list[int] = []
        self._totals: dict[bytes, int] = {}
        self._replaced = replaced
        self._generation = self._processes() if replaced else ()
        self._open_all()
        try:
            seen = {read_again(fd) for fd in self._fds}
        except OSError as error:
            raise Unavailable(f"wchan: {error.strerror}") from error
        if not seen:
            raise Unavailable("no worker thread was found")
        if seen == {b"0"}:
            raise Unavailable("this kernel shows no wait channels: even idle workers have 0")
        super().__init__(directory)

    def _close_all(self) -> None:
        for fd in self._fds:
            os.close(fd)
        self._fds = []

    def _open_all(self) -> None:
        self._close_all()
        for pid in self._worker_pids():
            try:  # each may have ended meanwhile
                for tid in worker_threads(pid, self._threads_per_child):
                    self._fds.append(os.open(f"/proc/{pid}/task/{tid}/wchan", os.O_RDONLY | os.O_CLOEXEC))
            except (FileNotFoundError, ProcessLookupError):  # noqa: PERF203 -- processes, not threads
                continue
            except OSError as error:
                self._close_all()  # they may be all descriptors that there are
                raise Unavailable(f"wchan: {error.strerror}") from error

    def _processes(self) -> tuple[tuple[int, int], ...]:
        """Return the workers' processes, each with the links of its directory of threads: two more than threads."""
        found = []
        for pid in self._worker_pids():
            with suppress(OSError):  # it ended meanwhile
                found.append((pid, os.stat(f"/proc/{pid}/task").st_nlink))
        return tuple(found)

    def read(self) -> str:
        """Return how many threads there are and how many in each class."""
        if self._replaced and (now := self._processes()) != self._generation:
            self._generation = now
            self._open_all()
        counts: dict[bytes, int] = {}
        gone = False
        pread = os.pread
        for fd in self._fds:
            try:
                wchan = pread(fd, 64, 0)
            except OSError:
                gone = True
                continue
            counts[wchan] = counts.get(wchan, 0) + 1
        if gone:
            self._open_all()
        classes = dict.fromkeys(CLASSES, 0)
        for wchan, count in counts.items():
            classes[class_of(wchan.decode("ascii", "replace"))] += count
            self._totals[wchan] = self._totals.get(wchan, 0) + count
        return f"{sum(counts.values())}," + ",".join(str(classes[c]) for c in CLASSES) + f",{self._board_fields()}"

    def _board_fields(self) -> str:
        if self._board is None:
            return ","
        try:
            busy, ready = self._board.count()
        except OSError as error:  # httpd ended
            self._board, self._why_no_board = None, f"httpd's memory: {error.strerror}"
            return ","
        return f"{busy},{ready}"

    def more(self) -> dict[str, Any]:
        """Return why the scoreboard was not read, '' where it was."""
        return {"scoreboard": self._why_no_board}

    def finish(self) -> None:
        """Write the rest, and the raw names with their totals."""
        super().finish()
        totals = {name.decode("ascii", "replace"): count for name, count in sorted(self._totals.items())}
        document = {"schema_version": SCHEMA_VERSION, "samples": self.samples, "wchan": totals}
        write_json(os.path.join(self._directory, "wchan.json"), document)


def _probe() -> str:
    """Read the wait channel of a child that sleeps."""
    read_fd, write_fd = os.pipe()
    ready_read, ready_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(write_fd)
        os.write(ready_write, b"x")
        os.read(read_fd, 1)
        os._exit(0)
    try:
        os.read(ready_read, 1)
        found = _first_sleep(pid)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        for fd in (read_fd, write_fd, ready_read, ready_write):
            os.close(fd)
    return "" if found != "0" else "a sleeping process shows the wait channel 0"


def _first_sleep(pid: int) -> str:
    """Return the wait channel of a process once it sleeps."""
    deadline = time.monotonic() + _SLEEP_S
    while True:
        found = read_text(f"/proc/{pid}/wchan")
        if found != "0" or time.monotonic() > deadline:  # "0" too while it is on its way to sleep
            return found
