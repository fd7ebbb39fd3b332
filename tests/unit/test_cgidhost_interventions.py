"""What is held back on a host is held back by as much as was asked, and is as it was afterwards, whatever dies."""

import os
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from cgidhost import precedence, process, waiting
from cgidhost.ending import TrialEnd, Unavailable
from cgidhost.interventions import INTERVENTIONS
from cgidhost.interventions.base import Subject
from cgidhost.interventions.held_workers import HeldWorkers
from cgidhost.interventions.performing import Performance, turns
from cgidhost.interventions.stopped_driver import StoppedDriver
from cgidhost.interventions.stopping import stopped
from cgidhost.interventions.taken_cpu import TakenCpu

from cgidlab.parsers.interventions import DOCUMENT, UNTOUCHED, read_slots
from tests.waiting import eventually

root = pytest.mark.needs_root


def state_of(pid: int) -> str:
    return process.read_text(f"/proc/{pid}/stat").rpartition(")")[2].split()[0]


@pytest.fixture
def sleeper() -> Iterator[int]:
    """Return a process to stop, which does nothing."""
    with subprocess.Popen(["sleep", "120"]) as running:
        yield running.pid
        running.kill()


def subject(pid: int | None = None, **server: Any) -> Subject:  # noqa: ANN401 -- what a server has
    """Return a server whose daemon and driver is one process."""
    nobody = {"address": "127.0.0.1", "port": 1}
    system = SimpleNamespace(why_no_queue="", why_no_scripts="")
    about = {"acceptor": lambda: pid, "system": system, "pid": pid, "asks_for_scripts": True, **nobody, **server}
    return Subject(SimpleNamespace(**about), pid, 10, len(os.sched_getaffinity(0)))  # type: ignore[arg-type]


def after(seconds: float) -> int:
    return waiting.now_ns() + int(seconds * 1e9)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.2])
def test_a_process_is_stopped_for_the_share_that_was_asked_for_and_goes_on(sleeper: int, share: float) -> None:
    was = stopped(sleeper, share, after(0.6))

    assert share <= was < share + 0.3  # as much more as a busy host wakes up late
    assert eventually(lambda: state_of(sleeper) == "S", 1.0)


def test_a_process_goes_on_when_stopping_it_is_broken_off(sleeper: int) -> None:
    def end(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, end)
    try:
        for after_s in (0.05, 0.051, 0.055, 0.06, 0.065):
            signal.setitimer(signal.ITIMER_REAL, after_s)
            with pytest.raises(KeyboardInterrupt):
                stopped(sleeper, 0.9, after(5.0))
            assert eventually(lambda: state_of(sleeper) == "S", 1.0)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_what_is_gone_is_said(sleeper: int) -> None:
    os.kill(sleeper, signal.SIGKILL)
    os.waitpid(sleeper, 0)

    with pytest.raises(ProcessLookupError):
        stopped(sleeper, 0.1, after(0.1))
    with pytest.raises(Unavailable, match="other machines"):
        StoppedDriver(subject(None)).probe()


@root
def test_cpu_is_taken_by_the_share_that_was_asked_for() -> None:
    taken = TakenCpu(subject())
    taken.probe()
    before = process.children(os.getpid())

    assert 0.15 < taken.perform(0.2, after(1.0)) < 0.25
    assert process.children(os.getpid()) == before


@root
def test_nothing_that_takes_cpu_can_be_endless() -> None:
    """It ends with who started it, and the kernel bounds it whatever its own clock says."""
    ready_read, ready_write = os.pipe()
    starter = os.fork()
    if starter == 0:
        try:
            os.write(ready_write, b"x")
            TakenCpu(subject()).perform(0.2, after(30.0))
        finally:
            os._exit(0)
    os.read(ready_read, 1)
    assert eventually(lambda: bool(process.children(starter)))
    spinner = process.children(starter)[0]
    assert eventually(lambda: os.sched_getscheduler(spinner) & ~os.SCHED_RESET_ON_FORK == os.SCHED_FIFO)
    cpu, rt = (resource.prlimit(spinner, r) for r in (resource.RLIMIT_CPU, resource.RLIMIT_RTTIME))

    os.kill(starter, signal.SIGKILL)
    os.waitpid(starter, 0)

    assert 0 < cpu[1] <= 32
    assert 0 < rt[1] <= 200_000
    assert eventually(lambda: process.parent_of(spinner) is None, 2.0)


