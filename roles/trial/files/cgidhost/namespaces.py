"""Makes the namespaces of a trial and starts its first process in them.

Three processes: the block process forks a keeper, the keeper makes the
namespaces and forks the trial's first process (PID 1 of the new PID
namespace). Each dies with the one that forked it, and the kernel ends
everything in the PID namespace with its PID 1, so nothing of a trial outlives
the block process however that ends.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import traceback
from typing import Callable

from . import libc
from .ending import TrialEnd, from_os_error
from .process import write_text
from .sharedmemory import PLACE

_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1
# nobody of the host: httpd must not be root in its user namespace, mod_cgid fails there with AH02155
_SERVER_ID = 65534


def start(first: Callable[[str], None], *, isolated: bool) -> int:
    """Fork the keeper and return its pid; `first` runs as the trial's first process and is told of trouble.

    The keeper ends when everything of the trial has ended; its exit code is 0
    if the first process's was.
    """
    block_pid = os.getpid()
    pid = os.fork()
    if pid == 0:
        _leave(lambda: _keep(first, block_pid, isolated=isolated))
    return pid


def _leave(work: Callable[[], int]) -> None:
    """End this forked process with what `work` returns, whatever happens: it must never fall back into its parent."""
    code = 70
    try:
        code = work()
    except BaseException:  # noqa: BLE001 -- a forked child has nobody above it who could catch this
        traceback.print_exc()
    finally:
        os._exit(code)


def _keep(first: Callable[[str], None], block_pid: int, *, isolated: bool) -> int:
    libc.die_with_parent()
    if os.getppid() != block_pid:  # it ended before the kernel was told
        return 1
    trouble = ""
    if isolated:
        try:
            unshare_all()
        except OSError as error:
            trouble = f"this host allows no namespaces ({error.filename or 'unshare'}: {error.strerror})"
    pid = os.fork()
    if pid == 0:
        _leave(lambda: _begin(first, trouble))
    _, status = os.waitpid(pid, 0)
    return 0 if status == 0 else 1


def _begin(first: Callable[[str], None], trouble: str) -> int:
    libc.die_with_parent()
    first(trouble)
    return 0


def unshare_all() -> None:
    """Give the caller all namespaces of a trial, and without root a user namespace to make them in; raise OSError."""
    flags = libc.CLONE_NEWNS | libc.CLONE_NEWUTS | libc.CLONE_NEWIPC | libc.CLONE_NEWPID | libc.CLONE_NEWNET
    if os.geteuid() == 0:
        libc.unshare(flags)
        return
    uid, gid = os.geteuid(), os.getegid()
    libc.unshare(flags | libc.CLONE_NEWUSER)
    _map_ids(f"0 {uid} 1", f"0 {gid} 1")


def _map_ids(uid_map: str, gid_map: str) -> None:
    for name, text in (("setgroups", "deny"), ("uid_map", uid_map), ("gid_map", gid_map)):
        write_text(f"/proc/self/{name}", text)


def become_server_user() -> None:
    """Enter an inner user namespace as nobody: for an httpd started without root. Call it in the forked child."""
    libc.unshare(libc.CLONE_NEWUSER)
    _map_ids(f"{_SERVER_ID} 0 1", f"{_SERVER_ID} 0 1")


def furnish(trouble: str) -> None:
    """Mount what the trial needs and bring loopback up; call it in the first process.

    Raises TrialEnd (infra) where that cannot be, or for the `trouble` there
    was in making the namespaces.
    """
    if trouble:
        raise TrialEnd("infra", f"{trouble}; run with --set isolation=host, which needs none")
    try:
        libc.mount("none", "/", "none", libc.MS_REC | libc.MS_PRIVATE)
        libc.mount("proc", "/proc", "proc", libc.MS_NOSUID | libc.MS_NODEV | libc.MS_NOEXEC)
        # A /run of its own: short socket paths that vanish with the trial.
        libc.mount("tmpfs", "/run", "tmpfs", libc.MS_NOSUID | libc.MS_NODEV, "mode=0755,size=16m")
        if os.path.isdir(PLACE):  # what a killed server leaves there vanishes too
            libc.mount("tmpfs", PLACE, "tmpfs", libc.MS_NOSUID | libc.MS_NODEV, "mode=1777,size=64m")
        _bring_loopback_up()
    except OSError as error:
        raise from_os_error("making the trial's namespaces", error) from error


def _bring_loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack_from("16sh", fcntl.ioctl(control, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))
