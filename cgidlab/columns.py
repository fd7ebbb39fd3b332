"""The figures of trials.csv in order, with unit and meaning: the only module that says what a column means."""

from dataclasses import dataclass, fields

from cgidlab.model import Figures


@dataclass(frozen=True, slots=True)
class Column:
    """One figure."""

    name: str
    unit: str  # "" for a count
    description: str


_MEANING = {
    "requests": ("", "requests answered in the window, and those that got no answer"),
    "errors": ("", "of these, answers with a status from 400 on, and requests without an answer"),
    "throughput_rps": ("1/s", "successful answers (2xx, 3xx) completed in the window, by its length"),
    "latency_mean_ms": ("ms", "mean time from request to whole answer, of all answers completed in the window"),
    "latency_p50_ms": ("ms", "median of the same; percentiles are nearest-rank, so each was really observed"),
    "latency_p90_ms": ("ms", "90th percentile of the same"),
    "latency_p99_ms": ("ms", "99th percentile of the same"),
    "latency_p999_ms": ("ms", "99.9th percentile of the same"),
    "latency_max_ms": ("ms", "longest of the same"),
    "worst_second_rps": ("1/s", "fewest successful answers in one of the window's whole seconds"),
    "worst_second_p99_ms": ("ms", "highest 99th percentile of one of the window's whole seconds"),
    "queue_limit": ("", "backlog of the cgid socket as the kernel holds it; limit + 1 connections fit"),
    "queue_depth_max": ("", "most connections seen waiting in the cgid socket's queue"),
    "queue_depth_mean": ("", "time-weighted mean of the same"),
    "queue_full_share": ("share", "of the window in which the queue held limit + 1"),
    "queue_full_longest_ms": ("ms", "longest time without a break in which it did"),
    "tcp_queue_limit": ("", "backlog of the TCP listener as the kernel holds it"),
    "tcp_queue_depth_max": ("", "most connections seen waiting in the TCP listener's queue"),
    "tcp_overflows": ("", "connections the kernel dropped because a TCP listener's queue was full"),
    "tcp_drops": ("", "connections the kernel dropped at a TCP listener for this or any other reason"),
    "workers_in_connect_max": ("", "most worker threads seen asleep in connect() to the cgid socket"),
    "workers_in_connect_mean": ("", "time-weighted mean of the same"),
    "workers_in_read_mean": ("", "mean number of threads asleep waiting for a script's PID or output"),
    "workers_idle_mean": ("", "mean number of threads without a request"),
    "workers_busy_max": ("", "most threads with a request"),
    "scoreboard_busy_mean": ("", "mean number of workers that httpd's scoreboard calls busy"),
    "scoreboard_busy_max": ("", "most of the same"),
    "scoreboard_ready_mean": ("", "mean number of workers that it calls ready for a request"),
    "connects": ("", "calls of connect() to the cgid socket that returned in the window"),
    "connect_p50_us": ("us", "median time of these calls"),
    "connect_p99_us": ("us", "99th percentile of the same"),
    "connect_max_us": ("us", "longest of the same"),
    "connect_wait_per_request_ms": ("ms", "time spent in all of them together, by the number of requests"),
    "connects_refused": ("", "of these calls, those that failed with ECONNREFUSED: nobody listened"),
    "connects_turned_away": ("", "of these calls, those with EAGAIN: the queue was full, the caller does not wait"),
    "connects_failed_other": ("", "of these calls, those that failed with another error"),
    "strace_connects": ("", "calls of connect() to the cgid socket that strace saw return in the window"),
    "strace_connect_p99_us": ("us", "99th percentile of their time, tracing included"),
    "strace_connect_max_us": ("us", "longest of the same"),
    "strace_connects_failed": ("", "of these calls, those that failed"),
    "retries_in_window": ("", "retry lines (AH01256) in the error_log; empty where LogLevel hides them"),
    "retries_refused_in_window": ("", "of these, those with ECONNREFUSED"),
    "retries_enoent_in_window": ("", "of these, those with ENOENT: no such socket"),
    "retries_outside_window": ("", "retry lines before and after the window"),
    "gave_up_503": ("", "answers with status 503"),
    "cgid_restarts": ("", "how often the cgid daemon was replaced by another process"),
    "cgid_cpu_share": ("cores", "CPU of the cgid daemon alone, without the scripts it starts; 1 is a whole core"),
    "cgid_runq_share": ("share", "of the window in which the daemon could have run but waited for a CPU"),
    "host_cpu_share": ("share", "busy time of all CPUs of the host"),
    "host_steal_share": ("share", "time of all CPUs that the hypervisor gave to others"),
    "host_iowait_share": ("share", "time of all CPUs idle while a disk was awaited"),
    "outsider_cpu_share": ("cores", "CPU of all processes that are not the trial's, 1.0 a whole core"),
    "cpu_pressure_share": ("share", "of the window in which some process could have run but waited for a CPU"),
    "io_pressure_share": ("share", "of the window in which some process waited for a disk"),
    "memory_pressure_share": ("share", "of the window in which some process waited for memory"),
    "swapped_pages": ("", "pages swapped in or out on the whole host"),
    "throttled_ms": ("ms", "how long the trial's control group was not allowed to run"),
    "forks_per_s": ("1/s", "processes and threads begun on the whole host"),
    "context_switches_per_s": ("1/s", "of all CPUs of the host"),
    "file_handles_free": ("", "file handles the host could still give at the window's worse edge"),
    "ephemeral_ports_free": ("", "ports that new connections could still get at the window's worse edge, at least"),
    "loadgen_cpu_share": ("cores", "CPU of the load generator, which has one thread; of several, the busiest"),
    "loadgen_headroom_share": ("share", "answers a second, by what this load generator reached against a static file"),
}

COLUMNS: tuple[Column, ...] = tuple(Column(f.name, *_MEANING[f.name]) for f in fields(Figures))


def markdown() -> str:
    """Return the table of docs/results.md."""
    rows = [f"| `{c.name}` | {c.unit} | {c.description} |" for c in COLUMNS]
    return "\n".join(["| column | unit | meaning |", "| --- | --- | --- |", *rows])