@root
def test_one_that_is_told_to_end_takes_no_cpu_any_more() -> None:
    def end(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, end)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        begin_s = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            TakenCpu(subject()).perform(0.2, after(20.0))
        assert time.monotonic() - begin_s < 2.0
        assert process.children(os.getpid()) == []
    finally:
        signal.signal(signal.SIGALRM, before)


_FORKS = "import subprocess, time\nwhile True: subprocess.run(['sleep', '0.2']); time.sleep(0.01)\n"


@root
@pytest.mark.parametrize("name", ["daemon_nice", "daemon_fifo"])
def test_what_goes_first_does_so_alone_and_for_a_slot(name: str) -> None:
    with subprocess.Popen([sys.executable, "-c", _FORKS]) as daemon:
        try:
            assert eventually(lambda: bool(process.children(daemon.pid)))
            old = process.children(daemon.pid)
            seen: dict[str, tuple[int, int]] = {}

            def look() -> None:
                eventually(lambda: bool(set(process.children(daemon.pid)) - set(old)), 2.0)
                for who, pid in (("daemon", daemon.pid), ("script", process.children(daemon.pid)[-1])):
                    seen[who] = (os.sched_getscheduler(pid) & ~os.SCHED_RESET_ON_FORK, process.nice_of(pid))

            looking = threading.Thread(target=look)
            looking.start()
            INTERVENTIONS[name](subject(daemon.pid)).perform(0.0, after(1.0))
            looking.join()

            want = (os.SCHED_OTHER, -10) if name == "daemon_nice" else (os.SCHED_FIFO, 0)
            assert seen == {"daemon": want, "script": (os.SCHED_OTHER, 0)}
            assert (os.sched_getscheduler(daemon.pid), process.nice_of(daemon.pid)) == (os.SCHED_OTHER, 0)
        finally:
            daemon.kill()


@root
def test_a_nice_value_is_the_processs_own_and_given_back(sleeper: int) -> None:
    precedence.set_nice(sleeper, -5)
    with precedence.kept(sleeper):
        precedence.set_nice(sleeper, -10)
        assert process.nice_of(sleeper) == -10

    assert process.nice_of(sleeper) == -5
    assert os.sched_getscheduler(sleeper) & os.SCHED_RESET_ON_FORK


