"""How long a verb may take: where one hangs, whoever asked has given up, and nobody else comes to end it."""

from __future__ import annotations

import glob
import os
import signal
from contextlib import suppress
from typing import Any

# The control machine gives up after two minutes (`Limits.teardown_s`), and with it whoever would read the answer.
MOST_S = 110
_STATUS = 1


def begin(verb: str, most_s: float = MOST_S) -> None:
    """End this process, and what it started and is still its own, when a verb takes longer."""
    if verb == "await":  # it is told how long
        return
    signal.signal(signal.SIGALRM, _give_up)
    signal.setitimer(signal.ITIMER_REAL, most_s)


def _give_up(_number: int, _frame: Any) -> None:  # noqa: ANN401 -- a frame, whatever it is
    for pid in _children():
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    os.write(2, b"cgidhost: this takes too long\n")
    os._exit(_STATUS)


def _children() -> list[int]:
    found = []
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path, "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid():
            found.append(int(path.split("/")[2]))
    return found
