"""Measuring a trial: tiny trials with a known truth, the checks that catch a lying witness, and one real trial."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgidlab import figures, measure
from cgidlab.drivers.base import Requests
from cgidlab.errors import StoreError
from cgidlab.instruments import INSTRUMENTS, gauges
from cgidlab.instruments.base import Evidence
from cgidlab.instruments.error_log import retries_are_logged
from cgidlab.measure import physics, requests
from cgidlab.model import Check, FailureKind, Figures
from cgidlab.parsers.documents import Span, read_result
from tests.unit.test_sentinel import document as sentinel_document

DATA = Path(__file__).parent.parent / "data"
SECOND = 1_000_000_000  # ns
BEGIN_NS, WINDOW_S = 50 * SECOND, 10
OFFSET_NS = 1_795_447_600 * SECOND  # what the host's real-time clock is ahead of its monotonic one
BEGIN_US = (BEGIN_NS + OFFSET_NS) // 1000
CLIENTS = 10
LATENCY_US = 100_000


def steady_rows(seconds: float = 12.0, clients: int = CLIENTS, status: int = 200) -> list[tuple[int, int, int]]:
    """Return rows of clients that each send as soon as they are answered, from 1 s before the window to its end."""
    rounds = int(seconds * 1e6 / LATENCY_US)
    start = BEGIN_US - 1_000_000
    return [
        (start + r * LATENCY_US + c * 7_001, status, LATENCY_US)
        for r in range(rounds)
        for c in range(clients)
        if start + (r + 1) * LATENCY_US + c * 7_001 < BEGIN_US + WINDOW_S * 1_000_000
    ]


@dataclass
class Trial:
    """A trial's directory to be: change a part, then `write`."""

    rows: list[tuple[int, int, int]] = field(default_factory=steady_rows)
    served: list[tuple[int, int, int]] | None = None  # begin, end, status; None: what the client saw
    stdout: str | None = None
    error_log: str = ""
    instruments: dict[str, str] = field(default_factory=dict)  # file name to text
    ran: tuple[str, ...] = ("listen_queue", "worker_states", "connect_times", "cgid_daemon", "host")
    hooks: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(
        default_factory=lambda: {"clients": CLIENTS, "loop": "closed", "log_level": "warn cgid:debug", "patches": ""}
    )
    driver: str = "h2load"
    argv: tuple[str, ...] = ("h2load", "http://127.0.0.1:8080/cgi-bin/hello")
    window: dict[str, int] | None = field(
        default_factory=lambda: {"begin_ns": BEGIN_NS, "end_ns": BEGIN_NS + WINDOW_S * SECOND}
    )

    def write(self, path: Path) -> Path:
        """Write the trial below `path` and return its directory."""
        for name in ("load", "logs", "instruments"):
            (path / name).mkdir()
        result: dict[str, Any] = {
            "schema_version": 1,
            "key": "k",
            "ended": "complete",
            "reason": "",
            "kind": None,
            "clock": {"realtime_ns": OFFSET_NS + 5, "monotonic_ns": 5},
            "phases": [
                {"name": n, "begin_ns": 0, "end_ns": int(s * SECOND)}
                for n, s in (("start", 0.25), ("warmup", 1), ("window", 10), ("stop", 0.5))
            ],
            "server": {"cgid_pid": 7, "cgid_pid_at_end": 7, "socket": "/run/cgisock.7"},
            "load": {"driver": self.driver, "argv": list(self.argv), "exit_code": 0, "timed_out": False},
            "instruments": {
                n: {"state": "ran" if n in self.ran else "off", "reason": ""}
                for n in (i.name for i in INSTRUMENTS if i.optional)
            },
            "hooks": self.hooks,
        }
        if self.window:
            result["window"] = self.window
        (path / "result.json").write_text(json.dumps(result))
        (path / "trial.json").write_text(json.dumps({"schema_version": 1, "key": "k", "settings": self.settings}))
        (path / "load/rows.log").write_text("".join(f"{s}\t{c}\t{d}\n" for s, c, d in self.rows))
        served = self.served if self.served is not None else [(s, s + d, c) for s, c, d in self.rows]
        log = "".join(f"{b} {e} {c} 6 /cgi-bin/hello\n" for b, e, c in served)
        (path / "logs/access_log").write_text(log + f"{BEGIN_US} {BEGIN_US + 9} 200 99 /server-status\n" * 1000)
        n = len(self.rows)
        done = f"requests: {n} total, {n} started, {n} done, {n} succeeded, 0 failed, 0 errored, 0 timeout\n"
        (path / "load/stdout.txt").write_text(done if self.stdout is None else self.stdout)
        (path / "logs/error_log").write_text(self.error_log)
        for name, text in self.instruments.items():
            (path / "instruments" / name).write_text(text)
        return path


EDGE = (
    *("listen_overflows", "listen_drops", "outsider_ticks", "pswpin", "pswpout", "throttled_us"),
    *("psi_cpu_some_us", "psi_io_some_us", "psi_memory_some_us"),
    *("file_max", "file_handles", "ephemeral_ports", "tcp_sockets"),
)


def strace() -> str:
    at = (BEGIN_NS + OFFSET_NS) // SECOND + 1
    call = 'connect(9, {sa_family=AF_UNIX, sun_path="/run/cgisock.7"}, 110) = 0 <0.000052>'
    return f"2701 {at}.000000 {call}\n"


def csv(header: str, rows: Sequence[Sequence[object]]) -> str:
    return "\n".join([header, *(",".join(str(v) for v in row) for row in rows)]) + "\n"


def times(every_ms: int, begin_s: float = -1.0, end_s: float = 11.0) -> list[int]:
    """Return moments from `begin_s` to `end_s` of the window's begin, in monotonic nanoseconds."""
    return [BEGIN_NS + ms * 1_000_000 for ms in range(int(begin_s * 1000), int(end_s * 1000) + 1, every_ms)]


QUEUE = "monotonic_ns,cgid_depth,cgid_limit,tcp_depth,tcp_limit"
WORKERS = "monotonic_ns,threads,connect,read,idle,running,other"
DAEMON = "monotonic_ns,pid,cpu_ns,runq_ns,switches"
HOST = "monotonic_ns,user,nice,system,idle,iowait,irq,softirq,steal,ctxt,forks,driver_cpu_ns"


