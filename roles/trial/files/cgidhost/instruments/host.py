"""CPU, switches and forks of the host, and the driver's CPU: host.csv; host.json at the window's edges."""

from __future__ import annotations

import os
import time
from functools import partial
from typing import Any, Callable, Mapping, Optional

from .. import SCHEMA_VERSION
from ..process import cpu_clock, read_text
from .base import Gauge, Scene, read_again, reads

_CPU_FIELDS = 8  # user nice system idle iowait irq softirq steal


def stat_fields(text: bytes) -> str:
    """Return user..steal, context switches and forks of a /proc/stat, as CSV fields."""
    cpu = text[: text.index(b"\n")].split()[1 : 1 + _CPU_FIELDS]
    switches = text[text.index(b"\nctxt ") + 6 :].split(None, 1)[0]
    forks = text[text.index(b"\nprocesses ") + 11 :].split(None, 1)[0]
    return ",".join(part.decode() for part in [*cpu, switches, forks])


class Host(Gauge):
    """The host's /proc/stat, and the CPU clock of the driver once it runs."""

    name = "host"
    columns = "user,nice,system,idle,iowait,irq,softirq,steal,ctxt,forks,driver_cpu_ns"
    period_ns = 100_000_000
    on_generators = True

    @classmethod
    def prepared(cls, scene: Scene) -> Callable[[], Gauge]:
        """Return what makes it."""
        return partial(cls, scene.directory)

    @classmethod
    def at_edge(cls, scene: Scene) -> Optional[dict[str, Any]]:
        """Return what `edge` does, with what other processes used where they can be told from the trial's."""
        return edge(None if scene.host_proc is None else Outsiders(scene.host_proc))

    @classmethod
    def edges_document(cls, begin: Mapping[str, Any], end: Mapping[str, Any]) -> dict[str, Any]:
        """Return what host.json holds."""
        return document(begin, end)

    @classmethod
    def probes(cls) -> Mapping[str, Callable[[], str]]:
        """Say whether the kernel tells of pressure."""
        return {"psi": reads("/proc/pressure/cpu")}

    def __init__(self, directory: str) -> None:
        self._stat = os.open("/proc/stat", os.O_RDONLY | os.O_CLOEXEC)
        self._clock: Optional[int] = None
        super().__init__(directory)

    def watch_load(self, pid: int) -> None:
        """Name the driver's process."""
        self._clock = cpu_clock(pid)

    def read(self) -> str:
        """Return the row; the driver's field is empty when it does not run."""
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
    """Return a number from the line of `path` that begins with `word` (any line for ''), or None."""
    try:
        for line in read_text(path).splitlines():
            parts = line.replace("total=", "").split()
            if parts and word in ("", parts[0]):
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


def _ephemeral_ports() -> dict[str, Optional[int]]:
    """Return how many ports clients may get in the caller's network, and how many sockets may hold one.

    Sockets are counted and their ports not looked at, which would cost 10 ms: on loopback both ends of a
    connection count, so that no more ports are taken than this says.
    """
    low = _number("/proc/sys/net/ipv4/ip_local_port_range", "", 0)
    high = _number("/proc/sys/net/ipv4/ip_local_port_range", "", 1)
    open_, closed = _number("/proc/net/sockstat", "TCP:", 2), _number("/proc/net/sockstat", "TCP:", 6)
    return {
        "ephemeral_ports": None if low is None or high is None else high - low + 1,
        "tcp_sockets": None if open_ is None or closed is None else open_ + closed,
    }


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


class Outsiders:
    """CPU of the processes that are not the trial's.

    `proc` is the host's own /proc, opened before the trial had another one.
    The trial's own share cannot be found by summing its processes: mod_cgid's
    daemon ignores SIGCHLD, and what its scripts used is then in nobody's account.
    """

    def __init__(self, proc: int) -> None:
        self._proc = proc

    def ticks(self) -> int:
        """Return the ticks of all processes outside of the caller's PID namespace, with those they waited for."""
        own = os.readlink("/proc/self/ns/pid")
        return sum(self._ticks(name, own) for name in os.listdir(self._proc) if name.isdigit())

    def _ticks(self, name: str, own: str) -> int:
        try:
            if os.readlink(f"{name}/ns/pid", dir_fd=self._proc) == own:
                return 0
        except PermissionError:
            pass  # somebody else's process, so not the trial's
        except OSError:
            return 0  # it ended meanwhile: whoever waited for it has its ticks
        try:
            fd = os.open(f"{name}/stat", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._proc)
        except OSError:
            return 0
        try:
            # utime, stime, cutime, cstime of proc_pid_stat(5); the name before them may hold spaces.
            return sum(int(n) for n in os.read(fd, 4096).rpartition(b")")[2].split()[11:15])
        except (OSError, ValueError):
            return 0
        finally:
            os.close(fd)


def edge(outsiders: Optional[Outsiders]) -> dict[str, Any]:
    """Return what is read at an edge of the window; None for what cannot be had here.

    `outsiders` is None where the trial shares the host's processes and they cannot be told apart.
    """
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
        **_ephemeral_ports(),
        "throttled_us": _throttled_us(),
        "loadavg1": os.getloadavg()[0],
        "outsider_ticks": None if outsiders is None else outsiders.ticks(),
    }


def document(begin: Mapping[str, Any], end: Mapping[str, Any]) -> dict[str, Any]:
    """Return what host.json holds."""
    return {
        "schema_version": SCHEMA_VERSION,
        "clk_tck": os.sysconf("SC_CLK_TCK"),
        "cpus": len(os.sched_getaffinity(0)),
        "begin": begin,
        "end": end,
    }
