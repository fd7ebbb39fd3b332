"""Starts the trial's httpd and knows its processes: parent, cgid daemon, workers."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from typing import Callable, Mapping, Optional

from . import http, libc, own, process
from .blockfile import STATIC_PATH, TrialOrder
from .ending import TrialEnd
from .process import Account, Program
from .reloading import RELOADS
from .sockdiag import SockDiag, UnixListener
from .sut.base import System
from .undo import MARK
from .waiting import Patience

_TAIL_BYTES = 2000
_CHECK_S = 10.0
_MOST_OF_LOG = 32 << 20  # of one reload: a line for each retry of each worker
_SETTLED_AFTER = 200  # looks at an unchanged number of workers, some milliseconds apart


def worker_count(status: Mapping[str, str]) -> int:
    """Return the number of workers on mod_status's machine-readable page."""
    return int(status.get("BusyWorkers", 0)) + int(status.get("IdleWorkers", 0))


@dataclass(frozen=True)
class Places:
    """The directories of one trial."""

    trial: str  # harvested
    run: str  # sockets and pid files; short, gone with the trial

    @property
    def logs(self) -> str:
        """Return where httpd writes its logs."""
        return os.path.join(self.trial, "logs")

    @property
    def system(self) -> str:
        """Return where the own files of the system under test are."""
        return os.path.join(self.trial, "system")

    @property
    def load(self) -> str:
        """Return where the driver writes."""
        return os.path.join(self.trial, "load")

    @property
    def instruments(self) -> str:
        """Return where instruments write."""
        return os.path.join(self.trial, "instruments")

    def make(self, server: Optional[Account]) -> None:
        """Make them all, and let the server write where it has to, if it has an account of its own; raise OSError."""
        for path in (self.trial, self.logs, self.load, self.instruments):
            os.makedirs(path, mode=0o755, exist_ok=True)
        own.make(self.run)
        os.symlink(self.trial, os.path.join(self.run, own.MARK))  # where it is not gone with the trial, it says whose
        if server is not None:
            for path in (self.logs, self.run):
                server.let_into(path)


def _make_static(path: str) -> None:
    """Write the file that is asked for where no CGI is, as the script hello says it; OSError when it is not ours."""
    directory, name = os.path.split(path)
    os.mkdir(directory, 0o755)  # others may write beside it: what they put in its place is not taken
    place = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.fstat(place).st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "somebody else's directory is in its place", directory)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(name, flags, 0o644, dir_fd=place), "w", encoding="ascii") as file:
            file.write("hello\n")
    finally:
        os.close(place)


