"""What can be done to a system under test, whichever it is."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from ..ending import TrialEnd
from .base import Steps

if TYPE_CHECKING:
    from ..server import Server
    from ..sockdiag import SockDiag


def accepting(server: Server, diag: SockDiag) -> list[int]:
    """Return who accepts now, from the present listener; raise TrialEnd (sut) where nobody does."""
    pids = server.find_acceptors(diag)
    if not pids:
        raise TrialEnd("sut", "there was nobody who accepts, to whom the fault could be done")
    return pids


def freeze(server: Server, diag: SockDiag) -> Steps:
    """Stop all who accept and let them go on: the queue fills."""

    def send(sig: int) -> None:
        for pid in accepting(server, diag):
            with suppress(ProcessLookupError):  # one of many may have ended, and another come
                os.kill(pid, sig)

    return lambda: send(signal.SIGSTOP), lambda: send(signal.SIGCONT)


def hide(server: Server, diag: SockDiag) -> Steps:
    """Rename the socket's file: who listens goes on, but nobody finds it."""

    def move(source: str, target: str) -> None:
        accepting(server, diag)  # and with it the present listener
        path = "" if server.listener is None else server.listener.path
        place, name = os.path.split(path)
        if place != server.run_dir or name in ("", ".", ".."):
            raise TrialEnd("sut", f"the socket {path!r:.200} does not lie right below {server.run_dir}")
        try:
            # Not by its path: httpd may put a link in the place of any directory below its own.
            at = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.rename(name + source, name + target, src_dir_fd=at, dst_dir_fd=at)
            finally:
                os.close(at)
        except OSError as error:
            raise TrialEnd("infra", f"{path}: {error.strerror}") from error

    return lambda: move("", ".hidden"), lambda: move(".hidden", "")
