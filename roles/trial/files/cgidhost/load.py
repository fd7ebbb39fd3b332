"""Runs the driver, does what is due in the window, and tells when that begins and ends."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Mapping, Optional, Protocol

from . import process, waiting
from .blockfile import NamedFile, TrialOrder
from .drivers import DRIVERS
from .drivers.base import LoadPlan
from .ending import TrialEnd
from .process import Program
from .record import Teller
from .server import Server
from .sockdiag import SockDiag
from .waiting import Patience

_NS = 1_000_000_000


def plan(order: TrialOrder, program: str, directory: str, origin: str) -> LoadPlan:
    """Return the plan of the trial's driver, with its log in `directory`; TrialEnd (client) when it cannot do that."""
    driver = DRIVERS[order.text("driver")]
    if order.requests is not None:
        if not driver.many_paths:
            raise TrialEnd("client", f"{driver.name} cannot ask for many paths")
        _check(order.requests)
    return driver.plan(order, program, os.path.join(directory, "rows.log"), origin)


def _check(listed: NamedFile) -> None:
    """Raise TrialEnd (infra) where a list of requests is not the one that was ordered."""
    found = process.sha256_of(listed.path)
    if found != listed.sha256:
        raise TrialEnd("infra", f"the list of requests is not the ordered one: want {listed.sha256}, found {found}")


def program(order: TrialOrder, tools: Mapping[str, Optional[str]]) -> str:
    """Return the path of the trial's driver; raise TrialEnd (infra) when it is not there."""
    path = tools.get(order.text("driver"))
    if path is None:
        raise TrialEnd("infra", f"{order.text('driver')} is not installed")
    return path


@dataclass
class Timed:
    """Something to do once, a time after the window's begin."""

    after_ns: int
    action: Callable[[], None]


def fault(order: TrialOrder, server: Server, diag: SockDiag) -> list[Timed]:
    """Return each begin and each end of the trial's fault; raise TrialEnd (sut) where its system has none such."""
    ordered = order.fault
    if ordered is None:
        return []
    action = server.system.faults.get(ordered.action)
    if action is None:
        raise TrialEnd("sut", f"{ordered.action} cannot be done to {server.system.name}")
    begin, end = action(server, diag)
    moments = ordered.moments(order.seconds("window_s"))
    return [timed for begin_ns, end_ns in moments for timed in (Timed(begin_ns, begin), Timed(end_ns, end))]


