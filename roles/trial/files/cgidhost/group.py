"""The control group of a block's processes: what they used together, those included that nobody reaps, and its end.

It is made below the group that the block process is in already, so that whatever bounds that one goes on to hold. A
group is ours by its owner and its name, which says whose directory of blocks it belongs to; it is removed through the
descriptor of the directory it lies in, and only when no process is in it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import stat
import time
from contextlib import suppress
from functools import lru_cache
from typing import Iterator, NamedTuple, Optional

from .process import read_text, write_text

_NAME = re.compile(r"cgidlab-[0-9a-f]{16}-[0-9a-f]{16}")
_PROCS = "cgroup.procs"
_DEEPEST = 40  # that is looked into
_WEIGHTS = ("cpu.weight", "cpu.shares")  # of version 2 and 1: there where the group divides CPUs, too
_GONE_S = 2.0  # for the last processes of a group to have left it
_NS_OF_US = 1000


class _Hierarchy(NamedTuple):
    """A hierarchy that accounts for CPU."""

    name: str  # as the file says it
    fs: str
    controller: str  # of version 1; "" for version 2
    usage: str  # file


_KINDS = (_Hierarchy("v2", "cgroup2", "", "cpu.stat"), _Hierarchy("v1", "cgroup", "cpuacct", "cpuacct.usage"))


class Group:
    """A group that the calling process made, is in, and will leave."""

    def __init__(self, kind: _Hierarchy, parent: str, name: str) -> None:
        """Make it and enter it; raise OSError where that is refused, and leave nothing."""
        self.kind = kind.name
        self._parent = parent
        self._name = name
        self._place = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.mkdir(name, 0o755, dir_fd=self._place)
            try:
                _refuse_to_share(f"{parent}/{name}")
                self._usage = os.open(f"{parent}/{name}/{kind.usage}", os.O_RDONLY | os.O_CLOEXEC)
                self.used_ns()
                write_text(f"{parent}/{name}/{_PROCS}", "0")
            except OSError:
                with suppress(FileNotFoundError):
                    os.rmdir(name, dir_fd=self._place)
                raise
        except OSError:
            os.close(self._place)
            raise

    @property
    def path(self) -> str:
        """Return its directory."""
        return f"{self._parent}/{self._name}"

    def used_ns(self) -> int:
        """Return the CPU time of all that was ever in it; raise OSError where the kernel does not say."""
        text = os.pread(self._usage, 4096, 0)
        if self.kind == "v1":
            return int(text)
        for line in text.splitlines():
            name, _, value = line.partition(b" ")
            if name == b"usage_usec":
                return int(value) * _NS_OF_US
        raise OSError(errno.ENODATA, "says nothing of CPU time", f"{self.path}/cpu.stat")

    def leave(self) -> None:
        """Have the caller be where it came from, and remove the group; raise OSError where a process is still in it."""
        os.close(self._usage)
        write_text(f"{self._parent}/{_PROCS}", "0")
        _remove(self._place, self._name)
        os.close(self._place)


def _refuse_to_share(path: str) -> None:
    """Raise OSError for a group that has a share of the CPUs of its own: all of a block would weigh as one process."""
    if any(os.path.exists(f"{path}/{name}") for name in _WEIGHTS):
        raise OSError(errno.ENOTSUP, "a group there changes how CPUs are shared", path)


def make(blocks_dir: str) -> tuple[Optional[Group], str]:
    """Return a group of a block whose directory lies in `blocks_dir` and "", or None and why none can be made here."""
    name = f"cgidlab-{_digest(blocks_dir)}-{secrets.token_hex(8)}"
    why = "this kernel has no control group that counts CPU time"
    for kind, point, own in hierarchies():
        if own is None:
            why = f"{point} does not show the group this process is in"
            continue
        try:
            return Group(kind, own, name), ""
        except OSError as error:
            why = f"no control group can be made in {own}: {error.strerror or error}"
    return None, why


def remove_dead(blocks_dir: str) -> tuple[list[str], list[str]]:
    """Remove the groups of blocks of this directory that no process is in; return these, and what could not be removed.

    A group with processes stays, whoever asks: the kernel sees to that.
    """
    removed, problems = [], []
    begin = f"cgidlab-{_digest(blocks_dir)}-"
    for path, name, place in _found():
        if not name.startswith(begin):
            continue
        try:
            _remove(place, name)
            removed.append(path)
        except OSError as error:
            problems.append(f"{path}: {error.strerror}")
    return removed, problems


def directories(blocks_dir: str) -> list[str]:
    """Return the groups of blocks of this directory, dead or alive."""
    begin = f"cgidlab-{_digest(blocks_dir)}-"
    return sorted(path for path, name, _ in _found() if name.startswith(begin))


def throttled_us() -> Optional[int]:
    """Return how long the caller's control group and those above it were not allowed to run; None: not told."""
    known = [value // scale for path, word, scale in _bounded() for value in _values(path, word)]
    return sum(known) if known else None


@lru_cache(maxsize=1)
def _bounded() -> tuple[tuple[str, str, int], ...]:
    """Return the files that say so, what the line is called and how many of its units a microsecond has.

    Looked for once: a process that is in its group asks at a window's edge.
    """
    for kind, point, own in hierarchies(("", "cpu")):
        word, scale = ("throttled_usec", 1) if kind.fs == "cgroup2" else ("throttled_time", _NS_OF_US)
        found = []
        at = own or ""
        while at.startswith(point):
            found += [(f"{at}/cpu.stat", word, scale)] if _values(f"{at}/cpu.stat", word) else []
            at = os.path.dirname(at)
        if found:
            return tuple(found)
    return ()


def _values(path: str, word: str) -> list[int]:
    try:
        lines = read_text(path).splitlines()
    except OSError:
        return []
    return [int(value) for name, _, value in (line.partition(" ") for line in lines) if name == word]


def _remove(place: int, name: str) -> None:
    """Remove a group once its last process has gone; raise OSError where one stays, and for somebody else's."""
    about = os.stat(name, dir_fd=place, follow_symlinks=False)
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "belongs to somebody else", name)
    deadline = time.monotonic() + _GONE_S
    while True:
        try:
            os.rmdir(name, dir_fd=place)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            if time.monotonic() > deadline:
                raise OSError(errno.EBUSY, "processes are still in it", name) from error
        else:
            return
        time.sleep(0.01)  # nothing tells that a killed process has gone


