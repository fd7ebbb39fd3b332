"""Knows whether the one who ordered the block is still there: by its process on this machine, by a lease elsewhere."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import Optional

from .blockfile import Orderer
from .process import read_text, start_ticks


def lease_path(work_dir: str) -> str:
    """Return the file whose time stamp is the lease."""
    return os.path.join(work_dir, "lease")


def renew(work_dir: str) -> None:
    """Renew the lease; a work directory that is gone has none.

    Nothing is opened for writing where it exists: awaiters are woken by that.
    """
    with suppress(OSError):
        try:
            os.utime(lease_path(work_dir))
        except FileNotFoundError:
            os.close(os.open(lease_path(work_dir), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))


class Watch:
    """Watches the control process of a block."""

    def __init__(self, control: Optional[Orderer], work_dir: str, lease_s: float) -> None:
        """Find the process; where it is not on this machine, the lease begins now."""
        self._lease_s = lease_s
        self._path = lease_path(work_dir)
        self._stamp_ns = 0
        self._renewed_s = time.monotonic()
        self.pidfd: Optional[int] = None  # readable when the control process has ended
        if control is not None and control.boot_id == read_text("/proc/sys/kernel/random/boot_id").strip():
            self._open(control)

    def _open(self, control: Orderer) -> None:
        try:
            fd = os.pidfd_open(control.pid)
        except OSError:
            return  # not visible from here: the lease decides
        if start_ticks(control.pid) == control.start_ticks:
            self.pidfd = fd
        else:
            os.close(fd)

    @property
    def look_every_s(self) -> float:
        """Return how often `expired` is worth asking."""
        return self._lease_s / 5

    def expired(self) -> bool:
        """Say whether nobody renewed the lease for its whole time. Never so for a process that is watched."""
        if self.pidfd is not None:
            return False
        try:
            stamp_ns = os.stat(self._path).st_mtime_ns
        except OSError:
            stamp_ns = 0
        if stamp_ns != self._stamp_ns:
            self._stamp_ns = stamp_ns
            self._renewed_s = time.monotonic()
        return time.monotonic() - self._renewed_s > self._lease_s