def state(measured: measure.Measured, name: str) -> str:
    return next(c.state for c in measured.checks if c.name == name)


def reason(measured: measure.Measured, name: str) -> str:
    return next(c.reason for c in measured.checks if c.name == name)


def test_a_steady_closed_loop_has_the_figures_it_was_built_with_and_passes_every_check(tmp_path: Path) -> None:
    measured = measure.measure(Trial().write(tmp_path))

    f = measured.figures
    inside = [r for r in steady_rows() if r[0] + r[2] >= BEGIN_US]
    assert (f.requests, f.errors, f.gave_up_503) == (len(inside), 0, 0)
    assert f.throughput_rps == pytest.approx(len(inside) / WINDOW_S)
    assert f.throughput_rps == pytest.approx(CLIENTS / (LATENCY_US / 1e6), rel=0.01)
    assert {f.latency_mean_ms, f.latency_p50_ms, f.latency_p999_ms, f.latency_max_ms} == {100.0}
    assert [c.name for c in measured.checks if c.failed] == []
    assert [state(measured, n) for n in ("answers", "rows", "access_log", "little")] == ["passed"] * 4
    assert measured.overhead_s == pytest.approx(0.75)
    assert measured.started_s == pytest.approx(BEGIN_US / 1e6)


def test_a_request_counts_where_it_was_answered_and_not_where_it_was_sent(tmp_path: Path) -> None:
    end = BEGIN_US + WINDOW_S * 1_000_000
    rows = [(BEGIN_US - 50, 200, 49), (BEGIN_US - 50, 200, 50), (end - 10, 200, 9), (end - 10, 200, 10)]

    assert measure.measure(Trial(rows=rows).write(tmp_path)).figures.requests == 2


def test_throughput_counts_successes_and_errors_count_the_rest_and_the_unanswered(tmp_path: Path) -> None:
    rows = steady_rows()
    rows = [(s, 503 if i % 10 == 0 else 200, d) for i, (s, _, d) in enumerate(rows)]
    n = len(rows)
    stdout = f"requests: {n + 4} total, {n + 4} started, {n + 4} done, 1 succeeded, 5 failed, 4 errored, 0 timeout\n"

    measured = measure.measure(Trial(rows=rows, stdout=stdout).write(tmp_path))

    inside = [r for r in rows if r[0] + r[2] >= BEGIN_US]
    bad = sum(r[1] == 503 for r in inside)
    f = measured.figures
    assert (f.requests, f.errors, f.gave_up_503) == (len(inside) + 4, bad + 4, bad)
    assert f.throughput_rps == pytest.approx((len(inside) - bad) / WINDOW_S)
    assert state(measured, "rows") == "passed"


def test_rows_that_an_open_loop_never_got_are_errors(tmp_path: Path) -> None:
    argv = ("h2load", "-r", "3", "--rate-period=10ms", "-n", "1500", "-c", "1500", "http://127.0.0.1/cgi-bin/hello")
    trial = Trial(rows=steady_rows(), stdout="", argv=argv)
    trial.settings["loop"] = "open"

    measured = measure.measure(trial.write(tmp_path))

    assert measured.figures.errors == 1500 - len(trial.rows)
    assert state(measured, "little") == "skipped"


def scheduled(place: Path, lag_us: int, latency_us: int = 50_000, **settings: object) -> Path:
    """Return a trial of 100 requests a second by a schedule, of which each was sent so late."""
    due = [BEGIN_US - 1_000_000 + n * 10_000 + 5_000 for n in range(100 * (WINDOW_S + 1))]
    rows = [(at, 200, latency_us) for at in due if at + latency_us < BEGIN_US + WINDOW_S * 1_000_000]
    trial = Trial(rows=rows, driver="steady", argv=("steady", "--schedule", "due.log", "sent.log"))
    trial.stdout = f"steady: {len(rows)} answered, {len(due) - len(rows)} unanswered, 0 connections renewed\n"
    trial.settings |= {"loop": "open", "arrivals": "poisson", "rate": 300, **settings}
    directory = trial.write(place)
    (directory / "load/sent.log").write_text("".join(f"{at}\t{lag_us}\n" for at in due))
    return directory


@pytest.mark.parametrize(
    ("driver", "argv"),
    [
        ("steady", ("steady", "10", "12", "rows.log", "127.0.0.1", "80", "/cgi-bin/hello?5")),
        ("steady", ("steady", "--uses", "5", "10", "12", "rows.log", "127.0.0.1", "80", "/cgi-bin/hello")),
        ("steady", ("steady", "10", "12", "rows.log", "127.0.0.1", "80", "-", "/w/list.uris")),
        ("wrk", ("wrk", "-c", "10", "http://127.0.0.1/cgi-bin/hello", "--", "rows.log")),
        ("wrk", ("wrk", "-c", "10", "http://127.0.0.1/cgi-bin/other", "--", "rows.log", "/w/list.uris")),
        ("h2load", ("h2load", "http://127.0.0.1:8080/cgi-bin/hello?5")),
    ],
)
def test_requests_by_which_workers_are_held_are_none_of_the_loads(
    tmp_path: Path, driver: str, argv: tuple[str, ...]
) -> None:
    rows = steady_rows()
    path = Trial(driver=driver, argv=argv).write(tmp_path)
    if driver == "wrk":
        (path / "load/rows.log").write_text("".join(f"{s + d}\t{c}\n" for s, c, d in rows))
    held = f"{BEGIN_US} {BEGIN_US + 9} 200 0 *\n" * 160
    (path / "logs/access_log").write_text("".join(f"{s} {s + d} {c} 6 /cgi-bin/hello\n" for s, c, d in rows) + held)

    assert state(measure.measure(path), "access_log") == "passed"


