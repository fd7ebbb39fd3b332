"""Figures of the mechanism itself, each from one instrument's file. None where the instrument does not speak."""

from dataclasses import dataclass, field
from datetime import timedelta, timezone
from pathlib import Path
from typing import TypedDict

import numpy as np

from cgidlab import rundir
from cgidlab.instruments import connect_times as connects
from cgidlab.instruments.cgid_daemon import parse_cgid_daemon
from cgidlab.instruments.listen_queue import ListenQueue, parse_listen_queue
from cgidlab.instruments.worker_states import WorkerStates, parse_worker_states
from cgidlab.measure import physics
from cgidlab.measure.gauges import Held, hold, rise, unbroken
from cgidlab.measure.requests import percentile_ms
from cgidlab.model import Settings
from cgidlab.numeric_lines import ABSENT, Ints, read
from cgidlab.parsers.documents import Instrument, Result, Span
from cgidlab.parsers.error_log import MISSING, REFUSED, Window, parse_error_log

_OFF = Instrument("off", "", None)
_DEBUG = ("debug", *(f"trace{n}" for n in range(1, 9)))
_OWN_NAMES = ("cgid", "cgid_module", "mod_cgid.c")


class QueueFigures(TypedDict, total=False):
    """Of listen_queue."""

    queue_limit: int | None
    queue_depth_max: int | None
    queue_depth_mean: float | None
    queue_full_share: float | None
    queue_full_longest_ms: float | None
    tcp_queue_limit: int | None
    tcp_queue_depth_max: int | None


class WorkerFigures(TypedDict, total=False):
    """Of worker_states."""

    workers_in_connect_max: int | None
    workers_in_connect_mean: float | None
    workers_in_read_mean: float | None
    workers_idle_mean: float | None
    workers_busy_max: int | None
    scoreboard_busy_mean: float | None
    scoreboard_busy_max: int | None
    scoreboard_ready_mean: float | None


class ConnectFigures(TypedDict, total=False):
    """Of connect_times."""

    connects: int | None
    connect_p50_us: float | None
    connect_p99_us: float | None
    connect_max_us: float | None
    connect_wait_per_request_ms: float | None
    connects_refused: int | None
    connects_failed_other: int | None


class RetryFigures(TypedDict, total=False):
    """Of error_log."""

    retries_in_window: int | None
    retries_refused_in_window: int | None
    retries_enoent_in_window: int | None
    retries_outside_window: int | None


class DaemonFigures(TypedDict, total=False):
    """Of cgid_daemon."""

    cgid_restarts: int | None
    cgid_cpu_share: float | None
    cgid_runq_share: float | None


