"""What an experiment may do to the cgid daemon in the window."""

from __future__ import annotations

import os
import signal

from .blockfile import Fault
from .ending import TrialEnd
from .load import Timed
from .server import Server
from .sockdiag import SockDiag

_NS = 1_000_000_000


def timed(fault: Fault, server: Server, diag: SockDiag) -> list[Timed]:
    """Return the actions of a fault and when they are due after the window's begin."""

    def send(sig: int) -> None:
        pid = server.find_daemon(diag)
        if pid is None:
            raise TrialEnd("sut", f"there was no cgid daemon for the fault {fault.action}")
        os.kill(pid, sig)

    at_ns = int(fault.at_s * _NS)
    if fault.action == "kill_cgid":
        return [Timed(at_ns, lambda: send(signal.SIGKILL))]
    thaw_ns = at_ns + int(fault.for_s * _NS)
    return [Timed(at_ns, lambda: send(signal.SIGSTOP)), Timed(thaw_ns, lambda: send(signal.SIGCONT))]
