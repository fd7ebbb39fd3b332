"""The command line of wrk: a closed loop with keep-alive, and the script by which it logs when each answer came.

The script also asks for one URI of a list after the other. wrk has one Lua state a thread and tells it neither of
which connection an answer is nor when its request was sent: a row has the moment of the answer and its status, and no
latency. It has no warm-up: the window is cut by the clock.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

from ..ending import TrialEnd
from .base import GRACE_S, Driver, LoadPlan

if TYPE_CHECKING:
    from ..blockfile import TrialOrder

# It takes whole seconds, and must not end before the window does.
SPARE_S = 0.2
SCRIPT = """\
local ffi = require("ffi")
ffi.cdef[[typedef struct { long s; long ns; } cgidlab_time; int clock_gettime(int, cgidlab_time *);]]
local now = ffi.new("cgidlab_time")
local rows

local asked, next_one = {}, 0

function init(args)
   rows = assert(io.open(args[1], "a"))
   rows:setvbuf("full", 65536)
   if args[2] then
      for uri in io.lines(args[2]) do asked[#asked + 1] = wrk.format("GET", uri) end
      request = function()
         next_one = next_one % #asked + 1
         return asked[next_one]
      end
   end
end

function response(status)
   ffi.C.clock_gettime(0, now)
   rows:write(string.format("%d\\t%d\\n", tonumber(now.s) * 1000000 + math.floor(tonumber(now.ns) / 1000), status))
end
"""


class Wrk(Driver):
    """A closed loop with keep-alive."""

    name = "wrk"
    many_paths = True

    @classmethod
    def plan(cls, order: TrialOrder, program: str, rows: str, origin: str) -> LoadPlan:
        """Return how wrk makes this trial's load, its script beside `rows`; an open loop is a TrialEnd (client)."""
        if order.settings["loop"] != "closed":
            raise TrialEnd("client", "wrk has no open loop; use driver: h2load")
        script = os.path.join(os.path.dirname(rows), "wrk.lua")
        with open(script, "w", encoding="utf-8") as file:
            file.write(SCRIPT)
        warmup_s, window_s = order.seconds("warmup_s"), order.seconds("window_s")
        total_s = math.ceil(warmup_s + window_s + SPARE_S)
        argv = [program, "-t", "1", "-c", order.text("clients"), "-d", f"{total_s}s", "--timeout", "30s"]
        argv += ["-s", script, f"{origin}{order.url_path}", "--", rows]
        argv += [] if order.requests is None else [order.requests.path]
        return LoadPlan(argv, warmup_s, window_s, total_s + GRACE_S)
