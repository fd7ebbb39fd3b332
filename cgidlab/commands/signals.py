"""Ctrl-C and SIGTERM, the same for all verbs: the only module that says what signals do on the control machine."""

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

_STOP = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def end_the_verb() -> Iterator[None]:
    """Have both raise `KeyboardInterrupt`, so that what a verb holds is given back; afterwards as it was."""
    before = {number: signal.getsignal(number) for number in _STOP}
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
        print(f"stopping: {promise}; once more to leave at once", file=sys.stderr, flush=True)
        asked.set()

    for number in _STOP:
        signal.signal(number, ask)
    return asked.is_set


def _at_once() -> None:
    for number in _STOP:
        signal.signal(number, signal.default_int_handler)
