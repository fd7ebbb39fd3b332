"""Journals what isolation: host changes on the host, and undoes it: journal.jsonl."""

from __future__ import annotations

import json
import os
import signal
import stat
import time
from contextlib import suppress
from typing import Any, Callable, Iterator

from . import firewall, kernel, own
from .own import NotOurs
from .process import pids, read_text

MARK = "CGIDLAB_TRIAL="
_TITLE = b"php-fpm: pool "  # whose name is the mark, in its file


def _path(work_dir: str) -> str:
    return os.path.join(work_dir, "journal.jsonl")


def boot_id() -> str:
    """Return what tells this boot of the host from all others."""
    return read_text("/proc/sys/kernel/random/boot_id").strip()


def note(work_dir: str, **change: str) -> None:
    """Write down a change before it is made.

    `sysctl` with its `old` and `new` value, `directory`, or `trial` (its processes).
    """
    fresh = not os.path.exists(_path(work_dir))
    with open(_path(work_dir), "ab") as file:
        file.write(json.dumps({**change, "boot_id": boot_id()}).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    if fresh:
        directory = os.open(work_dir, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def undo(work_dir: str) -> list[str]:
    """Undo all noted changes, the latest first, and forget them. Return what could not be undone."""
    return undo_and_tell(work_dir)[1]


def undo_and_tell(work_dir: str) -> tuple[list[str], list[str]]:
    """Undo as `undo` does; return what was really changed back, and what could not be undone."""
    try:
        changes = list(_noted(_path(work_dir)))
    except FileNotFoundError:
        return [], []
    except OSError as error:
        return [], [f"{_path(work_dir)} is not read: {error.strerror}"]
    undone, problems = [], []
    for change in reversed(changes):
        try:
            said = _undo_one(change, work_dir)
        except NotOurs as error:
            problems.append(str(error))
            continue
        except OSError as error:
            problems.append(f"{change}: {error.strerror}")
            continue
        if said:
            undone.append(said)
    if not problems:
        os.unlink(_path(work_dir))
    return undone, problems


def _noted(path: str) -> Iterator[dict[str, Any]]:
    with open(path, encoding="utf-8", errors="replace", opener=_ours) as file:
        for line in file:
            if not line.endswith("\n"):
                return  # cut while it was written, so its change was never made
            try:
                change = json.loads(line)
            except ValueError:  # of a damaged disk: what the other lines say still holds
                continue
            if isinstance(change, dict):
                yield change


def _ours(path: str, flags: int) -> int:
    fd = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    about = os.fstat(fd)
    if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid():
        os.close(fd)
        raise PermissionError(1, "not a file of this user's", path)
    return fd


def _undo_one(change: dict[str, Any], work_dir: str) -> str:
    """Undo a change that a trial of this work directory can have made; raise NotOurs for any other, OSError."""
    if not all(isinstance(value, str) for value in change.values()):
        raise NotOurs(f"{_path(work_dir)} holds what no trial notes: {change!r:.200}")
    same_boot = change.get("boot_id", boot_id()) == boot_id()
    if "directory" in change:
        path = os.path.normpath(change["directory"])
        return f"removed {path}" if own.remove_noted(path, os.path.normpath(work_dir)) else ""
    if not same_boot:  # the kernel has forgotten it itself
        return ""
    if "sysctl" in change:
        if change["sysctl"] not in kernel.SYSCTLS or "old" not in change:
            raise NotOurs(f"{_path(work_dir)} names a setting that no trial changes: {change['sysctl']!r:.80}")
        return restore(change["sysctl"], change["old"], (change.get("new"),))
    if "trial" in change:
        if os.path.dirname(os.path.normpath(change["trial"])) != os.path.normpath(work_dir):
            raise NotOurs(f"{_path(work_dir)} names a trial of another block: {change['trial']!r:.200}")
        ended = end_processes(change["trial"])
        return f"ended {ended} processes of {change['trial']}" if ended else ""
    return firewall.close(change) if "firewall" in change else ""


def restore(setting: str, old: str, new: tuple[Any, ...]) -> str:
    """Give a sysctl its old value if it still has one that a trial gave it; return what was done, "" if nothing.

    Nothing is done where it was noted and then refused, and where somebody else
    has set another value since.
    """
    found = kernel.read(setting)
    if found == old or (found not in new and None not in new):
        return ""
    kernel.write(setting, old)
    return f"{kernel.SYSCTLS[setting].replace('/', '.')}: {found} back to {old}"


def end_processes(trial_dir: str, timeout_s: float = 5.0) -> int:
    """Kill every process that carries the trial's mark in its environment; return how many, when none is left."""
    return _end(lambda pid: (MARK + trial_dir).encode() in _marks(pid), trial_dir, timeout_s)


def end_processes_below(directory: str, timeout_s: float = 5.0) -> int:
    """Kill every process that carries the mark of any trial below a directory; as `end_processes`."""
    mark = (MARK + directory + "/").encode()
    return _end(lambda pid: any(word.startswith(mark) for word in _marks(pid)), directory, timeout_s)


def _end(is_one: Callable[[int], bool], whose: str, timeout_s: float) -> int:
    deadline = time.monotonic() + timeout_s
    ended: set[int] = set()
    while time.monotonic() < deadline:
        marked = [pid for pid in pids() if pid != os.getpid() and is_one(pid)]
        if not marked:
            return len(ended)
        ended.update(marked)
        for pid in marked:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)  # nothing tells when a process that is not a child has gone
    raise TimeoutError(110, f"processes of {whose} do not end")


def _marks(pid: int) -> list[bytes]:
    """Return the words of a process that may be marks: its environment, or the title that it has written over that."""
    words = _words(pid, "environ")
    for title in _words(pid, "cmdline"):
        if title.startswith(_TITLE):
            words.append(title[len(_TITLE) :])
    return words


def _words(pid: int, name: str) -> list[bytes]:
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read().split(b"\0")
    except OSError:
        return []
