"""Work that others do on this machine: so many cores of it, by processes that last or that live for a moment."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# A core of each is a whole process or a whole shell; what is left works for a part of every 20 ms.
_LASTING = "while :; do :; done"
_SHORT_LIVED = "while :; do /bin/true; done"
_PART = """
import subprocess, sys, time
share, argv = float(sys.argv[1]), sys.argv[2:]
while True:
    begin = time.perf_counter()
    while time.perf_counter() - begin < 0.02 * share:
        subprocess.run(argv) if argv else None
    time.sleep(max(0.0, 0.02 - (time.perf_counter() - begin)))
"""


@contextmanager
def neighbours(cores: float, *, short_lived: bool) -> Iterator[None]:
    """Have others use so many cores as long as it is open, in sessions of their own, and end them."""
    loop = ["sh", "-c", _SHORT_LIVED if short_lived else _LASTING]
    part = [sys.executable, "-c", _PART, str(cores % 1), *(["/bin/true"] if short_lived else [])]
    started = [
        subprocess.Popen(argv, start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        for argv in [loop] * int(cores) + ([part] if cores % 1 else [])
    ]
    try:
        yield
    finally:
        for process in started:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
