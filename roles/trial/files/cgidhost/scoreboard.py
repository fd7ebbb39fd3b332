"""Reads httpd's scoreboard in its parent's memory, which costs no request, no worker and no line in a log.

Asking server-status would take a worker each time, and wait behind all others
just when it matters. The scoreboard is memory that all processes of an httpd
share, and /proc/PID/mem shows it as it is. Its layout differs between versions,
so it is found and not assumed: the workers' numbers, 0, 1, 2 ..., stand in it at
equal distances, and what is read as their states must be what server-status
says of the same workers.
"""

from __future__ import annotations

import os
import struct
from typing import NamedTuple, Optional

from .ending import Unavailable
from .process import read_text

# Letters of server-status by the number in the scoreboard (include/scoreboard.h of httpd 2.4).
LETTERS = ".S_RWKLDCGI"
READY = LETTERS.index("_")
_NOBODY = (LETTERS.index("."), LETTERS.index("S"), LETTERS.index("I"))  # no worker, or none yet, or none any more
_INT = struct.Struct("=i")
_STRIDES = range(64, 2049, 4)  # a worker's entry has 264 bytes in httpd 2.4 on x86_64
# From thread_num to status: over pid and generation (2.4), or over a thread id as well (2.2).
_TO_STATUS = (12, 24, 20)
_SHARED = "rw-s"
_LARGEST = 1 << 26
_CHANGED = 2  # workers that may have changed between two looks: the one that answered, and the one before


class ScoreboardLayout(NamedTuple):
    """Where the workers' states are in a piece of memory: each `stride` bytes from `first` on."""

    first: int
    stride: int


def layouts(memory: bytes, workers: int) -> list[ScoreboardLayout]:
    """Return every place where the numbers 0 to `workers` - 1 stand at equal distances, with each way to the states."""
    found = []
    last = _INT.pack(workers - 1)
    at = memory.find(last)
    while at >= 0:
        for stride in _STRIDES if at % _INT.size == 0 else ():
            first = at - (workers - 1) * stride
            if first < 0:
                break
            if all(_INT.unpack_from(memory, first + n * stride)[0] == n for n in range(workers - 2, -1, -1)):
                found += [ScoreboardLayout(first + way, stride) for way in _TO_STATUS if at + way < len(memory)]
        at = memory.find(last, at + 1)
    return found


def states(memory: bytes, layout: ScoreboardLayout, workers: int) -> bytes:
    """Return one byte a worker."""
    return memory[layout.first : layout.first + (workers - 1) * layout.stride + 1 : layout.stride]


def agree(seen: bytes, said: str) -> bool:
    """Say whether states are those of server-status, but for the few that changed in between."""
    if len(seen) != len(said) or any(state >= len(LETTERS) for state in seen):
        return False
    return sum(LETTERS[state] != letter for state, letter in zip(seen, said)) <= _CHANGED


class Scoreboard:
    """The scoreboard of one running httpd."""

    def __init__(self, pid: int, said: str) -> None:
        """Find it in the memory of httpd's parent; `said` is what server-status says of all workers at this moment.

        Raise Unavailable with the kernel's reason, or where nothing in the memory agrees with `said`.
        """
        self._workers = len(said)
        if self._workers < 3:  # noqa: PLR2004 -- fewer numbers stand anywhere by chance
            raise Unavailable("fewer than three workers cannot be told from other memory")
        try:
            self._fd = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
            found = self._find(pid, said)
        except OSError as error:
            raise Unavailable(f"httpd's memory: {error.strerror}") from error
        if found is None:
            os.close(self._fd)
            raise Unavailable("nothing in httpd's shared memory looks like its scoreboard")
        self._address, self._layout = found

    def _find(self, pid: int, said: str) -> Optional[tuple[int, ScoreboardLayout]]:
        for line in read_text(f"/proc/{pid}/maps", _LARGEST).splitlines():
            addresses, access = line.split(None, 2)[:2]
            begin, end = (int(edge, 16) for edge in addresses.split("-"))
            if access != _SHARED or end - begin > _LARGEST:
                continue
            memory = os.pread(self._fd, end - begin, begin)
            for layout in layouts(memory, self._workers):
                if agree(states(memory, layout, self._workers), said):
                    return begin + layout.first, ScoreboardLayout(0, layout.stride)
        return None

    def count(self) -> tuple[int, int]:
        """Return how many workers are busy and how many are ready, as server-status counts them; raise OSError."""
        length = (self._workers - 1) * self._layout.stride + 1
        seen = states(os.pread(self._fd, length, self._address), self._layout, self._workers)
        ready = seen.count(READY)
        return len(seen) - ready - sum(seen.count(state) for state in _NOBODY), ready
