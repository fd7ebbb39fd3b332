"""A trial's documents on its host: whole or not there, also on a full disk, where files open and cannot be written."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import Any, Mapping


def as_json(value: object) -> str:
    """Return a value as JSON. What is no text of a name, which anybody on the host may give, is spelt out.

    Nobody reads a document with halves of characters in it.
    """
    return json.dumps(_spelt(value))


def _spelt(value: Any) -> Any:  # noqa: ANN401 -- of any type that JSON has
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_spelt(key): _spelt(one) for key, one in value.items()}
    return [_spelt(one) for one in value] if isinstance(value, (list, tuple)) else value


def write_json(path: str, document: Mapping[str, Any]) -> None:
    """Write a document; raise OSError and leave nothing of it where that cannot be."""
    part = path + ".part"
    try:
        with open(part, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
        os.rename(part, path)
    except OSError:
        with suppress(FileNotFoundError):
            os.unlink(part)
        raise
