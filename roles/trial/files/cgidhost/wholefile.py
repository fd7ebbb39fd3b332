"""A trial's documents on its host: whole or not there, also on a full disk, where files open and cannot be written."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any, Mapping

from . import jsontext


def write_json(path: str, document: Mapping[str, Any]) -> None:
    """Write a document; raise OSError and leave nothing of it where that cannot be."""
    part = path + ".part"
    try:
        with open(part, "w", encoding="utf-8") as file:
            file.write(jsontext.dumps(document, indent=1))
        os.rename(part, path)
    except OSError:
        with suppress(FileNotFoundError):
            os.unlink(part)
        raise
