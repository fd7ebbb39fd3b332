"""The command lines of h2load that were found honest.

Closed loop: its log holds the requests that ended in the main duration, and
none that were still out when it was over; a request whose answer began in the
warm-up and ended after it has status 0. Open loop: one request a connection,
K connections each P ms; its log holds everything, from the first request on.
It appends to its log, row by row.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..ending import TrialEnd
from .base import GRACE_S, Driver, LoadPlan

if TYPE_CHECKING:
    from ..blockfile import TrialOrder

# Longer periods send bursts instead of a rate; shorter ones lose ticks when the machine is busy.
SHORTEST_PERIOD_MS = 10
LONGEST_PERIOD_MS = 100


def rate_steps(rate: int) -> tuple[int, int]:
    """Return (connections, period in ms) whose quotient is exactly `rate` a second; raise TrialEnd (client)."""
    period = 1000 // math.gcd(rate, 1000)
    period *= math.ceil(SHORTEST_PERIOD_MS / period)
    if period > LONGEST_PERIOD_MS:
        raise TrialEnd("client", f"h2load cannot send {rate} requests a second evenly; use a multiple of 10")
    return rate * period // 1000, period


def _duration(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"  # h2load reads whole numbers with a unit


class H2load(Driver):
    """Both loops, with rows to the microsecond."""

    name = "h2load"
    comes_back = False

    @classmethod
    def plan(cls, order: TrialOrder, program: str, rows: str, origin: str) -> LoadPlan:
        """Return how h2load makes this trial's load on the server at `origin`."""
        warmup_s, window_s = order.seconds("warmup_s"), order.seconds("window_s")
        url = f"{origin}{order.url_path}"
        limit_s = warmup_s + window_s + GRACE_S
        common = [program, "--h1", "-t", "1", f"--log-file={rows}"]
        if order.settings["loop"] == "open":
            each, period_ms = rate_steps(int(order.settings["rate"]))
            total = str(math.ceil(int(order.settings["rate"]) * (warmup_s + window_s)))
            paced = ["-r", str(each), f"--rate-period={period_ms}ms", "-n", total, "-c", total]
            return LoadPlan([*common, *paced, url], warmup_s, window_s, limit_s, late_answers_are_fine=True)
        timed = ["-c", order.text("clients"), "-D", _duration(window_s), f"--warm-up-time={_duration(warmup_s)}"]
        return LoadPlan(
            [*common, *timed, url],
            warmup_s,
            window_s,
            limit_s,
            begin_mark=b"Main benchmark duration is started",
            end_mark=b"Main benchmark duration is over",
        )