@dataclass
class Load:
    """One run of a driver."""

    plan: LoadPlan
    directory: str  # for what the program writes
    program: Optional[Program] = None
    started_ns: int = 0
    begin_ns: Optional[int] = None  # of the window
    end_ns: Optional[int] = None
    timed_out: bool = False
    exit_code: Optional[int] = None
    _unread: bytes = field(default=b"", repr=False)

    def described(self) -> dict[str, Any]:
        """Return what result.json says of the load."""
        return {
            "argv": self.plan.argv,
            "pid": 0 if self.program is None else self.program.pid,
            "exit_code": self.exit_code,
            "timed_out": self.timed_out,
        }

    def start(self) -> int:
        """Start the program and return its pid."""
        errors = os.path.join(self.directory, "stderr.txt")
        self.started_ns = waiting.now_ns()
        self.program = Program(self.plan.argv, errors, errors, pipe=True)
        return self.program.pid

    def run(
        self,
        patience: Patience,
        server: Optional[Server],
        on_begin: Callable[[], None],
        on_end: Callable[[], None],
        timed: list[Timed],
    ) -> None:
        """Wait until the program has ended, calling `on_begin` and `on_end` at the window's edges.

        `server` is None where it runs on another machine. Raises TrialEnd: sut when httpd
        ends, client when the program fails.
        """
        program = self.program
        if program is None:
            raise TrialEnd("infra", "the driver was not started")
        todo = sorted(timed, key=lambda t: t.after_ns)
        limit_ns = self.started_ns + int(self.plan.limit_s * _NS)
        with open(os.path.join(self.directory, "stdout.txt"), "wb") as copy:
            ends = set[int]() if server is None else set(server.pidfds)
            fds = {program.stdout_fd, program.pidfd, *ends}
            while True:
                edge_ns = self._next_edge_ns()
                due_ns = min([limit_ns, edge_ns, *[self.begin_ns + t.after_ns for t in todo[:1] if self.begin_ns]])
                ready = patience.readable(sorted(fds), (due_ns - waiting.now_ns()) / _NS)
                if program.stdout_fd in ready:
                    data = os.read(program.stdout_fd, 1 << 16)
                    copy.write(data)
                    fds -= set() if data else {program.stdout_fd}
                    self._read_marks(data, on_begin, on_end)
                now_ns = waiting.now_ns()
                if self.plan.begin_mark is None:
                    self._pass_edges(now_ns, on_begin, on_end)
                while todo and self.begin_ns is not None and now_ns >= self.begin_ns + todo[0].after_ns:
                    todo.pop(0).action()
                if server is not None and ends & set(ready):
                    server.check_alive()
                if program.pidfd in ready:
                    fds -= {program.pidfd}
                if not fds & {program.pidfd, program.stdout_fd} and not self._window_goes_on():
                    break
                if now_ns >= limit_ns:
                    self.timed_out = True
                    program.kill()
                    limit_ns += 3600 * _NS  # its end is at hand
        self.exit_code = program.reap(5.0)
        self._finish(todo)

    def _finish(self, late: list[Timed]) -> None:
        self._judge()
        for one in late:  # due at the window's very end, and the program ended first
            one.action()

    def _window_goes_on(self) -> bool:
        """Say whether an open loop's last answer came a moment before the window's end, as it does at best."""
        return self.plan.late_answers_are_fine and self.begin_ns is not None and self.end_ns is None

    def _next_edge_ns(self) -> int:
        """Return when the window's next edge is due by the clock, or a time far away."""
        if self.plan.begin_mark is not None or self.end_ns is not None:
            return 1 << 62
        if self.begin_ns is not None:
            return self.begin_ns + int(self.plan.window_s * _NS)
        edge_ns = self.started_ns + int(self.plan.warmup_s * _NS)
        if self.plan.whole_seconds:
            offset_ns = time.time_ns() - waiting.now_ns()
            edge_ns = -(-(edge_ns + offset_ns) // _NS) * _NS - offset_ns
        return edge_ns

    def _pass_edges(self, now_ns: int, on_begin: Callable[[], None], on_end: Callable[[], None]) -> None:
        edge_ns = self._next_edge_ns()
        if now_ns < edge_ns:
            return
        if self.begin_ns is None:
            self.begin_ns = edge_ns
            on_begin()
        else:
            self.end_ns = edge_ns
            on_end()

    def _read_marks(self, data: bytes, on_begin: Callable[[], None], on_end: Callable[[], None]) -> None:
        plan = self.plan
        if plan.begin_mark is None or plan.end_mark is None:
            return
        now_ns = waiting.now_ns()
        self._unread += data
        if self.begin_ns is None and plan.begin_mark in self._unread:
            self.begin_ns = now_ns
            on_begin()
        if self.begin_ns is not None and self.end_ns is None and plan.end_mark in self._unread:
            # Both lines are read a moment after they were true; the window is never longer than was asked for.
            self.end_ns = min(now_ns, self.begin_ns + int(plan.window_s * _NS))
            on_end()

    def _judge(self) -> None:
        name = os.path.basename(self.plan.argv[0])
        if self._rows() == 0:
            how = "was ended at its time limit" if self.timed_out else f"exited with {self.exit_code}"
            raise TrialEnd("client", f"{name} {how} without one answer{self._complaint()}")
        if self.begin_ns is None:
            raise TrialEnd("client", f"{name} ended before its warm-up did{self._complaint()}")
        if self.timed_out and not self.plan.late_answers_are_fine:
            raise TrialEnd("timeout", f"{name} did not end within {self.plan.limit_s:g} s")
        if self.exit_code != 0 and not self.timed_out:
            raise TrialEnd("client", f"{name} exited with {self.exit_code}{self._complaint()}")
        if self.end_ns is None:
            raise TrialEnd("client", f"{name} ended before the window did{self._complaint()}")

    def _rows(self) -> int:
        """Return 0 or 1: whether the log has a row."""
        try:
            with open(os.path.join(self.directory, "rows.log"), "rb") as rows:
                for _ in range(self.plan.header_lines):
                    rows.readline()
                return int(bool(rows.readline()))
        except OSError:
            return 0

    def _complaint(self) -> str:
        try:
            with open(os.path.join(self.directory, "stderr.txt"), encoding="utf-8", errors="replace") as file:
                words = file.read(4000).strip().splitlines()
        except OSError:
            return ""
        return f": {words[-1]}" if words else ""


class Told(Protocol):
    """A run of the load, whoever makes it, as far as a trial's record needs it. None: it did not come so far."""

    started_ns: int
    begin_ns: Optional[int]
    end_ns: Optional[int]

    def described(self) -> dict[str, Any]:
        """Return what result.json says of the load."""


def tell(teller: Teller, order: TrialOrder, run: Told) -> None:
    """Tell the phases and the window of a run that has ended, however it did."""
    now_ns = waiting.now_ns()
    begin_ns = now_ns if run.begin_ns is None else run.begin_ns
    teller.tell(phase={"name": "warmup", "begin_ns": min(run.started_ns, begin_ns), "end_ns": begin_ns})
    if run.begin_ns is not None:
        end_ns = now_ns if run.end_ns is None else run.end_ns
        teller.tell(phase={"name": "window", "begin_ns": run.begin_ns, "end_ns": end_ns})
        if run.end_ns is not None:
            teller.tell(window={"begin_ns": run.begin_ns, "end_ns": run.end_ns})
    teller.tell(load={"driver": order.text("driver"), **run.described()})
