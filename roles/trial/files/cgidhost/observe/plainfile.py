"""Opens files that any user of the host may have named or put there: plain ones alone.

To open a pipe is to wait for its writer, and a device may take it for an order. So nothing else is even opened.
"""

from __future__ import annotations

import os
import stat

_MOST_LINKS = 8


def opened(path: str) -> int:
    """Return a descriptor of a plain file, through links as well; raise OSError for anything else."""
    return _reopened(os.open(path, os.O_PATH | os.O_CLOEXEC), path)


def opened_of_owner(path: str) -> int:
    """Return the same of a file in a directory that may be another user's; raise OSError.

    A link that belongs neither to root nor to the caller leads to files of its owner alone: its maker could not read
    the others.
    """
    strangers: set[int] = set()
    for _ in range(_MOST_LINKS):
        at = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        about = os.fstat(at)
        if not stat.S_ISLNK(about.st_mode):
            if strangers - {about.st_uid}:
                os.close(at)
                raise PermissionError(1, "a link of another user's than the file's leads there", path)
            return _reopened(at, path)
        try:
            if about.st_uid not in (0, os.geteuid()):
                strangers.add(about.st_uid)
            path = os.path.join(os.path.dirname(path), os.readlink("", dir_fd=at))
        finally:
            os.close(at)
    raise OSError(40, "too many links", path)


def _reopened(at: int, path: str) -> int:
    """Return a descriptor for reading of what `at` stands for, which is closed."""
    try:
        if not stat.S_ISREG(os.fstat(at).st_mode):
            raise OSError(22, "no plain file", path)
        return os.open(f"/proc/self/fd/{at}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    finally:
        os.close(at)
