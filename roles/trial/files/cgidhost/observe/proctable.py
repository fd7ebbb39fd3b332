"""All processes of the host at one moment, as far as the caller may see them."""

from __future__ import annotations

import os
from typing import NamedTuple, Optional

from ..process import pids, read_text

_COMMAND_BYTES = 4096


class Process(NamedTuple):
    """What /proc/PID/stat says."""

    pid: int
    parent: int
    name: str
    state: str
    start_ticks: int


def read(pid: int) -> Optional[Process]:
    """Return a process, or None when it is gone."""
    try:
        before, _, after = read_text(f"/proc/{pid}/stat").rpartition(")")
        fields = after.split()
        return Process(pid, int(fields[1]), before.partition("(")[2], fields[0], int(fields[19]))
    except (OSError, IndexError, ValueError):
        return None


def read_all() -> dict[int, Process]:
    """Return all living processes by pid."""
    found = (read(pid) for pid in pids())
    return {p.pid: p for p in found if p is not None and p.state not in "ZX"}


def words(pid: int) -> list[str]:
    """Return a process's command line, [] when it has none or is gone."""
    try:
        return read_text(f"/proc/{pid}/cmdline", _COMMAND_BYTES).rstrip("\0").split("\0")
    except OSError:
        return []


def link(pid: int, name: str) -> str:
    """Return where a link of /proc/PID leads, "" where that may not be seen."""
    try:
        return os.readlink(f"/proc/{pid}/{name}")
    except OSError:
        return ""


def hidden(pid: int) -> bool:
    """Say whether a process may not be looked into, though it is there."""
    try:
        os.readlink(f"/proc/{pid}/ns/net")
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def socket_inodes(pid: int) -> Optional[set[int]]:
    """Return the inodes of the sockets a process holds, None where that may not be seen."""
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return None
    found = set()
    for name in names:
        target = link(pid, f"fd/{name}")
        if target.startswith("socket:["):
            found.add(int(target[8:-1]))
    return found


def has_open(pid: int, identity: tuple[int, int]) -> bool:
    """Say whether a process has a file open, given its device and inode; False where that may not be seen."""
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return False
    for name in names:
        try:
            found = os.stat(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue  # closed between the two calls
        if (found.st_dev, found.st_ino) == identity:
            return True
    return False


def innermost_pid(pid: int) -> int:
    """Return a process's pid as it knows it itself: in a container that is another one."""
    try:
        for line in read_text(f"/proc/{pid}/status").splitlines():
            if line.startswith("NSpid:"):
                return int(line.split()[-1])
    except (OSError, ValueError):
        pass
    return pid
