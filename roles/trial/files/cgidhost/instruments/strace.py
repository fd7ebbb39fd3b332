"""strace of connect() on the workers: strace.txt. Off by default, for it costs most of the throughput."""

from __future__ import annotations

import os
from typing import Optional

from ..ending import TrialEnd, Unavailable
from ..process import Program, read_text
from ..waiting import Patience


class Strace:
    """strace attached to all worker processes and their threads."""

    def __init__(self, program: Optional[str], pids: list[int], directory: str) -> None:
        """Start it; raise Unavailable where it cannot be."""
        if program is None:
            raise Unavailable("strace is not installed")
        self._pids = pids
        self._said = os.path.join(directory, "strace.stderr")
        argv = [program, "-f", "-ttt", "-T", "-e", "trace=connect", "-o", os.path.join(directory, "strace.txt")]
        for pid in pids:
            argv += ["-p", str(pid)]
        try:
            self._program = Program(argv, self._said, self._said)
        except TrialEnd as error:
            raise Unavailable(error.reason) from error

    def wait_until_ready(self, patience: Patience, timeout_s: float) -> None:
        """Return once all workers are traced; raise Unavailable with strace's own words."""

        def attached() -> bool:
            if self._program.exit_code() is not None:
                with open(self._said, encoding="utf-8", errors="replace") as file:
                    raise Unavailable(file.read(300).strip() or "strace ended")
            return all(_is_traced(pid) for pid in self._pids)

        try:
            patience.until("strace attaching", attached, timeout_s)
        except TrialEnd as error:
            if error.kind == "timeout":
                raise Unavailable(error.reason) from error
            raise

    def stop(self) -> dict[str, object]:
        """End it, so that its file is complete, and return the entry for result.json."""
        self._program.kill(2)
        code = self._program.reap(5.0)
        return {"state": "ran", "reason": "" if code in (0, -2, 130) else f"strace ended with {code}", "cpu_ns": None}


def _is_traced(pid: int) -> bool:
    try:
        threads = os.listdir(f"/proc/{pid}/task")
        return all("\nTracerPid:\t0\n" not in read_text(f"/proc/{pid}/task/{t}/status") for t in threads)
    except OSError:
        return True  # it ended: nothing to wait for
