"""fcgiwrap behind mod_proxy_fcgi: some processes that each run one CGI script at a time, the same scripts."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Callable

from .proxied import Proxied, socket_path

if TYPE_CHECKING:
    from ..blockfile import TrialOrder
    from ..server import Places


class Fcgiwrap(Proxied):
    """It takes the socket that it is given: where it makes one itself, the backlog is 511 whatever is wanted."""

    name = "fcgiwrap"
    program = "fcgiwrap"
    why_no_daemon = "fcgiwrap has no single process that accepts"

    def arguments(self, order: TrialOrder, places: Places) -> list[str]:
        """Return how many processes it is to be; the first of them is not among them if they are several."""
        del places
        return ["-c", order.text("children")]

    def in_child(self, order: TrialOrder, places: Places) -> Callable[[], None]:
        """Return what listens, as systemd or spawn-fcgi would: fcgiwrap accepts from its standard input."""

        def listen() -> None:
            one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            one.bind(socket_path(places))
            os.chmod(socket_path(places), 0o600)  # it runs whatever script it is told: nobody else's business
            one.listen(order.number_of("listen_backlog"))
            os.dup2(one.fileno(), 0)

        return listen
