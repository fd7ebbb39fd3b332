"""The figures of a trial: the one place that says of a column what it is called, means and rests on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

OF_A_BLOCK = frozenset(
    {"latency_p50_ms", "latency_p90_ms", "latency_p99_ms", "latency_p999_ms", "latency_max_ms", "worst_second_p99_ms"}
)
"""Responses whose mean over short windows is another figure than that of the windows together."""

LOAD = "load"  # source of what the client and the server's log say of the requests
HEADROOM = "headroom"  # of what a run measures once beside its trials


class Better(StrEnum):
    """Which way a figure should go."""

    HIGHER = "higher"
    LOWER = "lower"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of trials.csv that is a figure: all that is declared of it."""

    name: str
    kind: type[int] | type[float]
    source: str  # the instrument that alone gives it, or LOAD, or HEADROOM
    unit: str  # "" for a count
    meaning: str
    title: str  # in running text
    heading: str  # of a table in a report; "": it is shown in none
    better: Better | None  # None: neither way


def _figure(
    source: str, unit: str, meaning: str, *, title: str = "", heading: str = "", better: Better | None = Better.LOWER
) -> Any:  # noqa: ANN401 -- stands for a field's default, whatever its type
    return field(
        default=None,
        metadata={
            "source": source,
            "unit": unit,
            "meaning": meaning,
            "title": title,
            "heading": heading,
            "better": better,
        },
    )


