"""The command line of ab: a closed loop with keep-alive. Its log has milliseconds, whole-second starts, no status."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..ending import TrialEnd
from .base import GRACE_S, Driver, LoadPlan

if TYPE_CHECKING:
    from ..blockfile import TrialOrder

# ab reserves memory for every request it might send; no server of CGI scripts answers more a second.
MOST_PER_SECOND = 50_000


class Ab(Driver):
    """A closed loop with keep-alive."""

    name = "ab"

    @classmethod
    def plan(cls, order: TrialOrder, program: str, rows: str, origin: str) -> LoadPlan:
        """Return how ab makes this trial's load; raise TrialEnd (client) for an open loop."""
        if order.settings["loop"] != "closed":
            raise TrialEnd("client", "ab has no open loop; use driver: h2load")
        warmup_s, window_s = order.seconds("warmup_s"), order.seconds("window_s")
        # The window begins at a whole second, up to one later than the warm-up's end, and must end before ab does.
        total_s = math.ceil(warmup_s + window_s) + 1
        argv = [program, "-k", "-r", "-q", "-s", "30", "-c", order.text("clients"), "-t", str(total_s)]
        argv += ["-n", str(MOST_PER_SECOND * total_s), "-g", rows, f"{origin}{order.url_path}"]
        return LoadPlan(argv, warmup_s, window_s, total_s + GRACE_S, header_lines=1, whole_seconds=True)
