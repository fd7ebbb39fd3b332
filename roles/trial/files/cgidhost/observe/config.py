"""What httpd's configuration files say of a few directives. Reads files; never asks the server.

A plain reader: it follows Include, takes IfModule for loaded modules and leaves
out what is inside of a virtual host or directory. What it cannot follow
(IfDefine, IfVersion, If) it takes as given, and a file that changed after the server read
it makes all of it unknown.
"""

from __future__ import annotations

import glob
import os
import re
import time
from typing import Iterator, NamedTuple, Optional

_WANTED = {"loglevel", "maxrequestworkers", "maxclients", "serverlimit", "threadsperchild", "serverroot", "define"}
_OPEN = re.compile(r"^<\s*(\w+)\s*([^>]*)>?")
_MOST_FILES = 2000
_READ_WITHIN_S = 0.5  # a server has read its files so soon after its start
_LOCAL = {"virtualhost", "directory", "directorymatch", "location", "locationmatch", "files", "filesmatch", "proxy"}
_OF_CGID = ("cgid", "cgid_module", "mod_cgid.c")


class Settings(NamedTuple):
    """What the files say, None for a directive that they do not have."""

    log_level: Optional[str]  # of mod_cgid's messages
    max_request_workers: Optional[int]


NOTHING = Settings(None, None)


class _Reader:
    def __init__(self, root: str, server_root: str, loaded: set[str]) -> None:
        self._root = root  # of the server's file system, "" for the caller's
        self._server_root = server_root
        self._loaded = loaded
        self._defined: dict[str, str] = {}
        self._files = 0
        self.newest_s = 0.0

    def directives(self, path: str) -> Iterator[tuple[str, str]]:
        """Yield name and argument of directives of the main server."""
        self._files += 1
        if self._files > _MOST_FILES:
            raise OSError(f"more than {_MOST_FILES} files")
        own = self._root + path
        self.newest_s = max(self.newest_s, os.stat(own).st_mtime)
        with open(own, encoding="utf-8", errors="replace") as file:
            lines = file.read().replace("\\\n", " ").splitlines()
        yield from self._of(lines)

    def _of(self, lines: list[str]) -> Iterator[tuple[str, str]]:
        skipped: list[bool] = []  # of each open section
        for raw in lines:
            line = raw.strip()
            if line.startswith("</"):
                if skipped:
                    skipped.pop()
            elif line.startswith("<"):
                found = _OPEN.match(line)
                skipped.append(found is not None and self._leaves_out(found.group(1).lower(), found.group(2).strip()))
            elif line and not line.startswith("#") and not any(skipped):
                yield from self._directive(line)

    def _leaves_out(self, section: str, argument: str) -> bool:
        if section == "ifmodule":
            name = argument.lstrip("!").strip().strip('"').lower()
            there = any(name in (m, f"{m}_module", f"mod_{m}.c", f"{m}.c") for m in self._loaded)
            return there == argument.startswith("!")
        return section in _LOCAL

    def _directive(self, line: str) -> Iterator[tuple[str, str]]:
        name, _, argument = line.partition(" ")
        name, argument = name.lower(), self._expand(argument.strip())
        if name in ("include", "includeoptional"):
            pattern = argument.strip('"')
            if not pattern.startswith("/"):
                pattern = f"{self._server_root}/{pattern}"
            for path in sorted(glob.glob(self._root + pattern)):
                inside = path[len(self._root) :]
                if os.path.isdir(path):
                    names = sorted(os.listdir(path))
                    for one in names:
                        yield from self.directives(f"{inside}/{one}")
                else:
                    yield from self.directives(inside)
        elif name == "define":
            key, _, value = argument.partition(" ")
            self._defined[key] = value.strip().strip('"')
        elif name == "serverroot":
            self._server_root = argument.strip('"')
        elif name in _WANTED:
            yield name, argument

    def _expand(self, text: str) -> str:
        return re.sub(r"\$\{(\w+)\}", lambda m: self._defined.get(m.group(1), m.group(0)), text)


def read(words: list[str], binary: bytes, root: str, loaded: set[str], started_s: float) -> Settings:
    """Return what the configuration says of a server; `words` is its command line, `root` leads to its files.

    Nothing is known where a file changed after `started_s`, or cannot be read.
    """
    path, server_root = _main_file(words, binary)
    if not path:
        return NOTHING
    reader = _Reader(root, server_root, loaded)
    log_level, workers = None, None
    try:
        for name, argument in reader.directives(path):
            if name == "loglevel":
                log_level = _of_cgid(argument.split(), log_level)
            elif name in ("maxrequestworkers", "maxclients") and argument.isdigit():
                workers = int(argument)
    except OSError:
        return NOTHING
    if reader.newest_s > started_s + _READ_WITHIN_S:
        return NOTHING
    return Settings(log_level or "warn", workers)


def _main_file(words: list[str], binary: bytes) -> tuple[str, str]:
    """Return the first file and the server's root: from the command line, else as they were built in."""
    options = dict(zip(words[1:], words[2:]))
    root = options.get("-d") or _built_in(binary, rb"HTTPD_ROOT")
    path = options.get("-f") or _built_in(binary, rb"SERVER_CONFIG_FILE")
    if path and not path.startswith("/"):
        path = f"{root}/{path}" if root else ""
    return path, root


def _built_in(binary: bytes, name: bytes) -> str:
    found = re.search(rb"-D " + name + rb'="([^"\0]+)"', binary)
    return found.group(1).decode("utf-8", "replace") if found else ""


def _of_cgid(words: list[str], before: Optional[str]) -> Optional[str]:
    """Return the level that applies to mod_cgid after a LogLevel directive."""
    level = before
    for word in words:
        module, colon, own = word.rpartition(":")
        if not colon or module.lower() in _OF_CGID:  # a plain level takes back those of modules
            level = own.lower()
    return level


def started_s(start_ticks: int) -> float:
    """Return when a process with this start time began, in seconds since 1970."""
    since_boot = start_ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + since_boot