@dataclass(frozen=True, slots=True)
class Figures:
    """What one trial measured in its window: a row of trials.csv without its identity, in the order of its columns.

    None means that the instrument did not run or that the figure is not
    defined; it is never written as 0. Units are in the names; shares are 0..1.

    To add a column, declare it here and return it where it is measured: by the
    instrument that `source` names. The table of docs/results.md is made from this by
    `python -m scripts.write_docs`.
    """

    requests: int | None = _figure(
        LOAD, "", "requests answered in the window, and those that got no answer", better=Better.HIGHER
    )
    errors: int | None = _figure(
        LOAD, "", "of these, answers with a status from 400 on, and requests without an answer", heading="Errors"
    )
    throughput_rps: float | None = _figure(
        LOAD,
        "1/s",
        "successful answers (2xx, 3xx) completed in the window, by its length",
        title="throughput",
        heading="Throughput, req/s",
        better=Better.HIGHER,
    )
    latency_mean_ms: float | None = _figure(
        LOAD,
        "ms",
        "mean time from request to whole answer, of all answers completed in the window",
        title="mean latency",
    )
    latency_p50_ms: float | None = _figure(
        LOAD,
        "ms",
        "median of the same; percentiles are nearest-rank, so each was really observed",
        title="median latency",
        heading="p50, ms",
    )
    latency_p90_ms: float | None = _figure(LOAD, "ms", "90th percentile of the same", title="p90 latency")
    latency_p99_ms: float | None = _figure(
        LOAD, "ms", "99th percentile of the same", title="p99 latency", heading="p99, ms"
    )
    latency_p999_ms: float | None = _figure(LOAD, "ms", "99.9th percentile of the same", title="p99.9 latency")
    latency_max_ms: float | None = _figure(
        LOAD, "ms", "longest of the same", title="the longest latency", heading="Max, ms"
    )
    waiting_beyond_p99: int | None = _figure(
        LOAD,
        "",
        "requests under way at the window's end that had surely waited longer than its 99th percentile (a closed loop)",
    )
    worst_second_rps: float | None = _figure(
        LOAD, "1/s", "fewest successful answers in one of the window's whole seconds", better=Better.HIGHER
    )
    worst_second_p99_ms: float | None = _figure(
        LOAD, "ms", "highest 99th percentile of one of the window's whole seconds"
    )
    offered_rps: float | None = _figure(
        LOAD,
        "1/s",
        "requests that an open loop's schedule had due in the window, by its length; empty for drivers without one",
        better=None,
    )
    sent_rps: float | None = _figure(
        LOAD, "1/s", "of all its requests those that were sent in the window, by its length", better=None
    )
    send_lag_p99_ms: float | None = _figure(
        LOAD,
        "ms",
        "99th percentile of the time from when a request was due until it was sent; latencies count from due",
    )
    send_lag_max_ms: float | None = _figure(LOAD, "ms", "longest of the same")
    queue_limit: int | None = _figure(
        "listen_queue",
        "",
        "backlog of the cgid socket as the kernel holds it; limit + 1 connections fit",
        heading="Queue limit",
        better=None,
    )
    queue_depth_max: int | None = _figure(
        "listen_queue", "", "most connections seen waiting in the cgid socket's queue", heading="Deepest queue"
    )
    queue_depth_mean: float | None = _figure("listen_queue", "", "time-weighted mean of the same")
    queue_full_share: float | None = _figure(
        "listen_queue", "share", "of the window in which the queue held limit + 1", heading="Time full"
    )
    queue_full_longest_ms: float | None = _figure("listen_queue", "ms", "longest time without a break in which it did")
    tcp_queue_limit: int | None = _figure(
        "listen_queue", "", "backlog of the TCP listener as the kernel holds it", better=None
    )
    tcp_queue_depth_max: int | None = _figure(
        "listen_queue", "", "most connections seen waiting in the TCP listener's queue"
    )
    tcp_overflows: int | None = _figure(
        "host", "", "connections the kernel dropped because a TCP listener's queue was full"
    )
    tcp_drops: int | None = _figure(
        "host", "", "connections the kernel dropped at a TCP listener for this or any other reason"
    )
    workers_in_connect_max: int | None = _figure(
        "worker_states",
        "",
        "most worker threads seen asleep in connect() to the cgid socket",
        heading="Most asleep in connect",
    )
    workers_in_connect_mean: float | None = _figure("worker_states", "", "time-weighted mean of the same")
    workers_in_read_mean: float | None = _figure(
        "worker_states", "", "mean number of threads asleep waiting for a script's PID or output", better=None
    )
    workers_idle_mean: float | None = _figure(
        "worker_states", "", "mean number of threads without a request", better=None
    )
    workers_busy_max: int | None = _figure("worker_states", "", "most threads with a request", better=None)
    scoreboard_busy_mean: float | None = _figure(
        "worker_states", "", "mean number of workers that httpd's scoreboard calls busy", better=None
    )
    scoreboard_busy_max: int | None = _figure("worker_states", "", "most of the same", better=None)
    scoreboard_ready_mean: float | None = _figure(
        "worker_states", "", "mean number of workers that it calls ready for a request", better=None
    )
    connects: int | None = _figure(
        "connect_times", "", "calls of connect() to the cgid socket that returned in the window", better=None
    )
    connect_p50_us: float | None = _figure("connect_times", "us", "median time of these calls")
    connect_p99_us: float | None = _figure(
        "connect_times", "us", "99th percentile of the same", heading="connect p99, µs"
    )
    connect_max_us: float | None = _figure("connect_times", "us", "longest of the same")
    connect_wait_per_request_ms: float | None = _figure(
        "connect_times",
        "ms",
        "time spent in all of them together, by the number of requests",
        title="time asleep in connect() per request",
    )
    connects_refused: int | None = _figure(
        "connect_times", "", "of these calls, those that failed with ECONNREFUSED: nobody listened"
    )
    connects_turned_away: int | None = _figure(
        "connect_times",
        "",
        "of these calls, those with EAGAIN: the queue was full, the caller does not wait; the least number, where "
        "`connects` is empty",
    )
    connects_failed_other: int | None = _figure(
        "connect_times", "", "of these calls, those that failed with another error"
    )
    strace_connects: int | None = _figure(
        "strace", "", "calls of connect() to the cgid socket that strace saw return in the window", better=None
    )
    strace_connect_p99_us: float | None = _figure("strace", "us", "99th percentile of their time, tracing included")
    strace_connect_max_us: float | None = _figure("strace", "us", "longest of the same")
    strace_connects_failed: int | None = _figure("strace", "", "of these calls, those that failed")
    retries_in_window: int | None = _figure(
        "error_log", "", "retry lines (AH01256) in the error_log; empty where LogLevel hides them", heading="Retries"
    )
    retries_refused_in_window: int | None = _figure("error_log", "", "of these, those with ECONNREFUSED")
    retries_enoent_in_window: int | None = _figure("error_log", "", "of these, those with ENOENT: no such socket")
    retries_outside_window: int | None = _figure("error_log", "", "retry lines before and after the window")
    gave_up_503: int | None = _figure(LOAD, "", "answers with status 503")
    reloads: int | None = _figure(LOAD, "", "how often httpd was reloaded in the window, each proved", better=None)
    lost_per_reload: float | None = _figure(
        LOAD,
        "",
        "requests with an error status or without an answer, by the number of reloads; empty where the driver does not "
        "say how many had no answer",
        title="requests lost per reload",
    )
    enoent_per_reload: float | None = _figure(
        "error_log", "", "retry lines with ENOENT in the window, by the number of reloads"
    )
    cgid_restarts: int | None = _figure("cgid_daemon", "", "how often the cgid daemon was replaced by another process")
    cgid_cpu_share: float | None = _figure(
        "cgid_daemon",
        "cores",
        "CPU of the cgid daemon alone, without the scripts it starts; 1 is a whole core",
        heading="cgid CPU",
    )
    cgid_runq_share: float | None = _figure(
        "cgid_daemon", "share", "of the window in which the daemon could have run but waited for a CPU"
    )
    host_cpu_share: float | None = _figure("host", "share", "busy time of all CPUs of the host", heading="Host CPU")
    host_steal_share: float | None = _figure("sentinel", "share", "time of all CPUs that the hypervisor gave to others")
    host_iowait_share: float | None = _figure("host", "share", "time of all CPUs idle while a disk was awaited")
    outsider_cpu_share: float | None = _figure(
        "sentinel",
        "cores",
        "CPU that others used: what the host was busy with, less what the trial's control group used",
    )
    outsider_wanted_cpu_share: float | None = _figure(
        "sentinel",
        "cores",
        "CPU that others used right before and right after the trial, when nothing of it ran: the smaller of both",
    )
    trial_cpu_share: float | None = _figure(
        "sentinel",
        "cores",
        "CPU that the trial's control group used: httpd, what stands behind it, scripts, driver and instruments",
        better=None,
    )
    cpu_per_request_ms: float | None = _figure(
        LOAD,
        "ms",
        "CPU that the trial's control group used without the driver, by the number of requests",
        title="CPU per request",
    )
    server_memory_mb: float | None = _figure(
        "server_memory",
        "MB",
        "most memory seen of httpd, what stands behind it and their scripts; what processes share counts once (Pss)",
        title="memory of the server",
    )
    hook_cpu_ms: float | None = _figure(
        "hooks", "ms", "CPU that the hook during_window and what it waited for used, up to its end after the window"
    )
    cpu_pressure_share: float | None = _figure(
        "host", "share", "of the window in which some process could have run but waited for a CPU"
    )
    io_pressure_share: float | None = _figure("host", "share", "of the window in which some process waited for a disk")
    memory_pressure_share: float | None = _figure(
        "host", "share", "of the window in which some process waited for memory"
    )
    swapped_pages: int | None = _figure("sentinel", "", "pages swapped in or out on the whole host")
    throttled_ms: float | None = _figure(
        "sentinel", "ms", "how long the trial's control group, or one above it, was not allowed to run"
    )
    pace_arithmetic_per_s: float | None = _figure(
        "sentinel",
        "1/s",
        "rounds of fixed arithmetic by a core, right before and after the trial: how fast the host is",
        better=Better.HIGHER,
    )
    pace_memory_per_s: float | None = _figure("sentinel", "1/s", "the same of copying memory", better=Better.HIGHER)
    pace_system_calls_per_s: float | None = _figure("sentinel", "1/s", "the same of system calls", better=Better.HIGHER)
    slowdown_share: float | None = _figure(
        "sentinel",
        "share",
        "by which these three, together, were slower than in the middle gap of the block until then",
    )
    forks_per_s: float | None = _figure("host", "1/s", "processes and threads begun on the whole host", better=None)
    context_switches_per_s: float | None = _figure("host", "1/s", "of all CPUs of the host", better=None)
    file_handles_free: int | None = _figure(
        "host", "", "file handles the host could still give at the window's worse edge", better=Better.HIGHER
    )
    ephemeral_ports_free: int | None = _figure(
        "host",
        "",
        "ports that new connections could still get at the window's worse edge, at least",
        better=Better.HIGHER,
    )
    driver_cpu_share: float | None = _figure(
        "host", "cores", "CPU of the driver, which has one thread; of several, the busiest", heading="Driver CPU"
    )
    driver_headroom_share: float | None = _figure(
        HEADROOM, "share", "answers a second, by what this driver reached against a static file"
    )


