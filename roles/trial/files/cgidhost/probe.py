"""Says what this host allows, by trying it: every answer is {"ok": ..., "reason": ...} or a plain value."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import tempfile
import time
from typing import Any, Callable, Optional

from . import SCHEMA_VERSION, kernel, libc, namespaces
from .bpf import ConnectTracer
from .commands import say
from .ending import TrialEnd, Unavailable
from .process import read_text
from .sockdiag import SockDiag, UnixListener, unix_query

_NOBODY = 65534
_SLEEP_S = 1.0
_SYSCTLS = ("somaxconn", "max_dgram_qlen")


def _answer(reason: str = "") -> dict[str, Any]:
    return {"ok": not reason, "reason": reason}


def _words(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)


def _in_child(work: Callable[[], object], *, as_nobody: bool = False) -> Any:  # noqa: ANN401 -- JSON of any shape
    """Return what `work` returns in a child of its own, which may change its namespaces and user for good."""
    read_fd, write_fd = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            libc.die_with_parent()
            if as_nobody:
                os.setgroups([])
                os.setgid(_NOBODY)
                os.setuid(_NOBODY)
                libc.own_proc_again()
            os.write(write_fd, json.dumps(work()).encode())
        except OSError as error:
            os.write(write_fd, json.dumps(_answer(_words(error))).encode())
        except Exception as error:  # noqa: BLE001 -- nobody above this child could report it
            os.write(write_fd, json.dumps(_answer(f"{type(error).__name__}: {error}")).encode())
        finally:
            os._exit(0)
    os.close(write_fd)
    with open(read_fd, "rb") as pipe:
        data = pipe.read()
    os.waitpid(pid, 0)
    return json.loads(data) if data else _answer("the child ended without a word")


def _namespaces() -> dict[str, Any]:
    """Make a trial's namespaces for good and try what a trial does in them."""
    namespaces.unshare_all()
    pid = os.fork()
    if pid == 0:
        os._exit(_first_process())
    _, status = os.waitpid(pid, 0)
    answer = _answer("" if status == 0 else "the first process could not mount its own /proc and /run")
    return {**answer, "sysctls": {name: _writable(name) for name in _SYSCTLS}}


def _first_process() -> int:
    try:
        namespaces.furnish("")
    except TrialEnd:
        return 1
    return 0


def _writable(setting: str) -> dict[str, Any]:
    """Try to change a sysctl of the caller's network namespace, which must be its own."""
    try:
        value = kernel.read(setting)
        kernel.write(setting, str(int(value) + 1))
        kernel.write(setting, value)
    except OSError as error:
        return _answer(_words(error))
    return _answer()


def _bpf() -> dict[str, Any]:
    """Time one connect that fails, as a trial's are timed."""
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as one:
        try:
            tracer = ConnectTracer(directory + "/")
        except Unavailable as why:
            return _answer(str(why))
        code = one.connect_ex(os.path.join(directory, "nobody"))
        found = [connect.result for connect in tracer.take()]
    return _answer("" if found == [-code] else f"a connect that failed with {code} was recorded as {found}")


def _unix_diag() -> dict[str, Any]:
    """Ask for the queue of a socket made for this, and compare."""
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as one:
        path = os.path.join(directory, "s")
        one.bind(path)
        one.listen(7)
        diag = SockDiag()
        found: Optional[UnixListener] = diag.find_unix(path)
        queue = None if found is None else diag.unix_queue(unix_query(found))
        diag.close()
    limit = None if queue is None else queue.limit
    return _answer("" if limit == 7 else f"a queue of 7 was found as {limit}")  # noqa: PLR2004 -- as listened above


def _wchan() -> dict[str, Any]:
    """Read the wait channel of a child that sleeps."""
    read_fd, write_fd = os.pipe()
    ready_read, ready_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(write_fd)
        os.write(ready_write, b"x")
        os.read(read_fd, 1)
        os._exit(0)
    try:
        os.read(ready_read, 1)
        found = _first_sleep(pid)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        for fd in (read_fd, write_fd, ready_read, ready_write):
            os.close(fd)
    return _answer("" if found != "0" else "a sleeping process shows the wait channel 0")


def _first_sleep(pid: int) -> str:
    """Return the wait channel of a process once it sleeps."""
    deadline = time.monotonic() + _SLEEP_S
    while True:
        found = read_text(f"/proc/{pid}/wchan")
        if found != "0" or time.monotonic() > deadline:  # "0" too while it is on its way to sleep
            return found


def _readable(path: str) -> dict[str, Any]:
    try:
        read_text(path)
    except OSError as error:
        return _answer(_words(error))
    return _answer()


def _tried(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return work()
    except OSError as error:
        return _answer(_words(error))


def _cgroup_version() -> Optional[int]:
    if os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        return 2
    return 1 if os.path.isdir("/sys/fs/cgroup") and os.listdir("/sys/fs/cgroup") else None


def examine() -> dict[str, Any]:
    """Return all answers. Leaves nothing behind: what changes a namespace does so in a child's own."""
    root = os.geteuid() == 0
    no_root = _answer("this was not asked as root")
    as_user: Callable[[], Any] = lambda: _in_child(_namespaces, as_nobody=root)  # noqa: E731 -- named for the table below
    return {
        "schema_version": SCHEMA_VERSION,
        "root": root,
        "kernel": os.uname().release,
        "boot_id": read_text("/proc/sys/kernel/random/boot_id").strip(),
        "namespaces_root": _in_child(_namespaces) if root else no_root,
        "namespaces_user": as_user(),
        "bpf": _in_child(_bpf),
        "unix_diag": _tried(_unix_diag),
        "wchan": _tried(_wchan),
        "schedstat": _readable("/proc/self/schedstat"),
        "psi": _readable("/proc/pressure/cpu"),
        "pidfd": _tried(_pidfd),
        "cgroup_version": _cgroup_version(),
        "pointer_bits": 8 * ctypes.sizeof(ctypes.c_void_p),
    }


def _pidfd() -> dict[str, Any]:
    os.close(os.pidfd_open(os.getpid()))
    return _answer()


def run() -> None:
    """Print all answers as one JSON line."""
    say(**examine())
