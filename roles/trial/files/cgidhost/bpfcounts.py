"""Counts every connect() of the machine to a unix stream socket with a path, by path: in the kernel, nothing is copied.

For a look at all listeners at once: what one of them needs in detail, `bpf.ConnectTracer` records connect by connect.
"""

from __future__ import annotations

import os
import struct
import time
from contextlib import ExitStack
from typing import NamedTuple

from . import bpf
from .bpfcode import BEGUN_BYTES, COUNTS, PATH_BYTES, begin_program, count_program

MOST_PATHS = 4096
_VALUES = struct.Struct(f"={len(COUNTS)}Q")
_BEGUN = struct.Struct("=Q")


class Connects(NamedTuple):
    """What became of the connects to one path since the begin, in the order of `COUNTS`."""

    connects: int
    turned_away: int  # EAGAIN: a full queue
    refused: int  # ECONNREFUSED: nobody listened
    failed_other: int
    took_ns: int  # all of them together


class ConnectCounter:
    """The programs and their maps; `place` and `why_not_function` as of a `bpf.ConnectTracer`."""

    def __init__(self) -> None:
        """Load and attach; raise Unavailable with the kernel's reason."""
        self._opened = bpf.begin(self._open)

    def _open(self, opened: ExitStack) -> None:
        self._begun = bpf.own(opened, bpf.make_map(bpf.HASH, 8, BEGUN_BYTES, bpf.MOST_THREADS))
        self._counts = bpf.own(opened, bpf.make_map(bpf.HASH, PATH_BYTES, _VALUES.size, MOST_PATHS))

        def code(at: bpf.At) -> tuple[bytes, bytes]:
            enter = begin_program(at.address, at.length, at.read, self._begun)
            return enter, count_program(at.result, self._begun, self._counts)

        self.place, self.why_not_function = bpf.attach(code, opened)

    def counts(self) -> dict[str, Connects]:
        """Return the counts since the begin by path."""
        found = {}
        for key in bpf.keys(self._counts, PATH_BYTES, MOST_PATHS):
            value = bpf.look_up(self._counts, key, _VALUES.size)
            if value is not None:
                found[_path(key)] = Connects(*_VALUES.unpack(value))
        return found

    def forget(self, path: str) -> None:
        """Begin anew with a path: it takes no room until somebody connects to it."""
        bpf.delete(self._counts, os.fsencode(path).ljust(PATH_BYTES, b"\0"))

    def waiting(self, longer_than_ns: int) -> dict[str, int]:
        """Return how many threads have been in connect() for longer than that, by path."""
        found: dict[str, int] = {}
        before_ns = time.monotonic_ns() - longer_than_ns
        for thread in bpf.keys(self._begun, 8, bpf.MOST_THREADS):
            value = bpf.look_up(self._begun, thread, BEGUN_BYTES)
            if value is not None and _BEGUN.unpack_from(value)[0] < before_ns:
                path = _path(value[_BEGUN.size :])
                found[path] = found.get(path, 0) + 1
        return found

    def close(self) -> None:
        """Detach."""
        self._opened.close()


def _path(key: bytes) -> str:
    return os.fsdecode(key.rstrip(b"\0"))
