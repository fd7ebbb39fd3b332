"""The load of a trial that several machines made: their logs on the server's clock, and whether all did their part."""

import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cgidlab import drivers, files
from cgidlab.drivers.base import Driver, Requests, Sendings, Totals
from cgidlab.instruments.host import driver_cpu_share, parse_host_counters
from cgidlab.measure import physics
from cgidlab.measure.requests import PARQUET
from cgidlab.model import Check, FailureKind, Settings, Status, failed
from cgidlab.parsers.documents import Result, Span, read_result
from cgidlab.parsers.load_clocks import HostClock, LoadClocks, parse_load_clocks
from cgidlab.rundir import read

CLOCKS = "load/clocks.json"
_UNKNOWN = HostClock(0, 0, "it was not read")


@dataclass(frozen=True, slots=True)
class Part:
    """What one generator did of a trial's load. Times are the server's, its own clock's offset taken off."""

    name: str
    state: str  # ended, or why nothing else is known
    reason: str
    clock: HostClock  # against the server's
    result: Result | None
    driver: Driver | None  # None: it did not come so far
    requests: Requests | None
    sendings: Sendings | None
    totals: Totals | None
    cpu_share: float | None  # of its one core, in the server's window

    @property
    def unanswered(self) -> int:
        """Return how many of its requests got no answer; of a driver that was cut off, those without a row."""
        if self.totals is not None:
            return self.totals.unanswered
        if self.driver is None or self.requests is None:
            return 0
        return self.driver.unanswered(self.argv, len(self.requests.status))

    @property
    def argv(self) -> tuple[str, ...]:
        """Return its driver's command line."""
        return self.result.load.argv if self.result and self.result.load else ()


@dataclass(frozen=True, slots=True)
class Merged:
    """The whole load of a trial."""

    clocks: LoadClocks
    parts: tuple[Part, ...]

    @property
    def requests(self) -> Requests | None:
        """Return every logged request of all generators, on the server's clock; None if nobody logged any."""
        logs = [p.requests for p in self.parts if p.requests is not None]
        if not logs:
            return None
        return Requests(
            np.concatenate([log.start_us for log in logs]),
            np.concatenate([log.status for log in logs]),
            np.concatenate([log.latency_us for log in logs]),
            exact=all(log.exact for log in logs),
            timed=all(log.timed for log in logs),
        )

    @property
    def sendings(self) -> Sendings | None:
        """Return when requests of all generators were due and sent, on the server's clock; None unless all say it."""
        logs = [p.sendings for p in self.parts if p.sendings is not None]
        if not logs or len(logs) < len(self.parts):
            return None
        return Sendings(np.concatenate([log.due_us for log in logs]), np.concatenate([log.lag_us for log in logs]))

    @property
    def totals(self) -> Totals | None:
        """Return the sum of what the drivers say they did; None unless every one of them says it."""
        said = [p.totals for p in self.parts if p.totals is not None]
        if not said or len(said) < len(self.parts):
            return None
        return Totals(sum(t.done for t in said), sum(t.unanswered for t in said))

    @property
    def unanswered(self) -> int:
        """Return how many requests got no answer, over all of the load."""
        return sum(p.unanswered for p in self.parts)

    @property
    def cpu_share(self) -> float | None:
        """Return the CPU of the busiest driver; None unless all are known."""
        known = [p.cpu_share for p in self.parts if p.cpu_share is not None]
        return max(known) if known and len(known) == len(self.parts) else None

    @property
    def uncertainty_us(self) -> int:
        """Return by how much a request's time on the server's clock may be wrong."""
        return max((p.clock.uncertainty_ns for p in self.parts), default=0) // 1000 + 1


def applies(directory: Path) -> bool:
    """Say whether other machines than the server's made the load of the trial in `directory`."""
    return (directory / CLOCKS).exists()


def merged(directory: Path, server: Result) -> Merged:
    """Return the load of a trial. Raise `StoreError` naming the file that cannot be read."""
    clocks = parse_load_clocks(read(directory / CLOCKS), where=str(directory / CLOCKS))
    return Merged(
        clocks, tuple(_part(directory / "load" / name, name, clocks, server) for name in sorted(clocks.generators))
    )


def _part(own: Path, name: str, clocks: LoadClocks, server: Result) -> Part:
    clock = clocks.between(name) or _UNKNOWN
    result = read_result(own / "result.json") if (own / "result.json").exists() else None
    load = server.load or (result.load if result else None)
    driver = None if load is None else drivers.named(load.driver, str(own.parent.parent / "result.json"))
    requests = sendings = None
    if driver is not None and (own / "rows.log").exists():
        ahead_us = round(clock.offset_ns / 1000)
        rows = driver.requests(own / "rows.log")
        requests = replace(rows, start_us=rows.start_us - ahead_us)
        sendings = driver.sendings(own / "rows.log")
        sendings = sendings and replace(sendings, due_us=sendings.due_us - ahead_us)
    stdout = own / "stdout.txt"
    return Part(
        name,
        *clocks.generators[name],
        clock=clock,
        result=result,
        driver=driver,
        requests=requests,
        sendings=sendings,
        totals=driver.totals(read(stdout)) if driver and stdout.exists() else None,
        cpu_share=_cpu_share(own / "instruments/host.csv", clock, result, server),
    )


