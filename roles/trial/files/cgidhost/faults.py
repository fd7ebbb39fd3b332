"""What an experiment may do to the cgid daemon or its socket in the window."""

from __future__ import annotations

import os
import signal
from typing import Callable, Mapping

from .blockfile import Fault
from .ending import TrialEnd
from .load import Timed
from .server import Server
from .sockdiag import SockDiag

_NS = 1_000_000_000
_Steps = tuple[Callable[[], None], Callable[[], None]]


def timed(fault: Fault, server: Server, diag: SockDiag) -> list[Timed]:
    """Return the begin and the end of a fault and when they are due after the window's begin."""
    begin, end = _ACTIONS[fault.action](server, diag)
    at_ns = int(fault.at_s * _NS)
    return [Timed(at_ns, begin), Timed(at_ns + int(fault.for_s * _NS), end)]


def _daemon(server: Server, diag: SockDiag) -> int:
    pid = server.find_daemon(diag)
    if pid is None:
        raise TrialEnd("sut", "there was no cgid daemon for the fault")
    return pid


def _freeze(server: Server, diag: SockDiag) -> _Steps:
    """Stop the daemon and let it go on: its queue fills, since nobody accepts."""
    return (
        lambda: os.kill(_daemon(server, diag), signal.SIGSTOP),
        lambda: os.kill(_daemon(server, diag), signal.SIGCONT),
    )


def _kill(server: Server, diag: SockDiag) -> _Steps:
    """Kill the daemon, and keep httpd's parent process, which starts a new one, asleep until the fault is over."""

    def begin() -> None:
        daemon = _daemon(server, diag)
        os.kill(server.pid, signal.SIGSTOP)
        os.kill(daemon, signal.SIGKILL)

    return begin, lambda: os.kill(server.pid, signal.SIGCONT)


def _hide(server: Server, diag: SockDiag) -> _Steps:
    """Rename the socket's file: the daemon listens as before, but nobody finds it."""

    def move(source: str, target: str) -> None:
        _daemon(server, diag)  # and with it the present listener
        path = "" if server.listener is None else server.listener.path
        try:
            os.rename(path + source, path + target)
        except OSError as error:
            raise TrialEnd("infra", f"{path}: {error.strerror}") from error

    return lambda: move("", ".hidden"), lambda: move(".hidden", "")


_ACTIONS: Mapping[str, Callable[[Server, SockDiag], _Steps]] = {
    "freeze_cgid": _freeze,
    "kill_cgid": _kill,
    "hide_socket": _hide,
}
