"""Whether somebody still wants the observation: a file that is touched, and one that asks for its end."""

from __future__ import annotations

import os
import time


class Lease:
    """The files `lease` and `stop` of the observation's directory."""

    def __init__(self, directory: str, lease_s: float) -> None:
        self._lease = os.path.join(directory, "lease")
        self._stop = os.path.join(directory, "stop")
        self._lease_s = lease_s
        self._stamp_ns = 0
        self._renewed_s = time.monotonic()

    def expired(self) -> bool:
        """Say whether nobody touched the file for the lease's whole time."""
        try:
            stamp_ns = os.stat(self._lease).st_mtime_ns
        except OSError:
            stamp_ns = 0
        if stamp_ns != self._stamp_ns:
            self._stamp_ns = stamp_ns
            self._renewed_s = time.monotonic()
        return time.monotonic() - self._renewed_s > self._lease_s

    def asked_to_stop(self) -> bool:
        """Say whether the observation should end now and keep what it has."""
        return os.path.exists(self._stop)
