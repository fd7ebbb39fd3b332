"""Says how a host is at this moment: what a run could leave behind on it, and whose it is. Changes nothing."""

from __future__ import annotations

import glob
import os
import re
import socket
import struct
import subprocess
import time
from contextlib import suppress
from typing import Any, Iterator

from . import SCHEMA_VERSION, bpf, group
from .process import pids, read_text, start_ticks
from .undo import MARK

_NET = "/proc/sys/net"
# Counters that stand among the settings, and keys that are nobody's business.
_NO_SETTING = re.compile(r"(nf_conntrack_count|fastopen_key|stable_secret|\.flush)$")
_HELPER = "cgidhost.pyz"  # what a block process runs as
_LISTENS = "0A"  # of a TCP socket, /proc/net/tcp
_ACCEPTS = 0x10000  # __SO_ACCEPTCON of a unix socket, /proc/net/unix
_UNIX = re.compile(
    r"[0-9a-f]+: (?:[0-9A-F]+ ){2}(?P<flags>[0-9A-F]+) [0-9A-F]+ [0-9A-F]+ +(?P<inode>[0-9]+)(?: (?P<path>.*))?"
)
_TEMPORARY = ("/tmp", "/run")  # noqa: S108 -- names of trials' sockets are looked for there


def take(work_dir: str, cache_dir: str) -> dict[str, Any]:
    """Return what there is: sysctls of net, processes, listeners, mounts, services, files of trials, bpf programs.

    `work_dir` and `cache_dir` are those of the host: what names them is a run's. No command line and no
    environment of anybody is in the answer, since those may hold secrets.
    """
    processes = _processes(work_dir, cache_dir)
    return {
        "schema_version": SCHEMA_VERSION,
        "boot_id": read_text("/proc/sys/kernel/random/boot_id").strip(),
        "taken_s": time.time(),
        "work_dir": work_dir,
        "sysctls": dict(_sysctls()),
        "processes": processes,
        "listeners": _listeners(processes),
        "mounts": _mounts(),
        "services": _services(),
        "files": _files(work_dir),
        "bpf_programs": bpf.programs(),
    }


def _sysctls() -> Iterator[tuple[str, str]]:
    for base, directories, names in os.walk(_NET):
        directories.sort()
        for name in sorted(names):
            path = os.path.join(base, name)
            setting = os.path.relpath(path, "/proc/sys").replace("/", ".")
            if _NO_SETTING.search(setting):
                continue
            try:
                yield setting, " ".join(read_text(path, 4096).split())
            except OSError:  # written only, or not for us, or of an interface that just went
                continue


def _processes(work_dir: str, cache_dir: str) -> list[dict[str, Any]]:
    """Return all processes but this one and those it came from.

    `run` is the directory of the block that a process belongs to, "cache" where
    only its program tells that it is of some run, and "" for everybody else's.
    """
    found: dict[int, dict[str, Any]] = {}
    for pid in pids():
        started = start_ticks(pid)
        try:
            fields = read_text(f"/proc/{pid}/stat").rpartition(")")[2].split()
            name = read_text(f"/proc/{pid}/comm").strip()
            uid = os.stat(f"/proc/{pid}").st_uid
        except OSError:
            continue
        if started is not None and fields[0] not in "ZX":
            run = _run_of(pid, work_dir, cache_dir)
            found[pid] = {
                "pid": pid,
                "start_ticks": started,
                "parent": int(fields[1]),
                "uid": uid,
                "name": name,
                "run": run,
            }
    here = os.getpid()
    while here in found:
        here = int(found.pop(here)["parent"])
    for entry in found.values():
        entry["run"] = entry["run"] or _inherited(entry, found)
    return list(found.values())


def _run_of(pid: int, work_dir: str, cache_dir: str) -> str:
    for name in ("environ", "cmdline"):
        try:
            with open(f"/proc/{pid}/{name}", "rb") as file:
                words = os.fsdecode(file.read(1 << 20)).split("\0")
        except OSError:
            continue
        if name == "cmdline" and _HELPER in map(os.path.basename, words) and "--block" in words[:-1]:
            return os.path.dirname(words[words.index("--block") + 1])
        for word in words:
            if name == "environ" and word.startswith(MARK):
                return os.path.dirname(word[len(MARK) :])
            if name == "cmdline" and word.startswith(work_dir + "/"):
                return os.path.join(work_dir, word[len(work_dir) + 1 :].partition("/")[0])
    try:
        return "cache" if os.readlink(f"/proc/{pid}/exe").startswith(cache_dir + "/") else ""
    except OSError:
        return ""