def _column(name: str, kind: object, declared: Mapping[str, Any]) -> Column:
    title = declared["title"] or name
    return Column(name=name, kind=int if kind == int | None else float, **{**declared, "title": title})


COLUMNS: Mapping[str, Column] = {f.name: _column(f.name, f.type, f.metadata) for f in fields(Figures)}
"""Every figure by its name, in the order of trials.csv."""


def of(source: str) -> frozenset[str]:
    """Return the names of the figures that rest on one source alone."""
    return frozenset(c.name for c in COLUMNS.values() if c.source == source)


def title(name: str) -> str:
    """Return a figure's name in running text; what is no figure keeps its name."""
    return COLUMNS[name].title if name in COLUMNS else name


def lower_is_worse(name: str) -> bool:
    """Say whether a fall of the figure is what costs."""
    return name in COLUMNS and COLUMNS[name].better is Better.HIGHER


def merged(parts: Iterable[Figures]) -> Figures:
    """Return what several sources know, together; of two that know the same figure the later one counts."""
    known: dict[str, Any] = {}
    for part in parts:
        known |= {name: value for name in COLUMNS if (value := getattr(part, name)) is not None}
    return Figures(**known)


def markdown() -> str:
    """Return the table of docs/results.md."""
    rows = [f"| `{c.name}` | {c.unit} | {c.better or ''} | {c.meaning} |" for c in COLUMNS.values()]
    return "\n".join(["| column | unit | better | meaning |", "| --- | --- | --- | --- |", *rows])
