"""Packs a trial's directory into one archive with checksums: NNN.tar.gz."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
import tarfile
from dataclasses import dataclass
from typing import BinaryIO, Callable, Iterator, cast

MOST_BYTES = 8 << 30  # that the control machine takes of one trial
_DEEPEST = 16  # as deep as it takes a file
_COMPRESSION = 1  # the next trial waits for it; level 6 takes four times as long for a tenth less


@dataclass(frozen=True)
class Archive:
    """An archive as it lies on disk."""

    path: str
    sha256: str
    size_bytes: int


class _Hashing:
    """A file to write to that knows its SHA-256."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.hash = hashlib.sha256()
        self.size_bytes = 0

    def write(self, data: bytes) -> int:
        self.hash.update(data)
        self.size_bytes += len(data)
        return self._file.write(data)


class _HashingReader:
    """A file to read from that knows the SHA-256 of what was read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.hash.update(data)
        return data


def regular_files(directory: str) -> Iterator[str]:
    """Yield the regular files below a directory, relative to it, in a fixed order.

    What is deeper or has another kind of name than the files of a trial is left out: the server under test made it.
    """
    for base, directories, names in os.walk(directory):
        directories.sort()
        if os.path.relpath(base, directory).count(os.sep) + 3 > _DEEPEST:
            directories.clear()
        for name in sorted(names):
            path = os.path.join(base, name)
            relative = os.path.relpath(path, directory)
            if relative.isprintable() and stat.S_ISREG(os.lstat(path).st_mode):
                yield relative


def _without_following(path: str, flags: int) -> int:
    """Open a file in a directory where the server under test may put a link to any other file meanwhile."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def pack(directory: str, path: str, last: Callable[[], bytes]) -> Archive:
    """Write the archive of `directory` to `path`, complete or not at all.

    `last` gives the text of result.json; it is asked when all other files are
    packed, so that it can say when that was. Raises OSError, disk full
    included, and leaves nothing behind then.
    """
    part = path + ".part"
    try:
        with open(part, "wb") as file:
            out = _Hashing(cast(BinaryIO, file))
            _write(directory, out, last)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        os.rename(part, path)
    except OSError:
        if os.path.exists(part):
            os.unlink(part)
        raise
    return Archive(path, out.hash.hexdigest(), out.size_bytes)


def _write(directory: str, out: _Hashing, last: Callable[[], bytes]) -> None:
    sums: list[str] = []
    left = MOST_BYTES
    with tarfile.open(fileobj=cast(BinaryIO, out), mode="w:gz", compresslevel=_COMPRESSION) as tar:
        for name in regular_files(directory):
            with open(os.path.join(directory, name), "rb", opener=_without_following) as file:
                info = tar.gettarinfo(arcname=name, fileobj=file)
                if not info.isreg() or os.fstat(file.fileno()).st_nlink != 1:
                    continue  # a second name of a file that may be anybody's
                left -= info.size
                if left < 0:
                    raise OSError(errno.EFBIG, f"a trial has more than {MOST_BYTES} bytes", name)
                reader = _HashingReader(cast(BinaryIO, file))
                tar.addfile(_anonymous(info), cast(BinaryIO, reader))
            sums.append(f"{reader.hash.hexdigest()}  {name}\n")
        for name, data in (("result.json", last()), ("SHA256SUMS", b"")):
            if name == "SHA256SUMS":
                text = "".join(sums).encode()
            else:
                text = data
                sums.append(f"{hashlib.sha256(data).hexdigest()}  {name}\n")
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(_anonymous(info), io.BytesIO(text))


def _anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mode = 0o644
    return info
