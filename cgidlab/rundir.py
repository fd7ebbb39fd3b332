"""What lies below a run, opened: regular files alone, through no link, without waiting. Nothing else opens such paths.

A run directory may come from a stranger. It is named by a path without links (`runs.store` sees to that), so whatever
is reached by another path than the one that was asked for was reached through a link of the stranger's.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from cgidlab.errors import StoreError

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_DESCRIPTORS = "/proc/self/fd"
_GONE = " (deleted)"  # what /proc adds to the name of a file that was replaced while it is open
MAX_READ_BYTES = 256 << 20  # of a file that is read as a whole; instruments write a few MB an hour
MAX_ENTRIES = 250_000  # of one directory: as many trials as may be planned, and some
_KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@contextmanager
def opened(path: Path) -> Iterator[FileIO]:
    """Open a file for reading, unbuffered. Raise `StoreError` if it is missing, no regular file or behind a link."""
    handle = _open(path, _READ)
    try:
        _check_regular(os.fstat(handle), path)
        with os.fdopen(handle, "rb", buffering=0, closefd=False) as file:
            yield file
    except OSError as err:
        raise StoreError(f"the file cannot be read: {err.strerror}", where=str(path)) from err
    finally:
        os.close(handle)


def read(path: Path, most_bytes: int = MAX_READ_BYTES) -> bytes:
    """Return a file's bytes. Raise `StoreError` as `opened` does, and for a file that is larger."""
    handle = _open(path, _READ)
    try:
        found = os.fstat(handle)
        _check_regular(found, path)
        parts, left = [], min(found.st_size, most_bytes) + 1
        while found.st_size <= most_bytes and left > 0 and (part := os.read(handle, left)):
            parts.append(part)
            left -= len(part)
    except OSError as err:
        raise StoreError(f"the file cannot be read: {err.strerror}", where=str(path)) from err
    finally:
        os.close(handle)
    data = parts[0] if len(parts) == 1 else b"".join(parts)
    if max(found.st_size, len(data)) > most_bytes:
        raise StoreError(f"the file has more than {most_bytes} bytes, which no run writes", where=str(path))
    return data


def _check_regular(found: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise StoreError(f"this is {_kind(found)} and no file", where=str(path))


def names(directory: Path) -> tuple[str, ...]:
    """Return the names in a directory, sorted; none where there is no such directory.

    Raise `StoreError` for what is no directory or behind a link, and for more names than a run has.
    """
    if not is_there(directory):
        return ()
    handle = _open(directory, _READ)
    try:
        found = os.fstat(handle)
        if not stat.S_ISDIR(found.st_mode):
            raise StoreError(f"this is {_kind(found)} and no directory", where=str(directory))
        listed = []
        with os.scandir(handle) as entries:
            for entry in entries:
                listed.append(entry.name)
                if len(listed) > MAX_ENTRIES:
                    raise StoreError(f"there are more than {MAX_ENTRIES} names in it", where=str(directory))
        return tuple(sorted(listed))
    except OSError as err:
        raise StoreError(f"the directory cannot be read: {err.strerror}", where=str(directory)) from err
    finally:
        os.close(handle)


def is_there(path: Path) -> bool:
    """Say whether there is anything of that name, a link of any kind as well."""
    try:
        path.lstat()
    except (OSError, ValueError):
        return False
    return True


def is_directory(path: Path) -> bool:
    """Say whether there is a directory of that name, and no link to one."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def check_writable(directory: Path, what: str, fix: str) -> None:
    """Raise `StoreError` where nothing can be written, or somebody else could put a link in the place of what is."""
    if not os.access(directory, os.W_OK):
        raise StoreError(f"{what} cannot be written", where=str(directory), fix=fix)
    if directory.stat().st_uid != os.geteuid():
        raise StoreError(f"{what} belongs to another user: nothing is written there", where=str(directory), fix=fix)


def check_owned(directory: Path, passed: str = "") -> None:
    """Raise `StoreError` for a directory that this program cannot have made as this user: nothing may be written there.

    All of it belongs to the user and nothing in it is a link, so that what is written or removed below it stays there.
    Of files that match `passed` a link is borne: nobody writes there any more, and whoever removes it removes the link.
    """
    if directory.stat().st_uid != os.geteuid():
        raise StoreError("this belongs to another user: nothing is written here", where=str(directory))
    for place, below, files in os.walk(directory, onerror=_unreadable):
        for name in (*below, *files):
            path = Path(place) / name
            found = path.lstat()
            if stat.S_ISLNK(found.st_mode) and not (name in files and passed and path.match(passed)):
                raise StoreError(f"this is {_kind(found)}, and nothing is written here", where=str(path))
            if found.st_uid != os.geteuid():
                raise StoreError("this belongs to another user: nothing is written here", where=str(path))


def _unreadable(err: OSError) -> None:
    raise StoreError(f"the directory cannot be read: {err.strerror}", where=str(err.filename)) from err


def _open(path: Path, flags: int) -> int:
    try:
        handle = os.open(path, flags)
    except FileNotFoundError as err:
        raise StoreError("the file is missing", where=str(path)) from err
    except (OSError, ValueError) as err:
        raise StoreError(_why(path, err), where=str(path)) from err
    try:
        _refuse_detour(handle, path)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _why(path: Path, err: OSError | ValueError) -> str:
    try:
        found = path.lstat()
    except (OSError, ValueError):
        return f"the file cannot be read: {err.strerror if isinstance(err, OSError) else err}"
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        return f"this is {_kind(found)} and no file"
    return f"the file cannot be read: {err.strerror if isinstance(err, OSError) else err}"


def _refuse_detour(handle: int, path: Path) -> None:
    """Raise `StoreError` if an open file is not where its path says: some directory on the way was a link."""
    asked = os.path.abspath(path)  # noqa: PTH100 -- without looking at the disk, which is what is checked
    try:
        reached = os.readlink(f"{_DESCRIPTORS}/{handle}")  # noqa: PTH115 -- of bytes that may be no UTF-8
    except OSError:  # no /proc
        reached = os.path.realpath(asked)
    if reached.removesuffix(_GONE) != asked.removesuffix(_GONE):
        raise StoreError("this leads out of the run through a link", where=str(path))


def _kind(found: os.stat_result) -> str:
    return _KINDS.get(stat.S_IFMT(found.st_mode), "something else")
