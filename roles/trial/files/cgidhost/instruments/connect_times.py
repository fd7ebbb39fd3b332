"""Duration and result of every connect() to the cgid socket: connect_times.csv."""

from __future__ import annotations

import os
from typing import Any

from ..bpf import ConnectTracer
from . import Gauge


class ConnectTimes(Gauge):
    """Takes what the kernel recorded a few times a second; connects wake nobody."""

    name = "connect_times"
    period_ns = 200_000_000

    def __init__(self, directory: str, tracer: ConnectTracer) -> None:
        """Record what `tracer` sees from now on."""
        self._tracer = tracer
        self._tracer.take()  # of an earlier trial, or of this one's start
        self._lost_before = tracer.lost()
        self._directory = directory
        super().__init__(directory)

    def header(self) -> str:
        """Return nothing: this file has no header."""
        return ""

    def sample(self, now_ns: int) -> None:  # noqa: ARG002 -- each row has its own time
        """Add a row for every connect that ended since the last time."""
        self._lines += [f"{end_ns},{took_ns // 1000},{result}\n" for end_ns, took_ns, result in self._tracer.take()]
        self.samples += 1

    def finish(self) -> None:
        """Take and write the rest, and say how many were lost."""
        self.sample(0)
        super().finish()
        with open(os.path.join(self._directory, "connect_times.stderr"), "w", encoding="utf-8") as file:
            file.write(f"Lost {self._lost()} events\n" if self._lost() else "")

    def more(self) -> dict[str, Any]:
        """Return how many connects were lost for want of room, and where in the kernel they were timed."""
        return {"lost": self._lost(), "place": self._tracer.place, "why_not_function": self._tracer.why_not_function}

    def _lost(self) -> int:
        return self._tracer.lost() - self._lost_before
