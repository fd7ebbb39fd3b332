"""Who accepts from a listening socket that is no httpd's: their program, their number, and the CPU they use."""

from __future__ import annotations

import os
import re
from typing import Any, Iterable, NamedTuple, Optional

from ..process import read_text
from . import proctable
from .proctable import Process

_INIT = 1  # holds the sockets that it gives to services when they are asked for
_INTERPRETER = re.compile(r"(python|ruby|perl|node|php)[\d.]*$")
_HOLDS_CODE = re.compile(r"-[A-Za-z]*[ceEr]$")  # of Python, Ruby, Perl, Node and PHP
_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


class Used(NamedTuple):
    """What processes have used so far, their ended children with them."""

    cpu_ns: int
    runq_ns: dict[int, int]  # by process: how long its threads could have run but waited for a CPU


class Holders:
    """The processes that hold one listening socket."""

    def __init__(self, inode: int, pids: Iterable[int]) -> None:
        """Take those that hold the socket now; what holds it to start a service is none of them."""
        every = list(pids)
        self._inode = inode
        self._pids = [pid for pid in every if pid != _INIT] or every

    @property
    def oldest(self) -> Optional[int]:
        """Return the one that was started first, None where nobody may be seen."""
        found = [p for p in map(proctable.read, self._pids) if p is not None]
        return min(found, key=lambda p: p.start_ticks).pid if found else None

    def program(self) -> str:
        """Return the name of the program; of an interpreter, that of what it runs. No arguments: they may be secret."""
        pid = self.oldest
        process = None if pid is None else proctable.read(pid)
        if process is None:
            return ""
        if not _INTERPRETER.match(process.name):
            return process.name
        return run_by(process.name, proctable.words(process.pid)[1:])

    def numbers(self) -> set[int]:
        """Return the process ids that a socket's path may have from those who made it: theirs and their parents'."""
        found = set()
        for process in filter(None, map(proctable.read, self._pids)):
            for pid in {process.pid, process.parent} - {0, _INIT}:
                found |= {pid, proctable.innermost_pid(pid)}
        return found - {_INIT}

    def acceptors(self) -> list[int]:
        """Return those that accept: where workers are forked from a first process, that one only watches them."""
        alive = self._family()
        parents = {p.parent for p in alive}
        return [p.pid for p in alive if p.pid not in parents] or [p.pid for p in alive]

    def used(self) -> Used:
        """Return what all of them have used so far; workers that came and went are in their first process's."""
        cpu_ns, runq_ns = 0, {}
        for process in self._family():
            try:
                after = read_text(f"/proc/{process.pid}/stat").rpartition(")")[2].split()
                cpu_ns += sum(int(ticks) for ticks in after[11:15]) * _TICK_NS
                runq_ns[process.pid] = _waited_ns(process.pid)
            except (OSError, ValueError, IndexError):  # noqa: PERF203 -- it ended meanwhile
                continue
        return Used(cpu_ns, runq_ns)

    def _family(self) -> list[Process]:
        """Return those that live, and those that they forked since to accept as well."""
        return [p for p in proctable.read_all().values() if p.pid in self._pids or self._came_since(p)]

    def _came_since(self, process: Process) -> bool:
        if process.parent not in self._pids or process.parent == _INIT:
            return False
        return self._inode in (proctable.socket_inodes(process.pid) or ())


def run_by(interpreter: str, words: list[str]) -> str:
    """Return the name of what an interpreter runs, by its words; its own where these hold the program itself."""
    for at, word in enumerate(words):
        if _HOLDS_CODE.match(word):
            return interpreter
        if word == "-m":
            return next(iter(words[at + 1 :]), interpreter)
        if not word.startswith("-"):
            return os.path.basename(word)
    return interpreter


def _waited_ns(pid: int) -> int:
    tasks = os.listdir(f"/proc/{pid}/task")
    return sum(int(read_text(f"/proc/{pid}/task/{tid}/schedstat").split()[1]) for tid in tasks)


def said(holders: Holders, before: Used, after: Used, length_ns: int) -> dict[str, Any]:
    """Return number and use of those who accept, in cores."""
    both = [pid for pid in after.runq_ns if pid in before.runq_ns]
    runq_ns = sum(after.runq_ns[pid] - before.runq_ns[pid] for pid in both)
    return {
        "processes": len(holders.acceptors()),
        "cpu_cores": max(0, after.cpu_ns - before.cpu_ns) / max(1, length_ns),
        "runq_cores": runq_ns / max(1, length_ns),
    }
