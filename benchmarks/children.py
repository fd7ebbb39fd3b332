"""A program of the project in a process of its own: how long it took, and how much CPU and memory it had."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

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


_TICKS = os.sysconf("SC_CLK_TCK")
_LOOK_S = 1.0


@dataclass(slots=True)
class Watched:
    """A program while it ran, looked at once a second; memory is what it has for itself and its share of the rest."""

    own_cpu_s: float = 0.0
    children_cpu_s: float = 0.0  # of those that it started and that ended
    own_mb: list[float] = field(default_factory=list)
    children_mb: list[float] = field(default_factory=list)  # all below it together
    descriptors: list[int] = field(default_factory=list)  # of its own, open
    threads: list[int] = field(default_factory=list)


def watch(words: Sequence[str], fine: frozenset[int] = frozenset({0})) -> Watched:
    """Run a program to its end and return what was seen of it. Exits with its message when its status is not `fine`."""
    seen = Watched()
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(words, stdout=log, stderr=log, cwd=ROOT) as child,
    ):
        while child.poll() is None:
            _look(child.pid, seen)
            time.sleep(_LOOK_S)
        log.seek(0)
        said = log.read()[-2000:].decode(errors="replace")
    if child.returncode not in fine:
        raise SystemExit(f"{' '.join(words)} exited with {child.returncode}: {said}")
    return seen


def _look(pid: int, seen: Watched) -> None:
    try:
        # Fields 14 to 17 of proc_pid_stat(5); the name before them may hold spaces.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        own_mb = _share_mb(pid)
        descriptors, threads = (len(list(Path(f"/proc/{pid}/{name}").iterdir())) for name in ("fd", "task"))
    except OSError:
        return  # it ended in this moment
    ticks = [int(value) for value in fields[11:15]]
    seen.own_cpu_s, seen.children_cpu_s = sum(ticks[:2]) / _TICKS, sum(ticks[2:]) / _TICKS
    seen.own_mb.append(own_mb)
    seen.descriptors.append(descriptors)
    seen.threads.append(threads)
    seen.children_mb.append(sum(_share_mb(each) for each in _below(pid)))


def _share_mb(pid: int) -> float:
    """Return the proportional set size: shared pages count in shares."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(li.split()[1]) / 1024 for li in lines if li.startswith("Pss:")), 0.0)


def _below(pid: int) -> list[int]:
    """Return all descendants of a process that are there now."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            below = [int(word) for word in path.read_text().split()]
        except OSError:
            continue
        found += below + [each for one in below for each in _below(one)]
    return found
