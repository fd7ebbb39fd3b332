"""The observation itself: the only loop of it, from the first look at the host to the packed results."""

from __future__ import annotations

import gc
import os
import shutil
import time
from typing import Any, Iterable, Optional

from .. import SCHEMA_VERSION, archive, jsontext
from ..instruments.host import document, edge
from ..lease import Watch
from ..process import raise_file_limit, take_precedence
from . import facts, find
from .everything import Everything
from .gauges import AnyGauge, WatchedHost
from .logtail import LogTail
from .memory import ForeignMemory
from .order import Order
from .pace import Meter
from .reading import Reading, sample
from .watched import Watched, gauge_state

_NS = 1_000_000_000
DURATION, FULL, STOPPED, NOTHING, ABANDONED = "duration", "full", "stopped", "nothing", "abandoned"


class Session:
    """One observation, in a directory of its own."""

    def __init__(self, order: Order, directory: str) -> None:
        self._order = order
        self._directory = directory
        self._lease = Watch(None, directory, order.lease_s)
        self._watched: list[Watched] = []
        self._host: Optional[WatchedHost] = None
        self._host_meter = Meter(0.05, 200_000_000, 2 * _NS, 200_000)
        self._keep_ns = int(order.around_s * _NS) if order.until_full else None
        self._full_ns: Optional[int] = None
        self._cost: dict[str, Any] = {}
        self._logs: list[LogTail] = []
        self._notes: list[str] = []
        self._everything: Optional[Everything] = None
        self._memory = ForeignMemory()

    def run(self) -> None:
        """Observe, and leave the results; or nothing at all when nobody waits for them."""
        raise_file_limit()
        if self._order.every:
            self._everything = Everything()
            self._notes += self._everything.notes
        found = find.Found([], [], []) if self._order.every else find.look(self._order.sockets)
        for number, target in enumerate(found.targets, start=1):
            directory = os.path.join(self._directory, f"{number:03d}")
            self._watched.append(
                Watched(
                    number,
                    target,
                    directory,
                    self._order.status_url,
                    time.monotonic_ns,
                    self._memory,
                    whole_requests=self._order.whole_requests,
                )
            )
        for watched in self._watched:
            watched.prepare(self._keep_ns)
        self._open_logs()
        why = NOTHING
        begin_ns = end_ns = time.monotonic_ns()
        if self._everything is not None or any(w.gauges for w in self._watched):
            self._host = WatchedHost(self._directory)
            self._host.keep_ns = self._keep_ns
            edges = edge()
            begin_ns = self._begin()
            set_up_ns = self._used_ns()
            take_precedence()
            gc.disable()
            why = self._loop(begin_ns)
            gc.enable()
            end_ns = time.monotonic_ns()
            for watched in self._watched:
                watched.end()
            used_ns = self._used_ns() - set_up_ns
            self._cost = {
                "cpu_share": used_ns / max(1, end_ns - begin_ns),
                "cpu_s": used_ns / _NS,
                "set_up_cpu_s": set_up_ns / _NS,
            }
            self._close(edges)
        self._memory.close()
        if why == ABANDONED:
            shutil.rmtree(self._directory, ignore_errors=True)
            return
        if self._full_ns is not None and self._keep_ns is not None:
            begin_ns = max(begin_ns, self._full_ns - self._keep_ns)
        clock = {"realtime_ns": time.time_ns(), "monotonic_ns": time.monotonic_ns()}
        archives = [self._pack(w, clock, begin_ns, end_ns) for w in self._watched]
        self._write(
            {
                "schema_version": SCHEMA_VERSION,
                "ended": why,
                "clock": clock,
                "begin_ns": begin_ns,
                "end_ns": end_ns,
                "full_ns": self._full_ns,
                "facts": facts.collect(),
                "notes": [*found.notes, *self._notes, *self._slow_tracing()],
                "listeners": found.listeners,
                "targets": archives,
                "looks": None if self._everything is None else self._everything.looks,
                "every": [] if self._everything is None else self._everything.rows(end_ns),
                "cost": {**self._cost, "limit": self._order.cost_share, "packing_cpu_s": self._packing_s()},
            }
        )

    def _used_ns(self) -> int:
        """Return the CPU time of this process and of the one that reads memory for it."""
        return time.process_time_ns() + self._memory.cpu_ns

    def _begin(self) -> int:
        """Take note of what was before the window, and return when it begins."""
        for watched in self._watched:
            watched.begin()
        return time.monotonic_ns() if self._everything is None else self._everything.begin()

    def _slow_tracing(self) -> list[str]:
        """Say that the host paid for the timing of connect(), where it did."""
        reasons = [w.why_slow_tracing for w in self._watched]
        if self._everything is not None:
            reasons.append(self._everything.why_slow_tracing)
        why = next(filter(None, reasons), "")
        told = "connect() was timed at the system call's tracepoints, which all system calls of the host passed"
        return [f"{told}; at the kernel's function for it: {why}"] if why else []

    def _open_logs(self) -> None:
        """Find whose log each one is: the instance that has it open, or the only one there is."""
        instances = [w for w in self._watched if w.target.master is not None and w.target.listener is not None]
        for path in self._order.error_logs:
            try:
                log = LogTail(path)
            except OSError as error:
                self._notes.append(f"{path} cannot be read: {error.strerror}")
                continue
            owners = [w for w in instances if w.has_open(log.identity)] or (instances if len(instances) == 1 else [])
            if len(owners) == 1:
                owners[0].log = log
            else:
                self._notes.append(f"{path} cannot be told to be the log of one instance: none of several has it open")

    def _packing_s(self) -> Optional[float]:
        if not self._cost:
            return None
        before_s = float(self._cost["cpu_s"]) + float(self._cost["set_up_cpu_s"])
        return time.process_time_ns() / _NS - before_s

    def _meters(self) -> dict[AnyGauge, Meter]:
        found: dict[AnyGauge, Meter] = {} if self._host is None else {self._host: self._host_meter}
        if self._everything is not None:
            found.update(self._everything.gauges)
        several = max(1, sum(1 for w in self._watched if w.gauges))
        for watched in self._watched:
            for gauge, meter in watched.gauges.items():
                meter.part /= several
                found[gauge] = meter
        return found

    def _loop(self, begin_ns: int) -> str:
        """Read every gauge when it is due; return why it ended."""
        reading = Reading(self._meters(), self._order.cost_share, begin_ns)
        why = ""
        while not why:
            reading.read_what_is_due()
            now_ns = time.monotonic_ns()
            for watched in self._watched:
                watched.count(now_ns)
            if self._full_ns is None and self._order.until_full and any(w.overflows for w in self._watched):
                self._full_ns = now_ns
            why = self._ends(begin_ns, now_ns)
            if reading.may_look(now_ns):
                self._look_after(reading.gauges, begin_ns, now_ns)
                why = why or self._unwanted()
                reading.adjust(now_ns)
            if not why:
                time.sleep(reading.idle_s())
        return why

    def _unwanted(self) -> str:
        if self._lease.expired():
            return ABANDONED
        return STOPPED if os.path.exists(os.path.join(self._directory, "stop")) else ""

    def _ends(self, begin_ns: int, now_ns: int) -> str:
        order = self._order
        if self._full_ns is not None:
            return FULL if now_ns >= self._full_ns + order.around_s * _NS else ""
        if order.duration_s is not None and now_ns - begin_ns >= order.duration_s * _NS:
            return DURATION
        return ""

    def _look_after(self, gauges: Iterable[AnyGauge], begin_ns: int, now_ns: int) -> None:
        for watched in self._watched:
            watched.check()
        for gauge in gauges:
            if gauge.keep_ns is None:
                gauge.flush()
            elif self._full_ns is None:  # from then on what came before it is what is wanted, and the end is near
                gauge.trim(now_ns)
        live = {
            "elapsed_s": (now_ns - begin_ns) / _NS,
            "full": self._full_ns is not None,
            "targets": [w.now() for w in self._watched],
            "every": [] if self._everything is None else self._everything.now(),
        }
        _replace(os.path.join(self._directory, "live.json"), jsontext.dumps(live))

    def _close(self, edges: dict[str, Any]) -> None:
        for gauge, meter in self._meters().items():
            sample(gauge, meter)  # what is read seldom would otherwise say nothing of the end
            gauge.finish()
        text = jsontext.dumps(document(edges, edge()))
        for watched in self._watched:
            if watched.gauges:
                shutil.copy(os.path.join(self._directory, "host.csv"), watched.instruments)
                with open(os.path.join(watched.instruments, "host.json"), "w", encoding="utf-8") as file:
                    file.write(text)

    def _pack(self, watched: Watched, clock: dict[str, int], begin_ns: int, end_ns: int) -> dict[str, Any]:
        """Pack what was seen of a target as a trial's directory is packed, and return what else is known of it."""
        target = watched.target
        gone_ns = watched.missing_since_ns
        if watched.log is not None:
            os.makedirs(os.path.join(watched.directory, "logs"), mode=0o755)
            watched.log.write_new(os.path.join(watched.directory, "logs", "error_log"))
        # Connects that are refused after another program has gone are what its clients meet: they belong to the window.
        ended_ns = end_ns if gone_ns is None or target.master is None else max(begin_ns, gone_ns)
        window = {"begin_ns": begin_ns, "end_ns": ended_ns}
        seen = "listen_queue" not in watched.unavailable
        reason = "" if seen else watched.unavailable.get("listen_queue", "")
        states = watched.instrument_states()
        if self._host is not None and watched.gauges:
            states["host"] = gauge_state(self._host)
        result = {
            "schema_version": SCHEMA_VERSION,
            "key": target.label,
            "ended": "complete" if seen else "invalid",
            "reason": reason,
            "kind": None if seen else "infra",
            "clock": clock,
            "phases": [{"name": "window", **window}],
            "window": window if seen else None,
            "server": {
                "httpd_pid": None if target.master is None else target.master.pid,
                "cgid_pid": watched.daemon_at_begin,
                "cgid_pid_at_end": target.daemon,
                "version": str(watched.about.get("version") or ""),
                "socket": target.path,
            },
            "load": None,
            "instruments": states,
        }
        path = os.path.join(self._directory, f"{watched.number:03d}.tar.gz")
        packed = archive.pack(watched.directory, path, lambda: jsontext.dumps(result).encode())
        shutil.rmtree(watched.directory)
        return {
            "number": watched.number,
            "label": target.label,
            "socket": target.path.replace("\0", "@"),
            "pid": watched.first_pid,
            "pid_at_end": target.pid,
            "httpd": target.master is not None,
            "by_name_alone": target.by_name_alone,
            "about": watched.about,
            "acceptors": watched.acceptors,
            "network": target.network,
            "events": watched.events,
            "stopped": gone_ns is not None,
            "notes": target.notes,
            "error_log": None if watched.log is None else watched.log.path,
            "archive": path,
            "sha256": packed.sha256,
        }

    def _write(self, value: dict[str, Any]) -> None:
        _replace(os.path.join(self._directory, "observation.json"), jsontext.dumps(value))


def _replace(path: str, text: str) -> None:
    """Write a file that readers find whole or not at all."""
    with open(path + ".part", "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(path + ".part", path)
