"""What a log gained while it was watched, through a rotation too. Reads only what is new."""

from __future__ import annotations

import os
from typing import Optional

from .plainfile import opened_of_owner

_MOST_BYTES = 64 << 20
_PIECE = 1 << 20


class LogTail:
    """A log's end at the begin of an observation."""

    def __init__(self, path: str) -> None:
        """Open it and remember where it ends; raise OSError, for what is no plain file too."""
        self.path = path
        self._fd = opened_of_owner(path)
        found = os.fstat(self._fd)
        self.identity = (found.st_dev, found.st_ino)
        self._owner = found.st_uid
        self._end = found.st_size

    def write_new(self, path: str) -> None:
        """Write what was added since to `path`, the last part of it where it is very much; raise OSError."""
        with open(path, "wb") as out:
            self._copy(self._fd, self._end, out.fileno())
            newer = self._rotated()
            if newer is not None:
                self._copy(newer, 0, out.fileno())
                os.close(newer)
        os.close(self._fd)

    def _rotated(self) -> Optional[int]:
        """Return a descriptor of the file that has the name now, if that is another one of the same owner.

        Whoever may rotate a log may put anything under its name, and have it copied by root who observes.
        """
        try:
            fd = opened_of_owner(self.path)
        except OSError:
            return None
        found = os.fstat(fd)
        if (found.st_dev, found.st_ino) == self.identity or found.st_uid != self._owner:
            os.close(fd)
            return None
        return fd

    @staticmethod
    def _copy(source: int, begin: int, target: int) -> None:
        size = os.fstat(source).st_size
        at = max(begin if size >= begin else 0, size - _MOST_BYTES)  # shorter than it was: it was emptied in place
        while at < size:
            data = os.pread(source, min(_PIECE, size - at), at)
            if not data:
                return
            os.write(target, data)
            at += len(data)
