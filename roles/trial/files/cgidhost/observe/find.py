"""Finds what can be watched: httpd instances by their processes, and the listening unix sockets that are theirs."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Iterable, Iterator, Optional

from ..process import read_text
from ..sockdiag import UnixListener
from . import networks, proctable
from .holders import Holders
from .proctable import Process

# Without privileges there is no more than the name; with them the loaded libraries decide.
_HTTPD_NAME = re.compile(r"^(httpd|apache2?)([-.@]\S*)?$")
_KERNEL_THREADS = 2  # kthreadd, the parent of them all
_ROOT = "run as root (--become)"
_OWN_PID_SUFFIX = re.compile(r"\.\d+$")


@dataclass
class Target:
    """One listening socket to watch, with the httpd it belongs to if it does."""

    label: str  # the socket's path without the server's pid: the same after a restart
    path: str  # "" when there is none
    listener: Optional[UnixListener]
    network: str  # name of its network namespace
    reach: int  # a process in that namespace
    master: Optional[Process] = None  # httpd's first process
    daemon: Optional[int] = None  # holds the socket
    holders: list[int] = field(default_factory=list)  # all who hold it, where it is no httpd's
    by_name_alone: bool = False  # the owner could not be seen: the socket's name holds its pid
    notes: list[str] = field(default_factory=list)  # why there is less to see than there could be

    @property
    def pid(self) -> Optional[int]:
        """Return the process this is listed under: httpd's first, else the socket's holder."""
        return self.master.pid if self.master is not None else self.daemon


@dataclass
class Found:
    """What a look at the host gave."""

    targets: list[Target]
    listeners: list[str]  # all sockets that could have been named
    notes: list[str]  # what could not be seen of the host


def look(sockets: tuple[str, ...] = ()) -> Found:
    """Return the cgid sockets of all httpd instances, or those that `sockets` names, which may be any listener's."""
    table = proctable.read_all()
    spaces = networks.one_process_each(table)
    listeners, notes = _listeners(spaces)
    if any(proctable.hidden(pid) for pid in table if pid != 1):
        notes.append("other users' processes cannot be looked into: sockets in containers may be missing (--become)")
    if 1 not in table:
        notes.append("processes of other users are hidden (/proc is mounted with hidepid)")
    targets = [_instance(m, table, spaces, listeners) for m in masters(table)]
    if sockets:
        targets = list(_named(sockets, targets, spaces, listeners, table))
    known = sorted({one.path for found in listeners.values() for one in found if one.path})
    _tell_apart(targets)
    return Found(targets, [p.replace("\0", "@") for p in known], notes)


def _listeners(spaces: dict[str, int]) -> tuple[dict[str, list[UnixListener]], list[str]]:
    """Return the listening unix sockets of each network namespace, and which of them could not be entered."""
    found: dict[str, list[UnixListener]] = {}
    notes = []
    for name, pid in spaces.items():
        try:
            found[name] = networks.unix_listeners(pid)
        except OSError as error:  # noqa: PERF203 -- namespaces are few
            notes.append(f"the network namespace of process {pid} cannot be entered: {error.strerror} (--become)")
    return found, notes


def masters(table: dict[int, Process]) -> list[Process]:
    """Return the first process of every httpd: it has children of its own name, and is no child of such a one."""
    children: dict[int, list[Process]] = {}
    for p in table.values():
        children.setdefault(p.parent, []).append(p)
    found = []
    for p in sorted(table.values(), key=lambda p: p.pid):
        parent = table.get(p.parent)
        first = parent is None or parent.name != p.name
        same = [c for c in children.get(p.pid, []) if c.name == p.name]
        if first and same and p.pid != _KERNEL_THREADS and is_httpd(p):
            found.append(p)
    return found


def is_httpd(process: Process) -> bool:
    """Say whether a process is httpd: by the libraries it has loaded where they may be seen, else by its name."""
    try:
        maps = read_text(f"/proc/{process.pid}/maps", 1 << 22)
    except OSError:
        maps = ""
    if maps:
        return "/mod_cgid.so" in maps or (
            "libapr-1" in maps and re.search(r"/mod_\w+\.so|/(httpd|apache2)\n", maps) is not None
        )
    return _HTTPD_NAME.match(process.name) is not None


def children(pid: int) -> list[Process]:
    """Return the living children of a process."""
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
        pids = [int(c) for t in tasks for c in read_text(f"/proc/{pid}/task/{t}/children").split()]
    except OSError:
        return [p for p in proctable.read_all().values() if p.parent == pid]
    found = (proctable.read(p) for p in pids)
    return [p for p in found if p is not None and p.parent == pid and p.state not in "ZX"]