def test_what_a_schedule_asked_for_and_how_late_it_was_sent_are_figures(tmp_path: Path) -> None:
    measured = measure.measure(scheduled(tmp_path, 2_000))

    f = measured.figures
    assert (f.offered_rps, f.sent_rps) == (100.0, 100.0)
    assert (f.send_lag_p99_ms, f.send_lag_max_ms) == (2.0, 2.0)
    assert state(measured, "schedule") == "passed"
    assert (state(measured, "little"), state(measured, "rows")) == ("skipped", "passed")


@pytest.mark.parametrize(
    ("lag_us", "latency_us", "want"),
    [(9_000, 20_000, "passed"), (12_000, 20_000, "failed"), (12_000, 400_000, "passed"), (60_000, 400_000, "failed")],
    ids=["within 10 ms", "more than a tenth", "a tenth of slow answers", "more than that"],
)
def test_a_client_that_could_not_keep_its_schedule_makes_the_trial_invalid(
    tmp_path: Path, lag_us: int, latency_us: int, want: str
) -> None:
    measured = measure.measure(scheduled(tmp_path, lag_us, latency_us))

    (check,) = (c for c in measured.checks if c.name == "schedule")
    assert check.state == want
    assert want == "passed" or (check.kind is FailureKind.CLIENT and f"{lag_us / 1000:.1f} ms late" in check.reason)


def test_a_schedule_of_which_nothing_was_logged_makes_the_trial_invalid(tmp_path: Path) -> None:
    directory = scheduled(tmp_path, 0)
    (directory / "load/sent.log").unlink()

    assert state(measure.measure(directory), "schedule") == "failed"


def test_a_driver_without_a_schedule_is_not_asked_for_its_lag(tmp_path: Path) -> None:
    measured = measure.measure(Trial().write(tmp_path))

    assert state(measured, "schedule") == "skipped"
    assert measured.figures.offered_rps is None


def test_the_servers_log_says_how_many_answers_of_unknown_status_failed(tmp_path: Path) -> None:
    rows = [(s, 0 if i % 10 == 0 else 200, d) for i, (s, _, d) in enumerate(steady_rows())]
    served = [(s, s + d, 503 if i % 20 == 0 else 200) for i, (s, _, d) in enumerate(rows)]
    want = sum(1 for _, e, c in served if c == 503 and e >= BEGIN_US)

    assert measure.measure(Trial(rows=rows, served=served).write(tmp_path)).figures.errors == want


def queue_full(share: float) -> str:
    """Return samples in which the queue of 100 was full for a share of the window, and always outside of it."""
    rows = []
    for t in times(10):
        inside = 0 <= t - BEGIN_NS < WINDOW_S * SECOND
        full = not inside or t - BEGIN_NS < share * WINDOW_S * SECOND
        rows.append((t, 101 if full else 20, 100, 1, 511))
    return csv(QUEUE, rows)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_queue_was_full_for_exactly_the_share_of_the_window_it_was_built_with(tmp_path: Path, share: float) -> None:
    f = measure.measure(Trial(instruments={"listen_queue.csv": queue_full(share)}).write(tmp_path)).figures

    assert f.queue_full_share == pytest.approx(share)
    assert f.queue_full_longest_ms == pytest.approx(share * WINDOW_S * 1000)
    assert (f.queue_limit, f.queue_depth_max) == (100, 101 if share else 20)
    assert f.queue_depth_mean == pytest.approx(101 * share + 20 * (1 - share))
    assert (f.tcp_queue_limit, f.tcp_queue_depth_max) == (511, 1)


def test_a_queue_at_its_limit_is_not_full(tmp_path: Path) -> None:
    """listen(N) holds N + 1."""
    text = csv(QUEUE, [(t, 100, 100, 0, 511) for t in times(10)])

    f = measure.measure(Trial(instruments={"listen_queue.csv": text}).write(tmp_path)).figures

    assert (f.queue_full_share, f.queue_depth_max) == (0.0, 100)


def test_a_sample_weighs_as_long_as_it_stood(tmp_path: Path) -> None:
    """The sampler was late once: one sample stood for 3 s of 10."""
    moments = [t for t in times(100) if not 4 * SECOND < t - BEGIN_NS < 7 * SECOND]
    rows = [(t, 101 if t - BEGIN_NS == 4 * SECOND else 0, 100, 0, 511) for t in moments]

    f = measure.measure(Trial(instruments={"listen_queue.csv": csv(QUEUE, rows)}).write(tmp_path)).figures

    assert f.queue_full_share == pytest.approx(0.3)
    assert f.queue_full_longest_ms == pytest.approx(3000)


def test_a_sampler_that_stopped_early_says_nothing(tmp_path: Path) -> None:
    text = csv(QUEUE, [(t, 5, 100, 0, 511) for t in times(10, end_s=5)])

    measured = measure.measure(Trial(instruments={"listen_queue.csv": text}).write(tmp_path))

    assert measured.figures.queue_depth_max is None
    assert "90 %" in reason(measured, "listen_queue")
    assert state(measured, "listen_queue") == "skipped"


def test_a_socket_that_was_gone_for_a_while_was_not_full_then(tmp_path: Path) -> None:
    rows = [(t, "" if t - BEGIN_NS >= 5 * SECOND else 101, 100, 0, 511) for t in times(10)]

    f = measure.measure(Trial(instruments={"listen_queue.csv": csv(QUEUE, rows)}).write(tmp_path)).figures

    assert f.queue_full_share == pytest.approx(0.5)


def test_workers_are_counted_where_they_sleep(tmp_path: Path) -> None:
    rows = [(t, 400, 200 if t - BEGIN_NS < 5 * SECOND else 0, 50, 100, 40, 10) for t in times(100)]

    f = measure.measure(Trial(instruments={"worker_states.csv": csv(WORKERS, rows)}).write(tmp_path)).figures

    assert (f.workers_in_connect_max, f.workers_busy_max) == (200, 300)
    assert f.workers_in_connect_mean == pytest.approx(100)
    assert f.workers_in_read_mean == pytest.approx(50)
    assert f.workers_idle_mean == pytest.approx(100)


