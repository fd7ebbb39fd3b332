"""Where a run's time went, as a trace that a browser's trace viewer reads (chrome://tracing, ui.perfetto.dev)."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cgidlab import files, rundir
from cgidlab.errors import StoreError
from cgidlab.parsers import documents, trial_documents, versions
from cgidlab.progress import USUAL, Display

NAME = "trace.json"
_RUNNER = "the runner"


class ProfilingDisplay(Display):
    """A display that also remembers when each step of the runner began, in seconds since 1970."""

    def __init__(self, level: int = USUAL) -> None:
        super().__init__(level=level)
        self.steps: list[tuple[float, str]] = [(time.time(), "loading the plan")]

    def step(self, text: str) -> None:
        """Show and remember what is being done now."""
        super().step(text)
        self.steps.append((time.time(), text))


def write_trace(run: Path, steps: Sequence[tuple[float, str]], ended_s: float) -> Path:
    """Write `trace.json` into a run directory and return its path.

    One row for the runner's steps, one for each host with the phases of its
    trials. The format is the Trace Event Format's complete events ("ph": "X"), times in µs since
    the run's first step. A trial whose result cannot be read has no phases in it.
    """
    origin_s = steps[0][0]
    ends_s = [begin_s for begin_s, _ in steps[1:]] + [ended_s]
    events = [_row_name(0, _RUNNER)]
    for (begin_s, name), end_s in zip(steps, ends_s, strict=True):
        events.append(_event(name, 0, begin_s - origin_s, end_s - begin_s, {}))
    rows: dict[str, int] = {}
    for host, trial, result in _results(run):
        if host not in rows:
            rows[host] = len(rows) + 1
            events.append(_row_name(rows[host], host))
        offset_s = (result.clock.realtime_ns - result.clock.monotonic_ns) / 1e9 - origin_s
        for phase in result.phases:
            begin_s, end_s = phase.span.begin_ns / 1e9, phase.span.end_ns / 1e9
            events.append(_event(phase.name, rows[host], begin_s + offset_s, end_s - begin_s, {"trial": trial}))
    path = run / NAME
    files.write_json(path, versions.stamped(NAME, {"displayTimeUnit": "ms", "traceEvents": events}))
    return path


def _results(run: Path) -> Iterator[tuple[str, str, documents.Result]]:
    for name in rundir.names(run / "trials"):
        directory = run / "trials" / name
        try:
            host = trial_documents.TRIAL.read(directory / "trial.json").host
            yield host, directory.name, documents.read_result(directory / "result.json")
        except StoreError:
            continue


def _event(name: str, row: int, begin_s: float, duration_s: float, args: dict[str, str]) -> dict[str, Any]:
    times = {"ts": round(begin_s * 1e6), "dur": round(duration_s * 1e6)}
    return {"name": name, "ph": "X", **times, "pid": 1, "tid": row, "args": args}


def _row_name(row: int, name: str) -> dict[str, Any]:
    return {"name": "thread_name", "ph": "M", "pid": 1, "tid": row, "args": {"name": name}}