@dataclass(frozen=True, slots=True)
class Witnesses:
    """The instruments of one trial and its window. Every reading that falls short is noted in `checks`."""

    directory: Path
    result: Result
    window: Span
    checks: list[physics.Check] = field(default_factory=list)

    def data(self, name: str, file: str) -> bytes | None:
        """Return an instrument's file, None if it did not run; its absence although it ran is noted."""
        state = self.result.instruments.get(name, _OFF)
        if state.state != "ran":
            return None
        path = self.directory / "instruments" / file
        if not path.exists():
            self.note(name, f"{file} is missing although the instrument ran")
            return None
        return read(path)

    def note(self, name: str, reason: str) -> None:
        """Record that an instrument says less than it should."""
        self.checks.append(physics.skipped(name, reason))

    def held(self, name: str, times_ns: Ints) -> Held | None:
        """Return how long each sample stood for; too few are noted."""
        held = hold(times_ns, self.window)
        if held is None:
            self.note(name, "its samples cover less than 90 % of the window")
        return held

    def listen_queue(self) -> ListenQueue | None:
        """Return the samples of the listening sockets' queues, in the order of time."""
        data = self.data("listen_queue", "listen_queue.csv")
        return None if data is None else parse_listen_queue(data, where=self.where("listen_queue.csv"))

    def worker_states(self) -> WorkerStates | None:
        """Return the samples of the workers' wait channels."""
        data = self.data("worker_states", "worker_states.csv")
        return None if data is None else parse_worker_states(data, where=self.where("worker_states.csv"))

    def queue(self) -> QueueFigures:
        """Return how deep the queues were and how long the cgid socket's was full: depth = limit + 1."""
        q = self.listen_queue()
        held = self.held("listen_queue", q.monotonic_ns) if q else None
        if q is None or held is None:
            return {}
        figures: QueueFigures = {}
        there = (held.seconds > 0) & (q.cgid_depth != ABSENT) & (q.cgid_limit != ABSENT)
        if there.any():
            full = there & (q.cgid_depth > q.cgid_limit)  # listen(N) holds N + 1
            figures |= {
                "queue_limit": _most_frequent(q.cgid_limit[there]),
                "queue_depth_max": int(q.cgid_depth[there].max()),
                "queue_depth_mean": held.mean(np.where(there, q.cgid_depth, 0)),
                "queue_full_share": held.share(full),
                "queue_full_longest_ms": held.longest_s(full) * 1000,
            }
        there = (held.seconds > 0) & (q.tcp_depth != ABSENT) & (q.tcp_limit != ABSENT)
        if there.any():
            figures |= {
                "tcp_queue_limit": _most_frequent(q.tcp_limit[there]),
                "tcp_queue_depth_max": int(q.tcp_depth[there].max()),
            }
        return figures

    def workers(self) -> WorkerFigures:
        """Return how many worker threads slept where, and how many httpd's scoreboard calls busy."""
        w = self.worker_states()
        held = self.held("worker_states", w.monotonic_ns) if w else None
        if w is None or held is None:
            return {}
        figures: WorkerFigures = {
            "workers_in_connect_max": held.max(w.connect),
            "workers_in_connect_mean": held.mean(w.connect),
            "workers_in_read_mean": held.mean(w.read),
            "workers_idle_mean": held.mean(w.idle),
            "workers_busy_max": held.max(w.threads - w.idle),
        }
        if (w.board_busy[held.seconds > 0] != ABSENT).all():
            figures |= {
                "scoreboard_busy_mean": held.mean(w.board_busy),
                "scoreboard_busy_max": held.max(w.board_busy),
                "scoreboard_ready_mean": held.mean(w.board_ready),
            }
        return figures

    def connects(self, requests: int | None) -> ConnectFigures:
        """Return the times of connect() to the cgid socket that ended in the window.

        Counts are None if the kernel's buffer overflowed: times are then a
        sample, and counts would be too small.
        """
        data = self.data("connect_times", "connect_times.csv")
        if data is None:
            return {}
        c = connects.parse_connect_times(data)
        errors = self.directory / "instruments/connect_times.stderr"
        lost = connects.parse_lost_events(read(errors)) if errors.exists() else 0
        inside = (c.end_ns >= self.window.begin_ns) & (c.end_ns < self.window.end_ns)
        duration, result = c.duration_us[inside], c.result[inside]
        figures: ConnectFigures = {}
        if len(duration):
            figures |= {
                "connect_p50_us": percentile_ms(duration, 0.5) * 1000,
                "connect_p99_us": percentile_ms(duration, 0.99) * 1000,
                "connect_max_us": float(duration.max()),
            }
        if lost:
            self.note("connect_times", f"the kernel's buffer lost {lost} events: connects are not counted")
            return figures
        refused = int((result == -int(REFUSED)).sum())
        return figures | {
            "connects": len(duration),
            "connects_refused": refused,
            "connects_failed_other": int((result < 0).sum()) - refused,
            "connect_wait_per_request_ms": float(duration.sum()) / requests / 1000 if requests else None,
        }

    def retries(self, settings: Settings) -> RetryFigures:
        """Return what mod_cgid logged of its retries, None where its LogLevel hides them.

        The retry line is written at level debug, so an empty log proves nothing
        at level warn.
        """
        path = self.directory / "logs/error_log"
        if not path.exists():
            return {}
        clock = self.result.clock
        begin, end = (clock.to_realtime_ns(edge) for edge in (self.window.begin_ns, self.window.end_ns))
        log = parse_error_log(path, Window(begin, end), zone=_zone(settings), open_stream=rundir.opened)
        outside = log.before.total + log.after.total
        if not log.inside.total and not outside and not retries_are_logged(settings):
            self.note("error_log", "LogLevel hides mod_cgid's retry lines")
            return {}
        return {
            "retries_in_window": log.inside.total,
            "retries_refused_in_window": log.inside.by_errno[REFUSED],
            "retries_enoent_in_window": log.inside.by_errno[MISSING],
            "retries_outside_window": outside,
        }

    def daemon(self) -> DaemonFigures:
        """Return the CPU of the cgid daemon alone, and how often it was replaced."""
        data = self.data("cgid_daemon", "cgid_daemon.csv")
        if data is None:
            return {}
        d = parse_cgid_daemon(data, where=self.where("cgid_daemon.csv"))
        there = (d.pid > 0) & (d.cpu_ns != ABSENT) & (d.runq_ns != ABSENT)
        times, pid = d.monotonic_ns[there], d.pid[there]
        cpu = rise(times, unbroken(d.cpu_ns[there], pid), self.window)
        runq = rise(times, unbroken(d.runq_ns[there], pid), self.window)
        if cpu is None or runq is None:
            self.note("cgid_daemon", "its samples cover less than 90 % of the window")
            return {}
        seen = (times >= self.window.begin_ns) & (times < self.window.end_ns)
        length_ns = self.window.end_ns - self.window.begin_ns
        return {
            "cgid_restarts": int((np.diff(pid[seen]) != 0).sum()),
            "cgid_cpu_share": cpu / length_ns,
            "cgid_runq_share": runq / length_ns,
        }

    def where(self, file: str) -> str:
        """Return the path of an instrument's file, for complaints."""
        return str(self.directory / "instruments" / file)


def _zone(settings: Settings) -> timezone:
    """Return the zone of the log's times: UTC in a trial, the host's own on a server that was watched."""
    offset_s = settings.get("log_utc_offset_s", 0)
    return timezone(timedelta(seconds=float(offset_s)))


def retries_are_logged(settings: Settings) -> bool:
    """Say whether mod_cgid's retry lines reach the log: by LogLevel, or by a patch that may raise their level."""
    if settings.get("patches"):
        return True
    words = str(settings.get("log_level", "debug")).split()
    general = [w for w in words if ":" not in w]
    own = [level for module, _, level in (w.partition(":") for w in words) if level and module in _OWN_NAMES]
    level = (own or general or ["warn"])[-1]
    return level.lower() in _DEBUG


def _most_frequent(values: Ints) -> int:
    found, counts = np.unique(values, return_counts=True)
    return int(found[counts.argmax()])
