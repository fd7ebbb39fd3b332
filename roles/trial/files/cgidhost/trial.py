"""Runs one trial as its first process: a trial's steps in their order."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Callable, Mapping, Optional, Union

from . import firewall, hooks, kernel, load, namespaces, precedence, process, readback, remote, undo, waiting
from .blockfile import TrialOrder
from .drivers import DRIVERS
from .ending import TrialEnd
from .instruments.base import Scene
from .instruments.running import Running
from .interventions.base import Subject
from .interventions.performing import Performance
from .record import Teller
from .sentinel import Sentinel
from .server import Places, Server
from .sockdiag import SockDiag
from .waiting import Patience
from .wholefile import write_json

_START_S = 20.0


@dataclass(frozen=True)
class BlockCommons:
    """What all trials of a block are given."""

    tools: Mapping[str, Optional[str]]
    kept: Mapping[str, object]  # what instruments keep in the block's process from trial to trial
    server_user: Optional[str]  # as whom httpd runs; None: the caller is no root and starts it as itself
    sentinel: Optional[Sentinel]


class Trial:
    """One trial, from inside its namespaces. Every step tells what it learned."""

    def __init__(
        self,
        order: TrialOrder,
        given: BlockCommons,
        places: Places,
        patience: Patience,
        teller: Teller,
        journal: Callable[[str, str, str], None],
    ) -> None:
        """Prepare a trial."""
        self._order = order
        self._tools = given.tools
        self._places = places
        self._patience = patience
        self._teller = teller
        self._journal = journal
        self._isolated = order.settings["isolation"] == "namespaces"
        self._kept = given.kept
        self._server_user = given.server_user
        self._sentinel = given.sentinel
        port = order.port if self._isolated else _free_port(order.address, order.port)
        self._server = Server(order, places, port, given.tools.get(order.system.program))
        self._instruments: Optional[Running] = None
        self._performance: Optional[Performance] = None
        self._hooks = hooks.TrialHooks(order.hooks, places.trial, lambda name, said: teller.tell(hooks={name: said}))

    def run(self, trouble: str) -> None:
        """Run the trial to its end and tell how it ended; `trouble` is what went wrong before it could begin.

        Does not raise for what can go wrong in a trial.
        """
        try:
            self._teller.judge(lambda: self._run(trouble), self._stop_instruments)
        finally:
            with suppress(TrialEnd, OSError):
                self._hooks.finish(self._patience)

    def _run(self, trouble: str) -> None:
        phase = self._teller.phase
        with phase("namespaces"):
            instruments = self._instruments = self._prepared()
            if self._isolated:
                namespaces.furnish(trouble)
            self._places.make(self._account())
            kernel.apply(self._order, self._journal)
            self._let_generators_in()
            process.raise_file_limit()
        diag = SockDiag()
        with phase("start"):
            instruments.announce()
            self._start(diag)
        with phase("readback"):
            self._read_back(diag)
        if self._order.hooks:
            with phase("hooks"):
                self._before(diag)
        with phase("instruments"):
            instruments.start(self._patience)
        self._load(diag, instruments)

    def _prepared(self) -> Running:
        scene = Scene(self._places.instruments, self._tools, self._kept, self._server)
        tell = lambda name, state: self._teller.tell(instruments={name: state})  # noqa: E731 -- named for what it does
        return Running(scene, self._order.instruments, tell, watched=self._order.watched)

    def _account(self) -> Optional[process.Account]:
        return None if self._server_user is None else process.Account.of(self._server_user)

    def _let_generators_in(self) -> None:
        far = self._order.remote
        if far is not None:
            work_dir = remote.work_dir_of(self._places.trial)
            firewall.let_in(far.sources, far.address, self._server.port, partial(undo.note, work_dir))

    def _start(self, diag: SockDiag) -> None:
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
        self._set_nice()
        self._teller.tell(
            server={
                "cgid_pid": self._server.acceptor(),
                "httpd_pid": self._server.pid,
                "worker_pids": self._server.worker_pids(),
                "version": self._server.status().get("ServerVersion", ""),
                "socket": "" if self._server.listener is None else self._server.listener.path,
            }
        )

    def _set_nice(self) -> None:
        """Give the daemon its nice value beside httpd's; its scripts do not inherit a negative one."""
        nice, pid = self._order.number_of("cgid_nice"), self._server.acceptor()
        if not nice or pid is None:
            return
        try:
            precedence.set_nice(pid, process.nice_of(self._server.pid) + nice)
        except OSError as error:
            why = f"the cgid daemon cannot be given a nice value of {nice:+d} here: {error.strerror}"
            raise TrialEnd("treatment", why, "invalid") from error

    def _read_back(self, diag: SockDiag) -> None:
        checks = readback.read_back(self._order, self._server, diag, self._account())
        write_json(os.path.join(self._places.trial, "readback.json"), readback.document(checks))
        wrong = readback.mismatch(checks)
        if any(c.name == "cgi_status" and not c.ok for c in checks):
            wrong += f"; httpd said: {self._server.said()}"
        if wrong:
            raise TrialEnd("treatment", wrong, "invalid")

    def _before(self, diag: SockDiag) -> None:
        server, daemon = self._server, self._server.find_acceptor(diag)
        self._hooks.before(hooks.told(self._order.settings, server.pid, daemon, server.pids), self._patience)

    def _load(self, diag: SockDiag, instruments: Running) -> None:
        order = self._order
        run = self._started_load(instruments)
        timed = [*load.fault(order, self._server, diag), *self._interventions(run)]
        try:
            run.run(self._patience, self._server, self._window_begins, self._window_ends, timed)
        finally:
            if self._performance is not None:
                self._performance.stop()
            load.tell(self._teller, order, run)
            self._teller.tell(server={"cgid_pid_at_end": self._server.find_acceptor(diag)})

    def _interventions(self, run: Union[load.Load, remote.Remote]) -> list[load.Timed]:
        """Have what holds things back in the window wait for it; return when to look after that."""
        order = self._order
        if order.intervention_slot_s is None:
            return []
        pid = run.program.pid if isinstance(run, load.Load) and run.program is not None else None
        workers = order.number_of("workers")
        # The event MPM closes kept-alive connections of a process whose threads are all busy.
        lost = order.text("loop") == "closed" and not DRIVERS[order.text("driver")].comes_back
        spare = max(0, workers - order.number_of("clients")) if lost else None
        cpus = len(os.sched_getaffinity(0))
        subject = Subject(self._server, pid, workers, cpus, own_mounts=self._isolated, spare_workers=spare)
        directory, window_s = self._places.instruments, order.seconds("window_s")
        self._performance = Performance(subject, directory, order.key, order.intervention_slot_s, window_s)
        self._performance.wait_until_ready(self._patience)
        return self._performance.looks()

    def _window_begins(self) -> None:
        if self._performance is not None:
            self._performance.begin()
        self._edge("begin")
        if self._instruments is not None:
            self._instruments.window_begins()
        self._hooks.window_begins()

    def _window_ends(self) -> None:
        self._hooks.window_ends()
        if self._performance is not None:
            self._performance.finish()
        self._edge("end")
        if self._instruments is not None:
            self._instruments.window_ends()

    def _edge(self, name: str) -> None:
        if self._sentinel is not None:
            self._teller.tell(sentinel={name: self._sentinel.edge()})

    def _started_load(self, instruments: Running) -> Union[load.Load, remote.Remote]:
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
        instruments.watch_load(pid)
        return run

    def _stop_instruments(self) -> None:
        self._teller.tell(stopping_ns=waiting.now_ns())
        if self._instruments is not None:
            self._instruments.stop(self._patience)


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
