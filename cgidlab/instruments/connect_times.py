"""instruments/connect_times.csv, one row a connect() to the cgid socket, and what its instrument lost."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from cgidlab import files
from cgidlab.arrays import Ints, np
from cgidlab.instruments.base import Evidence, Instrument, Need
from cgidlab.instruments.controls import FREEZE_S, FULL, IDLE, MISSING, REFUSED, SEEN, Expectation, Kind, quiet
from cgidlab.instruments.gauges import percentile_ms
from cgidlab.model import Figures, Settings
from cgidlab.numeric_lines import parse
from cgidlab.rundir import read

FILE, ERRORS = "connect_times.csv", "connect_times.stderr"
CONNECT_P99_US = 5_000.0
"""One connect in a hundred took longer than this: five times the slowest one ever seen before a queue with room."""
_SLOWEST_FREE_US = 100_000.0  # a preempted thread waits some slices of a scheduler; a freeze is 15 times longer

EAGAIN, ECONNREFUSED = 11, 111
"""Linux's. EAGAIN from connect() to a listening unix stream socket has no other cause than a full queue."""

_FEW_LOST = 0.01
"""Counts stand where no larger share of the connects was lost. Where the ring has a lock that gives up (rqspinlock;
seen on Linux 6.18), one or two of 200,000 connects on two CPUs are lost though there is room."""
_HANDFUL = 10  # lost connects; of more, all might have been turned away, and none seen is then no "none"

# Said when the kernel's buffer had no room, or could not be locked.
_LOST = re.compile(rb"(?i)\blost (\d{1,18}) events?\b")
# In the byte order of the host, which all supported machines share.
_RING = [("header", "<u8"), ("end_ns", "<u8"), ("took_ns", "<u8"), ("result", "<i8")]


@dataclass(frozen=True, slots=True)
class Connects:
    """One entry a connect(), placed at its end."""

    bad_lines: int
    end_ns: Ints  # CLOCK_MONOTONIC
    duration_us: Ints
    result: Ints  # 0 or a negative errno


def parse_connect_times(data: bytes) -> Connects:
    """Return the rows. There is no header; blank lines are not bad lines."""
    table = parse(re.sub(rb"\n{2,}", b"\n", data.lstrip(b"\n")), separator=b",", fields=3)
    return Connects(table.bad_lines, *table.columns)


def parse_lost_events(stderr: bytes) -> int:
    """Return how many events the instrument says it lost, summed over its messages."""
    return sum(int(n) for n in _LOST.findall(stderr))


def from_ring(data: bytes) -> bytes:
    """Return the CSV of connects that a host sent as they lay in the kernel's ring.

    A record is a header of 8 bytes, the end, the duration in nanoseconds and the
    result. Bytes after the last whole record are left out.
    """
    ring = np.dtype(_RING)
    records = np.frombuffer(data[: len(data) // ring.itemsize * ring.itemsize], dtype=ring)
    rows = zip(
        records["end_ns"].tolist(), (records["took_ns"] // 1000).tolist(), records["result"].tolist(), strict=True
    )
    return "".join(f"{end},{took},{result}\n" for end, took, result in rows).encode()


def _agree(f: Figures, s: Settings) -> bool:
    """Say whether the log and the kernel count the same refusals; each worker may be caught between the two once."""
    refused, logged = f.connects_refused or 0, f.retries_refused_in_window or 0
    return refused > 0 and abs(refused - logged) <= int(s["clients"])


def _free(f: Figures, _s: Settings) -> bool:
    return (
        f.connects_refused == f.connects_turned_away == f.connects_failed_other == 0
        and (f.connect_p99_us or 0.0) < CONNECT_P99_US
        and (f.connect_max_us or 0.0) < _SLOWEST_FREE_US
    )


_FAILED = ("connects_refused", "connects_turned_away", "connects_failed_other")


class ConnectTimes(Instrument):
    """Duration and result of each connect() to the cgid socket, through BPF programs on the syscall tracepoints."""

    name = "connect_times"
    cost_row = "connect_times"
    needs = (
        Need(
            "bpf, perf events",
            "bpf",
            "connect_times cannot time connects: trials must run as root, on a kernel with BPF",
        ),
    )
    expectations = (
        Expectation(
            FULL,
            Kind.POSITIVE,
            f"a connect of {SEEN * FREEZE_S:.1f} s or more",
            lambda f, _s: (f.connect_max_us or 0.0) >= SEEN * FREEZE_S * 1e6,
            ("connect_max_us",),
        ),
        quiet(FULL, "no connect failed", *_FAILED),
        Expectation(
            REFUSED,
            Kind.POSITIVE,
            "refused connects, as many as logged",
            _agree,
            ("connects_refused", "retries_refused_in_window"),
        ),
        Expectation(
            MISSING,
            Kind.POSITIVE,
            "connects failed, none refused",
            lambda f, _s: (f.connects_failed_other or 0) > 0 and f.connects_refused == 0,
            _FAILED,
        ),
        Expectation(
            IDLE,
            Kind.NEGATIVE,
            f"none failed, 99 % below {CONNECT_P99_US / 1000:.0f} ms, all below {_SLOWEST_FREE_US / 1000:.0f} ms",
            _free,
            (*_FAILED, "connect_p99_us", "connect_max_us"),
        ),
    )

    def figures(self, evidence: Evidence) -> Figures:
        """Return the times of connect() to the cgid socket that ended in the window.

        Where the kernel lost more than `_FEW_LOST` of them, times are a sample and counts would be too small: they
        are None, but for the connects that were seen to be turned away. One of those proves that the queue was full.
        """
        data = evidence.data(self.name, FILE)
        if data is None:
            return Figures()
        c = parse_connect_times(data)
        errors = evidence.directory / "instruments" / ERRORS
        lost = parse_lost_events(read(errors)) if errors.exists() else 0
        inside = evidence.inside(c.end_ns)
        duration, result = c.duration_us[inside], c.result[inside]
        found = Figures()
        if len(duration):
            found = Figures(
                connect_p50_us=percentile_ms(duration, 0.5) * 1000,
                connect_p99_us=percentile_ms(duration, 0.99) * 1000,
                connect_max_us=float(duration.max()),
            )
        refused, turned_away = (int((result == -code).sum()) for code in (ECONNREFUSED, EAGAIN))
        of = lost + len(c.end_ns)
        if lost > _FEW_LOST * of:
            evidence.note(self.name, f"the kernel's buffer lost {lost} of {of} events: connects are not counted")
            return replace(found, connects_turned_away=turned_away or None)
        if lost:
            evidence.note(self.name, f"the kernel's buffer lost {lost} of {of} events: no count has them")
        requests = evidence.requests
        return replace(
            found,
            connects=len(duration),
            connects_refused=refused,
            connects_turned_away=turned_away if turned_away or lost <= _HANDFUL else None,
            connects_failed_other=int((result < 0).sum()) - refused - turned_away,
            connect_wait_per_request_ms=float(duration.sum()) / requests / 1000 if requests else None,
        )

    def unpack(self, directory: Path) -> None:
        """Write the CSV of connects that came home as they lay in the kernel's ring."""
        raw = directory / "instruments" / "connect_times.raw"
        if raw.exists():
            files.write_bytes(directory / "instruments" / FILE, from_ring(raw.read_bytes()))
        elif (directory / "instruments" / ERRORS).exists():
            files.write_bytes(directory / "instruments" / FILE, b"")
