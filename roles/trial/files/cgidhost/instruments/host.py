"""CPU, switches and forks of the host, and the load generator's CPU: host.csv; host.json at the window's edges."""

from __future__ import annotations

import os
import time
from typing import Any, Optional

from .. import SCHEMA_VERSION
from ..process import cpu_clock, read_text
from . import Gauge, read_again

_CPU_FIELDS = 8  # user nice system idle iowait irq softirq steal


def stat_fields(text: bytes) -> str:
    """Return user..steal, context switches and forks of a /proc/stat, as CSV fields."""
    cpu = text[: text.index(b"\n")].split()[1 : 1 + _CPU_FIELDS]
    switches = text[text.index(b"\nctxt ") + 6 :].split(None, 1)[0]
    forks = text[text.index(b"\nprocesses ") + 11 :].split(None, 1)[0]
    return ",".join(part.decode() for part in [*cpu, switches, forks])


class Host(Gauge):
    """The host's /proc/stat, and the CPU clock of the load generator once it runs."""

    name = "host"
    columns = "user,nice,system,idle,iowait,irq,softirq,steal,ctxt,forks,loadgen_cpu_ns"
    period_ns = 100_000_000

    def __init__(self, directory: str) -> None:
        self._stat = os.open("/proc/stat", os.O_RDONLY | os.O_CLOEXEC)
        self._clock: Optional[int] = None
        super().__init__(directory)

    def watch_load(self, pid: int) -> None:
        """Name the load generator's process."""
        self._clock = cpu_clock(pid)

    def read(self) -> str:
        """Return the row; the load generator's field is empty when it does not run."""
        return f"{stat_fields(read_again(self._stat, 1 << 18))},{self._load_ns()}"

    def _load_ns(self) -> str:
        if self._clock is None:
            return ""
        try:
            return str(time.clock_gettime_ns(self._clock))
        except OSError:
            self._clock = None
            return ""


def _number(path: str, word: str, field: int = 1) -> Optional[int]:
    """Return a number from the line of `path` that begins with `word`, or None."""
    try:
        for line in read_text(path).splitlines():
            parts = line.replace("total=", "").split()
            if parts and parts[0] == word:
                return int(parts[field])
    except (OSError, ValueError, IndexError):
        pass
    return None


def _netstat(name: str) -> Optional[int]:
    try:
        lines = [line.split() for line in read_text("/proc/net/netstat").splitlines() if line.startswith("TcpExt:")]
        return int(lines[1][lines[0].index(name)])
    except (OSError, ValueError, IndexError):
        return None


def _throttled_us() -> Optional[int]:
    """Return how long this process's control group was throttled (cgroup v2, or v1's nanoseconds)."""
    try:
        groups = [line.split(":", 2) for line in read_text("/proc/self/cgroup").splitlines()]
    except OSError:
        return None
    for _, controllers, path in groups:
        if not controllers:
            found = _number(f"/sys/fs/cgroup{path}/cpu.stat", "throttled_usec")
        elif "cpu" in controllers.split(","):
            found = _number(f"/sys/fs/cgroup/{controllers}{path}/cpu.stat", "throttled_time")
            found = None if found is None else found // 1000
        else:
            continue
        if found is not None:
            return found
    return None


_INITIAL_PID_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO of the kernel's proc_ns.h
_IDLE_FIELDS = (3, 4)  # idle and iowait, counted after the line's name


def _busy_ticks() -> Optional[int]:
    """Return the ticks that the host's CPUs were busy, steal left out."""
    try:
        fields = [int(n) for n in read_text("/proc/stat").split("\n", 1)[0].split()[1:_CPU_FIELDS]]
    except (OSError, ValueError, IndexError):
        return None
    return sum(n for at, n in enumerate(fields) if at not in _IDLE_FIELDS)


def _own_ticks() -> Optional[int]:
    """Return the ticks that all processes of this PID namespace used, those that ended and were waited for included.

    None outside of a namespace of the trial's own, where others' processes cannot be told from ours.
    """
    try:
        if os.readlink("/proc/self/ns/pid") == _INITIAL_PID_NAMESPACE:
            return None
        pids = [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return None
    return sum(_ticks(pid) for pid in pids)


def _ticks(pid: str) -> int:
    try:
        # utime, stime, cutime, cstime of proc_pid_stat(5); the name before them may hold spaces.
        return sum(int(n) for n in read_text(f"/proc/{pid}/stat").rpartition(")")[2].split()[11:15])
    except (OSError, ValueError):
        return 0  # it ended meanwhile: whoever waited for it has its ticks


def edge() -> dict[str, Any]:
    """Return what is read at an edge of the window; None for what cannot be had here."""
    try:
        handles: list[Optional[int]] = [int(n) for n in read_text("/proc/sys/fs/file-nr").split()]
    except OSError:
        handles = [None, None, None]
    return {
        "listen_overflows": _netstat("ListenOverflows"),
        "listen_drops": _netstat("ListenDrops"),
        "psi_cpu_some_us": _number("/proc/pressure/cpu", "some", -1),
        "psi_io_some_us": _number("/proc/pressure/io", "some", -1),
        "psi_memory_some_us": _number("/proc/pressure/memory", "some", -1),
        "pswpin": _number("/proc/vmstat", "pswpin"),
        "pswpout": _number("/proc/vmstat", "pswpout"),
        "file_handles": handles[0],
        "file_max": handles[2],
        "throttled_us": _throttled_us(),
        "loadavg1": os.getloadavg()[0],
        "busy_ticks": _busy_ticks(),
        "own_ticks": _own_ticks(),
    }


def document(begin: dict[str, Any], end: dict[str, Any]) -> dict[str, Any]:
    """Return what host.json holds."""
    return {
        "schema_version": SCHEMA_VERSION,
        "clk_tck": os.sysconf("SC_CLK_TCK"),
        "cpus": len(os.sched_getaffinity(0)),
        "begin": begin,
        "end": end,
    }
