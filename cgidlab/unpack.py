"""Opening a log that may be packed: gzip, bzip2, xz and Zstandard, told by their first bytes.

What a file is shows in its first bytes, not in its name.
"""

import bz2
import gzip
import importlib
import io
import lzma
import shutil
import subprocess  # the unpacker of Zstandard where Python has none (before 3.14)
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from cgidlab.errors import LabError
from cgidlab.starting import command

STDIN = Path("-")
_PIECE = 1 << 16
_XZ_MEMORY = 128 << 20  # as much as zstd takes; what was packed with `xz -9` needs half of it
_FOREIGN = {
    b"PK\x03\x04": ("a zip archive", "unpack it first"),
    b"7z\xbc\xaf": ("a 7z archive", "unpack it first"),
    b"LPKSHHRH": ("a journal", f"read it with: journalctl --file FILE | {command('parse-log -')}"),
}


class Stream(Protocol):
    """A file open for reading."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill the buffer and return how many bytes, 0 at the end."""


@contextmanager
def open_stream(path: Path) -> Iterator[Stream]:
    """Open a file, plain or packed, as plain bytes, in constant memory; `STDIN` is standard input.

    Raise `LabError` naming the file if it cannot be read, is damaged or cut, or
    if this machine has nothing that unpacks it.
    """
    try:
        with _opened(path) as (magic, file):
            unpacker = next((u for first, u in _UNPACKERS.items() if magic.startswith(first)), None)
            foreign = next((f for first, f in _FOREIGN.items() if magic.startswith(first)), None)
            if foreign:
                raise LabError(f"this is {foreign[0]} and no log", where=str(path), fix=foreign[1])
            with unpacker(path, file) if unpacker else nullcontext(cast("Stream", file)) as stream:
                yield stream
    except (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError) as err:
        raise LabError(f"the packed file is damaged or cut: {err}", where=str(path)) from err
    except OSError as err:
        if err.errno is None:  # what bz2 says of its data
            raise LabError(f"the packed file is damaged or cut: {err}", where=str(path)) from err
        raise LabError(f"the file cannot be read: {err.strerror or err}", where=str(path)) from err


@contextmanager
def _opened(path: Path) -> Iterator[tuple[bytes, BinaryIO]]:
    """Open a file and look at its first bytes, which stay to be read."""
    length = max(map(len, (*_UNPACKERS, *_FOREIGN)))
    if path == STDIN:
        file = cast("io.BufferedReader", sys.stdin.buffer)
        yield file.peek(length)[:length], file
        return
    with path.open("rb", buffering=0) as raw:
        magic = raw.read(length) or b""
        if raw.seekable():
            raw.seek(0)
            yield magic, cast("BinaryIO", raw)
        else:  # a pipe with a name
            yield magic, cast("BinaryIO", io.BufferedReader(Begun(magic, raw)))


class Begun(io.RawIOBase):
    """A stream of which the first bytes have been read."""

    def __init__(self, head: bytes, rest: Stream) -> None:
        self._head, self._rest = head, rest

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: memoryview, /) -> int | None:  # type: ignore[override]  # as `Stream` has it
        """Fill the buffer and return how many bytes, 0 at the end."""
        if not self._head:
            return self._rest.readinto(buffer)
        count = min(len(self._head), len(buffer))
        buffer[:count] = self._head[:count]
        self._head = self._head[count:]
        return count


@contextmanager
def _gzip(_path: Path, file: BinaryIO) -> Iterator[Stream]:
    with gzip.GzipFile(fileobj=file) as stream:
        yield stream


@contextmanager
def _bzip2(_path: Path, file: BinaryIO) -> Iterator[Stream]:
    with bz2.BZ2File(file) as stream:
        yield stream


@contextmanager
def _xz(_path: Path, file: BinaryIO) -> Iterator[Stream]:
    yield io.BufferedReader(_Xz(file))


class _Xz(io.RawIOBase):
    """What an xz file holds. Python's own reader takes as much memory as the file asks for."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._unpacker = lzma.LZMADecompressor(memlimit=_XZ_MEMORY)
        self._rest = b""

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: memoryview, /) -> int | None:  # type: ignore[override]  # as `Stream` has it
        while True:
            if self._unpacker.eof:
                self._rest = (self._unpacker.unused_data or self._file.read(_PIECE)).lstrip(b"\0")
                if not self._rest:
                    return 0
                self._unpacker = lzma.LZMADecompressor(memlimit=_XZ_MEMORY)
            elif self._unpacker.needs_input and not self._rest:
                self._rest = self._file.read(_PIECE)
                if not self._rest:
                    raise EOFError("it ends before its end marker")
            data = self._unpacker.decompress(self._rest, max_length=len(buffer))
            self._rest = b""
            if data:
                buffer[: len(data)] = data
                return len(data)


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
    with subprocess.Popen(
        [program, "-dcq"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None  # noqa: S101 -- it is a pipe: says so to the type checker
        assert process.stderr is not None  # noqa: S101 -- same
        feeder = threading.Thread(target=_feed, args=(file, process.stdin), daemon=True)
        feeder.start()
        try:
            yield cast("Stream", process.stdout)
        except BaseException:
            process.kill()
            raise
        ended = not process.stdout.read(1)
        if not ended:  # whoever reads has seen enough
            process.kill()
        words = process.stderr.read().decode(errors="replace").strip()
    if process.returncode and ended:
        raise LabError(f"the packed file is damaged or cut: {words}", where=str(path))


def _feed(file: BinaryIO, process: BinaryIO) -> None:
    """Give a program a file, from where it has been read to."""
    with suppress(OSError, ValueError), process:  # it has ended, and its status says why
        shutil.copyfileobj(file, process)


_UNPACKERS: dict[bytes, Callable[[Path, BinaryIO], AbstractContextManager[Stream]]] = {
    b"\x1f\x8b": _gzip,
    b"BZh": _bzip2,
    b"\xfd7zXZ\0": _xz,
    b"\x28\xb5\x2f\xfd": _zstd,
}