def _cpu_share(path: Path, clock: HostClock, own: Result | None, server: Result) -> float | None:
    if own is None or server.window is None or not path.exists():
        return None
    ahead_ns = server.clock.to_realtime_ns(0) + clock.offset_ns - own.clock.to_realtime_ns(0)
    window = Span(server.window.begin_ns + ahead_ns, server.window.end_ns + ahead_ns)
    return driver_cpu_share(parse_host_counters(read(path), where=str(path)), window)


def check_generators(load: Merged, server: Result, settings: Settings) -> Check:
    """Check that every generator made its part of the load, in time and over all of the window."""
    for part in load.parts:
        said = _fault(part, server, float(settings["max_start_lag_s"]))
        if said:
            return failed("generators", said, FailureKind.CLIENT)
    return Check("generators", "passed")


def _fault(part: Part, server: Result, most_s: float) -> str:
    if part.clock.trouble:
        return part.clock.trouble
    if part.state != "ended" or part.result is None:
        return f"the generator {part.name} is {part.state}: {part.reason or 'nothing came home'}"
    if part.result.ended is not Status.COMPLETE:
        return f"the load of {part.name} is {part.result.ended}: {part.result.reason}"
    late_s = (part.result.start_lag_ns or 0) / 1e9
    if late_s > most_s:
        return f"the generator {part.name} started {late_s:.3f} s late; {most_s:g} s are allowed (max_start_lag_s)"
    begin_s, end_s = _beyond(part, server)
    spare_s = part.clock.uncertainty_ns / 1e9
    if min(begin_s, end_s) < -spare_s:
        where = f"{-begin_s:.3f} s after its begin" if begin_s < end_s else f"until {-end_s:.3f} s before its end"
        return f"the load of {part.name} did not cover the window: it was made {where}"
    return ""


def _beyond(part: Part, server: Result) -> tuple[float, float]:
    """Return by how many seconds a generator's load lasted longer than the server's window, at its begin and end."""
    own = part.result
    if own is None or own.window is None or server.window is None:
        return -1.0, -1.0
    ahead_ns = server.clock.to_realtime_ns(0) + part.clock.offset_ns - own.clock.to_realtime_ns(0)
    begin_ns = server.window.begin_ns + ahead_ns - own.window.begin_ns
    return begin_ns / 1e9, (own.window.end_ns - server.window.end_ns - ahead_ns) / 1e9


def check_driver(load: Merged) -> Check:
    """Check that the driver on every generator had CPU left, as `physics.check_driver` does."""
    known = [p for p in load.parts if p.cpu_share is not None]
    busiest = max(known, key=lambda p: p.cpu_share or 0.0, default=None)
    return physics.check_driver(load.cpu_share, busiest.name if busiest else "")


def table(load: Merged, settings: Settings) -> tuple[dict[str, Any], ...]:
    """Return a row a generator: what it did, and how well its clock and its start were kept."""
    return tuple(_row(part, settings) for part in load.parts)


def _row(part: Part, settings: Settings) -> dict[str, Any]:
    driver, argv = part.driver, part.argv
    lag_ns = part.result.start_lag_ns if part.result else None
    return {
        "generator": part.name,
        "state": part.state if part.result is None else part.result.ended.value,
        "loop": settings["loop"],
        "clients": driver.clients(argv) if driver and settings["loop"] == "closed" else None,
        "rate": driver.rate(argv) if driver else None,
        "rows": None if part.requests is None else len(part.requests.status),
        "cpu_share": part.cpu_share,
        "start_lag_ms": None if lag_ns is None else lag_ns / 1e6,
        "clock_offset_ms": part.clock.offset_ns / 1e6,
        "clock_uncertainty_ms": part.clock.uncertainty_ns / 1e6,
    }


def write_rows(directory: Path, server: Result) -> Path:
    """Write all rows as `load/requests.parquet`, on the server's clock, with the generator of each; return its path."""
    import polars as pl  # noqa: PLC0415 -- dear to import, and most callers only read

    parts = [(p.name, p.requests) for p in merged(directory, server).parts if p.requests is not None]
    frame = pl.concat(
        [
            pl.DataFrame(
                {
                    "start_us": log.start_us,
                    "status": log.status.astype(np.int16),
                    "latency_us": log.latency_us,
                    "generator": pl.Series([name] * len(log.status), dtype=pl.String),
                }
            )
            for name, log in parts
        ]
    )
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    files.write_bytes(directory / PARQUET, buffer.getvalue())
    return directory / PARQUET
