"""Reads the memory of strangers' processes, in a process of its own, which may wait for ever in our place.

Any user can map a file of a file system of their own (FUSE). Whoever reads such a page of that process waits until the
user's program gives it, and the kernel has no signal end that.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import time
from contextlib import suppress
from typing import Optional

from .. import libc
from ..ending import Unavailable

_ASKED = struct.Struct("=iQQ?")  # whose, where, how much, and whether the same will be asked again
_ANSWER = struct.Struct("=Qq")  # how much, and the CPU time that it took
_WITHIN_S = 1.0
_MOST_LOST = 3  # processes that were waited for in vain; each costs the others a second
_FIRST_FILE, _MOST_FILES = 3, 1 << 20


class ForeignMemory:
    """Whoever reads here is never kept for long by what is read."""

    def __init__(self, within_s: float = _WITHIN_S) -> None:
        """Start nothing yet."""
        self._within_s = within_s
        self._reader: Optional[int] = None
        self._socket: Optional[socket.socket] = None
        self._lost: set[int] = set()
        self.cpu_ns = 0  # of the process that reads

    def read(self, pid: int, address: int, length: int, *, again: bool = False) -> bytes:
        """Return what stands there, less where a part cannot be read; with `again` of one process whatever has its pid.

        Raise Unavailable where it does not come in time, for that process from then on, and in the end for all.
        """
        if pid in self._lost or len(self._lost) >= _MOST_LOST:
            raise Unavailable("what stands in its memory does not come when it is read")
        if not 0 <= address < 1 << 63:
            return b""
        try:
            return self._answer(_ASKED.pack(pid, address, length, again))
        except (OSError, EOFError) as why:
            self._lost.add(pid)
            self.close()
            raise Unavailable("what stands in its memory does not come when it is read") from why

    def close(self) -> None:
        """End the reader, or leave it to wait: it holds nothing."""
        if self._socket is not None and self._reader is not None:
            self._socket.close()
            with suppress(OSError):
                os.kill(self._reader, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(self._reader, os.WNOHANG)
        self._socket = self._reader = None

    def _answer(self, asked: bytes) -> bytes:
        here = self._socket or self._started()
        here.sendall(asked)
        until_s = time.monotonic() + self._within_s
        length, cpu_ns = _ANSWER.unpack(_received(here, _ANSWER.size, until_s))
        self.cpu_ns += cpu_ns
        return _received(here, length, until_s)

    def _started(self) -> socket.socket:
        here, there = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            try:
                _serve(there)
            finally:
                os._exit(0)
        there.close()
        self._reader, self._socket = pid, here
        return here


def _received(here: socket.socket, length: int, until_s: Optional[float]) -> bytes:
    """Return so many bytes; raise EOFError where no more come, TimeoutError where they come too late."""
    parts, left = [], length
    poll = select.poll()
    poll.register(here, select.POLLIN)
    while left:
        if not poll.poll(None if until_s is None else max(0.0, until_s - time.monotonic()) * 1000):
            raise TimeoutError(110, "not in time")
        part = here.recv(min(left, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _serve(there: socket.socket) -> None:
    """Be the reader, with nothing open that would be held while it waits."""
    libc.die_with_parent()
    os.closerange(_FIRST_FILE, there.fileno())
    os.closerange(there.fileno() + 1, _MOST_FILES)
    kept: dict[int, int] = {}
    told_ns = 0
    while True:
        pid, address, length, again = _ASKED.unpack(_received(there, _ASKED.size, None))
        data = read_now(kept, pid, address, length, again=again)
        used_ns = time.process_time_ns()
        there.sendall(_ANSWER.pack(len(data), used_ns - told_ns))
        there.sendall(data)
        told_ns = used_ns


def read_now(kept: dict[int, int], pid: int, address: int, length: int, *, again: bool) -> bytes:
    """Return what stands there; b"" where it cannot be read. May never return."""
    try:
        memory = kept.get(pid) or os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    if again:
        kept[pid] = memory
    try:
        return os.pread(memory, length, address)
    except (OSError, OverflowError):
        return b""
    finally:
        if pid not in kept:
            os.close(memory)
