"""Says what this host allows, by trying it: every answer is {"ok": ..., "reason": ...} or a plain value."""

from __future__ import annotations

import ctypes
import json
import os
from functools import partial
from typing import Any, Callable, Optional

from . import SCHEMA_VERSION, group, kernel, libc, namespaces
from .commands import say
from .ending import TrialEnd
from .instruments import INSTRUMENTS
from .process import read_text

_NOBODY = 65534


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
    return {**answer, "sysctls": {name: _writable(name) for name in kernel.SYSCTLS}}


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
        **_instruments(),
        "pidfd": _in_child(_pidfd),
        "control_group": _in_child(_control_group),
        "cgroup_version": _cgroup_version(),
        "pointer_bits": 8 * ctypes.sizeof(ctypes.c_void_p),
    }


def _instruments() -> dict[str, Any]:
    """Return what each instrument needs of this host, by the name under which it asks."""
    asked = [entry for kind in INSTRUMENTS.values() for entry in kind.probes().items()]
    return {name: _in_child(partial(_asked, ask)) for name, ask in asked}


def _asked(ask: Callable[[], str]) -> dict[str, Any]:
    return _answer(ask())


def _control_group() -> dict[str, Any]:
    """Make a block's control group and remove it."""
    own, why = group.make(f"/probe of {os.getpid()}")
    if own is not None:
        own.leave()
    return _answer(why)


def _pidfd() -> dict[str, Any]:
    os.close(os.pidfd_open(os.getpid()))
    return _answer()


def run() -> None:
    """Print all answers as one JSON line."""
    say(**examine())
