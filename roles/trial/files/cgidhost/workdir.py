"""The files of a block's work directory: its lock, and the list of ended trials that awaiters read."""

from __future__ import annotations

import fcntl
import json
import os
import time
from typing import Any, Optional

from .ending import BlockError
from .process import start_ticks

ENDED = "trials.jsonl"
LOG = "cgidhost.log"
_LOCK = "lock"


class Lock:
    """Held by a block process and all it forked: as long as anything of it lives, nobody else gets it."""

    def __init__(self, work_dir: str) -> None:
        self._path = os.path.join(work_dir, _LOCK)
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def take(self) -> bool:
        """Try to get it."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def wait(self, timeout_s: float) -> bool:
        """Try to get it until the time is up: what held it may be about to end."""
        deadline = time.monotonic() + timeout_s
        while not self.take():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)  # flock knows no time limit
        return True

    def sign(self) -> None:
        """Write down that the caller is the block process."""
        text = json.dumps({"pid": os.getpid(), "start_ticks": start_ticks(os.getpid())}).encode()
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, text, 0)

    def close(self) -> None:
        """Close this descriptor; the lock is free when the last copy of it is closed."""
        os.close(self._fd)


def block_process(work_dir: str) -> Optional[int]:
    """Return a pidfd of the living block process of a work directory, or None."""
    try:
        with open(os.path.join(work_dir, _LOCK), encoding="utf-8") as file:
            owner = json.load(file)
        fd = os.pidfd_open(owner["pid"])
    except (OSError, ValueError, KeyError):
        return None
    if start_ticks(owner["pid"]) != owner["start_ticks"]:
        os.close(fd)
        return None
    return fd


def owner_text(work_dir: str) -> str:
    """Return who holds the lock, for a message."""
    try:
        with open(os.path.join(work_dir, _LOCK), encoding="utf-8") as file:
            return f"process {json.load(file)['pid']}"
    except (OSError, ValueError, KeyError):
        return "another process"


def ended(work_dir: str, number: int) -> Optional[dict[str, Any]]:
    """Return the entry of a trial that has ended, or None."""
    try:
        with open(os.path.join(work_dir, ENDED), encoding="utf-8") as file:
            for line in file:
                if line.endswith("\n"):
                    entry: dict[str, Any] = json.loads(line)
                    if entry["number"] == number:
                        return entry
    except FileNotFoundError:
        return None
    return None


def add_ended(work_dir: str, entry: dict[str, Any]) -> None:
    """Append a trial's entry, whole; awaiters wake when the file is closed."""
    with open(os.path.join(work_dir, ENDED), "ab") as file:
        file.write(json.dumps(entry).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def require(work_dir: str) -> None:
    """Raise BlockError unless this is a work directory of ours."""
    if not os.path.isfile(os.path.join(work_dir, "block.json")):
        raise BlockError(f"{work_dir} is not a block's work directory: it has no block.json")
