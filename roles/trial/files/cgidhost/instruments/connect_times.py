"""Times every connect() to the cgid socket through bpftrace's syscall tracepoints: connect_times.csv.

bpftrace needs longer to start than httpd, so one serves all trials of a block
that want it, one after the other, and is ended before a trial that does not.
"""

from __future__ import annotations

import errno
import os
import re
import select
import signal
import time
from typing import Optional

from .. import libc
from ..ending import TrialEnd, Unavailable
from ..process import Program, cpu_time_ns
from ..waiting import Patience

TRACEFS = "/sys/kernel/tracing"
TRACEPOINT = f"{TRACEFS}/events/syscalls/sys_enter_connect"
_LOST = re.compile(r"Lost (\d+) events")
_DRAIN_S = 5.0
_FIELDS = 3
_SAME_CLOCK_NS = 1_000_000  # what two reads of one clock may be apart
# Per CPU; a record is about 40 bytes, so this holds 25,000 of them while bpftrace waits for a CPU.
_BUFFER_PAGES = 256
_READY = b"ready\n"

# nsecs is the kernel's monotonic or boot clock; `_offset_ns` finds out which.
_PROGRAM = """
BEGIN { printf("ready\\n"); }
tracepoint:syscalls:sys_enter_connect
/args->addrlen > 2 && strncmp(str((uint64)args->uservaddr + 2), "PREFIX", LENGTH) == 0/
{ @start[tid] = nsecs; }
tracepoint:syscalls:sys_exit_connect
/@start[tid]/
{ printf("%llu,%llu,%d\\n", nsecs, (nsecs - @start[tid]) / 1000, args->ret); delete(@start[tid]); }
"""


def script(prefix: str) -> str:
    """Return the bpftrace program that times connects to sockets whose path begins with `prefix`."""
    return _PROGRAM.replace("PREFIX", prefix).replace("LENGTH", str(len(prefix)))


def provide_tracefs() -> None:
    """Mount tracefs in a mount namespace of the caller's own, where it is missing. Runs in the forked child."""
    if os.path.exists(TRACEPOINT):
        return
    try:
        libc.unshare(libc.CLONE_NEWNS)
        libc.mount("none", "/", "none", libc.MS_REC | libc.MS_PRIVATE)
        libc.mount("tracefs", TRACEFS, "tracefs")
    except OSError as error:
        os.write(2, f"tracefs: {error.filename}: {error.strerror}\n".encode())
        raise


def rows(text: bytes, offset_ns: int) -> bytes:
    """Return the rows in bpftrace's output on the monotonic clock, without marks; other lines are left out."""
    kept = []
    for line in text.splitlines():
        fields = line.split(b",")
        if len(fields) == _FIELDS and int(fields[2]) != -errno.EINVAL:
            kept.append(line if not offset_ns else b"%d,%b,%b" % (int(fields[0]) - offset_ns, fields[1], fields[2]))
    return b"\n".join(kept) + b"\n" if kept else b""


def lost(text: str) -> int:
    """Return how many events bpftrace says it lost."""
    return sum(int(n) for n in _LOST.findall(text))


