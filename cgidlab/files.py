"""Files that are whole or not there. The only module that writes into a run directory."""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cgidlab.errors import StoreError

FILE_MODE = 0o640
DIRECTORY_MODE = 0o750


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that a crash leaves the old file or the new one, never a part.

    The data reaches the disk before the name does. Raises `StoreError` when the
    disk is full or the directory cannot be written.
    """
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fchmod(stream.fileno(), FILE_MODE)
            os.fsync(stream.fileno())
        Path(temporary).replace(path)
        sync_directory(path.parent)
    except OSError as err:
        Path(temporary).unlink(missing_ok=True)
        raise StoreError(
            f"cannot write: {err.strerror}", where=str(path), fix="make room or choose another --results directory"
        ) from err


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8; see `write_bytes`."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a mapping as JSON; see `write_bytes`. NaN is refused: it is not JSON."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def make_directory(path: Path) -> None:
    """Make a directory and its parents, readable by owner and group."""
    try:
        path.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    except OSError as err:
        raise StoreError(
            f"cannot make the directory: {err.strerror}", where=str(path), fix="choose another --results directory"
        ) from err


def sync_directory(path: Path) -> None:
    """Make the names in a directory reach the disk."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