class Server:
    """One httpd instance on one address. It dies with the process that started it."""

    def __init__(self, order: TrialOrder, places: Places, port: int, program: Optional[str] = None) -> None:
        """`program` is where the system's own program is on this host, if it has one."""
        self._order = order
        self._places = places
        self.port = port
        self._program_path = program
        self._program: Optional[Program] = None
        self._beside: Optional[Program] = None  # the system's own
        self.listener: Optional[UnixListener] = None
        self._counts: list[int] = []  # of workers, and of the system's own processes, at each look
        self._children: list[int] = []
        self._setup: Optional[Callable[[], None]] = None

    @property
    def address(self) -> str:
        """Return the address that it listens on."""
        return self._order.address

    @property
    def run_dir(self) -> str:
        """Return the directory of its sockets."""
        return self._places.run

    @property
    def trial_dir(self) -> str:
        """Return the directory that is harvested."""
        return self._places.trial

    @property
    def asks_for_scripts(self) -> bool:
        """Say whether requests are for scripts, and not for a plain file."""
        return self._order.url_path != STATIC_PATH

    @property
    def scripts_dir(self) -> str:
        """Return where the scripts lie that it starts, which other trials start too."""
        return self._order.scripts_dir

    @property
    def slowed_dir(self) -> str:
        """Return where slower builds of the project's own scripts are, by the same names."""
        return self._order.slowed_dir

    @property
    def system(self) -> System:
        """Return what stands behind it."""
        return self._order.system

    @property
    def reloads(self) -> bool:
        """Say whether its workers, and the daemon with its socket, are replaced in the window."""
        return self._order.fault is not None and self._order.fault.action in RELOADS

    @property
    def threads_per_child(self) -> int:
        """Return how many workers each of its processes has, where they have threads."""
        return self._order.number_of("threads_per_child")

    @property
    def pid(self) -> int:
        """Return the pid of httpd's parent process."""
        return 0 if self._program is None else self._program.pid

    @property
    def pidfds(self) -> list[int]:
        """Return descriptors that become readable when what was started for the trial ends: `check_alive` says what."""
        if self._program is None:
            raise TrialEnd("infra", "httpd was not started")
        return [self._program.pidfd, *([] if self._beside is None else [self._beside.pidfd])]

    @property
    def pids(self) -> list[int]:
        """Return httpd's processes, and those of the system's own program."""
        return [pid for first in self.first_pids for pid in (first, *process.children(first))]

    @property
    def first_pids(self) -> list[int]:
        """Return the processes that all others of the server descend from."""
        return [self.pid, *([] if self._beside is None else [self._beside.pid])]

    def start(self, setup: Optional[Callable[[], None]]) -> None:
        """Write httpd.conf and start httpd on it, and before it the system's own program.

        `setup` runs in the child before it becomes one of them.
        """
        if self.system.program:
            self._start_beside(setup)
        if self._order.url_path == STATIC_PATH:
            _make_static(self._places.run + STATIC_PATH)
        self._write("httpd.conf", self._order.httpd_conf)
        self._setup = setup
        self._program = self._run_httpd("-DFOREGROUND")

    def _start_beside(self, setup: Optional[Callable[[], None]]) -> None:
        system = self.system
        if self._program_path is None:
            raise TrialEnd("infra", f"{system.program} is not installed")
        os.mkdir(self._places.system, 0o755)
        for name, text in self._order.system_files.items():
            self._write(os.path.join("system", name), text)
        in_child = system.in_child(self._order, self._places)

        def prepare() -> None:
            for step in (setup, in_child):
                if step is not None:
                    step()
            libc.die_with_parent()  # again: the kernel forgets it where the user changes

        argv = [self._program_path, *system.arguments(self._order, self._places)]
        self._beside = self._started(argv, "system_output", prepare)

    def _write(self, name: str, text: str) -> str:
        """Write a file of the trial's directory, with what only the host knows in place of the marks."""
        for mark, value in (
            ("@TRIAL_DIR@", self._places.trial),
            ("@RUN_DIR@", self._places.run),
            ("@PORT@", str(self.port)),
        ):
            text = text.replace(mark, value)
        path = os.path.join(self._places.trial, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def _started(self, argv: list[str], log: str, setup: Optional[Callable[[], None]]) -> Program:
        output = os.path.join(self._places.logs, log)
        return Program(argv, output, output, environment={MARK[:-1]: self._places.trial}, setup=setup)

    def _run_httpd(self, option: str) -> Program:
        argv = [self._order.httpd_binary, "-f", self._configuration, option]
        return self._started(argv, "httpd_output", self._setup)

    @property
    def _configuration(self) -> str:
        return os.path.join(self._places.trial, "httpd.conf")

    def add_to_configuration(self, line: str) -> None:
        """Put another httpd.conf in the place of the present one, whole, and have httpd check it, as a deployment does.

        Raises TrialEnd (infra) where httpd does not take it.
        """
        with open(self._configuration, encoding="utf-8") as file:
            conf = file.read()
        part = self._configuration + ".part"
        with open(part, "w", encoding="utf-8") as file:
            file.write(f"{conf}\n{line}\n")
        os.rename(part, self._configuration)
        check = self._run_httpd("-t")
        code = check.reap(_CHECK_S)
        os.close(check.pidfd)
        if code:
            raise TrialEnd("infra", f"httpd -t ended with {code}: {self.said()}")

    @property
    def _error_log(self) -> str:
        return os.path.join(self._places.logs, "error_log")

    def log_size(self) -> int:
        """Return how long the error log is now; raise OSError."""
        return os.stat(self._error_log, follow_symlinks=False).st_size

    def log_from(self, offset: int) -> bytes:
        """Return what is in the error log from there on, or the first of it; raise OSError."""
        fd = process.open_plain(self._error_log)
        try:
            return os.pread(fd, _MOST_OF_LOG, offset)
        finally:
            os.close(fd)

    def wait_until_ready(self, patience: Patience, diag: SockDiag, timeout_s: float) -> None:
        """Return when all workers are there and the queue's socket listens; raise TrialEnd (sut) if one ends first.

        Nothing is asked of the CGI before its socket listens: a worker that
        found none would log a retry and sleep.
        """
        if not self.system.why_no_queue:
            self.listener = patience.until(
                f"{self._order.httpd_binary}: the {self.system.name} socket listening",
                lambda: self._find_listener(diag) if self._alive() else None,
                timeout_s,
            )
        if self.system.program:
            patience.until(
                f"{self.system.name}: its children",
                lambda: self._settled(self._children, len(self.acceptors()), "children") if self._alive() else None,
                timeout_s,
            )
        patience.until(
            f"{self._order.httpd_binary}: pid file and workers",
            lambda: self._up() if self._alive() else None,
            timeout_s,
        )

    def _find_listener(self, diag: SockDiag) -> Optional[UnixListener]:
        return self.system.find_listener(self._places.run, diag)

    def _up(self) -> Optional[bool]:
        if not os.path.exists(os.path.join(self._places.run, "httpd.pid")):
            return None
        try:
            workers = worker_count(self.status())
        except OSError:
            return None
        return self._settled(self._counts, workers, "workers")

    def _settled(self, counts: list[int], now: int, option: str) -> Optional[bool]:
        """Say whether there are as many as ordered. Another number is for the read-back to judge, once it stays."""
        counts[:] = [*counts[-_SETTLED_AFTER:], now]
        settled = len(counts) > _SETTLED_AFTER and len(set(counts)) == 1
        return True if settled or now == self._order.number_of(option) else None

    def _alive(self) -> bool:
        self.check_alive()
        return True

    def status(self) -> dict[str, str]:
        """Return mod_status's machine-readable page as a mapping; raise OSError."""
        answer = http.get(self.address, self.port, "/server-status?auto", 5.0)
        if answer.status != http.OK:
            raise OSError(f"server-status answered {answer.status}")
        lines = answer.body.decode("utf-8", "replace").splitlines()
        return dict(line.split(": ", 1) for line in lines if ": " in line)

    def said(self) -> str:
        """Return the last words of what was started: what it printed and the end of httpd's error log, on one line."""
        words = []
        for name in ("system_output", "httpd_output", "error_log"):
            try:
                text = process.read_plain(os.path.join(self._places.logs, name))
            except OSError:
                continue
            words += [line.strip() for line in text[-_TAIL_BYTES:].splitlines() if line.strip()]
        return " | ".join(words[-6:])

    def check_alive(self) -> None:
        """Raise TrialEnd (sut) with their own words if httpd's parent process or the system's own program has ended."""
        for name, program in (("httpd", self._program), (self.system.program, self._beside)):
            code = None if program is None else program.exit_code()
            if code is not None:
                raise TrialEnd("sut", f"{name} ended with {code}: {self.said()}")

    @property
    def _first_pid(self) -> int:
        """Return the process that started those who accept."""
        return self.pid if self._beside is None else self._beside.pid

    def acceptor(self) -> Optional[int]:
        """Return the process that accepts from the system's queue (mod_cgid's daemon). None: there is no single one."""
        return self.system.acceptor(self._first_pid, self.listener)

    def acceptors(self) -> list[int]:
        """Return all processes that accept from the system's queue."""
        return self.system.acceptors(self._first_pid, self.listener)

    def find_acceptor(self, diag: SockDiag) -> Optional[int]:
        """Look again for the queue's socket, which a restarted daemon makes anew, and return who accepts from it."""
        self._look_again(diag)
        return self.acceptor()

    def find_acceptors(self, diag: SockDiag) -> list[int]:
        """Look again for the queue's socket, and return all who accept from it."""
        self._look_again(diag)
        return self.acceptors()

    def _look_again(self, diag: SockDiag) -> None:
        found = self._find_listener(diag)
        if found is not None:
            self.listener = found

    def find_worker_pids(self, diag: SockDiag) -> list[int]:
        """Return the processes that hold workers, where the daemon may be another one than at the last look."""
        self.find_acceptor(diag)
        return self.worker_pids()

    def worker_pids(self) -> list[int]:
        """Return the processes that hold workers."""
        others = {*self.acceptors(), *self.system.managers(self.pid)}
        return [p for p in process.children(self.pid) if p not in others]
