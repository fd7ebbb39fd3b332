"""Sees that the results' disk is full: Ansible then waits for room, and tells nothing more."""

import errno
import os
import time
from dataclasses import dataclass

from cgidlab import files
from cgidlab.errors import StoreError
from cgidlab.runs.store import RunDirectory

FULL_S = 5.0  # a moment's want of room may not matter


@dataclass(slots=True)
class Room:
    """Looks at one run's disk again and again."""

    run: RunDirectory
    _full_since_s: float | None = None

    def want(self) -> StoreError | None:
        """Return what to tell the user once there has been no room for `FULL_S`; None before."""
        now_s = time.monotonic()
        if not files.is_full(self.run.path):
            self._full_since_s = None
            return None
        if self._full_since_s is None:
            self._full_since_s = now_s
        if now_s - self._full_since_s < FULL_S:
            return None
        return StoreError(
            f"cannot write: {os.strerror(errno.ENOSPC)}",
            where=str(self.run.path),
            fix=f"make room, then go on: --resume {self.run.run_id}",
        )
