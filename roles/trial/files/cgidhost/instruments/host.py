"""CPU, switches and forks of the host, and the driver's CPU: host.csv; host.json at the window's edges."""

from __future__ import annotations

import os
import time
from functools import partial
from typing import Any, Callable, Mapping, Optional

from .. import SCHEMA_VERSION
from ..group import throttled_us
from ..process import cpu_clock, cpu_time_ns, read_text
from ..sentinel import swapped
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
    free_at_edges = True

    @classmethod
    def prepared(cls, scene: Scene) -> Callable[[], Gauge]:
        """Return what makes it."""
        return partial(cls, scene.directory)

    @classmethod
    def at_edge(cls, scene: Scene) -> Optional[dict[str, Any]]:
        """Return what `edge` does, and the driver's CPU."""
        return {**edge(), "driver_cpu_ns": None if scene.load_pid is None else cpu_time_ns(scene.load_pid)}

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


def _cpu() -> dict[str, Optional[int]]:
    """Return the CPU of the host by kind, in ticks, its context switches and forks; by the names of the CSV."""
    names = Host.columns.split(",")[: _CPU_FIELDS + 2]
    try:
        with open("/proc/stat", "rb") as file:
            return dict(zip(names, map(int, stat_fields(file.read()).split(","))))
    except (OSError, ValueError):
        return dict.fromkeys(names)


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
        **swapped(),
        "file_handles": handles[0],
        "file_max": handles[2],
        **_ephemeral_ports(),
        "throttled_us": throttled_us(),
        "loadavg1": os.getloadavg()[0],
        **_cpu(),
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
