"""What all systems behind mod_proxy have in common: a program of their own and the processes it starts."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Callable, ClassVar, Mapping, Optional

from .. import process
from ..proof import Proof, RunningServer
from ..reloading import RELOADS
from .base import Steps, System, queue_limit, wanted_queue_limit
from .faults import freeze, hide

if TYPE_CHECKING:
    from ..server import Places, Server
    from ..sockdiag import SockDiag, UnixListener


def socket_path(places: Places) -> str:
    """Return where it listens, as httpd.conf and the systems' own files have it."""
    return os.path.join(places.run, "system.sock")


def _handler(evidence: RunningServer) -> str:
    """Return the name of the system whose program all run that accept."""
    system = evidence.order.system
    assert isinstance(system, Proxied)  # noqa: S101 -- whose proof this is
    found = sorted({system.runs(pid) for pid in evidence.server.acceptors()})
    return system.name if found == [system.program] else " ".join(found) or "nobody accepts"


class Proxied(System):
    """It is started before httpd, which connects to it for each request and, as mod_cgid does, sleeps for room."""

    proofs = (
        Proof("handler", lambda o: o.system.name, _handler),
        Proof("queue_limit", wanted_queue_limit, queue_limit),
        Proof("children", lambda o: o.text("children"), lambda e: str(len(e.server.acceptors()))),
    )
    faults: ClassVar[Mapping[str, Callable[[Server, SockDiag], Steps]]] = {
        "freeze_children": freeze,
        "hide_socket": hide,
        **RELOADS,
    }

    def acceptors(self, first_pid: int, listener: Optional[UnixListener]) -> list[int]:
        """Return the program's children that hold the socket; the program itself where it has none."""
        if listener is None:
            return []
        holders = [p for p in process.children(first_pid) if process.has_socket(p, listener.inode)]
        return holders or ([first_pid] if process.has_socket(first_pid, listener.inode) else [])

    def runs(self, pid: int) -> str:
        """Return which program a process runs, without the version that a distribution puts behind its name."""
        return re.sub(r"[\d.]+\Z", "", os.path.basename(os.readlink(f"/proc/{pid}/exe")))
