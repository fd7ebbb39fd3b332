"""A process that wakes a hundred times a second and reads nothing: what no sampler at that rate can be cheaper than.

    python -m benchmarks.waker    wake until the end of standard input

benchmarks/instruments.py has it beside whole trials. It is woken as the sampler of a trial is, and has its precedence.
"""

import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.figures import ROOT

sys.path.insert(0, str(ROOT / "roles" / "trial" / "files"))

from cgidhost import process
from cgidhost.instruments.listen_queue import ListenQueue

_PERIOD_S = ListenQueue.period_ns / 1e9
NAME = f"a process that wakes {1 / _PERIOD_S:.0f} times a second and reads nothing"
_LOOK_S = 0.02


def main() -> int:
    """Wake and sleep on a schedule that does not drift."""
    process.take_precedence()
    print("awake", flush=True)
    due_s = time.monotonic()
    while not select.select([sys.stdin], [], [], max(0.0, due_s - time.monotonic()))[0]:
        due_s += _PERIOD_S
    return 0


@contextmanager
def awake() -> Iterator[subprocess.Popen[bytes]]:
    """Have it awake, from its first waking on, as long as it is in use."""
    argv = [sys.executable, "-m", "benchmarks.waker"]
    with subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as woken:
        assert woken.stdout is not None  # noqa: S101 -- it is a pipe
        if woken.stdout.readline() != b"awake\n":
            raise SystemExit("the process that only wakes did not start")
        yield woken
        woken.communicate()


def on(trial: str, stop: threading.Event) -> bool:
    """Have it awake until the trial's directory is gone; return whether it was to the end."""
    with awake() as woken:
        while Path(trial).exists():
            if stop.wait(_LOOK_S):
                return False
        return woken.poll() is None


if __name__ == "__main__":
    sys.exit(main())
