"""Whose requests fill a queue: what httpd's scoreboard says of the workers that sleep in connect().

It is personal data. Only sums are kept: of each virtual host, request line (without its query) and client (shortened to
a network), unless whole ones were asked for. httpd itself keeps no more than the first 63 characters of a request line.
"""

from __future__ import annotations

import ipaddress
import os
import struct
from collections import Counter
from functools import partial
from typing import Any, Callable, NamedTuple, Optional

from ..ending import Unavailable
from ..process import read_text
from . import about, proctable
from .memory import ForeignMemory

_TOP = 10
_MOST_KEYS = 5000
_OTHERS = "(others)"
_LARGEST = 1 << 26
_HEAD = struct.Struct("=Qiii")  # pthread_t, number, pid, generation
_LENGTH_BYTES, _GLOBAL_BYTES, _PROCESS_BYTES = 8, 56, range(24, 65, 8)  # the first is APR's own, in front
_CONNECT = "unix_wait_for_peer"
_THREAD_BYTES = 2048  # of what the C library keeps of a thread; its kernel's number is in there
_NUMBER = struct.Struct("=i")
# Where a worker's entry has its strings, by the entry's length (include/scoreboard.h of httpd 2.4, 64 bits).
_TEXTS = {
    264: ((120, 32), (152, 64), (216, 32)),
    336: ((272, 64), (152, 64), (216, 32)),
}


Read = Callable[[int, int], bytes]  # so many bytes from an address of a process; raises Unavailable


class Asked(NamedTuple):
    """What one worker works on."""

    client: str
    request: str
    vhost: str


class _WorkerPlaces(NamedTuple):
    """Where a scoreboard has its entries: so many of processes from `first` on, then those of their threads."""

    first: int
    servers: int
    process: int  # bytes of an entry
    threads: int
    worker: int  # same


class _Worker(NamedTuple):
    pid: int
    thread: int  # pthread_t
    entry: bytes


def shortened(asked: Asked) -> Asked:
    """Return it without what tells who it was: the network of the client, and no query."""
    words = asked.request.split(" ")
    line = " ".join([*words[:1], *(word.partition("?")[0] for word in words[1:2])])
    return Asked(network_of(asked.client), line, asked.vhost)


