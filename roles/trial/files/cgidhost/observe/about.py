"""What an httpd that runs is and allows: version, MPM, limits. Read from its files and memory; nothing is started."""

from __future__ import annotations

import os
import re
import struct
import urllib.request
from http.client import HTTPException
from typing import Any, NamedTuple, Optional

from ..ending import Unavailable
from ..process import read_text
from ..waiting import within
from . import config, networks, proctable
from .find import children
from .memory import ForeignMemory
from .plainfile import opened
from .proctable import Process

_BANNER = re.compile(rb"Apache/(2\.\d+\.\d+)[ \0(]")
_MODULE = re.compile(r"/mod_(\w+)\.so")
_MPM_MODULE = re.compile(r"/mod_mpm_(\w+)\.so")
_MPM_BUILT_IN = re.compile(rb"\0(event|worker|prefork)\.c\0")
_BINARY_BYTES = 16 << 20
_SHARED = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) rw-s \S+ \S+ \S+ +(/dev/zero \(deleted\)|\S*)", re.MULTILINE)
# apr_shm_create keeps the length in front of what it gives out; scoreboard.h: global_score begins with these.
_SCOREBOARD = struct.Struct("@Nii")
_MOST = 20_000  # MAX_SERVER_LIMIT and MAX_THREAD_LIMIT of the MPMs
_SCORE_BYTES = (64, 4096)  # one worker_score, in any version
_STATUS_S = 5.0


def describe(master: Process, daemon: Optional[int], status_url: str, memory: ForeignMemory) -> dict[str, Any]:
    """Return version, MPM and limits; None for what cannot be known here."""
    try:
        maps = read_text(f"/proc/{master.pid}/maps", 1 << 22)
    except OSError:
        maps = ""
    binary = _binary(master.pid)
    banner = _BANNER.search(binary)
    workers = worker_pids(master, daemon)
    threads = max((thread_count(pid) for pid in workers), default=0)
    board = _board(master.pid, maps, memory)
    mpm = _mpm(maps, binary)
    settings = _settings(master, binary, {*_MODULE.findall(maps), mpm or "", f"mpm_{mpm}"})
    found: dict[str, Any] = {
        "binary": proctable.link(master.pid, "exe") or next(iter(proctable.words(master.pid)), ""),
        "version": f"Apache/{banner.group(1).decode()}" if banner else None,
        "mpm": mpm,
        "processes": len(workers),
        # Beside the workers a process of a threaded MPM has its main thread and a listener.
        "threads_per_child": max(1, threads - 2) if threads > 1 else (1 if threads else None),
        "server_limit": None if board is None else board.servers,
        "thread_limit": None if board is None else board.threads,
        "max_request_workers": settings.max_request_workers,
        "log_level": settings.log_level,
        "status": ask_status(master.pid, status_url) if status_url else None,
    }
    return found


def _settings(master: Process, binary: bytes, loaded: set[str]) -> config.Settings:
    """Return what the configuration says; nothing where the server's own file system cannot be seen."""
    root = f"/proc/{master.pid}/root"
    if not os.access(f"{root}/", os.R_OK):
        return config.NOTHING
    return config.read(proctable.words(master.pid), binary, root, loaded, config.started_s(master.start_ticks))


def worker_pids(master: Process, daemon: Optional[int]) -> list[int]:
    """Return the processes of an httpd that hold workers."""
    return [p.pid for p in children(master.pid) if p.pid != daemon and p.name == master.name]


def thread_count(pid: int) -> int:
    """Return how many threads a process has, 0 when it is gone."""
    try:
        return len(os.listdir(f"/proc/{pid}/task"))
    except OSError:
        return 0


def _binary(pid: int) -> bytes:
    """Return the program's file; without privileges the one that its command line names."""
    return _content(f"/proc/{pid}/exe") or b"".join(_content(word) for word in proctable.words(pid)[:1])


def _content(path: str) -> bytes:
    try:
        with open(opened(path), "rb") as file:
            return file.read(_BINARY_BYTES)
    except OSError:
        return b""


def _mpm(maps: str, binary: bytes) -> Optional[str]:
    module = _MPM_MODULE.search(maps)
    if module:
        return module.group(1)
    built_in = _MPM_BUILT_IN.search(binary)
    return built_in.group(1).decode() if built_in else None


class FoundScoreboard(NamedTuple):
    """A scoreboard in shared memory: where its `global_score` is, how long all of it is, and for how many workers."""

    address: int
    size: int
    servers: int  # ServerLimit
    threads: int  # ThreadLimit


def _board(pid: int, maps: str, memory: ForeignMemory) -> Optional[FoundScoreboard]:
    try:
        return scoreboard(pid, maps, memory)
    except Unavailable:
        return None


def scoreboard(pid: int, maps: str, memory: ForeignMemory) -> Optional[FoundScoreboard]:
    """Return the scoreboard of an httpd; None where there is none, or no right to trace it. Raise Unavailable."""
    found = (_board_at(pid, memory, int(b, 16), int(e, 16) - int(b, 16)) for b, e, _ in _SHARED.findall(maps))
    return next(filter(None, found), None)


def _board_at(pid: int, memory: ForeignMemory, at: int, length: int) -> Optional[FoundScoreboard]:
    """Return the scoreboard if one lies there: what it says must agree with its size."""
    begin = memory.read(pid, at, _SCOREBOARD.size, again=True)
    if len(begin) < _SCOREBOARD.size:
        return None
    size, servers, threads = _SCOREBOARD.unpack(begin)
    if not (0 < servers <= _MOST and 0 < threads <= _MOST and size <= length < size + (1 << 16)):
        return None
    fits = _SCORE_BYTES[0] <= size // (servers * threads) <= _SCORE_BYTES[1]
    return FoundScoreboard(at + _SCOREBOARD.size - 8, size, servers, threads) if fits else None


class _NowhereElse(urllib.request.HTTPRedirectHandler):
    """Follows no redirection: what answers may be anybody's who looks like an httpd."""

    def redirect_request(self, *_args: Any, **_more: Any) -> None:  # noqa: ANN401 -- the library's
        """Return that there is nothing to ask for."""


def ask_status(pid: int, url: str) -> Optional[dict[str, str]]:
    """Ask mod_status once, from inside of the server's network; it is a request like any other and will be logged."""
    asking = urllib.request.build_opener(_NowhereElse)
    try:
        with networks.inside(pid), within(_STATUS_S), asking.open(url, timeout=_STATUS_S) as answer:
            text = answer.read(1 << 20).decode("utf-8", "replace")
    except (OSError, ValueError, HTTPException):
        return None
    pairs = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    wanted = ("ServerVersion", "ServerMPM", "BusyWorkers", "IdleWorkers", "Processes", "ServerUptimeSeconds")
    return {name: pairs[name] for name in wanted if name in pairs}
