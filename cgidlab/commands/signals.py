"""Ctrl-C, SIGTERM and SIGHUP, the same for all verbs: alone says what signals do on the control machine."""

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

_ASKED = (signal.SIGINT, signal.SIGTERM)


def _stopping() -> tuple[signal.Signals, ...]:
    """Return the signals that end a verb; not what nohup has asked to be ignored."""
    return _ASKED if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (*_ASKED, signal.SIGHUP)


@contextlib.contextmanager
def end_the_verb() -> Iterator[None]:
    """Have each raise `KeyboardInterrupt`, so that what a verb holds is given back; afterwards as it was."""
    before = {number: signal.getsignal(number) for number in _stopping()}
    _at_once()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def asked_first(promise: str) -> Callable[[], bool]:
    """Have the first of them ask the verb to stop, and the second end it at once; return whether it was asked.

    `promise` is what the verb does meanwhile, for the user who waits: "cleaning up".
    """
    asked = threading.Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        _at_once()
        asked.set()
        with contextlib.suppress(OSError):  # the terminal has gone
            print(f"stopping: {promise}; once more to leave at once", file=sys.stderr, flush=True)

    for number in _stopping():
        signal.signal(number, ask)
    return asked.is_set


def _at_once() -> None:
    for number in _stopping():
        signal.signal(number, signal.default_int_handler)
