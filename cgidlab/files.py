"""Files that are whole or not there: how a document of ours is written."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from cgidlab.errors import StoreError

SEAL = "document_sha256"  # key of a document's own checksum; a host's documents have a `sha256` of other things

FILE_MODE = 0o640
DIRECTORY_MODE = 0o750


def go_on(_operation: str, _path: Path, _target: Path | None = None) -> None:
    """Let an operation happen."""


# Called before each operation on the disk: create, write, sync, rename, sync_directory, mkdir, link, remove. The one
# place where a test can cut the power or fill the disk.
before: Callable[[str, Path, Path | None], None] = go_on


def write_bytes(path: Path, data: bytes, *, spare: bool = False) -> None:
    """Write `data` to `path` so that a crash leaves the old file or the new one, never a part.

    The data reaches the disk before the name does; not so for a `spare` file, one that is made again from
    others when a power cut tore it. Raises `StoreError` when the disk is full or the directory cannot be written.
    """
    temporary: Path | None = None
    try:
        before("create", path.parent, None)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as stream:
            before("write", temporary, None)
            stream.write(data)
            stream.flush()
            os.fchmod(stream.fileno(), FILE_MODE)
            if not spare:
                before("sync", temporary, None)
                os.fsync(stream.fileno())
        before("rename", temporary, path)
        temporary.replace(path)
        if not spare:
            sync_directory(path.parent)
    except OSError as err:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise StoreError(
            f"cannot write: {err.strerror}", where=str(path), fix="make room or choose another --results directory"
        ) from err


def copy_new(source: IO[bytes], path: Path) -> None:
    """Copy a stream to a file that is not there yet, in pieces, until it is on the disk. Raises `OSError`."""
    before("write", path, None)
    # "x": a name that comes twice would overwrite what was checked.
    with path.open("xb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
        target.flush()
        os.fchmod(target.fileno(), FILE_MODE)
        before("sync", path, None)
        os.fsync(target.fileno())


def move(path: Path, target: Path) -> None:
    """Give a file or directory another name, for good. Raises `OSError`."""
    before("rename", path, target)
    path.replace(target)
    sync_directory(target.parent)


def link(path: Path, target: str) -> None:
    """Make `path` a symbolic link to `target`, whatever it was, in one step. Raises `OSError`."""
    temporary = path.with_name(f".{path.name}-{target}")
    temporary.unlink(missing_ok=True)
    before("link", temporary, None)
    temporary.symlink_to(target)
    move(temporary, path)


def remove_tree(path: Path) -> None:
    """Remove a directory with all that is in it; what cannot be removed, or is not there, is passed over."""
    before("remove", path, None)
    shutil.rmtree(path, ignore_errors=True)


def write_text(path: Path, text: str, *, spare: bool = False) -> None:
    """Write text as UTF-8; see `write_bytes`."""
    write_bytes(path, text.encode(), spare=spare)


def write_json(path: Path, value: Mapping[str, Any], *, spare: bool = False) -> None:
    """Write a mapping as JSON; see `write_bytes`. NaN is refused: it is not JSON."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n", spare=spare)


def write_sealed(path: Path, value: Mapping[str, Any], *, spare: bool = False) -> None:
    """Write a mapping as JSON with its own checksum in it, so that a reader sees what was changed; see `write_json`."""
    write_json(path, {**value, SEAL: seal_of(value)}, spare=spare)


def seal_of(value: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a document, its checksum left out: of sorted JSON without spaces."""
    # There and back: keys and enumerations are then what a reader of the file has.
    return seal_of_plain(json.loads(json.dumps({k: v for k, v in value.items() if k != SEAL}, allow_nan=False)))


def seal_of_plain(plain: Mapping[str, Any]) -> str:
    """Return the same of a document that came out of a file, without its checksum."""
    return hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def make_directory(path: Path) -> None:
    """Make a directory and its parents, readable by owner and group."""
    try:
        before("mkdir", path, None)
        # One by one: what `parents` makes has the mode of nobody's choice.
        for directory in (*reversed(path.parents), path):
            if not directory.is_dir():
                directory.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
    except OSError as err:
        raise StoreError(
            f"cannot make the directory: {err.strerror}", where=str(path), fix="choose another --results directory"
        ) from err


def is_full(directory: Path) -> bool:
    """Say whether the disk below a directory has no room left; False where that cannot be told."""
    try:
        disk = os.statvfs(directory)
    except OSError:
        return False
    # Root also writes where others may no longer.
    free = disk.f_bfree if os.geteuid() == 0 else disk.f_bavail
    return disk.f_blocks > 0 and free == 0


def sync_directory(path: Path) -> None:
    """Make the names in a directory reach the disk."""
    before("sync_directory", path, None)
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
