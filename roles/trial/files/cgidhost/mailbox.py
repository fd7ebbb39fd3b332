"""What a running trial and the control machine tell each other, in small files of the block's directory.

They are NNN.ready, NNN.go and NNN.done. The control machine writes a file under
another name and renames it, so that what is there is whole.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from typing import Any, Callable, Mapping, Optional

from . import libc
from .ending import TrialEnd
from .waiting import Patience

READY = "ready"  # the trial: the server can be loaded, at this url
GO = "go"  # the control machine: when the load starts by this host's clock, or why it will not
DONE = "done"  # the control machine: all load has ended
_WORDS = (READY, GO, DONE)
_IN_CLOSE_WRITE = 0x8
_IN_MOVED_TO = 0x80
_NS = 1_000_000_000


def path(work_dir: str, number: int, word: str) -> str:
    """Return the file that carries a word."""
    return os.path.join(work_dir, f"{number:03d}.{word}")


def is_word(name: str) -> bool:
    """Say whether a file of a block's directory is a word of some trial."""
    number, _, word = name.partition(".")
    return number.isdigit() and word in _WORDS


def read(work_dir: str, number: int, word: str) -> Optional[dict[str, Any]]:
    """Return what was said, None if it was not."""
    try:
        with open(path(work_dir, number, word), encoding="utf-8") as file:
            said: dict[str, Any] = json.loads(file.read())
    except (FileNotFoundError, ValueError):  # the latter: not whole yet
        return None
    return said


class Mailbox:
    """One trial's end."""

    def __init__(self, work_dir: str, number: int) -> None:
        self._work_dir = work_dir
        self._number = number
        self._changes = libc.inotify(work_dir, _IN_CLOSE_WRITE | _IN_MOVED_TO)

    def say(self, word: str, **content: object) -> None:
        """Write a word; who waits for it wakes when the file is closed."""
        with open(path(self._work_dir, self._number, word), "w", encoding="utf-8") as file:
            file.write(json.dumps(content))

    def wait(
        self,
        word: str,
        patience: Patience,
        timeout_s: float,
        watched: Mapping[int, Callable[[], None]],
    ) -> Optional[dict[str, Any]]:
        """Return what was said, None when the time is up. A readable one of `watched` has its function called."""
        deadline_ns = time.monotonic_ns() + int(timeout_s * _NS)
        while True:
            said = read(self._work_dir, self._number, word)
            left_s = (deadline_ns - time.monotonic_ns()) / _NS
            if said is not None or left_s <= 0:
                return said
            for fd in patience.readable([self._changes, *watched], left_s):
                if fd == self._changes:
                    with suppress(BlockingIOError):
                        os.read(fd, 1 << 16)
                else:
                    watched[fd]()

    def go(self, patience: Patience, timeout_s: float, watched: Mapping[int, Callable[[], None]]) -> dict[str, Any]:
        """Return the order to go once it is there, its `start_ns` made one of CLOCK_MONOTONIC.

        Raises TrialEnd (invalid) when there is none in time, or when it says that the load will not start.
        """
        go = self.wait(GO, patience, timeout_s, watched)
        if go is None:
            raise TrialEnd("infra", f"no start was agreed on within {timeout_s:g} s", "invalid")
        if "refused" in go:
            raise TrialEnd(str(go.get("kind", "infra")), str(go["refused"]), "invalid")
        return {**go, "start_ns": int(go["start_ns"]) - time.time_ns() + time.monotonic_ns()}
