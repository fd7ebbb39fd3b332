"""What disturbs a trial from outside of it, by conservation: sentinel.json.

What the host's CPUs were busy with, less what the block's control group used, is what others used. It does not
matter whether their processes can be seen from here, how short they live, or who reaps them. It is read once before
and once after the window. In the gaps between trials, when nothing of ours runs, it is what they wanted, whatever a
trial leaves them; and a speed probe says there how fast the host is.
"""

from __future__ import annotations

import gzip
import os
import time
from contextlib import suppress
from statistics import median
from typing import Any, Mapping, Optional

from . import SCHEMA_VERSION, group, speed
from .process import read_text

_FIELDS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")  # of proc_stat(5)
_GAP_S = 0.05
_IRQ = "CONFIG_IRQ_TIME_ACCOUNTING"


class Sentinel:
    """One block's: made by the block process, read by it and by what it forks."""

    def __init__(self, own: Optional[group.Group], why: str) -> None:
        """`own` is the group that all of the block is in; None: there is none, for the reason `why`."""
        self._own = own
        self._cpus = os.sched_getaffinity(0)
        self._stat = os.open("/proc/stat", os.O_RDONLY | os.O_CLOEXEC)
        self._before: Optional[dict[str, Any]] = None
        self._paces: list[Mapping[str, float]] = []  # of the gaps so far
        self._common = {
            "clk_tck": os.sysconf("SC_CLK_TCK"),
            "cpus": len(self._cpus),
            "group": "" if own is None else own.kind,
            "why_no_group": why,
            "own_stat": _is_container_s_own("/proc/stat"),
            "irq_apart": _irq_apart(),
        }

    def edge(self) -> dict[str, Optional[int]]:
        """Return what is read at an edge of the window."""
        return {
            **self._counters(None if self._own is None else self._own.used_ns()),
            **swapped(),
            "throttled_us": group.throttled_us(),
        }

    def gap(self) -> None:
        """Look at the host while nothing of ours runs; the next trial begins with it. Takes 60 ms."""
        rounds = speed.probe()
        begin = self._counters(time.process_time_ns())
        time.sleep(_GAP_S)
        self._before = {"begin": begin, "end": self._counters(time.process_time_ns()), "rounds_ns": rounds}
        self._paces.append(speed.middle_ns(rounds))

    def document(self, edges: Mapping[str, Any]) -> dict[str, Any]:
        """Return what sentinel.json holds of a trial that has ended, and look at the host for the next one."""
        if self._before is None:
            raise ValueError("no gap was before this trial")
        before = self._before
        self.gap()
        usual = {name: median(pace[name] for pace in self._paces if name in pace) for name in self._paces[-1]}
        whole = {"before": before, **edges, "after": self._before, "usual_ns": usual}
        return {"schema_version": SCHEMA_VERSION, **self._common, **whole}

    @property
    def has_begun(self) -> bool:
        """Say whether a gap was looked at."""
        return self._before is not None

    def _counters(self, used_ns: Optional[int]) -> dict[str, Optional[int]]:
        """Return both sides of the account at one moment; `used_ns` is what is ours of it."""
        found = dict(zip(_FIELDS, ticks(os.pread(self._stat, 1 << 18, 0), self._cpus)))
        return {"monotonic_ns": time.monotonic_ns(), "used_ns": used_ns, **found}


def ticks(stat: bytes, cpus: set[int]) -> list[int]:
    """Return the ticks by kind, user to steal, that a /proc/stat has for some CPUs."""
    total = [0] * len(_FIELDS)
    all_cpus: list[int] = []
    found = 0
    for line in stat.splitlines():
        name, *values = line.split()
        if not name.startswith(b"cpu"):
            break
        numbers = [int(value) for value in values[: len(_FIELDS)]]
        if name == b"cpu":
            all_cpus = numbers
            continue
        if int(name[3:]) in cpus:
            total = [a + b for a, b in zip(total, numbers)]
        found += 1
    return all_cpus if found == len(cpus) else total  # each line of its own is rounded


def swapped() -> dict[str, Optional[int]]:
    """Return how many pages the host swapped in and out since it booted."""
    found: dict[str, Optional[int]] = {"pswpin": None, "pswpout": None}
    with suppress(OSError):
        for line in read_text("/proc/vmstat").splitlines():
            name, _, value = line.partition(" ")
            if name in found:
                found[name] = int(value)
    return found


def _is_container_s_own(path: str) -> bool:
    """Say whether a file of /proc is one that a container is given in place of the kernel's (lxcfs)."""
    with suppress(OSError):
        return any(line.split()[4] == path for line in read_text("/proc/self/mountinfo", 1 << 22).splitlines())
    return False


def _irq_apart() -> Optional[bool]:
    """Say whether this kernel keeps the time of interrupts out of what it counts for a process; None: not known."""
    for path in ("/proc/config.gz", f"/boot/config-{os.uname().release}"):
        with suppress(OSError, EOFError):
            with open(path, "rb") as file:
                data = file.read(1 << 22)
            text = gzip.decompress(data) if path.endswith(".gz") else data
            return f"\n{_IRQ}=y\n".encode() in text
    return None
