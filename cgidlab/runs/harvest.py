"""From the archive a host sends to a trial's directory: what such an archive may hold.

A host's archive is not trusted: nothing in it may land outside the trial's directory.
"""

import gzip
import hashlib
import io
import shutil
import tarfile
import zlib
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import Any

from cgidlab import files, rundir
from cgidlab.errors import StoreError

MAX_UNPACKED_BYTES = 8 << 30
MAX_FILES = 1000
# What the control machine writes into a trial's directory: from a host it would be believed.
_OURS = frozenset({"trial.json", "outcome.json", "figures.json", "load/requests.parquet"})
_CHUNK = 1 << 20
_MAX_HEADER_BYTES = 16 << 10  # of one member; the names that a host gives its files need some hundred bytes
_MAX_NAME_BYTES, _MAX_PART_BYTES, _MAX_DEPTH = 1024, 255, 16


class BadArchive(StoreError):  # noqa: N818 -- what it is says more than that it is one
    """What a host sent is damaged or wants more than it may; nothing of it was kept, and other trials can go on."""


def unpack(archive: Path, directory: Path, trial: Mapping[str, Any], load: Path | None = None) -> None:
    """Make `directory` from a trial's archive and `trial.json`, or leave nothing of it.

    `load` holds `clocks.json` and an archive a generator, where these were other machines; each becomes a
    directory below `load/`. The directory appears under its name only when every file is there and has
    the checksum that the host computed. Raises `BadArchive` where the archive is to blame, `StoreError` where
    this machine is.
    """
    partial = directory.with_name(f".{directory.name}.partial")
    files.remove_tree(partial)
    files.make_directory(partial)
    try:
        _extract(archive, partial)
        _check_sums(partial)
        files.write_sealed(partial / "trial.json", trial)
        if load is not None:
            _add_load(load, partial / "load")
        _sync_directories(partial)
        if directory.exists():
            # Out of the way in one step: half of what was there would be neither the old trial nor the new one.
            replaced = directory.with_name(f".{directory.name}.replaced")
            files.remove_tree(replaced)
            files.move(directory, replaced)
            files.remove_tree(replaced)
        files.move(partial, directory)
    except OSError as err:
        raise _not_kept(directory, err) from err
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _add_load(load: Path, directory: Path) -> None:
    files.make_directory(directory)
    try:
        clocks = rundir.read(load / "clocks.json")
        archives = [name for name in rundir.names(load) if name.endswith(".tar.gz")]
    except StoreError as err:
        raise BadArchive(err.what, where=err.where) from err
    files.write_bytes(directory / "clocks.json", clocks)
    for name in archives:
        own = directory / name.removesuffix(".tar.gz")
        if rundir.is_there(own):
            raise BadArchive("the server sent what a generator sends", where=str(load / name))
        files.make_directory(own)
        _extract(load / name, own)
        _check_sums(own)


def _extract(archive: Path, directory: Path) -> None:
    """Copy regular files alone, by names we made sure of; tarfile's own filters are missing before Python 3.11.4."""
    with ExitStack() as stack:
        try:
            file = stack.enter_context(rundir.opened(archive))
        except StoreError as err:
            raise BadArchive(err.what, where=err.where) from err
        try:
            _extract_from(file, archive, directory)
        except (tarfile.TarError, gzip.BadGzipFile, EOFError, ValueError, zlib.error) as err:
            raise BadArchive(f"the archive is damaged: {err}", where=str(archive)) from err
        except OSError as err:
            raise _not_kept(directory, err) from err


def _extract_from(file: io.FileIO, archive: Path, directory: Path) -> None:
    total, count = 0, 0
    names: set[PurePosixPath] = set()
    inner: set[PurePosixPath] = set()  # directories
    with gzip.GzipFile(fileobj=file) as packed:
        bounded = _Bounded(packed)
        with tarfile.open(fileobj=bounded, mode="r:") as tar:
            while (member := _next(tar, bounded)) is not None:
                path = _place_of(member)
                taken = path is not None and (path in names | inner or not names.isdisjoint(path.parents))
                if path is None or taken or str(path) in _OURS or count > MAX_FILES:
                    what = f"the archive holds {member.name!r:.200}, which is no file of a trial"
                    raise BadArchive(what, where=str(archive))
                total += member.size
                if total > MAX_UNPACKED_BYTES:
                    raise BadArchive(f"the archive unpacks to more than {MAX_UNPACKED_BYTES} bytes", where=str(archive))
                bounded.left = member.size
                _copy(tar, member, directory / path)
                count += 1
                names.add(path)
                inner.update(path.parents)


