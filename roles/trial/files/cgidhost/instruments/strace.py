"""strace of connect() on the workers: strace.txt. Off by default, for it costs most of the throughput."""

from __future__ import annotations

import os

from ..process import read_text
from .base import Attached, Scene


class Strace(Attached):
    """strace attached to all worker processes and their threads."""

    name = "strace"
    program = "strace"

    @classmethod
    def why_not(cls, scene: Scene) -> str:
        """Return, besides, that it cannot follow workers that others take the place of."""
        if scene.server is not None and scene.server.reloads:
            return "it is attached to the workers of before the first reload, and cannot follow the others"
        return super().why_not(scene)

    def arguments(self, scene: Scene) -> list[str]:
        """Have connect() alone written down, with its time and how long it took."""
        self._pids = scene.the_server.worker_pids()
        log = os.path.join(scene.directory, "strace.txt")
        targets = [word for pid in self._pids for word in ("-p", str(pid))]
        return ["-f", "-ttt", "-T", "-e", "trace=connect", "-o", log, *targets]

    def is_ready(self) -> bool:
        """Say whether all workers are traced."""
        return all(_is_traced(pid) for pid in self._pids)


def _is_traced(pid: int) -> bool:
    try:
        threads = os.listdir(f"/proc/{pid}/task")
        return all("\nTracerPid:\t0\n" not in read_text(f"/proc/{pid}/task/{t}/status") for t in threads)
    except OSError:
        return True  # it ended: nothing to wait for
