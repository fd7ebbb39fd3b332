"""CPU taken from everybody, by processes that run before all others for a part of the time."""

from __future__ import annotations

import math
import os
import resource
import signal
from typing import Callable

from .. import libc, precedence
from ..ending import Unavailable
from ..waiting import now_ns
from .base import Intervention, sleep_until

_PERIOD_NS = 20_000_000
_MOST = 0.5  # of a core that one of them takes: everything else gets the rest
_REAP_NS = 500_000_000


class TakenCpu(Intervention):
    """Real-time processes on no fixed core: where there are idle cores they take those, and nobody lacks anything.

    None of them can be endless: it ends with the process that started it, at the slot's end by its own clock, and by
    the kernel's limits on CPU time, in all and without a pause.
    """

    name = "taken_cpu"
    component = "host CPU"
    doses = ((0.1, 1), (0.2, 2))

    def probe(self) -> None:
        """Have a process become real-time for a moment."""
        pid = _forked(lambda: precedence.first_in_line(0))
        _, status = os.waitpid(pid, 0)
        if status:
            raise Unavailable(f"real-time precedence is refused: {os.strerror(os.WEXITSTATUS(status))}")

    def perform(self, dose: float, until_ns: int) -> float:
        """Take a share of all the host's CPUs, as evenly as 20 ms allow."""
        begin_ns = now_ns()
        cores = dose * self.subject.cpus
        processes = max(1, math.ceil(cores / _MOST))
        pids: list[int] = []
        used_s = 0.0
        try:
            for place in range(processes):
                offset_ns = place * _PERIOD_NS // processes
                pids.append(_forked(lambda o=offset_ns: _take(cores / processes, o, until_ns)))  # type: ignore[misc]
            sleep_until(until_ns)
        except BaseException:  # told to end: none of them may be waited for
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            raise
        finally:
            for pid in pids:
                used_s += _used_s(pid, until_ns)
        return used_s * 1e9 / max(1, now_ns() - begin_ns) / self.subject.cpus


def _forked(work: Callable[[], None]) -> int:
    """Do something in a child that dies with this process; its exit code is the errno of what was refused."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        libc.die_with_parent()
        if os.getppid() == parent:
            work()
        code = 0
    except OSError as error:
        code = error.errno or 70
    finally:
        os._exit(code)


def _take(share: float, offset_ns: int, until_ns: int) -> None:
    """Use a share of one core until a moment."""
    seconds = math.ceil(max(0, until_ns - now_ns()) / 1e9) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_RTTIME, (100_000, 200_000))  # without a pause, in microseconds
    precedence.first_in_line(0)
    period_ns = now_ns() + offset_ns
    sleep_until(period_ns)
    while period_ns < until_ns:
        busy_ns = min(until_ns, period_ns + int(share * _PERIOD_NS))
        while now_ns() < busy_ns:
            pass
        period_ns += _PERIOD_NS
        sleep_until(min(period_ns, until_ns))


def _used_s(pid: int, until_ns: int) -> float:
    """Return the CPU time of a child that is at its end, and have it be over."""
    while True:
        done, _, used = os.wait4(pid, os.WNOHANG)
        if done:
            return used.ru_utime + used.ru_stime
        if now_ns() > until_ns + _REAP_NS:
            os.kill(pid, signal.SIGKILL)
        sleep_until(now_ns() + 1_000_000)
