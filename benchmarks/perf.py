"""`perf trace` on the connect() calls of a trial's workers, attached from outside while the trial warms up."""

import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks import figures

_LOOK_S = 0.05
_THREADS = 20  # a process of httpd with as many holds workers
_CALLS = 100  # in a window of a second there are a thousand


@contextmanager
def attached_to(block: str, tracers: Mapping[int, Callable[[str, threading.Event], bool]]) -> Iterator[set[int]]:
    """Trace trials of the block in this directory, by their numbers, each when it comes.

    What is yielded fills with the numbers of those that were traced to their end.
    """
    done: set[int] = set()
    stop = threading.Event()

    def watch() -> None:
        for number, tracer in sorted(tracers.items()):
            trial = Path(f"{block}/{number:03d}")
            while not trial.exists() and not _is_over(trial):
                if stop.wait(_LOOK_S):
                    return
            if trial.exists() and tracer(f"{trial}/", stop):
                done.add(number)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield done
    finally:
        stop.set()
        watcher.join()


def _is_over(trial: Path) -> bool:
    """Say whether a later trial of the block is there: the tracer of the one before it took longer than this one."""
    try:
        return any(path.is_dir() and path.name.isdigit() and path.name > trial.name for path in trial.parent.iterdir())
    except OSError:
        return False


def traced(trial: str, stop: threading.Event) -> bool:
    """Trace the workers of a trial until they end; return whether perf saw their calls."""
    until_s = time.monotonic() + 10
    while not _processes(f"{trial}load/"):
        if stop.wait(_LOOK_S) or time.monotonic() > until_s:
            return False
    pids = ",".join(str(pid) for pid in _processes(f"{trial}httpd.conf") if _threads(pid) >= _THREADS)
    with tempfile.TemporaryDirectory(prefix="cgidlab-bench-") as directory:
        log = Path(directory) / "perf.txt"
        words = ["perf", "trace", "--force", "-T", "-e", "connect", "-o", str(log), "-p", pids]
        try:
            ran = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)
        except (OSError, subprocess.TimeoutExpired) as err:
            figures.say(f"perf trace: {err}")
            return False
        # Its status says nothing: it is 255 where the processes ended before perf was told to.
        calls = log.read_bytes().count(b"connect(") if log.exists() else 0
    if calls < _CALLS:
        figures.say(f"perf trace saw {calls} calls: {ran.stderr[-300:]}")
    return calls >= _CALLS


def _processes(word: str) -> list[int]:
    """Return the processes with a word on their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def _threads(pid: int) -> int:
    try:
        return len(list(Path(f"/proc/{pid}/task").iterdir()))
    except OSError:
        return 0
