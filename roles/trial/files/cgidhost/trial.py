"""Runs one trial as its first process: the only module that knows the order of a trial's steps."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import socket
from contextlib import suppress
from functools import partial
from typing import Any, Callable, Mapping, Optional, Union

from . import faults, firewall, kernel, load, namespaces, process, readback, remote, undo, waiting
from .blockfile import TrialOrder
from .bpf import ConnectTracer
from .ending import TrialEnd, Unavailable
from .instruments import Gauge, host
from .instruments.cgid_daemon import CgidDaemon
from .instruments.connect_times import ConnectTimes
from .instruments.listen_queue import ListenQueue
from .instruments.perf_trace import PerfTrace
from .instruments.strace import Strace
from .instruments.worker_states import WorkerStates
from .record import Teller
from .sampler import Sampler
from .scoreboard import Scoreboard
from .server import Places, Server
from .sockdiag import SockDiag
from .waiting import Patience
from .wholefile import write_json

INSTRUMENTS = ("listen_queue", "worker_states", "connect_times", "cgid_daemon", "host", "strace")
_FILES = 65536
_START_S = 20.0
_INSTRUMENT_S = 10.0


class Trial:
    """One trial, from inside its namespaces. Every step tells what it learned."""

    def __init__(
        self,
        order: TrialOrder,
        tools: Mapping[str, Optional[str]],
        places: Places,
        patience: Patience,
        teller: Teller,
        journal: Callable[[str, str, str], None],
        *,
        tracer: Union[ConnectTracer, Unavailable, None],
        server_user: Optional[str],
    ) -> None:
        """Prepare a trial whose httpd runs as `server_user`; None: the caller is no root and starts it as itself."""
        self._order = order
        self._tools = tools
        self._places = places
        self._patience = patience
        self._teller = teller
        self._journal = journal
        self._isolated = order.settings["isolation"] == "namespaces"
        self._tracer = tracer if isinstance(tracer, ConnectTracer) else None
        self._why_no_tracer = str(tracer) if isinstance(tracer, Unavailable) else ""
        self._server_user = server_user
        self._server = Server(order, places, order.port if self._isolated else _free_port(order.address, order.port))
        self._strace: Optional[Strace] = None
        self._perf_trace: Optional[PerfTrace] = None
        self._sampler: Optional[Sampler] = None
        self._at_begin: Optional[dict[str, Any]] = None
        self._outsiders: Optional[host.Outsiders] = None

    def run(self, trouble: str) -> None:
        """Run the trial to its end and tell how it ended; `trouble` is what went wrong before it could begin.

        Does not raise for what can go wrong in a trial.
        """
        try:
            self._teller.judge(lambda: self._run(trouble))
        finally:
            with suppress(TrialEnd, OSError, Unavailable):
                self._stop_instruments()

    def _run(self, trouble: str) -> None:
        phase = self._teller.phase
        with phase("namespaces"):
            if self._isolated:
                self._outsiders = host.Outsiders()
                namespaces.furnish(trouble)
            self._places.make(self._account())
            kernel.apply(self._order, self._journal)
            self._let_generators_in()
            _raise_file_limit()
        diag = SockDiag()
        with phase("start"):
            self._start(diag)
        with phase("readback"):
            self._read_back(diag)
        with phase("instruments"):
            self._start_instruments()
        self._load(diag)

    def _account(self) -> Optional[process.Account]:
        return None if self._server_user is None else process.Account.of(self._server_user)

    def _let_generators_in(self) -> None:
        far = self._order.remote
        if far is not None:
            work_dir = remote.work_dir_of(self._places.trial)
            firewall.let_in(far.sources, far.address, self._server.port, partial(undo.note, work_dir))

    def _start(self, diag: SockDiag) -> None:
        for name in INSTRUMENTS:
            if not self._order.wants(name):
                self._tell_state(name, {"state": "off", "reason": ""})
            elif name in ("connect_times", "cgid_daemon") and not self._order.has_queue:
                self._unavailable(name, Unavailable("mod_cgi has no daemon"))
            elif name != "connect_times" or self._tracer is not None:  # until it ran
                self._unavailable(name, Unavailable("the trial ended before its load"))
        account = self._account()
        if account is not None:
            barred = account.barred_by(self._places.logs)
            if barred is not None:
                why = f"{self._server_user}, as whom httpd runs, may not pass through {barred}"
                raise TrialEnd("infra", f"{why}: set host_work_dir to a directory that everybody can get to")
            self._server.start(account.become)
        else:
            # Without root the trial is root of its own user namespace, where mod_cgid fails (AH02155).
            self._server.start(namespaces.become_server_user if self._isolated else None)
        self._server.wait_until_ready(self._patience, diag, _START_S)
        self._teller.tell(
            server={
                "cgid_pid": self._server.cgid_pid(),
                "httpd_pid": self._server.pid,
                "worker_pids": self._server.worker_pids(),
                "version": self._server.status().get("ServerVersion", ""),
                "socket": "" if self._server.listener is None else self._server.listener.path,
            }
        )

    def _read_back(self, diag: SockDiag) -> None:
        checks = readback.read_back(self._order, self._server, diag, self._account())
        write_json(os.path.join(self._places.trial, "readback.json"), readback.document(checks))
        wrong = readback.mismatch(checks)
        if any(c.name == "cgi_status" and not c.ok for c in checks):
            wrong += f"; httpd said: {self._server.said()}"
        if wrong:
            raise TrialEnd("treatment", wrong, "invalid")

    def _start_instruments(self) -> None:
        if self._order.wants("strace"):
            try:
                self._strace = Strace(self._tools.get("strace"), self._server.worker_pids(), self._places.instruments)
                self._strace.wait_until_ready(self._patience, _INSTRUMENT_S)
            except Unavailable as why:
                self._strace = None
                self._unavailable("strace", why)
        if self._order.wants("connect_times") and self._order.has_queue and self._tracer is None:
            self._start_perf_trace()
        makers = self._gauges()
        if makers:
            self._sampler = Sampler(makers)
            self._sampler.wait_until_ready(self._patience, _INSTRUMENT_S)

    def _start_perf_trace(self) -> None:
        """Time connects the dearer way, where bpf is not allowed; say why neither can be had where that fails too."""
        program = shutil.which("perf", path=process.ENVIRONMENT["PATH"])
        try:
            self._perf_trace = PerfTrace(program, self._server.worker_pids(), self._places.instruments)
            self._perf_trace.wait_until_ready(self._patience, _INSTRUMENT_S)
        except Unavailable as why:
            self._perf_trace = None
            self._unavailable("connect_times", Unavailable(f"{self._why_no_tracer}; perf trace: {why}"))

    def _gauges(self) -> dict[str, Callable[[], Gauge]]:
        order, server, directory = self._order, self._server, self._places.instruments
        threads = int(order.settings["threads_per_child"])
        board, why = self._scoreboard() if order.wants("worker_states") else (None, "")
        makers: dict[str, Callable[[], Gauge]] = {
            "listen_queue": lambda: ListenQueue(directory, server.listener, server.address, server.port),
            "worker_states": lambda: WorkerStates(directory, server.worker_pids, threads, board, why),
            "host": lambda: host.Host(directory),
        }
        if order.has_queue:
            makers["cgid_daemon"] = lambda: CgidDaemon(directory, lambda: server.find_daemon(SockDiag()))
        if order.has_queue and self._tracer is not None:
            tracer = self._tracer
            makers["connect_times"] = lambda: ConnectTimes(directory, tracer)
        return {name: make for name, make in makers.items() if order.wants(name)}

    def _scoreboard(self) -> tuple[Optional[Scoreboard], str]:
        """Open httpd's memory here: where tracing is restricted, only a process's ancestors may."""
        try:
            return Scoreboard(self._server.pid, self._server.status().get("Scoreboard", "")), ""
        except (Unavailable, OSError) as why:
            return None, str(why)

    def _load(self, diag: SockDiag) -> None:
        order = self._order
        run = self._started_load()
        timed = [] if order.fault is None else faults.timed(order.fault, self._server, diag)
        try:
            run.run(self._patience, self._server, self._on_begin, self._on_end, timed)
        finally:
            load.tell(self._teller, order, run)
            self._teller.tell(server={"cgid_pid_at_end": self._server.find_daemon(diag)})

    def _started_load(self) -> Union[load.Load, remote.Remote]:
        """Return the load once it runs here, or once its start elsewhere is agreed on."""
        order, server = self._order, self._server
        if order.remote is not None:
            agreed = remote.Remote(order, order.remote, remote.work_dir_of(self._places.trial), server.port)
            process.take_precedence()
            with self._teller.phase("agree"):
                agreed.agree(self._patience, server)
            return agreed
        origin = f"http://{server.address}:{server.port}"
        program = load.program(order, self._tools)
        run = load.Load(load.plan(order, program, self._places.load, origin), self._places.load)
        pid = run.start()
        process.take_precedence()
        if self._sampler is not None:
            self._sampler.watch_load(pid)
        return run

    def _on_begin(self) -> None:
        if self._order.wants("host"):
            self._at_begin = host.edge(self._outsiders)

    def _on_end(self) -> None:
        if self._at_begin is not None:
            path = os.path.join(self._places.instruments, "host.json")
            write_json(path, host.document(self._at_begin, host.edge(self._outsiders)))

    def _stop_instruments(self) -> None:
        self._teller.tell(stopping_ns=waiting.now_ns())
        if self._sampler is not None:
            for name, state in self._sampler.stop(self._patience, _INSTRUMENT_S).items():
                self._tell_state(name, state)
        if self._strace is not None:
            self._tell_state("strace", self._strace.stop())
        if self._perf_trace is not None:
            self._tell_state("connect_times", self._perf_trace.stop(self._why_no_tracer))

    def _unavailable(self, name: str, why: Unavailable) -> None:
        self._tell_state(name, {"state": "unavailable", "reason": str(why)})

    def _tell_state(self, name: str, state: Mapping[str, object]) -> None:
        self._teller.tell(instruments={name: state})


def _free_port(address: str, wanted: int) -> int:
    """Return a port of an address that nobody has, the wanted one if that is free, or if the address is not ours."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, wanted))
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                return wanted  # httpd says so in its own words
            probe.bind((address, 0))
        return int(probe.getsockname()[1])


def _raise_file_limit() -> None:
    """Allow as many open files as an httpd of thousands of workers needs, or as many as may be."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in ((max(_FILES, hard), max(_FILES, hard)), (hard, hard)):
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, limit)
            return