def connects(extra: Sequence[tuple[int, int, int]] = ()) -> str:
    rows = [(BEGIN_NS + i * SECOND // 200, 1000, 0) for i in range(-100, 2100)]
    return "".join(f"{t},{d},{r}\n" for t, d, r in [*rows, *extra])


def test_connects_are_those_that_returned_in_the_window(tmp_path: Path) -> None:
    extra = [(BEGIN_NS + 5, 9000, -111), (BEGIN_NS + 6, 10, -2), (BEGIN_NS + 7, 0, -11), (BEGIN_NS - 5, 1, -111)]

    measured = measure.measure(Trial(instruments={"connect_times.csv": connects(extra)}).write(tmp_path))

    f = measured.figures
    assert (f.connects, f.connects_refused, f.connects_turned_away, f.connects_failed_other) == (2003, 1, 1, 1)
    assert (f.connect_p50_us, f.connect_max_us) == (1000.0, 9000.0)
    assert f.requests
    assert f.connect_wait_per_request_ms == pytest.approx((2000 * 1000 + 9010) / f.requests / 1000)


@pytest.mark.parametrize(
    ("lost", "counts"), [(22, (2003, 1, 2, 0)), (23, (None, None, 2, None))], ids=["one in a hundred", "more"]
)
def test_lost_events_leave_times_and_what_is_proven_but_no_counts_that_are_too_small(
    tmp_path: Path, lost: int, counts: tuple[int | None, ...]
) -> None:
    """Of 2,203 connects; from Linux 6.15 on one may be lost in any trial."""
    extra = [(BEGIN_NS + 5, 9000, -111), (BEGIN_NS + 6, 10, -11), (BEGIN_NS + 7, 0, -11)]
    files = {"connect_times.csv": connects(extra), "connect_times.stderr": f"Lost {lost} events\n"}

    measured = measure.measure(Trial(instruments=files).write(tmp_path))

    f = measured.figures
    assert (f.connects, f.connects_refused, f.connects_turned_away, f.connects_failed_other) == counts
    assert (f.connect_wait_per_request_ms is None) == (f.connects is None)
    assert f.connect_p99_us == 1000.0
    assert f"lost {lost} of {2203 + lost}" in reason(measured, "connect_times")


@pytest.mark.parametrize(("lost", "want"), [(10, 0), (11, None), (300, None)])
def test_none_turned_away_is_none_where_a_handful_was_lost_and_not_known_where_more_were(
    tmp_path: Path, lost: int, want: int | None
) -> None:
    files = {"connect_times.csv": connects(), "connect_times.stderr": f"Lost {lost} events\n"}

    assert measure.measure(Trial(instruments=files).write(tmp_path)).figures.connects_turned_away == want


def test_cpu_of_the_daemon_is_a_share_of_one_core_and_a_restart_is_seen(tmp_path: Path) -> None:
    """The daemon uses 40 % of a core; after 5 s another one does, whose clock begins at 0."""
    rows = [
        (t, 7, (t - BEGIN_NS + SECOND) * 4 // 10, (t - BEGIN_NS + SECOND) // 10, 0)
        if t < BEGIN_NS + 5 * SECOND
        else (t, 8, (t - BEGIN_NS - 5 * SECOND) * 4 // 10, (t - BEGIN_NS - 5 * SECOND) // 10, 0)
        for t in times(100)
    ]

    f = measure.measure(Trial(instruments={"cgid_daemon.csv": csv(DAEMON, rows)}).write(tmp_path)).figures

    assert f.cgid_restarts == 1
    assert f.cgid_cpu_share == pytest.approx(0.4, rel=0.02)
    assert f.cgid_runq_share == pytest.approx(0.1, rel=0.02)


def host(loadgen_share: float) -> str:
    """Return a host of two CPUs: 1.2 of 2 busy, 0.2 stolen, 0.1 waiting for a disk, 30 forks a second."""
    rows = []
    for t in times(100):
        tenth = (t - BEGIN_NS) // 100_000_000 + 10
        spent: object = int((t - BEGIN_NS) * loadgen_share) if t >= BEGIN_NS - SECOND // 2 else ""
        rows.append((t, 4 * tenth, tenth, 5 * tenth, 5 * tenth, tenth, tenth, tenth, 2 * tenth, 0, 3 * tenth, spent))
    return csv(HOST, rows)


def test_the_hosts_time_is_split_by_kind(tmp_path: Path) -> None:
    edge = {"listen_overflows": 3, "pswpin": 0}
    files = {
        "host.csv": host(0.5),
        "host.json": json.dumps(
            {"schema_version": 1, "clk_tck": 100, "cpus": 2, "begin": edge, "end": edge | {"listen_overflows": 10}}
        ),
    }

    measured = measure.measure(Trial(instruments=files).write(tmp_path))

    f = measured.figures
    assert f.host_cpu_share == pytest.approx(12 / 20)
    assert f.host_steal_share == pytest.approx(0.1)
    assert f.host_iowait_share == pytest.approx(0.05)
    assert f.forks_per_s == pytest.approx(30)
    assert f.driver_cpu_share == pytest.approx(0.5)
    assert f.tcp_overflows == 7
    assert state(measured, "driver") == "passed"


def test_of_an_unwatched_trial_the_hosts_time_is_that_between_the_windows_edges(tmp_path: Path) -> None:
    begin = {**dict.fromkeys(("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"), 100),
             "forks": 5, "ctxt": 7, "driver_cpu_ns": 1_000_000_000, "outsider_ticks": 10}  # fmt: skip
    end = {**begin, "user": 400, "system": 200, "idle": 600, "steal": 200, "forks": 65, "outsider_ticks": 30,
           "driver_cpu_ns": 1_000_000_000 + SECOND}  # fmt: skip
    document = {"schema_version": 1, "clk_tck": 100, "cpus": 2, "begin": begin, "end": end}
    path = Trial(ran=(), instruments={"host.json": json.dumps(document)}).write(tmp_path)
    result = json.loads((path / "result.json").read_text())
    result["instruments"]["host"] = {"state": "edges", "reason": ""}
    (path / "result.json").write_text(json.dumps(result))

    measured = measure.measure(path)

    f = measured.figures
    length_s = (result["window"]["end_ns"] - result["window"]["begin_ns"]) / 1e9
    assert f.host_cpu_share == pytest.approx(0.4)
    assert f.forks_per_s == pytest.approx(60 / length_s)
    assert f.driver_cpu_share == pytest.approx(1 / length_s)
    assert f.queue_depth_max is None
    assert f.throughput_rps is not None


def test_a_saturated_load_generator_makes_the_trial_invalid(tmp_path: Path) -> None:
    measured = measure.measure(Trial(instruments={"host.csv": host(0.97)}).write(tmp_path))

    check = next(c for c in measured.checks if c.name == "driver")
    assert (check.failed, check.kind) == (True, FailureKind.CLIENT)
    assert "0.97" in check.reason


def test_a_driver_that_was_told_to_use_its_core_is_what_was_asked_for(tmp_path: Path) -> None:
    trial = Trial(instruments={"host.csv": host(0.97)})
    trial.settings["driver_cpu_us"] = 5000

    check = next(c for c in measure.measure(trial.write(tmp_path)).checks if c.name == "driver")

    assert (check.state, check.reason) == ("skipped", "it was told to use CPU, so that it limits")


def retry(at_s: float, errno: int = 111) -> str:
    moment = np.datetime64(BEGIN_US + round(at_s * 1e6), "us")
    day, clock = str(moment).split("T")
    head = f"[{day} {clock}] [cgid:debug] [pid 1:tid 2] [request r{at_s}] ({errno})Some words: [client 127.0.0.1:1] "
    return f"{head}AH01256: connect #1 to cgi daemon failed, sleeping before retry\n"


def test_retries_are_split_by_errno_and_by_the_window(tmp_path: Path) -> None:
    log = "".join(retry(s) for s in (-0.5, -0.000001, 0, 3, 9.999999, 10)) + retry(4, errno=2)

    f = measure.measure(Trial(error_log=log).write(tmp_path)).figures

    assert (f.retries_in_window, f.retries_outside_window) == (4, 3)
    assert (f.retries_refused_in_window, f.retries_enoent_in_window) == (3, 1)


def test_no_retry_line_is_no_evidence_where_the_log_level_hides_them(tmp_path: Path) -> None:
    trial = Trial()
    trial.settings["log_level"] = "warn"

    measured = measure.measure(trial.write(tmp_path))

    assert measured.figures.retries_in_window is None
    assert "LogLevel" in reason(measured, "error_log")


@pytest.mark.parametrize(
    ("level", "want"),
    [
        ("warn", False),
        ("warn cgid:debug", True),
        ("debug", True),
        ("debug cgid:warn", False),
        ("trace3", True),
        ("info mod_cgid.c:trace1", True),
        ("cgid:debug", True),
        ("warn core:debug", False),
    ],
)
def test_the_log_level_that_counts_is_the_modules_own(level: str, *, want: bool) -> None:
    assert retries_are_logged({"log_level": level}) is want


def test_a_patch_may_raise_the_level_of_the_retry_line() -> None:
    assert retries_are_logged({"log_level": "warn", "patches": "retry-visible"})


def test_instruments_that_did_not_run_leave_every_figure_of_theirs_empty(tmp_path: Path) -> None:
    """Their files are there, from an earlier attempt say, but nobody vouches for them."""
    files = {"listen_queue.csv": queue_full(1), "host.csv": host(0.5), "connect_times.csv": connects()}

    figures = measure.measure(Trial(ran=(), instruments=files).write(tmp_path)).figures

    empty = {f.name for f in fields(Figures) if getattr(figures, f.name) is None}
    assert {n for n in asdict(figures) if n.startswith(("queue", "tcp", "workers", "connect", "cgid", "host"))} <= empty
    assert {"driver_cpu_share", "forks_per_s"} <= empty
    assert not {"requests", "throughput_rps", "retries_in_window", "gave_up_503"} & empty


def test_an_instrument_returns_the_figures_that_are_declared_as_its_own_and_no_others(tmp_path: Path) -> None:
    rows = [(t, 400, 200, 50, 100, 40, 10, 300, 100) for t in times(100)]
    daemon = [(t, 7, t - BEGIN_NS + SECOND, t - BEGIN_NS + SECOND, 0) for t in times(100)]
    edge = dict.fromkeys(EDGE, 3)
    document = {"schema_version": 1, "clk_tck": 100, "cpus": 2, "begin": edge, "end": edge}
    path = Trial(
        instruments={
            "listen_queue.csv": queue_full(1),
            "worker_states.csv": csv(WORKERS + ",board_busy,board_ready", rows),
            "connect_times.csv": connects(),
            "cgid_daemon.csv": csv(DAEMON, daemon),
            "host.csv": host(0.5),
            "host.json": json.dumps(document),
            "strace.txt": strace(),
            "server_memory.csv": csv("monotonic_ns,pss_kb,processes", [(t, 1000, 3) for t in times(250)]),
            "sentinel.json": json.dumps(sentinel_document()),
        },
        ran=tuple(i.name for i in INSTRUMENTS if i.optional),
        hooks={"during_window": {"argv": ["perf"], "exit_code": 0, "reason": "", "cpu_ns": 5_000_000}},
    ).write(tmp_path)
    result = read_result(path / "result.json")
    assert result.window is not None
    evidence = Evidence(path, result, result.window, requests=100, reloads=1)

    found = {i.name: {n for n, v in asdict(i.figures(evidence)).items() if v is not None} for i in INSTRUMENTS}

    for name, figured in found.items():
        lacking, extra = sorted(figures.of(name) - figured), sorted(figured - figures.of(name))
        assert not lacking, f"{name} makes no {', '.join(lacking)} of the files above: is there one of it, and read?"
        assert not extra, f"{name} gives {', '.join(extra)}, which figures.py says is another's"
    assert evidence.checks == []


@pytest.mark.parametrize("state", ["ran", "off", "unavailable"])
def test_an_instrument_that_nobody_knows_is_an_error_with_its_name(tmp_path: Path, state: str) -> None:
    path = Trial().write(tmp_path)
    result = json.loads((path / "result.json").read_text())
    result["instruments"]["seismograph"] = {"state": state, "reason": ""}
    (path / "result.json").write_text(json.dumps(result))

    for read in (measure.measure, measure.detail):
        with pytest.raises(StoreError, match="seismograph") as caught:
            read(path)
        assert "result.json" in str(caught.value.where)


def test_rows_of_a_driver_that_nobody_knows_are_not_read_as_anothers(tmp_path: Path) -> None:
    path = Trial(driver="locust").write(tmp_path)

    for read in (measure.measure, measure.write_rows, measure.latencies_us, measure.answered):
        with pytest.raises(StoreError, match="locust") as caught:
            read(path)
        assert "result.json" in str(caught.value.where)


def test_a_missing_file_of_an_instrument_that_ran_is_said(tmp_path: Path) -> None:
    measured = measure.measure(Trial().write(tmp_path))

    assert measured.figures.queue_depth_max is None
    assert "missing" in reason(measured, "listen_queue")


def test_a_client_that_lost_rows_is_caught(tmp_path: Path) -> None:
    n = len(steady_rows())
    stdout = (
        f"requests: {n + 1} total, {n + 1} started, {n + 1} done, {n + 1} succeeded, 0 failed, 0 errored, 0 timeout\n"
    )

    measured = measure.measure(Trial(stdout=stdout).write(tmp_path))

    assert state(measured, "rows") == "failed"


@pytest.mark.parametrize(
    ("missing", "want"), [(0, "passed"), (CLIENTS + 5, "passed"), (CLIENTS + 6, "failed")], ids=["all", "edge", "more"]
)
def test_the_servers_count_may_differ_by_what_was_under_way(tmp_path: Path, missing: int, want: str) -> None:
    served = [(s, s + d, c) for s, c, d in steady_rows()]

    measured = measure.measure(Trial(served=served[: len(served) - missing]).write(tmp_path))

    assert state(measured, "access_log") == want


@pytest.mark.parametrize(("alive", "want"), [(10, "passed"), (9, "failed"), (11, "failed")])
def test_littles_law_finds_clients_that_stopped_asking(tmp_path: Path, alive: int, want: str) -> None:
    assert state(measure.measure(Trial(rows=steady_rows(clients=alive)).write(tmp_path)), "little") == want


def test_a_server_that_stood_still_does_not_break_littles_law(tmp_path: Path) -> None:
    """All wait through the stall: the longest latencies are long, but nobody is missing."""
    stall_begin, stall_us = BEGIN_US + 3_000_000, 2_000_000

    def stalled(row: tuple[int, int, int]) -> tuple[int, int, int]:
        start, status, latency = row
        end = start + latency
        moved_start = start + stall_us if start >= stall_begin else start
        moved_end = end + stall_us if end >= stall_begin else end
        return moved_start, status, moved_end - moved_start

    rows = [r for r in map(stalled, steady_rows()) if r[0] + r[2] < BEGIN_US + WINDOW_S * 1_000_000]

    measured = measure.measure(Trial(rows=rows).write(tmp_path))

    assert state(measured, "little") == "passed"
    assert measured.figures.latency_max_ms == pytest.approx(2100)
    assert measured.figures.worst_second_rps == pytest.approx(0)


@pytest.mark.parametrize(("silent_s", "want"), [(0.0, 1), (2.0, CLIENTS)])
def test_who_waits_longer_than_the_p99_when_the_window_ends_is_counted(
    tmp_path: Path, silent_s: float, want: int
) -> None:
    """All ten wait for two seconds when it ends: no row has such a latency, and p99 is still a tenth of a second.

    Where every latency is the p99, one is at it when the window ends.
    """
    end_us = BEGIN_US + (WINDOW_S - silent_s) * 1_000_000

    figures = measure.measure(Trial(rows=[r for r in steady_rows() if r[0] + r[2] < end_us]).write(tmp_path)).figures

    assert (figures.latency_p99_ms, figures.waiting_beyond_p99) == (LATENCY_US / 1000, want)


def test_in_an_open_loop_nobody_knows_who_waits(tmp_path: Path) -> None:
    trial = Trial(settings={"loop": "open", "rate": 100, "log_level": "warn", "patches": ""})

    assert measure.measure(trial.write(tmp_path)).figures.waiting_beyond_p99 is None


def test_a_latency_as_long_as_the_window_leaves_littles_law_undecided(tmp_path: Path) -> None:
    rows = [*steady_rows(), (BEGIN_US - 100, 200, 9_000_000)]

    assert state(measure.measure(Trial(rows=rows).write(tmp_path)), "little") == "skipped"


def test_a_window_without_an_answer_is_invalid(tmp_path: Path) -> None:
    measured = measure.measure(Trial(rows=[(BEGIN_US - 100, 200, 50)]).write(tmp_path))

    assert state(measured, "answers") == "failed"
    assert (measured.figures.throughput_rps, measured.figures.latency_p50_ms) == (0.0, None)


def test_a_trial_that_ended_before_its_window_has_no_figures(tmp_path: Path) -> None:
    measured = measure.measure(Trial(window=None).write(tmp_path))

    assert measured.figures == Figures()
    assert measured.started_s is None
    assert measured.overhead_s == pytest.approx(0.75)
    assert not any(c.failed for c in measured.checks)
    assert measure.detail(tmp_path) is None
    assert measure.answered(tmp_path) is None
    assert measure.latencies_us(tmp_path) is None


def test_seconds_are_those_of_the_window(tmp_path: Path) -> None:
    """In its third second half the answers came, and they took twice as long."""
    rows = [
        (BEGIN_US + i * 10_000 - 5000, 200, 5000 if i // 100 != 2 else 10_000)
        for i in range(1, 1000)
        if i // 100 != 2 or i % 2
    ]

    measured = measure.measure(Trial(rows=rows).write(tmp_path))

    assert len(measured.throughput_rps) == WINDOW_S
    assert measured.throughput_rps[2] == min(measured.throughput_rps) == pytest.approx(50, abs=1)
    assert measured.p99_ms[2] == measured.figures.worst_second_p99_ms == 10.0
    assert measured.figures.worst_second_rps == measured.throughput_rps[2]
    answered = measure.answered(tmp_path)
    assert answered is not None
    assert [int(((answered.at_s // 1) == s).sum()) for s in range(WINDOW_S)] == list(measured.throughput_rps)
    assert answered.latency_ms.max() == measured.figures.latency_max_ms


def test_ab_counts_by_the_servers_log_and_takes_latencies_from_its_own(tmp_path: Path) -> None:
    path = Trial(driver="ab", argv=("ab", "http://127.0.0.1/cgi-bin/hello"), stdout="").write(tmp_path)
    second = BEGIN_US // 1_000_000
    rows = "".join(
        f"Mon Nov 23 15:04:05 2026\t{second + s}\t0\t{ms}\t{ms}\t{ms}\n" for s in range(-2, 12) for ms in (10, 30)
    )
    (path / "load/rows.log").write_text("starttime\tseconds\tctime\tdtime\tttime\twait\n" + rows)

    measured = measure.measure(path)

    assert measured.figures.requests == len([r for r in steady_rows() if r[0] + r[2] >= BEGIN_US])
    assert (measured.figures.latency_mean_ms, measured.figures.latency_max_ms) == (20.0, 30.0)
    assert not any(c.failed for c in measured.checks)


def test_wrk_counts_exactly_and_says_nothing_of_latencies(tmp_path: Path) -> None:
    n = len(steady_rows())
    said = f"  {n} requests in 12.00s, 1.0MB read\n  Socket errors: connect 0, read 2, write 0, timeout 1\n"
    path = Trial(driver="wrk", argv=("wrk", "-c", "10", "http://127.0.0.1/cgi-bin/hello"), stdout=said).write(tmp_path)
    (path / "load/rows.log").write_text("".join(f"{s + d}\t{c}\n" for s, c, d in steady_rows()))

    measured = measure.measure(path)

    f = measured.figures
    inside = len([r for r in steady_rows() if r[0] + r[2] >= BEGIN_US])
    assert (f.requests, f.errors, f.gave_up_503) == (inside + 2, 2, 0)
    assert f.throughput_rps == pytest.approx(inside / WINDOW_S)
    assert f.worst_second_rps == pytest.approx(CLIENTS / (LATENCY_US / 1e6), abs=CLIENTS)
    assert {v for n, v in asdict(f).items() if n.startswith("latency") or n == "worst_second_p99_ms"} == {None}
    assert [state(measured, n) for n in ("rows", "access_log", "little")] == ["passed", "passed", "skipped"]
    assert measure.write_rows(path) is None
    latencies = measure.latencies_us(path)
    assert latencies is not None
    assert not latencies.size


def test_wrks_answers_and_the_servers_may_differ_by_one_a_client(tmp_path: Path) -> None:
    path = Trial(driver="wrk", argv=("wrk", "http://127.0.0.1/cgi-bin/hello"), stdout="").write(tmp_path)
    rows = [f"{s + d}\t{c}\n" for s, c, d in steady_rows()]
    for missing, want in ((CLIENTS + 5, "passed"), (CLIENTS + 6, "failed")):
        (path / "load/rows.log").write_text("".join(rows[: len(rows) - missing]))

        assert state(measure.measure(path), "access_log") == want


@pytest.mark.parametrize("driver", ["h2load", "ab"])
def test_the_column_file_holds_the_rows(tmp_path: Path, driver: str) -> None:
    path = Trial(driver=driver).write(tmp_path)
    if driver == "ab":
        (path / "load/rows.log").write_bytes((DATA / "trial/ab.rows").read_bytes())

    written = measure.write_rows(path)

    assert written is not None
    frame = pl.read_parquet(written)
    assert frame.schema == {"start_us": pl.Int64(), "status": pl.Int16(), "latency_us": pl.Int64()}
    if driver == "h2load":
        assert frame.rows() == steady_rows()


def test_rows_that_are_not_there_cannot_become_columns(tmp_path: Path) -> None:
    path = Trial().write(tmp_path)
    (path / "load/rows.log").unlink()

    with pytest.raises(StoreError, match="missing"):
        measure.write_rows(path)


def test_the_column_file_is_for_others_and_is_not_read(tmp_path: Path) -> None:
    path = Trial().write(tmp_path)
    before = measure.measure(path)
    (path / "load/requests.parquet").write_bytes(b"PAR1 torn")

    assert measure.measure(path) == before


def test_what_instruments_saw_counts_from_the_windows_begin(tmp_path: Path) -> None:
    rows = [(t, 400, 200, 50, 100, 40, 10) for t in times(100)]
    files = {"listen_queue.csv": queue_full(0.3), "worker_states.csv": csv(WORKERS, rows)}

    detail = measure.detail(Trial(instruments=files).write(tmp_path))

    assert detail is not None
    assert detail.queue_limit == 100
    assert detail.queue_depth is not None
    assert detail.queue_depth.times_s[0] == 0.0
    assert detail.queue_depth.times_s[-1] == pytest.approx(9.99)
    assert detail.queue_depth.values[:301] == [101.0] * 300 + [20.0]
    assert detail.worker_states == pytest.approx({"connect": 200, "read": 50, "idle": 100, "running": 40, "other": 10})


@pytest.mark.parametrize("name", ["result.json", "trial.json"])
def test_a_missing_document_is_named(tmp_path: Path, name: str) -> None:
    path = Trial().write(tmp_path)
    (path / name).unlink()

    with pytest.raises(StoreError, match=name):
        measure.measure(path)


def test_a_rise_is_read_between_samples() -> None:
    moments = np.array([0, 4, 8, 12]) * SECOND

    assert gauges.rise(moments, np.array([0, 40, 80, 120]), Span(1 * SECOND, 11 * SECOND)) == pytest.approx(100)


def test_a_counter_goes_on_where_its_owner_was_replaced() -> None:
    """The new one had already counted 3 when it was first seen; a step back of the same owner is no rise."""
    counter, owner = np.array([10, 20, 3, 8, 7]), np.array([7, 7, 8, 8, 8])

    assert gauges.unbroken(counter, owner).tolist() == [0, 10, 13, 18, 18]


def test_the_longest_spell_is_one_without_a_break(tmp_path: Path) -> None:
    rows = [(t, 101 if (t - BEGIN_NS) // SECOND in (0, 1, 5, 8) else 3, 100, 0, 511) for t in times(10)]

    f = measure.measure(Trial(instruments={"listen_queue.csv": csv(QUEUE, rows)}).write(tmp_path)).figures

    assert f.queue_full_longest_ms == pytest.approx(2000)
    assert f.queue_full_share == pytest.approx(0.4)


samples = st.lists(st.tuples(st.integers(-2000, 12_000), st.integers(0, 200)), min_size=1, max_size=60)


@settings(max_examples=40)  # each example looks 10,000 times
@given(samples)
def test_held_time_agrees_with_a_look_at_every_millisecond(pairs: list[tuple[int, int]]) -> None:
    pairs = sorted(dict(pairs).items())
    moments, values = (np.array(column, np.int64) for column in zip(*pairs, strict=True))
    held = gauges.hold(moments * 1_000_000, Span(0, 10 * SECOND))
    step = int(np.median(np.diff(moments * 1_000_000))) // 1_000_000 if len(moments) > 1 else 0

    look = [
        int(values[i])
        for ms in range(10_000)
        if (i := int(np.searchsorted(moments, ms, side="right")) - 1) >= 0 and ms < moments[-1] + step
    ]

    if len(look) < 0.9 * 10_000 - 2:
        assert held is None
    elif held is not None:
        assert held.mean(values) == pytest.approx(np.mean(look), abs=0.1)
        assert held.share(values > 100) == pytest.approx(np.mean(np.array(look) > 100), abs=1e-3)


@given(st.lists(st.integers(1, 10**7), min_size=1, max_size=300), st.sampled_from([0.5, 0.9, 0.99, 0.999]))
def test_a_percentile_is_the_smallest_latency_that_enough_requests_kept_to(latency: list[int], share: float) -> None:
    found = gauges.percentile_ms(np.array(latency), share) * 1000

    ordered = sorted(latency)
    want = next(v for i, v in enumerate(ordered, start=1) if i >= share * len(ordered) - 1e-9)
    assert found == pytest.approx(want)


ROW = st.tuples(st.integers(0, 10**15), st.sampled_from([0, 200, 404, 503]), st.integers(0, 10**9))


@given(st.lists(ROW, max_size=40), st.integers(0, 10**15), st.integers(1, 10**8))
def test_no_rows_make_a_check_raise(rows: list[tuple[int, int, int]], begin: int, length: int) -> None:
    columns = np.array(rows, np.int64).reshape(-1, 3).T
    some = Requests(columns[0], columns[1], columns[2], exact=True)
    span = (begin, begin + length)

    inside = some.within(span)
    requests.by_second(some, span)
    checks: list[Callable[[], Check]] = [
        lambda: physics.check_answers(inside),
        lambda: physics.check_access_log(some, inside, inside.status, span),
        lambda: physics.check_little(some, 5, span),
    ]
    assert {check().state for check in checks} <= {"passed", "failed", "skipped"}


@pytest.mark.parametrize(
    ("refused", "logged", "attempts", "differ"),
    [
        (935, 935, 15, False),
        (935, 0, 15, True),
        (0, 400, 15, True),
        (3, 0, 15, False),
        (1500, 1400, 15, False),
        (220, 0, 1, False),
        (220, 110, 2, False),
        (None, 5, 15, False),
        (5, None, 15, False),
    ],
    ids=["same", "unread log", "unseen connects", "at the edges", "the last of 15", "the only try", "each second one",
         "no kernel", "no log"],
)  # fmt: skip
def test_refused_connects_and_retry_lines_have_to_be_the_same(
    refused: int | None,
    logged: int | None,
    attempts: int,
    differ: bool,  # noqa: FBT001 -- a case
) -> None:
    check = physics.check_refusals(refused, logged, attempts)

    assert check.failed is differ
    if differ:
        assert str(refused) in check.reason
        assert str(logged) in check.reason


def test_the_servers_memory_is_the_most_of_the_samples_in_the_window(tmp_path: Path) -> None:
    rows = [(t, 9000 if t < BEGIN_NS else 1000 + i, 3) for i, t in enumerate(times(250))]
    trial = Trial(instruments={"server_memory.csv": csv("monotonic_ns,pss_kb,processes", rows)}, ran=("server_memory",))

    found = measure.measure(trial.write(tmp_path)).figures.server_memory_mb

    inside = [kb for t, kb, _ in rows if BEGIN_NS <= t < BEGIN_NS + WINDOW_S * SECOND]
    assert found == max(inside) * 1024 / 1e6


@pytest.mark.parametrize(("driver", "want"), [(host(0.5), True), (None, False)], ids=["driver known", "driver unknown"])
def test_cpu_per_request_is_what_the_group_used_without_the_driver(
    tmp_path: Path, driver: str | None, *, want: bool
) -> None:
    """The sentinel's account is of a window of 10 s; where the driver's part is not known, neither is the rest."""
    document = sentinel_document()
    document["end"]["used_ns"] = document["begin"]["used_ns"] + 8 * SECOND
    document["end"]["monotonic_ns"] = document["begin"]["monotonic_ns"] + WINDOW_S * SECOND
    files = {"sentinel.json": json.dumps(document), **({"host.csv": driver} if driver else {})}

    found = measure.measure(Trial(instruments=files, ran=("host",) if driver else ()).write(tmp_path)).figures

    assert found.trial_cpu_share == pytest.approx(0.8)
    if not want:
        assert found.cpu_per_request_ms is None
        return
    assert found.requests
    assert found.driver_cpu_share is not None
    assert found.cpu_per_request_ms == pytest.approx((0.8 - found.driver_cpu_share) * WINDOW_S * 1000 / found.requests)


def test_a_hook_that_went_wrong_is_a_note_and_costs_its_trial_nothing(tmp_path: Path) -> None:
    gone = {"argv": ["perf"], "exit_code": None, "reason": "it cannot be started", "cpu_ns": 0}
    path = Trial(hooks={"during_window": gone}).write(tmp_path)

    measured = measure.measure(path)

    (note,) = (check for check in measured.checks if check.name == "hooks")
    assert (note.reason, note.failed) == ("during_window: it cannot be started", False)
    assert measured.figures.hook_cpu_ms is None
