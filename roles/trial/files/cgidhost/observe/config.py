"""What httpd's configuration files say of a few directives. Reads files; never asks the server.

A plain reader: it follows Include, takes IfModule for loaded modules and leaves
out what is inside of a virtual host or directory. What it cannot follow
(IfDefine, IfVersion, If) it takes as given, and a file that changed after the server read
it makes all of it unknown. Any user of the host may start what looks like a server and
name its file: plain files alone are opened, and so much of them.
"""

from __future__ import annotations

import fnmatch
import itertools
import os
import re
import time
from typing import Iterator, NamedTuple, Optional

from .plainfile import opened

_INCLUDES = ("include", "includeoptional")
_WANTED = {"loglevel", "maxrequestworkers", "maxclients", "serverroot", "define", *_INCLUDES}
_OPEN = re.compile(r"^<\s*(\w+)\s*([^>]*)>?")
_MOST_FILES = 2000
_MOST_BYTES = 4 << 20  # of all files together
_MOST_NAMES = 50_000  # in directories, that patterns are compared with
_DEEPEST = 20  # as httpd has it: a file included by a file
_LONGEST = 8192  # of an argument, as httpd has it
_MOST_DEFINED = 1000
_PATTERN = re.compile(r"[*?[]")
_NUMBER = re.compile(r"[0-9]{1,9}")
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
        self._bytes_left = _MOST_BYTES
        self._names_left = _MOST_NAMES
        self.newest_s = 0.0

    def directives(self, path: str, depth: int = 0) -> Iterator[tuple[str, str]]:
        """Yield name and argument of directives of the main server; raise OSError where that takes too much."""
        self._files += 1
        if self._files > _MOST_FILES or depth > _DEEPEST:
            raise OSError(f"more than {_MOST_FILES} files, or {_DEEPEST} in each other")
        data, changed_s = _content(self._root + path, self._bytes_left)
        self._bytes_left -= len(data)
        self.newest_s = max(self.newest_s, changed_s)
        lines = data.decode("utf-8", "replace").replace("\\\n", " ").splitlines()
        yield from self._of(lines, depth)

    def _of(self, lines: list[str], depth: int) -> Iterator[tuple[str, str]]:
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
                yield from self._directive(line, depth)

    def _leaves_out(self, section: str, argument: str) -> bool:
        if section == "ifmodule":
            name = argument.lstrip("!").strip().strip('"').lower()
            there = any(name in (m, f"{m}_module", f"mod_{m}.c", f"{m}.c") for m in self._loaded)
            return there == argument.startswith("!")
        return section in _LOCAL

    def _directive(self, line: str, depth: int) -> Iterator[tuple[str, str]]:
        name, _, argument = line.partition(" ")
        name = name.lower()
        if name not in _WANTED:
            return
        argument = self._expand(argument.strip())
        if name in _INCLUDES:
            pattern = argument.strip('"')
            if not pattern.startswith("/"):
                pattern = f"{self._server_root}/{pattern}"
            for path in self._named(pattern):
                if os.path.isdir(self._root + path):
                    for one in sorted(self._names(path)):
                        yield from self.directives(f"{path}/{one}", depth + 1)
                else:
                    yield from self.directives(path, depth + 1)
        elif name == "define":
            key, _, value = argument.partition(" ")
            self._defined[key] = value.strip().strip('"')
            if len(self._defined) > _MOST_DEFINED:
                raise OSError(f"more than {_MOST_DEFINED} definitions")
        elif name == "serverroot":
            self._server_root = argument.strip('"')
        else:
            yield name, argument

    def _named(self, pattern: str) -> list[str]:
        """Return what there is of a name, or of a pattern, in order."""
        found = [""]
        for part in filter(None, pattern.split("/")):
            if _PATTERN.search(part):
                fits = re.compile(fnmatch.translate(part)).match
                hidden = part.startswith(".")
                found = [
                    f"{place}/{name}"
                    for place in found
                    for name in self._names(place)
                    if fits(name) and name.startswith(".") == hidden
                ]
            else:
                found = [f"{place}/{part}" for place in found]
            if len(found) > _MOST_FILES:
                raise OSError(f"more than {_MOST_FILES} files")
        return sorted(path for path in found if os.path.lexists(self._root + path))

    def _names(self, directory: str) -> list[str]:
        try:
            with os.scandir(f"{self._root}{directory}/") as entries:
                names = [entry.name for entry in itertools.islice(entries, self._names_left)]
        except (OSError, ValueError):  # a name that no directory can have
            return []
        self._names_left -= len(names)
        if self._names_left <= 0:
            raise OSError(f"more than {_MOST_NAMES} names to compare with patterns")
        return names

    def _expand(self, text: str) -> str:
        if len(text) <= _LONGEST:
            text = re.sub(r"\$\{(\w+)\}", lambda m: self._defined.get(m.group(1), m.group(0)), text)
        if len(text) > _LONGEST:
            raise OSError(f"an argument is longer than {_LONGEST} characters")
        return text


def _content(path: str, most_bytes: int) -> tuple[bytes, float]:
    """Return a plain file's content and when it was changed; raise OSError for anything else, and for more bytes."""
    with open(opened(path), "rb") as file:
        about = os.fstat(file.fileno())
        # One without a size is empty, or one of the kernel's that tells something else each time it is read.
        data = (file.read(most_bytes + 1) or b"") if about.st_size else b""
    if len(data) > most_bytes:
        raise OSError(27, "more than is read of a configuration", path)
    return data, about.st_mtime


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
            elif name in ("maxrequestworkers", "maxclients") and _NUMBER.fullmatch(argument):
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
