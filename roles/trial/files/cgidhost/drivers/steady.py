"""The command line of steady (roles/load/files/steady.c): a closed loop that renews connections which httpd closes.

Its rows are h2load's: when a request was first sent, status, and how long its answer took. It has no warm-up: the
window is cut by the clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..ending import TrialEnd
from .base import GRACE_S, Driver, LoadPlan

if TYPE_CHECKING:
    from ..blockfile import TrialOrder

SPARE_S = 0.2  # it must not end before the window does


class Steady(Driver):
    """A closed loop with keep-alive, as long as the server keeps connections."""

    name = "steady"
    many_paths = True

    @classmethod
    def plan(cls, order: TrialOrder, program: str, rows: str, origin: str) -> LoadPlan:
        """Return how steady makes this trial's load; raise TrialEnd (client) for an open loop."""
        if order.settings["loop"] != "closed":
            raise TrialEnd("client", "steady has no open loop; use driver: h2load")
        warmup_s, window_s = order.seconds("warmup_s"), order.seconds("window_s")
        total_s = warmup_s + window_s + SPARE_S
        address, port = urlsplit(origin).hostname or "", urlsplit(origin).port or 80
        argv = [program, order.text("clients"), f"{total_s:.3f}", rows, address, str(port)]
        argv += [order.url_path] if order.requests is None else ["-", order.requests.path]
        return LoadPlan(argv, warmup_s, window_s, total_s + GRACE_S)
