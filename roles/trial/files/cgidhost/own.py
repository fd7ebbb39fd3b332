"""What on this host is ours to make and to remove.

Nothing is removed for its name. A directory is ours where it lies in a place that nobody else may write to, belongs to
us, is no link, and carries our mark; it is looked at and emptied relative to the descriptor of that place.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from contextlib import suppress
from typing import Callable, Iterator

from . import sharedmemory
from .ending import BlockError

MARK = "owner"  # in a directory of sockets: a link to the trial that made it
BLOCK = "block.json"  # in a block's directory
_SOCKETS = re.compile(r"cgid-[0-9a-f]{8}-\d+(-[0-9a-f]{16})?")
_PLACES = ("/run", "/tmp")  # noqa: S108 -- of directories of sockets: root's, and everybody else's (and of older versions)


class NotOurs(BlockError):  # noqa: N818 -- what it is says more than that it is one
    """Something is not what we made, and stays as it is."""


def sockets_name(block: str, number: int) -> str:
    """Return a name for a trial's directory of sockets that nobody can guess; it begins as all of the block's do."""
    return f"cgid-{block}-{number}-{secrets.token_hex(8)}"


def sockets_place() -> str:
    """Return where this user's directories of sockets are, which have short paths: root's where only root writes."""
    return _PLACES[0] if os.geteuid() == 0 else _PLACES[1]


def make(path: str) -> None:
    """Make a directory of a trial; raise OSError where there is one, or others could put another in its place."""
    place = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        about = os.fstat(place)
        shared = stat.S_ISVTX if os.geteuid() else 0  # the kernel lets nobody remove what is another's there
        if about.st_uid not in (0, os.geteuid()) or (about.st_mode & 0o022 and not about.st_mode & shared):
            raise PermissionError(
                1, "others may write there, so no directory of a trial is made", os.path.dirname(path)
            )
        os.mkdir(os.path.basename(path), 0o755, dir_fd=place)
    finally:
        os.close(place)


def opened(directory: str) -> int:
    """Return a descriptor of a directory that is ours and that nobody else may write to; raise NotOurs, OSError."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    about = os.fstat(fd)
    if about.st_uid != os.geteuid() or about.st_mode & 0o022:
        os.close(fd)
        raise NotOurs(f"{directory} is not a directory of this user's alone: nothing in it is touched")
    return fd


def blocks(host_dir: str) -> Iterator[str]:
    """Yield the names of the blocks in a host's work directory: marked, or empty since they ended before that."""
    place = opened(host_dir)
    try:
        for name in sorted(os.listdir(place)):
            about = os.stat(name, dir_fd=place, follow_symlinks=False)
            if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid():
                continue
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place)
            try:
                if _is_marked(inner) or not os.listdir(inner):
                    yield name
            finally:
                os.close(inner)
    finally:
        os.close(place)


def _is_marked(directory: int) -> bool:
    try:
        about = os.stat(BLOCK, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return stat.S_ISREG(about.st_mode) and about.st_uid == os.geteuid()


def remove(directory: str, name: str) -> None:
    """Remove a directory of ours in a directory that is ours alone, and all in it; raise NotOurs, OSError."""
    place = opened(directory)
    try:
        _remove(place, name, os.path.join(directory, name))
    finally:
        os.close(place)


def discard(path: str) -> None:
    """Remove a directory as `remove` does; what is not there, or cannot be removed, is passed over."""
    with suppress(NotOurs, OSError):
        remove(*os.path.split(path))


def rename(directory: str, name: str, new: str) -> None:
    """Give a directory in a directory that is ours alone another name; raise NotOurs, OSError."""
    place = opened(directory)
    try:
        os.rename(name, new, src_dir_fd=place, dst_dir_fd=place)
    finally:
        os.close(place)


def remove_noted(path: str, block_dir: str) -> bool:
    """Remove a directory that a block's journal names; return whether it was there. Raise NotOurs, OSError.

    It may lie in the block's directory, or be a directory of sockets that says that a trial of the block made it.
    """
    place, name = os.path.split(path)
    if place == block_dir and name:
        if not os.path.lexists(path):
            return False
        remove(place, name)
        return True
    return remove_sockets(path, lambda trial: os.path.dirname(trial) == block_dir)


def remove_sockets(path: str, is_its_trial: Callable[[str], bool]) -> bool:
    """Remove a directory of sockets whose mark names a trial that is the right one; as `remove_noted`."""
    place, name = os.path.split(path)
    if place not in _PLACES or not _SOCKETS.fullmatch(name):
        raise NotOurs(f"{path} is no directory that a trial makes: it stays")
    at = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
    except FileNotFoundError:
        os.close(at)
        return False
    try:
        if os.fstat(inner).st_uid != os.geteuid():
            raise NotOurs(f"{path} belongs to somebody else: it stays")
        if os.listdir(inner):  # else it was made, and then its maker ended
            _check_mark(inner, path, is_its_trial)
        sharedmemory.discard(path)
        with suppress(FileNotFoundError):  # who made it ends as well, and was faster
            _remove(at, name, path)
    finally:
        os.close(inner)
        os.close(at)
    return True


def _check_mark(directory: int, path: str, is_its_trial: Callable[[str], bool]) -> None:
    try:
        about = os.stat(MARK, dir_fd=directory, follow_symlinks=False)
        trial = os.readlink(MARK, dir_fd=directory)
    except OSError as error:
        raise NotOurs(f"{path} does not say which trial made it: it stays") from error
    if about.st_uid != os.geteuid() or not is_its_trial(trial):
        raise NotOurs(f"{path} is another's: it stays")


def _remove(place: int, name: str, path: str) -> None:
    about = os.stat(name, dir_fd=place, follow_symlinks=False)
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid():
        raise NotOurs(f"{path} is not a directory of this user's: it stays")
    top = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place)
    try:
        # A server can nest directories deeper than a walk can go: each is brought up to where it is emptied.
        while names := os.listdir(top):
            for inner in names:
                _clear(inner, top, top)
    finally:
        os.close(top)
    os.rmdir(name, dir_fd=place)


def _clear(name: str, at: int, top: int) -> None:
    """Remove what is in a directory; a directory with something in it comes, emptied of all but those, to the top."""
    with suppress(FileNotFoundError):
        if not stat.S_ISDIR(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=at)
            return
        try:
            os.rmdir(name, dir_fd=at)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            return
        if at != top:
            os.rename(name, secrets.token_hex(16), src_dir_fd=at, dst_dir_fd=top)
            return
        inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
        try:
            for below in os.listdir(inner):
                _clear(below, inner, top)
        finally:
            os.close(inner)