class Tracer:
    """One bpftrace for the trials of a block, started and ended by the block process.

    Rows are written below the work directory and cut off trial by trial.
    """

    def __init__(self, program: Optional[str], prefix: str, work_dir: str) -> None:
        """Start it on sockets whose path begins with `prefix`; raise Unavailable where it cannot be."""
        if program is None:
            raise Unavailable("bpftrace is not installed")
        if os.geteuid() != 0 or not _may_trace():
            raise Unavailable("bpf needs root outside of a user namespace")
        self._prefix = prefix
        self._raw = os.path.join(work_dir, "connect_times.raw")
        self._said = os.path.join(work_dir, "connect_times.said")
        for path in (self._raw, self._said):
            with open(path, "wb"):
                pass
        self._cpu_ns = 0
        self._is_ready = False
        try:
            self._program = Program(
                [program, "-q", "-B", "line", "-e", script(prefix)],
                self._raw,
                self._said,
                environment={"BPFTRACE_PERF_RB_PAGES": str(_BUFFER_PAGES)},
                setup=provide_tracefs,
            )
        except TrialEnd as error:
            raise Unavailable(_text(self._said) or error.reason) from error

    def serves(self, prefix: str) -> bool:
        """Say whether it still runs and watches sockets of this prefix."""
        return prefix == self._prefix and self._program.exit_code() is None

    def wait_until_ready(self, patience: Patience, timeout_s: float) -> None:
        """Return once all probes are attached; raise Unavailable with bpftrace's own words. For the trial's side."""

        def ready() -> bool:
            if select.select([self._program.pidfd], [], [], 0)[0]:
                raise Unavailable(f"bpftrace ended: {self._complaint()}")
            with open(self._raw, "rb") as file:
                return file.read(len(_READY)) == _READY

        if self._is_ready:
            return
        try:
            patience.until("bpftrace being ready", ready, timeout_s)
        except TrialEnd as error:
            if error.kind == "timeout":
                raise Unavailable(error.reason) from error
            raise

    def note_ready(self) -> None:
        """Begin to count its CPU time: its start costs more than its work and is over before the load."""
        self._is_ready = True
        self._cpu_ns = cpu_time_ns(self._program.pid)

    def cut(self, directory: str) -> dict[str, object]:
        """Move all rows until now to the trial's `directory`; return the entry for result.json."""
        marks = _mark_on_each_cpu(self._prefix)
        text = self._drain(len(marks))
        with open(os.path.join(directory, "connect_times.csv"), "wb") as file:
            file.write(rows(text, _offset_ns(text, marks)))
        said = _text(self._said)
        with open(os.path.join(directory, "connect_times.stderr"), "w", encoding="utf-8") as words:
            words.write(said)
        for path in (self._raw, self._said):
            os.truncate(path, 0)  # bpftrace appends
        before_ns, self._cpu_ns = self._cpu_ns, cpu_time_ns(self._program.pid)
        return {"state": "ran", "reason": "", "cpu_ns": self._cpu_ns - before_ns, "lost": lost(said)}

    def _drain(self, marks: int) -> bytes:
        end = b",-%d\n" % errno.EINVAL
        deadline = time.monotonic() + _DRAIN_S
        while True:
            with open(self._raw, "rb") as file:
                text = file.read()
            if text.count(end) >= marks:
                return text
            if self._program.exit_code() is not None:
                raise Unavailable(f"bpftrace ended before its time: {self._complaint()}")
            if time.monotonic() > deadline:
                raise Unavailable(f"bpftrace did not write its last rows within {_DRAIN_S:g} s")
            select.select([self._program.pidfd], [], [], 0.002)

    def end(self) -> None:
        """End it and wait until its probes are gone."""
        self._program.kill(signal.SIGKILL)
        self._program.reap(_DRAIN_S)
        for path in (self._raw, self._said):
            os.unlink(path)

    def _complaint(self) -> str:
        lines = [line.strip() for line in _text(self._said).splitlines() if line.strip()]
        return " | ".join(line for line in lines if "RLIMIT_MEMLOCK" not in line)[-500:]


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(1 << 16)
    except OSError:
        return ""


def _may_trace() -> bool:
    """Say whether root here is the host's root and not that of a user namespace."""
    with open("/proc/self/uid_map", encoding="ascii") as file:
        return file.read().split() == ["0", "0", "4294967295"]


def _mark_on_each_cpu(prefix: str) -> list[int]:
    """Make a connect that fails in a way of its own on every CPU, since each has its own buffer.

    The address is longer than the kernel takes from anybody (EINVAL), so no
    socket is touched. Returns the monotonic times; when the marks' rows are
    there, all earlier rows of their CPUs are.
    """
    cpus = os.sched_getaffinity(0)
    times = []
    try:
        for cpu in sorted(cpus):
            os.sched_setaffinity(0, {cpu})
            times.append(time.monotonic_ns())
            libc.connect_too_long(prefix)
    finally:
        os.sched_setaffinity(0, cpus)
    return times


def _offset_ns(text: bytes, marks: list[int]) -> int:
    """Return what to subtract from bpftrace's times to have the monotonic clock.

    Versions differ in which clock nsecs is; they are apart by the time the
    machine was suspended, and equal where it never was.
    """
    apart_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    last = text.rstrip(b"\n").rpartition(b"\n")[2].split(b",")[0]
    difference = int(last) - marks[-1] if last.isdigit() and marks else 0
    return apart_ns if apart_ns > _SAME_CLOCK_NS and abs(difference - apart_ns) < abs(difference) else 0
