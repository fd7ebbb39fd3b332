"""The tracepoints of connect(2) switched on during a trial, with no program there: what it costs that they are on."""

import os
import sys
import threading
from pathlib import Path

from benchmarks import figures
from benchmarks.figures import ROOT

sys.path.insert(0, str(ROOT / "roles" / "trial" / "files"))

from cgidhost import bpf
from cgidhost.ending import Unavailable

_NAMES = ("sys_enter_connect", "sys_exit_connect")
_LOOK_S = 0.02


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