def _next(tar: tarfile.TarFile, bounded: "_Bounded") -> tarfile.TarInfo | None:
    """Return the next member; raise `tarfile.ReadError` for one that is more than a short name and a size."""
    bounded.left = _MAX_HEADER_BYTES
    member = tar.next()
    if tar.pax_headers:
        raise tarfile.ReadError("a header for all members")
    tar.members.clear()  # type: ignore[attr-defined]  # it keeps each of them, with all that its headers said
    return member


def _place_of(member: tarfile.TarInfo) -> PurePosixPath | None:
    """Return where a member belongs below a trial's directory; None for what a trial does not have."""
    name = member.name
    plain = member.isfile() and not member.issparse() and member.size >= 0
    if not (plain and name.isprintable() and len(name.encode()) <= _MAX_NAME_BYTES):
        return None
    path = PurePosixPath(name)
    too_long = len(path.parts) > _MAX_DEPTH or max(len(part.encode()) for part in (*path.parts, "")) > _MAX_PART_BYTES
    return None if too_long or not path.parts or path.is_absolute() or ".." in path.parts else path


def _not_kept(directory: Path, err: OSError) -> StoreError:
    return StoreError(f"cannot keep a trial: {err.strerror or err}", where=str(directory))


class _Bounded(io.RawIOBase):
    """An unpacked archive of which nobody reads more than `left`.

    tarfile would take a header of any length whole, and one header after the other of what they say of one member.
    """

    def __init__(self, stream: gzip.GzipFile) -> None:
        self._stream = stream
        self.left = _MAX_HEADER_BYTES

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes; raise `tarfile.ReadError` for more than are left."""
        if not 0 <= size <= self.left:
            raise tarfile.ReadError(f"its headers have more than {_MAX_HEADER_BYTES} bytes")
        self.left -= size
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move on, unpacking what is between."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """Return how many bytes were unpacked so far."""
        return self._stream.tell()


def _copy(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    files.make_directory(path.parent)
    source = tar.extractfile(member)
    files.copy_new(source if source is not None else io.BytesIO(), path)


def _sync_directories(directory: Path) -> None:
    for place in (directory, *(p for p in directory.rglob("*") if p.is_dir())):
        files.sync_directory(place)


def verify(directory: Path) -> None:
    """Raise `StoreError` naming the first file of a kept trial that is missing or does not have its checksum.

    What the control machine added later is not in SHA256SUMS, and not looked at.
    """
    listed = _listed(directory)
    if "result.json" not in listed:  # as in a file that was cut short
        raise StoreError("SHA256SUMS does not name result.json", where=str(directory / "SHA256SUMS"))
    for name, digest in listed.items():
        _check(directory / name, digest)
    for generator in rundir.names(directory / "load"):  # what other machines loaded it with
        own = directory / "load" / generator
        if rundir.is_directory(own) and rundir.is_there(own / "SHA256SUMS"):
            for name, digest in _listed(own).items():
                _check(own / name, digest)


def _check_sums(directory: Path) -> None:
    listed = _listed(directory)
    present = {str(p.relative_to(directory)) for p in directory.rglob("*") if p.is_file()} - {"SHA256SUMS"}
    if present != set(listed):
        raise BadArchive(f"files and SHA256SUMS differ: {sorted(present ^ set(listed))}", where=str(directory))
    for name, digest in listed.items():
        try:
            _check(directory / name, digest)
        except StoreError as err:
            raise BadArchive(err.what, where=err.where) from err


def _listed(directory: Path) -> dict[str, str]:
    """Return the SHA-256 of each file the host wrote, by its path below `directory`."""
    sums = directory / "SHA256SUMS"
    if not rundir.is_there(sums):
        raise StoreError("the trial has no SHA256SUMS", where=str(directory))
    try:
        lines = rundir.read(sums, _CHUNK).decode().splitlines()
    except ValueError as err:
        raise StoreError(f"the file cannot be read: {err}", where=str(sums)) from err
    listed = {}
    for line in lines:
        digest, _, name = line.partition("  ")
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise StoreError(f"it names {name!r:.80}, which is no file of the trial", where=str(sums))
        listed[name] = digest
    return listed


def _check(path: Path, digest: str) -> None:
    if sha256(path) != digest:
        raise StoreError("the file does not have its checksum", where=str(path))


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hex, read in pieces. Raise `StoreError` as `rundir.opened` does."""
    digest = hashlib.sha256()
    with rundir.opened(path) as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
