"""A program of the project in a process of its own: how long it took and how much memory it had."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass

from benchmarks.figures import ROOT


@dataclass(frozen=True, slots=True)
class Cost:
    """Wall time, and the peak of resident memory of the program and of what it waited for, each by itself."""

    wall_s: float
    peak_mb: float


def cost_of_runner(*words: str) -> Cost:
    """Run `runner.py WORDS`; its output is dropped. Exits with its message when it fails."""
    began_s = time.monotonic()
    with subprocess.Popen(
        [sys.executable, str(ROOT / "runner.py"), *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stderr is not None  # noqa: S101 -- it is a pipe
        said = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        took_s = time.monotonic() - began_s
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"runner.py {' '.join(words)} failed: {said[-2000:]}")
    return Cost(took_s, usage.ru_maxrss / 1024)
