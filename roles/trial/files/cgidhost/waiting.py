"""Waits for conditions in a trial, so that a stop order always gets through."""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import contextmanager
from typing import Callable, Iterator, Optional, TypeVar

from .ending import TrialEnd

T = TypeVar("T")

_EVERY_S = 0.003


def now_ns() -> int:
    """Return CLOCK_MONOTONIC."""
    return time.monotonic_ns()


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in what goes on for longer, whatever it waits for. For a process that has no other alarm."""

    def late(*_: object) -> None:
        raise TimeoutError(110, f"not within {seconds:g} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Patience:
    """Waits in a trial, broken off by a byte or the end of `stop_fd`."""

    def __init__(self, stop_fd: int) -> None:
        self._stop_fd = stop_fd

    def readable(self, fds: list[int], timeout_s: float) -> list[int]:
        """Return those of `fds` that are readable or ended, [] after `timeout_s`; raise TrialEnd on a stop order."""
        poll = select.poll()
        for fd in [self._stop_fd, *fds]:
            poll.register(fd, select.POLLIN)
        ready = [fd for fd, _ in poll.poll(max(0.0, timeout_s) * 1000)]
        if self._stop_fd in ready:
            raise TrialEnd("interrupted", "the block was stopped")
        return ready

    def pause(self, seconds: float) -> None:
        """Wait that long."""
        self.readable([], seconds)

    def until(self, what: str, condition: Callable[[], Optional[T]], timeout_s: float) -> T:
        """Return the first true result of `condition`; raise TrialEnd (timeout) when there is none."""
        deadline = time.monotonic() + timeout_s
        while True:
            result = condition()
            if result:
                return result
            if time.monotonic() > deadline:
                raise TrialEnd("timeout", f"{what}: not within {timeout_s:g} s")
            self.pause(_EVERY_S)


def exit_code(pid: int) -> Optional[int]:
    """Reap a child that has ended and return its exit code (negative: signal); None while it runs."""
    done, status = os.waitpid(pid, os.WNOHANG)
    return None if done == 0 else code_of(status)


def code_of(status: int) -> int:
    """Return the exit code in a wait status, a signal as its negative number."""
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
