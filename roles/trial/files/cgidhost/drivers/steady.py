"""The command line of steady (roles/load/files/steady.c): both loops, on connections that it renews where need be.

Its rows are h2load's: when a request was first sent, in an open loop when it was due, status, and how long its answer
took. It has no warm-up: the window is cut by the clock. An open loop follows a schedule that is written before, beside
the rows; when each request was really sent is in sent.log there.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..arrivals import due_us
from ..ending import TrialEnd
from .base import GRACE_S, Driver, LoadPlan

if TYPE_CHECKING:
    from ..blockfile import TrialOrder

SPARE_S = 0.2  # it must not end before the window does


class Steady(Driver):
    """Connections are kept as long as the server keeps them; an open loop takes a new one where none is free."""

    name = "steady"
    many_paths = True

    @classmethod
    def plan(cls, order: TrialOrder, program: str, rows: str, origin: str) -> LoadPlan:
        """Return how steady makes this trial's load, its schedule beside `rows`; TrialEnd (client) without one."""
        warmup_s, window_s = order.seconds("warmup_s"), order.seconds("window_s")
        total_s = warmup_s + window_s + SPARE_S
        paths = [order.url_path] if order.requests is None else ["-", order.requests.path]
        where = [urlsplit(origin).hostname or "", str(urlsplit(origin).port or 80), *paths]
        if order.settings["loop"] == "closed":
            uses_us = order.text("driver_cpu_us")
            slowed = [] if uses_us == "0" else ["--uses", uses_us]
            argv = [program, *slowed, order.text("clients"), f"{total_s:.3f}", rows, *where]
            return LoadPlan(argv, warmup_s, window_s, total_s + GRACE_S)
        if order.arrivals is None:
            raise TrialEnd("client", "steady was not told when requests are due")
        directory = os.path.dirname(rows)
        due, sent = os.path.join(directory, "due.log"), os.path.join(directory, "sent.log")
        with open(due, "w", encoding="utf-8") as file:
            file.write(f"# {order.arrivals}\n")
            file.writelines(f"{at_us}\n" for at_us in due_us(order.arrivals, warmup_s, window_s, SPARE_S))
        last_s = total_s + GRACE_S
        argv = [program, "--schedule", due, sent, f"{last_s:.3f}", rows, *where]
        return LoadPlan(argv, warmup_s, window_s, last_s + 1.0, late_answers_are_fine=True)
