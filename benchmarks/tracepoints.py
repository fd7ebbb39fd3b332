"""The tracepoints of connect(2) switched on, with no program there: what it costs everybody else that they are on.

    python -m benchmarks.tracepoints [--rounds 10]

Prints what another system call, getppid(), takes without and with them, in turns. benchmarks/instruments.py has
them on during whole trials.
"""

import argparse
import os
import sys
import threading
import time
from pathlib import Path
from statistics import median

from benchmarks import figures
from benchmarks.figures import ROOT

sys.path.insert(0, str(ROOT / "roles" / "trial" / "files"))

from cgidhost import bpf
from cgidhost.ending import Unavailable

_NAMES = ("sys_enter_connect", "sys_exit_connect")
_LOOK_S = 0.02
_CALLS = 400_000


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    without: list[float] = []
    beside: list[float] = []
    for _ in range(parser.parse_args().rounds):
        without.append(_call_ns())
        opened = [bpf.open_tracepoint(name) for name in _NAMES]
        beside.append(_call_ns())
        for fd in opened:
            os.close(fd)
    more = sorted(b - a for a, b in zip(without, beside, strict=True))
    figures.say(
        f"getppid(): {median(without):.0f} ns without, {median(beside):.0f} ns with the tracepoints of connect(2) on; "
        f"{median(more):.0f} ns more ({more[0]:.0f} to {more[-1]:.0f}, n = {len(more)})"
    )
    return 0


def _call_ns() -> float:
    """Return the CPU time of one of many calls, the loop's included."""
    call = os.getppid
    begin_ns = time.thread_time_ns()
    for _ in range(_CALLS):
        call()
    return (time.thread_time_ns() - begin_ns) / _CALLS


def on(trial: str, stop: threading.Event) -> bool:
    """Keep them on until the trial's directory is gone; return whether they could be."""
    opened: list[int] = []
    try:
        opened += [bpf.open_tracepoint(name) for name in _NAMES]
        while Path(trial).exists():
            if stop.wait(_LOOK_S):
                return False
    except (Unavailable, OSError) as err:
        figures.say(f"tracepoints: {err}")
        return False
    finally:
        for fd in opened:
            os.close(fd)
    return True


if __name__ == "__main__":
    sys.exit(main())
