"""mod_fcgid: httpd's own process manager starts fcgiwraps, each on a socket of its own, which run the same scripts.

A worker hands a request to a process that is free; where none is, it sleeps a second and looks again. So there is no
queue of sockets that could overflow: those who wait are httpd's workers.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Callable, ClassVar, Mapping, Optional

from .. import http, process
from ..proof import Proof, RunningServer, in_force
from ..reloading import RELOADS
from .base import Steps, System, script_modules

if TYPE_CHECKING:
    from ..server import Server
    from ..sockdiag import SockDiag, UnixListener

_WRAPPER = "fcgiwrap"
_LIMITS = ("FcgidMaxProcesses", "FcgidMaxProcessesPerClass")


def _handler(evidence: RunningServer) -> str:
    """Return its name where httpd has no other module for scripts, and what answered a request is what it starts."""
    server, order = evidence.server, evidence.order
    found = script_modules(server.pid)
    if found != ["mod_fcgid.so"]:
        return " ".join(found) or "no module for scripts"
    http.get(server.address, server.port, order.url_path, 15.0)  # before the first one there is no process
    runs = sorted({os.path.basename(os.readlink(f"/proc/{pid}/exe")) for pid in server.acceptors()})
    return "fcgid" if runs == [_WRAPPER] else " ".join(runs) or "no process of mod_fcgid"


def _children(evidence: RunningServer) -> str:
    """Return how many processes the running httpd lets there be: they come one by one, as requests need them."""
    found = sorted({in_force(name, evidence.directives) for name in _LIMITS})
    return " or ".join(found) if evidence.directives else evidence.silent or "not stated"


def _has_one_thread(pid: int) -> bool:
    """Say so of the process manager, and of a process of many workers, whose children would be dear to look for, no."""
    try:
        return len(os.listdir(f"/proc/{pid}/task")) == 1
    except OSError:  # gone
        return False


class Fcgid(System):
    """The process manager is a child of httpd, and the parent of what it starts."""

    name = "fcgid"
    why_no_queue = "each process of mod_fcgid has a socket of its own and is handed one request at a time"
    why_no_daemon = "mod_fcgid has no single process that accepts"
    proofs = (
        Proof("handler", lambda _: "fcgid", _handler),
        Proof("children", lambda o: o.text("children"), _children),
    )
    faults: ClassVar[Mapping[str, Callable[[Server, SockDiag], Steps]]] = RELOADS

    def acceptors(self, first_pid: int, listener: Optional[UnixListener]) -> list[int]:
        """Return the processes that were started until now, as requests needed them."""
        del listener
        return [pid for manager in self.managers(first_pid) for pid in process.children(manager)]

    def managers(self, httpd_pid: int) -> list[int]:
        """Return the process manager, once it has started something: workers start nothing."""
        return [pid for pid in process.children(httpd_pid) if _has_one_thread(pid) and process.children(pid)]
