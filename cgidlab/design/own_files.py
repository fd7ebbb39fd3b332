"""Files of the user's that an experiment names, read beside the experiment file and nowhere else."""

import errno
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cgidlab import named_file
from cgidlab.design import request_list
from cgidlab.design.strict_yaml import Document, KeyPath
from cgidlab.design.systems import OWN_SCRIPTS, script_file
from cgidlab.errors import SpecError
from cgidlab.model import Experiment, OwnFile

SCRIPT, REQUESTS, HOOK = "script", "requests", "hook"
_BUILT = frozenset({"hello", "sleep", "burn", "bytes"})
_MOST_SCRIPT_BYTES = 16 << 20
# It becomes part of a URL, of httpd.conf and of a path on the host.
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_LONGEST_FIRST_LINE = 250  # the kernel's own limit is 256 bytes
_ELF = b"\x7fELF"


@dataclass(frozen=True, slots=True)
class OwnContent:
    """A file of the user's as hosts get it."""

    kind: str  # the setting that names it; or that it is a hook
    name: str  # as its setting has it
    data: bytes
    said: str  # of a list of requests, what was made of the file

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of what hosts get."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def file(self) -> str:
        """Return the name of the file on hosts."""
        return "requests" if self.kind == REQUESTS else script_file(self.name)

    @property
    def first(self) -> str:
        """Return what is asked for first; of a script the script."""
        return f"/cgi-bin/{self.file}" if self.kind == SCRIPT else self.data.partition(b"\n")[0].decode()


def read(document: Document, experiment: Experiment) -> tuple[OwnContent, ...]:
    """Return every script, list of requests and hook that an experiment names, by paths relative to its file.

    Raises `SpecError` with file and line for what is no plain file, too large, or cannot be run or asked for.
    """
    beside = Path(document.name).parent
    scripts: dict[str, OwnContent] = {}
    lists: dict[str, OwnContent] = {}
    named = [*_named(experiment, SCRIPT)]
    for path, value in named:
        if value.startswith(OWN_SCRIPTS):
            scripts[value] = _script(beside, value, document.where(path))
    for path, value in _named(experiment, REQUESTS):
        if not value:
            continue
        where = document.where(path if path in document.lines else ("load", REQUESTS))
        asked = {script for _, script in named} or {"hello"}
        if len(asked) > 1:
            raise SpecError(
                "`script` is a factor, and `requests` says what is asked for",
                where=where,
                fix="keep one: name one script, or ask for each script alone",
            )
        lists[value] = _requests(beside, value, asked.pop(), where)
    hooks = {
        words[0]: _script(beside, words[0], document.where(("hooks", event)), HOOK)
        for event, words in experiment.hooks
        if words[0].startswith(OWN_SCRIPTS)
    }
    return (*scripts.values(), *lists.values(), *hooks.values())


def of(contents: tuple[OwnContent, ...]) -> tuple[OwnFile, ...]:
    """Return what a plan says of them."""
    return tuple(dict.fromkeys(OwnFile(content.name, content.sha256) for content in contents))


def names(experiment: Experiment) -> tuple[str, ...]:
    """Return the files of the user's that an experiment names, as its settings and hooks have them."""
    scripts = (value for _, value in _named(experiment, SCRIPT) if value.startswith(OWN_SCRIPTS))
    hooks = (words[0] for _, words in experiment.hooks if words[0].startswith(OWN_SCRIPTS))
    return tuple(dict.fromkeys((*scripts, *(value for _, value in _named(experiment, REQUESTS) if value), *hooks)))


def notes(contents: Iterable[OwnContent]) -> tuple[str, ...]:
    """Return what was made of lists of requests, a sentence each."""
    return tuple(f"{one.name}: {one.said}" for one in contents if one.said)


def _named(experiment: Experiment, setting: str) -> Iterator[tuple[KeyPath, str]]:
    for factor in experiment.factors:
        if factor.name == setting:
            yield from ((("factors", setting, i), str(level.value)) for i, level in enumerate(factor.levels))
    if setting in experiment.settings:
        yield ("settings", setting), str(experiment.settings[setting])


def _script(beside: Path, value: str, where: str, kind: str = SCRIPT) -> OwnContent:
    path = beside / value.removeprefix(OWN_SCRIPTS)
    if not _FILE_NAME.fullmatch(path.name):
        raise SpecError(
            f"`{path.name}` is not fit for a script's name", where=where, fix="use letters, digits, `.`, `_` and `-`"
        )
    data = _content(path, _MOST_SCRIPT_BYTES, where)
    first = data.partition(b"\n")[0]
    if first.startswith(b"#!"):
        if first.endswith(b"\r"):
            raise SpecError(
                f"{path}: its first line ends with a carriage return, which no interpreter's name has",
                where=where,
                fix=f"convert it: sed -i 's/\\r$//' {path}",
            )
        if len(first) > _LONGEST_FIRST_LINE or not first[2:].strip():
            raise SpecError(f"{path}: its first line names no interpreter", where=where, fix="such as #!/usr/bin/perl")
    elif not data.startswith(_ELF):
        raise SpecError(
            f"{path} is no program: it neither begins with #! nor is it one for Linux",
            where=where,
            fix="write its interpreter into its first line, such as #!/usr/bin/perl",
        )
    return OwnContent(kind, value, data, "")


def _requests(beside: Path, value: str, script: str, where: str) -> OwnContent:
    path = beside / value
    if script == "static":
        raise SpecError("`requests` ask for CGI scripts, and `script: static` is none", where=where, fix="remove one")
    served = frozenset({script_file(script)}) if script.startswith(OWN_SCRIPTS) else _BUILT
    found = request_list.parse(_content(path, request_list.MOST_BYTES, where), str(path), served)
    return OwnContent(REQUESTS, value, found.text, found.said)


def _content(path: Path, most: int, where: str) -> bytes:
    try:
        return named_file.content(path, most)
    except OSError as err:
        fix = "its path is relative to the experiment file"
        if err.errno == errno.EFBIG:
            fix = "name a part of it, or a smaller one"
        raise SpecError(f"{path} cannot be read: {err.strerror}", where=where, fix=fix) from err
    except ValueError as err:
        raise SpecError("this cannot be a path", where=where) from err
