"""What observes a trial: one module an instrument, each a Gauge that the sampler reads on its own schedule."""

from __future__ import annotations

import os
from typing import Any


class Gauge:
    """Something read many times a second into one CSV file."""

    name: str
    columns: str = ""  # the CSV header, after monotonic_ns
    period_ns: int

    def __init__(self, directory: str) -> None:
        """Open the file; a subclass raises Unavailable where it cannot run."""
        path = os.path.join(directory, f"{self.name}.csv")
        self._file_fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        self._lines = [self.header()]
        self.cpu_ns = 0
        self.samples = 0
        self.missed = 0

    def header(self) -> str:
        """Return the file's first line."""
        return f"monotonic_ns,{self.columns}\n"

    def read(self) -> str:
        """Return the fields of one row, without its time."""
        raise NotImplementedError

    def more(self) -> dict[str, Any]:
        """Return what else result.json should say of this instrument."""
        return {}

    def sample(self, now_ns: int) -> None:
        """Add one row."""
        self._lines.append(f"{now_ns},{self.read()}\n")
        self.samples += 1

    def flush(self) -> None:
        """Write out what was gathered; raise OSError."""
        data = "".join(self._lines).encode()
        self._lines.clear()
        while data:
            data = data[os.write(self._file_fd, data) :]

    def finish(self) -> None:
        """Write the rest."""
        self.flush()
        os.close(self._file_fd)


def read_again(fd: int, limit: int = 4096) -> bytes:
    """Return a /proc file's present text through a descriptor that stays open; raise OSError when its process ended."""
    return os.pread(fd, limit, 0)
