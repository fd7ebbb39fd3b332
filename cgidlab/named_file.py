"""Files that somebody names, in a command line or an experiment. `rundir` opens what lies in a run directory."""

import errno
import os
import stat
from pathlib import Path


def content(path: Path, most_bytes: int) -> bytes:
    """Return the content of a plain file, links followed.

    Raise `OSError` for anything else, which could have no end or never begin, and for more bytes; `ValueError` for
    what cannot be a path.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC), "rb") as file:
        about = os.fstat(file.fileno())
        if stat.S_ISDIR(about.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(about.st_mode):
            raise OSError(errno.EINVAL, "this is no plain file", str(path))
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise OSError(errno.EFBIG, f"it has more than {most_bytes:,} bytes", str(path))
    return data
