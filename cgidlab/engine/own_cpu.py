"""How much CPU this program and its Ansible use, moment by moment: what they take from a target on the same machine."""

import itertools
import os
import resource
import threading
import time
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

_LOOK_S = 0.4  # what a look finds is spread over the time before it: trials are short
_SEARCHED = 3  # looks at the same processes before they are searched for anew, which costs ten times as much
_TICKS = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


class OwnCpu(AbstractContextManager["OwnCpu"]):
    """Looks now and then, in a thread, from its begin to its end; `used` may be asked at any time."""

    def __init__(self) -> None:
        self._samples: list[tuple[float, float]] = []  # seconds since 1970, seconds of CPU
        self._processes: tuple[int, ...] = ()  # that this one started, and those that they started
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Self:
        """Begin to look."""
        self.look()
        self._thread.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Look for the last time."""
        self._over.set()
        self._thread.join()
        self.look()

    def look(self) -> None:
        """Note what was used by now."""
        self._processes = tuple(_below(os.getpid()))
        self._note()

    def _note(self) -> None:
        self._samples.append((time.time(), _cpu_s(self._processes)))

    def _work(self) -> None:
        for nth in itertools.count(1):
            if self._over.wait(_LOOK_S):
                return
            if nth % _SEARCHED:
                self._note()
            else:
                self.look()

    def used_s(self, spans: Iterable[tuple[float, float]]) -> float:
        """Return the CPU used within stretches of time (seconds since 1970), evenly spread between two looks."""
        return sum(max(0.0, between(self._samples, end) - between(self._samples, begin)) for begin, end in spans)

    @property
    def whole_s(self) -> float:
        """Return the CPU used from the first to the last look."""
        return max(0.0, self._samples[-1][1] - self._samples[0][1])


def between(samples: Sequence[tuple[float, float]], moment: float) -> float:
    """Return a rising figure at a moment, interpolated; at the ends that of the first or last sample."""
    place = bisect_left(samples, moment, key=lambda s: s[0])
    if place == 0:
        return samples[0][1]
    if place == len(samples):
        return samples[-1][1]
    (begin, low), (end, high) = samples[place - 1], samples[place]
    return low + (high - low) * ((moment - begin) / (end - begin) if end > begin else 1.0)


def _cpu_s(processes: Iterable[int]) -> float:
    """Return the CPU of this process, of its children that ended, and of those that live with what they waited for."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime + sum(map(_ticks, processes)) / _TICKS


def _ticks(pid: int) -> int:
    with suppress(OSError, ValueError, IndexError):
        # utime, stime, cutime, cstime of proc_pid_stat(5); the name before them may hold spaces.
        with open(f"{_PROC}/{pid}/stat", "rb") as file:  # noqa: PTH123 -- in a third of the time
            fields = file.read().rpartition(b")")[2].split()
        return sum(int(n) for n in fields[11:15])
    return 0


def _below(pid: int) -> Iterable[int]:
    for child in _children(pid):
        yield child
        yield from _below(child)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for thread in (_PROC / str(pid) / "task").iterdir():
            with suppress(OSError):
                found += map(int, (thread / "children").read_text().split())
    return found