def _instance(
    master: Process, table: dict[int, Process], spaces: dict[str, int], listeners: dict[str, list[UnixListener]]
) -> Target:
    """Return an httpd with its cgid socket, or without one and the reason."""
    network = proctable.link(master.pid, "ns/net") or os.readlink("/proc/self/ns/net")
    reach = spaces.get(network, master.pid)
    here = listeners.get(network, [])
    suffix = f".{proctable.innermost_pid(master.pid)}"
    held = _held([p.pid for p in table.values() if p.parent == master.pid and p.name == master.name])
    # mod_cgid adds the pid of httpd's first process to the name of its socket.
    owned = [one for one in here if held is not None and one.inode in held]
    named = [one for one in (owned if held is not None else here) if one.path.endswith(suffix)]
    # Without mod_cgid what its children hold is another module's, such as mod_wsgi's: a socket like any other's.
    pick = next(iter(named or (owned if _has_cgid(master) else [])), None)
    if pick is None:
        why = _why_no_socket(master) if network in listeners else f"its network namespace cannot be entered: {_ROOT}"
        return Target(f"httpd {master.pid}", "", None, network, reach, master, notes=[why])
    daemon = held.get(pick.inode) if held is not None else None
    label = _OWN_PID_SUFFIX.sub("", pick.path)
    return Target(label, pick.path, pick, network, reach, master, daemon, by_name_alone=held is None)


def _held(pids: list[int]) -> Optional[dict[int, int]]:
    """Return who of `pids` holds which socket, by inode; None where that may not be seen."""
    found: dict[int, int] = {}
    for pid in pids:
        inodes = proctable.socket_inodes(pid)
        if inodes is None:
            return None
        found.update(dict.fromkeys(inodes, pid))
    return found


def _has_cgid(master: Process) -> Optional[bool]:
    """Say whether an httpd has loaded mod_cgid; None where its files cannot be seen."""
    try:
        return "/mod_cgid.so" in read_text(f"/proc/{master.pid}/maps", 1 << 22)
    except OSError:
        return None


def _why_no_socket(master: Process) -> str:
    loaded = _has_cgid(master)
    if loaded is None:
        return f"no listening socket carries its process id in its name, and its files cannot be seen: {_ROOT}"
    return "mod_cgid is loaded, but no daemon listens" if loaded else "it has no cgid socket: mod_cgid is not loaded"


def _named(
    sockets: tuple[str, ...],
    instances: list[Target],
    spaces: dict[str, int],
    listeners: dict[str, list[UnixListener]],
    table: dict[int, Process],
) -> Iterator[Target]:
    for wanted in sockets:
        path = "\0" + wanted[1:] if wanted.startswith("@") else wanted
        own = [t for t in instances if t.path and path in (t.path, t.label)]
        if own:
            yield from own
            continue
        for network, found in listeners.items():
            for one in found:
                if one.path == path:
                    yield _of_anybody(one, network, spaces[network], table)


def _of_anybody(listener: UnixListener, network: str, reach: int, table: dict[int, Process]) -> Target:
    """Return a target for a socket that is no httpd's: its holder is the oldest process that has it."""
    target = Target(listener.path.replace("\0", "@"), listener.path, listener, network, reach)
    target.holders = holding(listener.inode, table)
    if target.holders:
        target.daemon = Holders(listener.inode, target.holders).oldest
    else:
        target.notes.append("who holds the socket cannot be seen: run as root (--become)")
    return target


def holding(inode: int, pids: Iterable[int]) -> list[int]:
    """Return which of these processes hold a socket, as far as that may be seen."""
    return [pid for pid in sorted(pids) if inode in (proctable.socket_inodes(pid) or ())]


def holder(master: Process, inode: int) -> Optional[int]:
    """Return the child of an httpd that holds a socket, None where there is none or it may not be seen."""
    held = _held([p.pid for p in children(master.pid) if p.name == master.name])
    return None if held is None else held.get(inode)


def successor(target: Target) -> Optional[Target]:
    """Return the httpd that was started in place of one that ended: its socket has the same name and network."""
    if target.master is None:
        return None
    table = proctable.read_all()
    newer = {
        pid: p for pid, p in table.items() if p.name != target.master.name or p.start_ticks > target.master.start_ticks
    }
    for master in masters(newer):
        network = proctable.link(master.pid, "ns/net") or os.readlink("/proc/self/ns/net")
        if master.name != target.master.name or network != target.network:
            continue
        try:
            found = _instance(master, table, {network: master.pid}, {network: networks.unix_listeners(master.pid)})
        except OSError:
            continue
        if found.path and _OWN_PID_SUFFIX.sub("", found.path) == _OWN_PID_SUFFIX.sub("", target.path):
            found.label = target.label
            return found
    return None


def _tell_apart(targets: list[Target]) -> None:
    """Give each target a label of its own: two containers may use the same path."""
    seen: dict[str, int] = {}
    for target in targets:
        number = seen[target.label] = seen.get(target.label, 0) + 1
        if number > 1:
            target.label = f"{target.label} ({number})"
