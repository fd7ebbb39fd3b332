"""A long log is sorted in a process of its own, ahead of the one that counts what it says."""

import ctypes
import os
import pickle
import signal
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fcntl import F_SETPIPE_SZ, fcntl
from typing import BinaryIO

from cgidlab.errors import LabError
from cgidlab.parsers.error_log.sorting import Sorted

_SHORT = 64  # times that something is read, of a megabyte each: what is shorter is over before a process has begun
_PIPE_BYTES = 1 << 20
_LENGTH = struct.Struct("=Q")
_PR_SET_PDEATHSIG = 1


@contextmanager
def sorted_lines(lines: Iterator[Sorted]) -> Iterator[Iterator[Sorted]]:
    """Hand on what a log is sorted into, in its order, and raise what `lines` raises.

    Another process goes on with it where the log is long and a processor is free for that.
    """
    with ExitStack() as ended:
        yield _handed_on(lines, ended)


def _handed_on(lines: Iterator[Sorted], ended: ExitStack) -> Iterator[Sorted]:
    for number, some in enumerate(lines):
        yield some
        # of a process with threads only the one that forks goes on, whatever the others hold
        if number == _SHORT and len(os.sched_getaffinity(0)) > 1 and threading.active_count() == 1:
            yield from _received(ended.enter_context(_forked(lines)))
            return


@contextmanager
def _forked(lines: Iterator[Sorted]) -> Iterator[BinaryIO]:
    source, sink = os.pipe()
    with suppress(OSError):  # less is allowed to some users
        fcntl(sink, F_SETPIPE_SZ, _PIPE_BYTES)
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(source)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the reader ends it
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)
            if os.getppid() == parent:
                _send_all(lines, sink)
        finally:
            os._exit(0)
    os.close(sink)
    try:
        with open(source, "rb") as file:  # noqa: PTH123 -- a descriptor
            yield file
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _send_all(lines: Iterator[Sorted], sink: int) -> None:
    """Write all that is read, and what reading raises or None."""
    with suppress(BrokenPipeError), open(sink, "wb") as file:
        try:
            for some in lines:
                _send(some, file)
        except Exception as err:  # noqa: BLE001 -- whatever it is, the reader's process raises it
            _send(err, file)
        else:
            _send(None, file)


def _send(some: Sorted | Exception | None, file: BinaryIO) -> None:
    data = pickle.dumps(some, pickle.HIGHEST_PROTOCOL)
    file.write(_LENGTH.pack(len(data)) + data)
    file.flush()


def _received(file: BinaryIO) -> Iterator[Sorted]:
    while length := file.read(_LENGTH.size):
        some = pickle.loads(file.read(*_LENGTH.unpack(length)))  # noqa: S301 -- our own child wrote it
        if some is None:
            return
        if isinstance(some, Exception):
            raise some
        yield some
    raise LabError(
        "the process that reads the log was ended from outside", fix="look whether memory is short, and run it again"
    )