def network_of(client: str) -> str:
    """Return the network of an address, a /24 or a /48; "" for what is none."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return ""
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 48), strict=False))  # noqa: PLR2004 -- IPv4


class WorkerRequests:
    """Counts whose requests sleep in connect(), at each look at them."""

    name = "requests"
    keep_ns: Optional[int] = None

    def __init__(
        self,
        pid: int,
        worker_pids: Callable[[], list[int]],
        asleep: Callable[[], int],
        memory: ForeignMemory,
        *,
        whole: bool,
    ) -> None:
        """Find the scoreboard of the httpd whose first process is `pid`; raise Unavailable or OSError."""
        self._worker_pids, self._asleep, self._whole = worker_pids, asleep, whole
        os.close(os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC))  # or there is no right to
        self._pid, self._memory = pid, memory
        self._board = self._find(pid, memory)
        self._why_lost = ""
        self._contained = proctable.innermost_pid(pid) != pid
        self._tid_at: Optional[int] = None
        self._tids: dict[tuple[int, int], int] = {}
        self._counts: dict[str, Counter[str]] = {field: Counter() for field in Asked._fields}
        self.seen = self.unknown = self.silent = 0
        self.cpu_ns = self.samples = self.missed = 0

    @staticmethod
    def _find(pid: int, memory: ForeignMemory) -> _WorkerPlaces:
        """Return where the entries of processes and workers are; raise Unavailable.

        In front of them are the `global_score` and a `process_score` for each process (server/scoreboard.c, httpd 2.4).
        """
        board = about.scoreboard(pid, read_text(f"/proc/{pid}/maps", _LARGEST), memory)
        if board is None:
            raise Unavailable("httpd's scoreboard was not found in its memory")
        found = places(board)
        if found is None:
            raise Unavailable("httpd's scoreboard has no layout that is known")
        return found

    def sample(self, now_ns: int) -> None:  # noqa: ARG002 -- a gauge's
        """Count those who sleep now."""
        self.samples += 1
        if not self._asleep() or self._why_lost:
            return
        before_ns = self._memory.cpu_ns
        try:
            self._count_sleepers()
        except Unavailable as why:
            self._why_lost = str(why)
        self.cpu_ns += self._memory.cpu_ns - before_ns

    def _count_sleepers(self) -> None:
        sleeping: dict[int, tuple[int, set[int]]] = {}  # by process, in httpd's own numbers
        for pid in self._worker_pids():
            tids = {self._inner(tid) for tid in _sleeping(pid)}
            if tids:
                sleeping[self._inner(pid)] = pid, tids
        if not sleeping:
            return
        workers = self._workers()
        found: set[int] = set()
        for worker in workers:
            if worker.pid not in sleeping:
                continue
            known_as, tids = sleeping[worker.pid]
            tid = self._tid(known_as, worker, workers)
            if tid in tids and tid not in found:
                found.add(tid)
                self._count(self._asked(worker.entry))
        number = sum(len(tids) for _, tids in sleeping.values())
        self.seen += number
        self.unknown += number - len(found)

    def _inner(self, number: int) -> int:
        """Return a process or thread as httpd knows it itself: in a container that is another number."""
        return proctable.innermost_pid(number) if self._contained else number

    def _workers(self) -> list[_Worker]:
        """Return the entries of all workers with their process: prefork names that of the process alone."""
        return entries(partial(self._memory.read, self._pid, again=True), self._board)

    def _tid(self, known_as: int, worker: _Worker, workers: list[_Worker]) -> int:
        """Return the kernel's number of a worker's thread; a process without others is its own."""
        known = self._tids.get((worker.pid, worker.thread))
        if known is not None:
            return known
        tids = {self._inner(tid) for tid in _tids(known_as)}
        if len(tids) == 1:
            found = worker.pid
        else:
            if self._tid_at is None:
                threads = [w.thread for w in workers if w.pid == worker.pid and w.thread]
                self._tid_at = _place(partial(self._memory.read, known_as), threads, tids)
            at = self._tid_at
            found = 0 if at is None else _number_at(partial(self._memory.read, known_as), worker.thread + at)
            found = found if found in tids else 0
        if found:
            if len(self._tids) > 4 * self._board.servers * self._board.threads:  # of processes that are gone
                self._tids.clear()
            self._tids[worker.pid, worker.thread] = found
        return found

    def _asked(self, entry: bytes) -> Asked:
        texts = [entry[begin : begin + length] for begin, length in _TEXTS[self._board.worker]]
        return Asked(*(t.split(b"\0", 1)[0].decode("utf-8", "backslashreplace") for t in texts))

    def _count(self, asked: Asked) -> None:
        if not asked.request:
            self.silent += 1
            return
        for field, text in (asked if self._whole else shortened(asked))._asdict().items():
            counts = self._counts[field]
            counts[text if text in counts or len(counts) < _MOST_KEYS else _OTHERS] += 1

    def trim(self, now_ns: int) -> None:
        """Nothing is kept but sums."""

    def flush(self) -> None:
        """Nothing is written before the end."""

    def finish(self) -> None:
        """Nothing is open."""

    def said(self) -> dict[str, Any]:
        """Return the top ten by virtual host, request and client, how many slept, and why there are none."""
        why = self._why_lost if not self.seen else ""
        if self.seen and self.silent and self.silent == self.seen - self.unknown:
            why = "ExtendedStatus is Off: httpd keeps no request line (set ExtendedStatus On)"
        elif self.seen and self.unknown == self.seen:
            why = "which thread works on which request was not found"
        top = {f"{field}s": [list(pair) for pair in counts.most_common(_TOP)] for field, counts in self._counts.items()}
        return {"seen": self.seen, "unknown": self.unknown, "whole": self._whole, "why_none": why, **top}


def places(board: about.FoundScoreboard) -> Optional[_WorkerPlaces]:
    """Return where a scoreboard has its entries; None where it has no layout that is known, or is too large for one."""
    slots = board.servers * board.threads
    for stride in _TEXTS:
        each, rest = divmod(board.size - _LENGTH_BYTES - _GLOBAL_BYTES - stride * slots, board.servers)
        if rest == 0 and each in _PROCESS_BYTES and board.size <= _LARGEST:
            return _WorkerPlaces(board.address + _GLOBAL_BYTES, board.servers, each, board.threads, stride)
    return None


def entries(read: Read, b: _WorkerPlaces) -> list[_Worker]:
    """Return the entries of all workers with their process, which prefork names alone; none where httpd has ended."""
    length = b.servers * (b.process + b.threads * b.worker)
    raw = read(b.first, length)
    if len(raw) < length:
        return []
    found = []
    for server in range(b.servers):
        (of_server,) = _NUMBER.unpack_from(raw, server * b.process)
        for thread in range(b.threads):
            at = b.servers * b.process + (server * b.threads + thread) * b.worker
            pthread, _, pid, _ = _HEAD.unpack_from(raw, at)
            if pid or of_server:
                found.append(_Worker(pid or of_server, pthread, raw[at : at + b.worker]))
    return found


def _place(read: Read, threads: list[int], tids: set[int]) -> Optional[int]:
    """Return where the C library keeps the number of a thread: at the same place for all of a process."""
    memories = [read(thread, _THREAD_BYTES) for thread in threads]
    for at in range(0, _THREAD_BYTES, _NUMBER.size):
        numbers = {_NUMBER.unpack_from(m, at)[0] for m in memories if len(m) == _THREAD_BYTES}
        if len(numbers) == len(memories) > 0 and numbers <= tids:
            return at
    return None


def _sleeping(pid: int) -> set[int]:
    found = set()
    for tid in _tids(pid):
        try:
            if read_text(f"/proc/{pid}/task/{tid}/wchan") == _CONNECT:
                found.add(tid)
        except OSError:  # noqa: PERF203 -- it ended meanwhile
            continue
    return found


def _tids(pid: int) -> set[int]:
    try:
        return {int(name) for name in os.listdir(f"/proc/{pid}/task")}
    except OSError:
        return set()


def _number_at(read: Read, address: int) -> int:
    seen = read(address, _NUMBER.size)
    return int(_NUMBER.unpack(seen)[0]) if len(seen) == _NUMBER.size else 0
