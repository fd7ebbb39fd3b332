"""What a listener is called in a time series: its path without what changes with each start. Pure."""

from __future__ import annotations

import re
from typing import Collection

_ANY = "*"
_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
# At the end (httpd's own way, where its holder may not be seen), or longer than a number that somebody chose.
_CHANGES = re.compile(rf"{_UUID}|[0-9a-fA-F]{{12,}}|(?<=\.)\d+$|\d{{4,}}")
_NUMBER = re.compile(r"\d+")


def pattern(path: str, pids: Collection[int]) -> str:
    """Return a path with `*` for process ids (`pids` are known ones) and what else a program makes up at its start."""
    known = _NUMBER.sub(lambda m: _ANY if int(m.group()) in pids else m.group(), path.replace("\0", "@"))
    return spelt(_CHANGES.sub(_ANY, known))


def spelt(name: str) -> str:
    """Return what anybody on the host may have called something, as text that can be written and steers no terminal."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")  # bytes that are none as \xff
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
