"""Which process this is, whether one that was written down still lives, and the end of a family. Reads /proc alone."""

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

_PROC = Path("/proc")
_START_FIELD = 19  # starttime, counted from the state, which follows the program's name: proc_pid_stat(5)


def identity() -> dict[str, Any]:
    """Return what names this process for good: a pid alone is given to another one later.

    `started_ticks` and `boot_id` are None where there is no /proc.
    """
    return {"pid": os.getpid(), "started_ticks": _started_ticks(os.getpid()), "boot_id": _boot_id()}


def is_this_boot(boot_id: str) -> bool:
    """Say whether a boot is this machine's present one: whoever has it shares kernel and CPUs with us."""
    return boot_id == _boot_id()


def lives(pid: int, started_ticks: int | None, boot_id: str | None) -> bool:
    """Say whether the process that `identity` described still runs on this machine.

    Without start time the pid alone decides, which may be another process by now.
    """
    if boot_id is not None and boot_id != _boot_id():
        return False
    if started_ticks is not None:
        return _started_ticks(pid) == started_ticks
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's, but there
    return True


def end_family(parent: int, word: str) -> None:
    """Kill those children of a process whose command line holds a word, with all that they started and did not leave.

    Sessions and process groups of their own save none of them. What belongs to another user is passed over.
    """
    found = [pid for pid in _children().get(parent, ()) if word in _command_line(pid)]
    for pid in found:  # grows: what is stopped starts no more
        _send(pid, signal.SIGSTOP)
        found += [child for child in _children().get(pid, ()) if child not in found]
    for pid in found:
        _send(pid, signal.SIGKILL)


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(OSError):
        os.kill(pid, number)


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for path in _PROC.glob("[0-9]*"):
        with suppress(OSError):
            found.setdefault(int((path / "stat").read_text().rpartition(")")[2].split()[1]), []).append(int(path.name))
    return found


def _command_line(pid: int) -> str:
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def _started_ticks(pid: int) -> int | None:
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # The name is in parentheses and may hold some itself, so what follows the last one is counted.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[_START_FIELD])


def _boot_id() -> str | None:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
