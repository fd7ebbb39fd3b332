"""mod_cgi, which prefork pairs with: workers fork scripts themselves. The baseline without a queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, ClassVar, Mapping

from ..proof import Proof, RunningServer
from ..reloading import RELOADS
from .base import Steps, System, script_modules

if TYPE_CHECKING:
    from ..server import Server
    from ..sockdiag import SockDiag


def _module(evidence: RunningServer) -> str:
    """Return what httpd has mapped to run scripts with, by its system's name."""
    found = script_modules(evidence.server.pid)
    return "cgi" if found == ["mod_cgi.so"] else " ".join(found) or "no module for scripts"


class Cgi(System):
    """No daemon, no socket and no variant of mod_cgid."""

    name = "cgi"
    why_no_queue = why_no_daemon = "mod_cgi has no daemon"
    proofs = (Proof("handler", lambda _: "cgi", _module),)
    faults: ClassVar[Mapping[str, Callable[[Server, SockDiag], Steps]]] = RELOADS