def _digest(blocks_dir: str) -> str:
    """Return what names the directory and the file system it lies on.

    Containers may see each other's groups, and their work directories often have one path.
    """
    path = os.path.realpath(blocks_dir)
    place = os.path.dirname(path)
    while not os.path.isdir(place):
        place = os.path.dirname(place)
    return hashlib.sha256(f"{os.stat(place).st_dev} {path}".encode()).hexdigest()[:16]


def _found() -> Iterator[tuple[str, str, int]]:
    """Yield path, name and the directory's descriptor of whatever has such a group's name."""
    for _, point, _ in hierarchies():
        for base, names, _, place in os.fwalk(point, onerror=None):
            for name in [name for name in names if _NAME.fullmatch(name)]:
                names.remove(name)
                yield os.path.join(base, name), name, place
            if base.count(os.sep) > _DEEPEST:
                names.clear()  # of a user who has groups of their own, deeper than a walk can go


def hierarchies(controllers: tuple[str, ...] = ("", "cpuacct")) -> Iterator[tuple[_Hierarchy, str, Optional[str]]]:
    """Yield each hierarchy with one of the controllers: its mount point, and the caller's own group below it."""
    try:
        mounts = read_text("/proc/self/mountinfo", 1 << 22).splitlines()
        groups = [line.split(":", 2) for line in read_text("/proc/self/cgroup").splitlines()]
    except OSError:
        return
    paths = {name: path for _, names, path in groups for name in names.split(",")}
    for kind in _KINDS:
        for line in mounts:
            fields, _, rest = line.partition(" - ")
            fs, _, options = rest.split(" ", 2)
            wanted = controllers[0] if kind.fs == "cgroup2" else controllers[1]
            if fs != kind.fs or (wanted and wanted not in options.split(",")):
                continue
            root, point = fields.split()[3:5]
            yield kind, point, _below(paths.get(wanted), root, point)
            break


def _below(path: Optional[str], root: str, point: str) -> Optional[str]:
    """Return where a group is below a mount point that shows the groups below `root`; None: it does not."""
    if path is None or "/.." in path:
        return None
    base = root.rstrip("/")
    if path != root and not path.startswith(base + "/"):
        return None
    return (point + path[len(base) :]).rstrip("/")