def _inherited(entry: dict[str, Any], found: dict[int, dict[str, Any]]) -> str:
    seen = set()
    while entry["pid"] not in seen:
        seen.add(entry["pid"])
        if entry["run"]:
            return str(entry["run"])
        entry = found.get(entry["parent"], entry)
    return ""


def _listeners(processes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    sockets = [*_tcp("tcp", socket.AF_INET), *_tcp("tcp6", socket.AF_INET6), *_unix()]
    wanted = {entry["inode"] for entry in sockets}
    owners: dict[str, int] = {}
    for process in processes:
        for inode in _sockets_of(process["pid"]):
            if inode in wanted:
                owners.setdefault(inode, process["pid"])
    return [{**{k: v for k, v in s.items() if k != "inode"}, "pid": owners.get(s["inode"])} for s in sockets]


def _tcp(protocol: str, family: int) -> list[dict[str, Any]]:
    try:
        lines = read_text(f"/proc/net/{protocol}", 1 << 24).splitlines()[1:]
    except OSError:
        return []
    found = []
    for fields in (line.split() for line in lines):
        if fields[3] == _LISTENS:
            address, _, port = fields[1].partition(":")
            words = struct.unpack(f">{len(address) // 8}I", bytes.fromhex(address))
            text = socket.inet_ntop(family, struct.pack(f"={len(words)}I", *words))
            found.append({"protocol": protocol, "address": f"{text} port {int(port, 16)}", "inode": fields[9]})
    return found


def _unix() -> list[dict[str, Any]]:
    # A name may hold an end of line, and what follows it any text: what has no such shape is the rest of one.
    lines = map(_UNIX.fullmatch, read_text("/proc/net/unix", 1 << 24).split("\n"))
    return [
        {"protocol": "unix", "address": fields["path"] or "", "inode": fields["inode"]}
        for fields in lines
        if fields is not None and int(fields["flags"], 16) & _ACCEPTS
    ]


def _sockets_of(pid: int) -> Iterator[str]:
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return
    for name in names:
        try:
            target = os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue
        if target.startswith("socket:["):
            yield target[8:-1]


def _mounts() -> list[dict[str, str]]:
    found = []
    for line in read_text("/proc/self/mountinfo", 1 << 24).splitlines():
        own, _, rest = line.partition(" - ")
        kind, source = rest.split()[:2]
        found.append({"point": own.split()[4], "type": kind, "source": source})
    return found


def _services() -> dict[str, str]:
    """Return the state of every service that systemd knows; empty where there is no systemd."""
    if not os.path.isdir("/run/systemd/system"):
        return {}
    command = ["systemctl", "list-units", "--type=service", "--all", "--plain", "--no-legend", "--no-pager"]
    try:
        said = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=20, check=False, text=True
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return {}
    units = (line.split(None, 4) for line in said.splitlines())
    return {unit[0]: unit[2] for unit in units if len(unit) > 2}  # noqa: PLR2004 -- name, load, active, sub


def _files(work_dir: str) -> list[dict[str, str]]:
    """Return what lies where trials put things; `run` is the block's directory that it belongs to, as far as known."""
    paths: list[str] = []
    with suppress(OSError):  # no run was ever here
        paths = [os.path.join(work_dir, name) for name in sorted(os.listdir(work_dir)) if name != "lock"]
    groups = [{"path": path, "run": ""} for path in group.directories(work_dir)]
    return [{"path": path, "run": path} for path in paths] + socket_directories() + groups


def socket_directories() -> list[dict[str, str]]:
    """Return every directory of a trial's sockets, with the block's directory that it says it belongs to."""
    paths = [path for base in _TEMPORARY for path in sorted(glob.glob(os.path.join(base, "cgid-*")))]
    return [{"path": path, "run": os.path.dirname(_owner_of(path))} for path in paths]


def _owner_of(run_dir: str) -> str:
    """Return the directory of the trial that made a directory of sockets, "" where it does not say."""
    try:
        return os.readlink(os.path.join(run_dir, "owner"))
    except OSError:
        return ""
