"""CPU time and run-queue delay of the cgid daemon alone: cgid_daemon.csv."""

from __future__ import annotations

import os
from typing import Callable, Mapping, Optional

from ..ending import Unavailable
from ..sockdiag import SockDiag
from .base import Gauge, Scene, read_again, reads


class CgidDaemon(Gauge):
    """The daemon's schedstat. A daemon that was restarted is found again; while there is none, rows are left out."""

    name = "cgid_daemon"
    columns = "pid,cpu_ns,runq_ns,switches"
    period_ns = 100_000_000
    needs_queue = needs_daemon = True

    @classmethod
    def prepared(cls, scene: Scene) -> Callable[[], Gauge]:
        """Return what makes it for the daemon of the trial's server."""
        server = scene.the_server
        return lambda: cls(scene.directory, lambda: server.find_acceptor(SockDiag()))

    @classmethod
    def probes(cls) -> Mapping[str, Callable[[], str]]:
        """Say whether the kernel counts how long a process waits for a core."""
        return {"schedstat": reads("/proc/self/schedstat")}

    def __init__(self, directory: str, find: Callable[[], Optional[int]]) -> None:
        """Find the daemon; raise Unavailable where there is none or the kernel has no schedstat."""
        self._find = find
        self._pid = 0
        self._fd = -1
        if not self._open():
            raise Unavailable("no cgid daemon was found, or the kernel has no schedstat")
        super().__init__(directory)

    def _open(self) -> bool:
        pid = self._find()
        if pid is None:
            return False
        try:
            self._fd = os.open(f"/proc/{pid}/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        self._pid = pid
        return True

    def sample(self, now_ns: int) -> None:
        """Add one row, or none while there is no daemon."""
        try:
            super().sample(now_ns)
        except OSError:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1
            if self._open():
                super().sample(now_ns)

    def read(self) -> str:
        """Return pid, CPU time, time spent runnable but not running, and how often it was switched to."""
        if self._fd < 0:
            raise ProcessLookupError
        cpu, queued, switches = read_again(self._fd, 128).split()
        return f"{self._pid},{int(cpu)},{int(queued)},{int(switches)}"