class _Workers(BaseHTTPRequestHandler):
    free = threading.Semaphore(1)  # as many as have a worker at a time
    held_s: ClassVar[list[float]] = []

    def handle(self) -> None:
        with self.free:
            begin_s = time.monotonic()
            super().handle()
            self.held_s.append(time.monotonic() - begin_s)
            time.sleep(0.5 if begin_s - time.monotonic() < -0.3 else 0.0)  # who waits for it is late

    def do_OPTIONS(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def httpd() -> Iterator[tuple[str, int]]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Workers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield "127.0.0.1", server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize(("free", "want"), [(5, 0.2), (1, 0.1)], ids=["all are held", "one has no worker"])
def test_workers_are_held_and_those_that_were_not_are_not_counted(
    httpd: tuple[str, int], free: int, want: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Workers, "free", threading.Semaphore(free))
    held = HeldWorkers(subject(1, address=httpd[0], port=httpd[1]))
    held.probe()
    _Workers.held_s.clear()

    assert held.perform(0.2, after(0.6)) == pytest.approx(want)
    assert 0.45 < max(_Workers.held_s) < 0.9


def test_workers_are_not_held_where_clients_would_be_lost_for_good() -> None:
    """Ten workers, of which two are to be held, and a driver that does not come back."""
    nobody = SimpleNamespace(address="127.0.0.1", port=1)

    with pytest.raises(Unavailable, match="does not come back"):
        HeldWorkers(Subject(nobody, 1, 10, 2, spare_workers=1)).probe()  # type: ignore[arg-type]
    with pytest.raises(Unavailable, match="answered no request"):
        HeldWorkers(Subject(nobody, 1, 10, 2, spare_workers=2)).probe()  # type: ignore[arg-type]


def test_every_round_has_all_that_can_be_done_in_an_order_of_its_own() -> None:
    able = [kind(subject(1)) for kind in INTERVENTIONS.values()]
    a_round = Counter({(one.name, dose): times for one in able for dose, times in one.doses})
    size = sum(a_round.values())

    made = [(one.name, dose) for one, dose in turns(able, 4 * size, "key")]

    assert size == 16
    rounds = [made[n : n + size] for n in range(0, 4 * size, size)]
    assert [Counter(r) for r in rounds] == [a_round] * 4
    assert len({tuple(r) for r in rounds}) == 4
    assert made == [(one.name, dose) for one, dose in turns(able, 4 * size, "key")]
    assert len(list(turns(able, 5, "key"))) == 5
    assert list(turns([], 5, "key")) == []


def patience() -> waiting.Patience:
    return waiting.Patience(os.pipe()[0])


def performing(pid: int, directory: Path, window_s: float) -> Performance:
    performance = Performance(subject(pid), str(directory), "key", 0.2, window_s)
    performance.wait_until_ready(patience())
    return performance


def test_a_window_is_filled_with_slots_and_all_of_them_are_written_down(sleeper: int, tmp_path: Path) -> None:
    performance = performing(sleeper, tmp_path, 2.3)
    begin_ns = waiting.now_ns()
    performance.begin()
    select.select([performance.pidfd], [], [], 10.0)
    performance.finish()

    slots = read_slots(tmp_path / "interventions.csv")
    kinds = {k.name: k for k in DOCUMENT.read(tmp_path / "interventions.json").interventions}
    assert set(kinds) == set(INTERVENTIONS)
    assert len(slots) == 11
    assert all((s.name == UNTOUCHED) == (n % 2 == 0) for n, s in enumerate(slots))
    assert all(not kinds[s.name].reason for s in slots if s.name != UNTOUCHED)
    assert abs(slots[0].begin_ns - begin_ns) < 100_000_000
    assert kinds["held_workers"].reason, "nothing answers there"
    assert "no mounts of its own" in kinds["slowed_scripts"].reason


def test_one_that_is_killed_leaves_nothing_stopped_and_the_trial_says_so(sleeper: int, tmp_path: Path) -> None:
    performance = performing(sleeper, tmp_path, 20.0)
    performer = next(p for p in process.children(os.getpid()) if p != sleeper)
    performance.begin()
    assert eventually(lambda: state_of(sleeper) == "T", 15.0)
    os.kill(performer, signal.SIGKILL)
    os.kill(sleeper, signal.SIGSTOP)  # as it may have been at that moment
    assert eventually(lambda: state_of(performer) == "Z")

    with pytest.raises(TrialEnd, match="ended with -9"):
        performance.check()

    assert eventually(lambda: state_of(sleeper) == "S", 1.0)


def test_one_whose_trial_ends_lets_everything_go_on(sleeper: int, tmp_path: Path) -> None:
    """The first process is killed: in namespaces of its own all goes with it, and without them this has to end."""
    read, write = os.pipe()
    first = os.fork()
    if first == 0:
        try:
            performance = performing(sleeper, tmp_path, 60.0)
            performance.begin()
            os.write(write, b"x")
            time.sleep(60)
        finally:
            os._exit(0)
    os.read(read, 1)
    performer = process.children(first)[0]
    assert eventually(lambda: state_of(sleeper) == "T", 30.0)

    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)

    assert eventually(lambda: process.parent_of(performer) is None, 3.0)
    assert eventually(lambda: state_of(sleeper) == "S", 1.0)


def test_a_trial_that_ends_before_its_window_ends_it(sleeper: int, tmp_path: Path) -> None:
    performance = performing(sleeper, tmp_path, 20.0)

    performance.stop()
    performance.stop()

    assert process.children(os.getpid()) == [sleeper]
