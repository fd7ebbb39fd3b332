"""Counts every connect() of the machine to a unix stream socket with a path, by path: in the kernel, nothing is copied.

For a look at all listeners at once: what one of them needs in detail, `bpf.ConnectTracer` records connect by connect.
"""

from __future__ import annotations

import os
import struct
import time
from contextlib import ExitStack
from typing import NamedTuple, Optional

from . import bpf, btf
from .bpfqueue import (
    BEGUN_BYTES,
    COUNTS,
    MEMBERS,
    PATH_BYTES,
    QUEUED_BYTES,
    Fields,
    SocketPlace,
    accept_program,
    begin_program,
    count_program,
)
from .ending import Unavailable

MOST_PATHS = 4096
_VALUES = struct.Struct(f"={len(COUNTS)}Q")
_BEGUN = struct.Struct("=Q")
_PLAIN = COUNTS.index("waited_0")
_MOST_QUEUED = 1 << 15


class ConnectCounts(NamedTuple):
    """What became of the connects to one path since the begin, in the order of `COUNTS`."""

    connects: int
    turned_away: int  # EAGAIN: a full queue
    refused: int  # ECONNREFUSED: nobody listened
    failed_other: int
    took_ns: int  # all of them together
    waited_ns: int = 0  # from a connect's end to accept(), all of them together
    waited: tuple[int, ...] = ()  # how many waited up to each of `WAITS_NS`, and one more for longer

    def since(self, other: ConnectCounts) -> ConnectCounts:
        """Return what came since `other`."""
        return self._with(other, -1)

    def plus(self, other: ConnectCounts) -> ConnectCounts:
        """Return both together."""
        return self._with(other, 1)

    def _with(self, other: ConnectCounts, sign: int) -> ConnectCounts:
        none = (0,) * max(len(self.waited), len(other.waited))
        return ConnectCounts(
            self.connects + sign * other.connects,
            self.turned_away + sign * other.turned_away,
            self.refused + sign * other.refused,
            self.failed_other + sign * other.failed_other,
            self.took_ns + sign * other.took_ns,
            self.waited_ns + sign * other.waited_ns,
            tuple(a + sign * b for a, b in zip(self.waited or none, other.waited or none)),
        )


class ConnectCounter:
    """The programs and their maps; `place` and `why_not_function` as of a `bpf.ConnectTracer`.

    `why_no_waits` is why times in the queue are not measured, or ''.
    """

    def __init__(self) -> None:
        """Load and attach; raise Unavailable with the kernel's reason."""
        self._opened = bpf.begin(self._open)

    def _open(self, opened: ExitStack) -> None:
        self._begun = bpf.own(opened, bpf.make_map(bpf.HASH, 8, BEGUN_BYTES, bpf.MOST_THREADS))
        self._counts = bpf.own(opened, bpf.make_map(bpf.HASH, PATH_BYTES, _VALUES.size, MOST_PATHS))

        queued = bpf.own(opened, bpf.make_map(bpf.LRU_HASH, 8, QUEUED_BYTES, _MOST_QUEUED))
        fields, self.why_no_waits = _fields()

        def code(at: bpf.At) -> tuple[bytes, bytes]:
            sock = None if fields is None else SocketPlace(at.sock, at.by_descriptor, fields)
            enter = begin_program(at.address, at.length, at.read, self._begun, sock)
            return enter, count_program(at.result, self._begun, self._counts, fields and (queued, fields))

        def accepted(at: bpf.At) -> bytes:
            assert fields is not None  # noqa: S101 -- asked below
            return accept_program(at.result, SocketPlace(at.sock, at.by_descriptor, fields), queued, self._counts)

        self.place, self.why_not_function = bpf.attach(code, opened)
        if fields is not None:
            try:
                bpf.attach_to_accept(accepted, opened, at_function=not self.why_not_function)
            except (Unavailable, OSError) as why:
                self.why_no_waits = str(why)

    def counts(self) -> dict[str, ConnectCounts]:
        """Return the counts since the begin by path."""
        found = {}
        for key in bpf.keys(self._counts, PATH_BYTES, MOST_PATHS):
            value = bpf.look_up(self._counts, key, _VALUES.size)
            if value is not None:
                numbers = _VALUES.unpack(value)
                found[_path(key)] = ConnectCounts(*numbers[:_PLAIN])._replace(waited=numbers[_PLAIN:])
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
                path = _path(value[_BEGUN.size : _BEGUN.size + PATH_BYTES])
                found[path] = found.get(path, 0) + 1
        return found

    def close(self) -> None:
        """Detach."""
        self._opened.close()


def _fields() -> tuple[Optional[Fields], str]:
    """Return where the kernel keeps what leads to a socket, or None and why that is not known."""
    try:
        found = btf.find_members(bpf.described(), MEMBERS)
    except (OSError, ValueError) as error:
        return None, f"{btf.KERNEL}: {error}"
    return (None, f"{btf.KERNEL} does not describe a socket") if found is None else (Fields(*found), "")


def _path(key: bytes) -> str:
    return os.fsdecode(key.rstrip(b"\0"))
