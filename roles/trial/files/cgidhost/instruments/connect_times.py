"""Times every connect() to the cgid socket through bpftrace's syscall tracepoints: connect_times.csv."""

from __future__ import annotations

import errno
import os
import socket
import time
from typing import Optional

from .. import libc
from ..ending import TrialEnd, Unavailable
from ..process import Program
from ..waiting import Patience

TRACEFS = "/sys/kernel/tracing"
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


def script(run_dir: str) -> str:
    """Return the bpftrace program that times connects to sockets below `run_dir`. Quotes cannot be in it."""
    prefix = run_dir + "/"
    return _PROGRAM.replace("PREFIX", prefix).replace("LENGTH", str(len(prefix)))


def provide_tracefs() -> None:
    """Mount tracefs, in the caller's own mount namespace, where it is missing; raise Unavailable."""
    if os.path.exists(f"{TRACEFS}/events/syscalls/sys_enter_connect"):
        return
    try:
        libc.mount("tracefs", TRACEFS, "tracefs")
    except OSError as error:
        raise Unavailable(f"tracefs: {error.strerror}") from error
    if not os.path.exists(f"{TRACEFS}/events/syscalls/sys_enter_connect"):
        raise Unavailable("this kernel has no syscall tracepoints")


def rows(text: bytes, offset_ns: int) -> bytes:
    """Return the rows in bpftrace's output on the monotonic clock, without marks; other lines are left out."""
    kept = []
    for line in text.splitlines():
        fields = line.split(b",")
        if len(fields) == 3 and int(fields[2]) != -errno.ENOTDIR:
            kept.append(line if not offset_ns else b"%d,%b,%b" % (int(fields[0]) - offset_ns, fields[1], fields[2]))
    return b"\n".join(kept) + b"\n" if kept else b""


class ConnectTimes:
    """bpftrace from before httpd's first connect until after the load's last."""

    def __init__(self, program: Optional[str], run_dir: str, directory: str) -> None:
        """Start it; raise Unavailable where it cannot be."""
        if program is None:
            raise Unavailable("bpftrace is not installed")
        if os.geteuid() != 0 or not _may_trace():
            raise Unavailable("bpf needs root outside of a user namespace")
        provide_tracefs()
        self._run_dir = run_dir
        self._cpu_at_ready_ns = 0  # its start, before the load, costs more than its work
        self._raw = os.path.join(directory, "connect_times.raw")
        self._file = os.path.join(directory, "connect_times.csv")
        self._said = os.path.join(directory, "connect_times.stderr")
        try:
            self._program = Program(
                [program, "-q", "-B", "line", "-e", script(run_dir)],
                self._raw,
                self._said,
                environment={"BPFTRACE_PERF_RB_PAGES": str(_BUFFER_PAGES)},
            )
        except TrialEnd as error:
            raise Unavailable(error.reason) from error

    def wait_until_ready(self, patience: Patience, timeout_s: float) -> None:
        """Return once all probes are attached; raise Unavailable with bpftrace's own words."""

        def ready() -> bool:
            code = self._program.exit_code()
            if code is not None:
                raise Unavailable(f"bpftrace ended with {code}: {self._complaint()}")
            with open(self._raw, "rb") as file:
                return file.read(len(_READY)) == _READY

        try:
            patience.until("bpftrace being ready", ready, timeout_s)
        except TrialEnd as error:
            if error.kind == "timeout":
                self._program.kill()
                raise Unavailable(error.reason) from error
            raise
        self._cpu_at_ready_ns = _cpu_ns(self._program.pid)

    def stop(self, patience: Patience, timeout_s: float) -> dict[str, object]:
        """Have every row written and return the entry for result.json."""
        marks = _mark_on_each_cpu(os.path.join(self._run_dir, "httpd.pid", "end"))
        cpu_ns = _cpu_ns(self._program.pid) - self._cpu_at_ready_ns

        def all_there() -> Optional[bytes]:
            if self._program.exit_code() is not None:
                raise Unavailable(f"bpftrace ended before its time: {self._complaint()}")
            with open(self._raw, "rb") as file:
                text = file.read()
            end = b",-%d\n" % errno.ENOTDIR
            return text if text.count(end) >= len(marks) else None

        try:
            text = patience.until("bpftrace's last rows", all_there, timeout_s)
        except TrialEnd as error:
            raise Unavailable(error.reason) from error
        with open(self._file, "wb") as file:
            file.write(rows(text, _offset_ns(text, marks)))
        os.unlink(self._raw)
        return {"state": "ran", "reason": "", "cpu_ns": cpu_ns}

    def _complaint(self) -> str:
        try:
            with open(self._said, encoding="utf-8", errors="replace") as file:
                lines = [line.strip() for line in file if line.strip()]
        except OSError:
            return ""
        return " | ".join(line for line in lines if "RLIMIT_MEMLOCK" not in line)[-500:]


def _may_trace() -> bool:
    """Say whether root here is the host's root and not that of a user namespace."""
    with open("/proc/self/uid_map", encoding="ascii") as file:
        return file.read().split() == ["0", "0", "4294967295"]


def _cpu_ns(pid: int) -> int:
    try:
        return time.clock_gettime_ns((~pid << 3) | 2)
    except OSError:
        return 0


def _mark_on_each_cpu(path: str) -> list[int]:
    """Make a connect that fails in a way of its own (ENOTDIR) on every CPU, since each has its own buffer.

    Returns the monotonic times at which they were made. When their rows are
    there, all earlier rows of that CPU are.
    """
    cpus = os.sched_getaffinity(0)
    times = []
    try:
        for cpu in sorted(cpus):
            os.sched_setaffinity(0, {cpu})
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
                times.append(time.monotonic_ns())
                one.connect_ex(path)
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
    return apart_ns if apart_ns > 1_000_000 and abs(difference - apart_ns) < abs(difference) else 0
