"""mod_cgi, which prefork pairs with: workers fork scripts themselves. The baseline without a queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, ClassVar, Mapping

from ..reloading import RELOADS
from .base import Steps, System

if TYPE_CHECKING:
    from ..server import Server
    from ..sockdiag import SockDiag


class Cgi(System):
    """No daemon, no socket and no variant of mod_cgid."""

    name = "cgi"
    why_no_queue = "mod_cgi has no daemon"
    faults: ClassVar[Mapping[str, Callable[[Server, SockDiag], Steps]]] = RELOADS
