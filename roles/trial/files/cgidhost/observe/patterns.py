"""What a listener is called in a time series: its path without what changes with each start. Pure."""

from __future__ import annotations

import re
from typing import Collection

_ANY = "*"
_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
# At the end (httpd's own way, where its holder may not be seen), or longer than a number that somebody chose.
_CHANGES = re.compile(rf"{_UUID}|[0-9a-fA-F]{{12,}}|(?<=\.)\d+$|\d{{4,}}")
_NUMBER = re.compile(r"\d+")


def utf8(text: str) -> str:
    r"""Return text that can be written as UTF-8; other bytes, which any user may have in a socket's name, as `\xff`."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def pattern(path: str, pids: Collection[int]) -> str:
    """Return a path with `*` for process ids (`pids` are known ones) and what else a program makes up at its start."""
    shown = utf8(path).replace("\0", "@")
    known = _NUMBER.sub(lambda m: _ANY if int(m.group()) in pids else m.group(), shown)
    return _CHANGES.sub(_ANY, known)
