"""Opening a log that may be packed: the only module that unpacks gzip and Zstandard.

What a file is shows in its first bytes, not in its name.
"""

import gzip
import importlib
import shutil
import subprocess  # the unpacker of Zstandard where Python has none (before 3.14)
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from cgidlab.errors import LabError

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


class Stream(Protocol):
    """A file open for reading."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill the buffer and return how many bytes, 0 at the end."""


@contextmanager
def open_stream(path: Path) -> Iterator[Stream]:
    """Open a plain, .gz or .zst file as plain bytes, in constant memory.

    Raise `LabError` naming the file if it cannot be read, is damaged or cut, or
    if this machine has nothing that unpacks it.
    """
    try:
        with path.open("rb", buffering=0) as file:
            magic = file.read(len(_ZSTD)) or b""
            file.seek(0)
            if magic.startswith(_GZIP):
                with gzip.GzipFile(fileobj=file) as stream:
                    yield stream
            elif magic.startswith(_ZSTD):
                with _zstd(path, cast("BinaryIO", file)) as stream:
                    yield stream
            else:
                yield file
    except (EOFError, gzip.BadGzipFile, zlib.error) as err:
        raise LabError(f"the packed file is damaged or cut: {err}", where=str(path)) from err
    except OSError as err:
        raise LabError(f"the file cannot be read: {err.strerror or err}", where=str(path)) from err


@contextmanager
def _zstd(path: Path, file: BinaryIO) -> Iterator[Stream]:
    if sys.version_info >= (3, 14):
        module = importlib.import_module("compression.zstd")
        try:
            with module.open(file, "rb") as stream:
                yield stream
        except module.ZstdError as err:
            raise LabError(f"the packed file is damaged or cut: {err}", where=str(path)) from err
        return
    program = shutil.which("zstd")
    if program is None:
        raise LabError(
            "nothing here unpacks Zstandard", where=str(path), fix="install the package zstd, or unpack the file first"
        )
    with subprocess.Popen([program, "-dcq"], stdin=file, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None  # noqa: S101 -- it is a pipe: says so to the type checker
        assert process.stderr is not None  # noqa: S101 -- same
        try:
            yield cast("Stream", process.stdout)
        except BaseException:
            process.kill()
            raise
        words = process.stderr.read().decode(errors="replace").strip()
    if process.returncode:
        raise LabError(f"the packed file is damaged or cut: {words}", where=str(path))
