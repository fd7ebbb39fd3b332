"""connect() of the workers as `perf trace` tells it, where bpf is not allowed: the same connect_times.csv, dearer."""

from __future__ import annotations

import os
import re
from typing import Any, Iterable, Iterator, Optional

from ..ending import TrialEnd, Unavailable
from ..process import Program, read_text
from ..waiting import Patience

_LINE = re.compile(
    r" *(?:\?|(?P<begin_ms>\d+\.\d+)) \( *(?:(?P<took_ms>\d+\.\d+) ms)? *\): .*?/(?P<tid>\d+) "
    r"(?:connect\(.*?addrlen: (?P<length>\d+)\)| *\.\.\. \[continued\]: connect\(\)\)) *"
    r"(?:= (?P<result>-?\d+)(?: (?P<errno>E\w+))?.*|(?P<out>\.\.\.))"
)
_INTERNET = (16, 28)  # lengths of an address of IPv4 and IPv6, which is no unix socket's
_ERRNOS = {"ENOENT": 2, "EINTR": 4, "EAGAIN": 11, "EACCES": 13, "ECONNREFUSED": 111, "ERESTARTSYS": 512}
_UNKNOWN_ERRNO = 4095
_STOP_S = 10.0


def rows(lines: Iterable[str]) -> Iterator[Optional[tuple[int, int, int]]]:
    """Yield (end in ns, duration in µs, 0 or negative errno) of each connect() to a unix socket.

    None stands for one whose begin was lost. perf says nothing of the path without bpf, but httpd's workers
    connect to no other unix socket.
    """
    internet: set[str] = set()
    for line in lines:
        match = _LINE.fullmatch(line.rstrip("\n"))
        if match is None:
            continue
        tid, length = match["tid"], match["length"]
        if length is not None and int(length) in _INTERNET:
            if match["out"]:
                internet.add(tid)
            continue
        if match["out"]:  # its end comes in a line of its own
            continue
        if length is None and tid in internet:
            internet.discard(tid)
            continue
        if match["begin_ms"] is None or match["took_ms"] is None:
            yield None
            continue
        took_ns = round(float(match["took_ms"]) * 1e6)
        errno = match["errno"]
        result = -_ERRNOS.get(errno, _UNKNOWN_ERRNO) if errno else 0
        yield round(float(match["begin_ms"]) * 1e6) + took_ns, took_ns // 1000, result


class PerfTrace:
    """perf attached to all worker processes and their threads. Its clock is CLOCK_MONOTONIC to within a millisecond."""

    def __init__(self, program: Optional[str], pids: list[int], directory: str) -> None:
        """Start it; raise Unavailable where it cannot be."""
        if program is None:
            raise Unavailable("perf is not installed")
        self._directory = directory
        self._said = os.path.join(directory, "perf_trace.stderr")
        self._log = os.path.join(directory, "perf_trace.txt")
        targets = ",".join(str(pid) for pid in pids)
        argv = [program, "trace", "--force", "-T", "-e", "connect", "-o", self._log, "-p", targets]
        try:
            self._program = Program(argv, self._said, self._said)
        except TrialEnd as error:
            raise Unavailable(error.reason) from error

    def wait_until_ready(self, patience: Patience, timeout_s: float) -> None:
        """Return once it waits for events; raise Unavailable with perf's own words."""

        def attached() -> bool:
            if self._program.exit_code() is not None:
                with open(self._said, encoding="utf-8", errors="replace") as file:
                    words = file.read(600).split("\n")
                raise Unavailable(next((line.strip() for line in words if line.strip()), "perf ended"))
            return _polls(self._program.pid)

        try:
            patience.until("perf attaching", attached, timeout_s)
        except TrialEnd as error:
            self._program.kill()
            if error.kind == "timeout":
                raise Unavailable(error.reason) from error
            raise

    def stop(self, why_no_bpf: str) -> dict[str, Any]:
        """End it, turn what it said into connect_times.csv, and return the entry for result.json."""
        cpu_ns = _cpu_ns(self._program.pid)
        self._program.kill(2)
        code = self._program.reap(_STOP_S)
        count = lost = 0
        try:
            with (
                open(self._log, encoding="utf-8", errors="replace") as log,
                open(os.path.join(self._directory, "connect_times.csv"), "w", encoding="utf-8") as table,
            ):
                for row in rows(log):
                    if row is None:
                        lost += 1
                        continue
                    count += 1
                    table.write(f"{row[0]},{row[1]},{row[2]}\n")
            with open(os.path.join(self._directory, "connect_times.stderr"), "w", encoding="utf-8") as said:
                said.write(f"Lost {lost} events\n" if lost else "")
        except OSError as error:
            return {"state": "unavailable", "reason": f"perf trace: {error.strerror}"}
        if code not in (0, -2, 130):
            return {"state": "unavailable", "reason": f"perf trace ended with {code}"}
        reason = f"through perf trace, since {why_no_bpf}"
        return {"state": "ran", "reason": reason, "cpu_ns": cpu_ns, "samples": count, "missed": 0, "lost": lost}


def _polls(pid: int) -> bool:
    """Say whether perf has opened its events and sleeps until one comes."""
    try:
        if "poll" not in read_text(f"/proc/{pid}/wchan"):
            return False
        names = os.listdir(f"/proc/{pid}/fd")
        return any("perf_event" in os.readlink(f"/proc/{pid}/fd/{name}") for name in names)
    except OSError:
        return False


def _cpu_ns(pid: int) -> Optional[int]:
    try:
        return int(read_text(f"/proc/{pid}/schedstat").split()[0])
    except (OSError, ValueError, IndexError):
        return None
