"""What an observation concludes, and the parts of its helper that need no server."""

import json
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cgidhost.observe import config
from cgidhost.observe.gauges import KeptRows
from cgidhost.observe.logtail import LogTail
from cgidhost.observe.pace import Meter, Pace

from cgidlab.cli import main
from cgidlab.errors import StoreError
from cgidlab.instruments import connect_times
from cgidlab.model import Figures, Scalar
from cgidlab.parsers import observation
from cgidlab.verdict import observation as verdict
from cgidlab.verdict.overflow import Overflow
from tests.unit.trial_records import trial

SECOND = 1_000_000_000
ANALYSES = ("altair", "cgidlab.analysis", "cgidlab.verdict", "numpy", "polars", "scipy")
FULL = Figures(
    queue_limit=100,
    queue_depth_max=101,
    queue_depth_mean=98.2,
    queue_full_share=0.7,
    queue_full_longest_ms=2300.0,
    workers_in_connect_max=88,
    workers_in_connect_mean=40.0,
    connect_p50_us=300_000.0,
    connect_p99_us=900_000.0,
    connect_max_us=1_200_000.0,
    cgid_cpu_share=0.97,
    cgid_runq_share=0.01,
    host_cpu_share=0.6,
)
EMPTY = Figures(
    queue_limit=100, queue_depth_max=3, queue_depth_mean=0.1, queue_full_share=0.0, workers_in_connect_max=0,
    workers_in_connect_mean=0.0, connect_max_us=80.0, connect_p99_us=40.0,
)  # fmt: skip


def judged(figures: Figures, **changes: Any) -> verdict.SocketVerdict:  # noqa: ANN401 -- fields of Seen
    seen: dict[str, Any] = {
        "httpd": True,
        "length_s": 60.0,
        "events": (),
        "stopped": False,
        "unseen": {},
        "log_level": "warn",
        "log": "",
        "reason": "",
        **changes,
    }
    settings: dict[str, Scalar] = {"loop": "observed", "workers": 400}
    return verdict.judge_socket(trial(1, figures, {"socket": "/s"}, settings=settings), verdict.Seen(**seen))


def test_a_full_queue_with_sleepers_is_an_overflow_with_its_figures_and_what_limits_instead() -> None:
    found = judged(FULL)

    assert found.overflow is Overflow.OBSERVED
    assert "101 of 100" in found.lines[0]
    assert "70 % of the 60 s" in found.lines[0]
    assert "88 workers slept in connect() for up to 1,200 ms" in found.lines[0]
    assert "fork loop used 0.97 of a core" in found.lines[3]
    assert found.lines[3].startswith("Watching cannot tell what limits throughput; a hint: the ")
    assert "which hints that fewer or cheaper forks would raise throughput" in found.lines[4]


def test_workers_asleep_in_connect_are_an_overflow_that_the_queues_samples_missed() -> None:
    missed = replace(FULL, queue_depth_max=97, queue_full_share=0.0, queue_full_longest_ms=0.0)

    assert judged(missed).overflow is Overflow.OBSERVED
    assert "no sample met the queue full (97 of 100)" in judged(missed).lines[0]
    assert judged(replace(missed, connect_p99_us=None, connect_max_us=None)).overflow is Overflow.INCONCLUSIVE


def test_a_queue_with_room_is_no_overflow() -> None:
    found = judged(EMPTY)

    assert found.overflow is Overflow.NOT_OBSERVED
    assert "at most 3 of 100" in found.lines[0]
    assert "nobody had to wait" in found.lines[2].lower()


def test_without_a_witness_it_is_inconclusive_and_says_what_to_do() -> None:
    found = judged(Figures(host_cpu_share=0.2), unseen={"listen_queue": "not permitted: run as root (--become)"})

    assert found.overflow is Overflow.INCONCLUSIVE
    assert "run as root (--become)" in found.lines[4]


@pytest.mark.parametrize(
    ("level", "log", "figures", "want"),
    [
        ("warn", "", EMPTY, "no error_log was read"),
        ("warn", "/e", EMPTY, "LogLevel is warn for mod_cgid"),
        ("unknown", "/e", EMPTY, "at which LogLevel it runs is not known"),
        ("debug", "/e", replace(EMPTY, retries_in_window=0), "No worker retried"),
        (
            "debug",
            "/e",
            replace(EMPTY, retries_in_window=7, retries_enoent_in_window=7),
            "retried 7 times: 7 without a socket file",
        ),
    ],
    ids=["no log", "level hides", "level unknown", "none", "some"],
)
def test_retries_are_told_from_a_log_that_could_not_show_them(
    level: str, log: str, figures: Figures, want: str
) -> None:
    found = judged(figures, log_level=level, log=log)

    assert want in found.lines[1]
    if level != "debug":
        assert "LogLevel debug" in found.lines[1]


def test_what_happened_to_the_server_is_said() -> None:
    found = judged(EMPTY, events=("httpd stopped at 12:00:00 UTC",), stopped=True, length_s=2.0)

    assert "httpd stopped at 12:00:00 UTC" in found.lines[0]
    assert "gone at the end" in found.lines[0]
    assert "little to judge by" in found.lines[0]


# What BPF and sock_diag saw of php-fpm with a queue of 5 and two children of 20 ms each behind nginx and 40 clients.
TURNED_AWAY = Figures(
    queue_limit=5, queue_depth_max=6, queue_depth_mean=4.0, queue_full_share=0.36, queue_full_longest_ms=60.0,
    connects=136_655, connects_turned_away=135_779, connects_refused=0, connects_failed_other=0,
    connect_p50_us=8.0, connect_p99_us=20.0, connect_max_us=110.0, host_cpu_share=0.99,
)  # fmt: skip
QUIET = replace(EMPTY, queue_depth_max=0, connects=0, connects_turned_away=0, connects_refused=0)
FPM = {"httpd": False, "process": "php-fpm8.2", "path": "/run/php/app.sock", "acceptors": 2, "acceptors_cpu": 0.1}


def test_a_client_that_does_not_wait_shows_an_overflow_however_fast_its_connects_are() -> None:
    found = judged(TURNED_AWAY, **FPM, somaxconn=4096)

    assert found.overflow is Overflow.OBSERVED
    assert "full (6 of 5) for 36 % of the 60 s" in found.lines[0]
    assert "135,779 of 136,655 connects were turned away (EAGAIN)" in found.lines[0]
    assert "queue and connects turned away agree" in found.lines[0]
    assert "about 274 ms each (by Little's law)" in found.lines[0]  # 4.0 x 60 s / 876
    assert found.lines[2].startswith("135,779 of 136,655 connects (99 %) were turned away: each is a request that")
    assert "cannot be told" not in found.lines[2]


def test_what_the_kernel_lost_of_such_connects_makes_their_number_the_least_and_hides_no_overflow() -> None:
    found = judged(replace(TURNED_AWAY, connects=None, connects_refused=None, connects_failed_other=None), **FPM)

    assert found.overflow is Overflow.OBSERVED
    assert "at least 135,779 connects were turned away (EAGAIN)" in found.lines[0]
    assert found.lines[2].startswith("At least 135,779 were turned away: each is a request that the server in front")
    rare = replace(TURNED_AWAY, connects=None, queue_full_share=0.01)
    assert "such bursts" not in judged(rare, **FPM).lines[4], "so many that the kernel could not keep them are no burst"


def test_one_connect_that_was_turned_away_is_an_overflow_that_no_sample_met() -> None:
    missed = replace(EMPTY, connects=900, connects_turned_away=1, connects_refused=0)

    assert judged(missed).overflow is Overflow.OBSERVED
    assert "1 of 900 connects was turned away (EAGAIN), although no sample met" in judged(missed, **FPM).lines[0]


@pytest.mark.parametrize(
    ("process", "path", "setting"),
    [
        ("php-fpm8.2", "/run/php/app.sock", "listen.backlog"),
        ("uwsgi-core", "/run/app.sock", "listen (--listen N)"),
        ("gunicorn", "/run/app.sock", "backlog (--backlog N)"),
        ("puma", "/run/app.sock", "backlog of its bind"),
        ("apache2", "/var/run/apache2/wsgi.351.0.1.sock", "listen-backlog of WSGIDaemonProcess"),
        ("apache2", "/run/other.sock", "the program's own listen backlog"),
        ("", "/run/app.sock", "the program's own listen backlog"),
    ],
)
def test_the_advice_names_the_listeners_own_setting_and_the_kernels_bound(
    process: str, path: str, setting: str
) -> None:
    found = judged(TURNED_AWAY, httpd=False, process=process, path=path, somaxconn=4096)
    cut = judged(TURNED_AWAY, httpd=False, process=process, path=path, somaxconn=5)

    assert f"set {setting}" in found.lines[4]
    assert "above 5 (net.core.somaxconn allows 4,096)" in found.lines[4]
    assert "raise net.core.somaxconn above 5, which cuts it now" in cut.lines[4]


def test_the_cgid_setting_is_named_where_an_httpd_overflows() -> None:
    assert "DEFAULT_CGID_LISTENBACKLOG" in judged(FULL).lines[4]
    assert "net.core.somaxconn" in judged(FULL).lines[4]


def test_a_longer_queue_is_told_from_one_that_would_only_hide_slow_workers() -> None:
    lasting = judged(TURNED_AWAY, **FPM).lines[4]
    hangs = judged(replace(TURNED_AWAY, connects_turned_away=TURNED_AWAY.connects), **FPM).lines[4]
    never_slept = judged(TURNED_AWAY, **{**FPM, "acceptors_cpu": 1.2}, acceptors_runq=0.75).lines[4]
    burst = replace(TURNED_AWAY, queue_full_share=0.01, connects=5000, connects_turned_away=40)

    assert "a longer queue would only hide" in lasting.lower()
    assert "2,278 connects a second came, 15 were taken" in lasting
    assert "0.05 of a core each and waited for something else, so raise pm.max_children" in lasting
    assert "the host's CPUs are at their limit, so cheaper requests or more cores" in never_slept
    assert hangs.startswith("Find out why it takes nobody at all (2,278 connects a second came, 0 were taken)")
    assert judged(burst, **FPM).lines[4].startswith("A longer queue takes such bursts")


def test_a_full_queue_of_another_program_that_kept_nobody_out_is_no_overflow() -> None:
    brim = replace(TURNED_AWAY, connects=300, connects_turned_away=0)

    found = judged(brim, **FPM)

    assert found.overflow is Overflow.NOT_OBSERVED
    assert "kept nobody out: none of 300 connects was turned away or had to wait" in found.lines[0]
    room = replace(brim, queue_full_share=0.0, queue_depth_max=1)
    assert "queue and connect times agree" in judged(room, **FPM).lines[0]
    assert judged(brim).overflow is Overflow.INCONCLUSIVE  # an httpd's workers wait: then one of two witnesses is wrong


def test_a_queue_that_was_full_for_moments_only_is_said_to_be() -> None:
    brief = replace(
        FULL, queue_full_share=0.004, workers_in_connect_max=2, workers_in_connect_mean=0.01, connect_p50_us=20.0,
        connect_p99_us=900.0, connect_max_us=4000.0,
    )  # fmt: skip

    found = judged(brief)

    assert found.overflow is Overflow.MOMENT
    assert found.lines[0].startswith("The queue overflowed for moments only: it was full (101 of 100) for 0.4 %")
    assert found.lines[4].startswith("Leave the queue as it is, unless such moments matter")
    assert verdict.judge_all([("/a", found), ("/b", judged(EMPTY))]).overflow is Overflow.MOMENT


@pytest.mark.parametrize("httpd", [True, False])
def test_a_window_without_a_request_gives_no_all_clear(httpd: bool) -> None:  # noqa: FBT001 -- a case
    found = judged(QUIET, httpd=httpd, length_s=10.0)

    assert found.overflow is Overflow.INCONCLUSIVE
    assert found.lines[0].startswith(
        f"No {'CGI request' if httpd else 'connection'} came in these 10 s: nothing can be"
    )
    assert "eave the queue as it is" not in found.text
    assert "obody had to wait" not in found.text


def test_a_queue_that_no_sample_met_anybody_in_is_no_all_clear_where_connects_are_not_counted() -> None:
    found = judged(replace(EMPTY, queue_depth_max=0), unseen={"connect_times": "BPF programs need root"})

    assert found.overflow is Overflow.INCONCLUSIVE
    assert "whether any request came cannot be seen" in found.lines[0]
    assert "BPF programs need root" in found.lines[4]


def test_when_the_window_was_is_said() -> None:
    span = "from 12:00:00 to 12:01:00 UTC"

    assert f"watched {span}" in judged(EMPTY, span=span).lines[0]


def test_what_analyses_is_not_loaded_before_the_window(repo_root: Path) -> None:
    """It takes seconds on a busy host, by which the window would begin later."""
    modules = "cgidlab.engine.observing, cgidlab.commands.observe"
    code = f"import sys, {modules}; print(sorted({set(ANALYSES)} & set(sys.modules)))"

    ran = subprocess.run([sys.executable, "-c", code], cwd=repo_root, capture_output=True, text=True, check=True)

    assert ran.stdout == "[]\n"


# --- the kernel's count of refused connects beside the log


REFUSED = replace(EMPTY, connects=900, connects_turned_away=0, connects_refused=250, connects_failed_other=0)


def test_the_kernel_answers_whether_workers_retried_where_the_log_cannot() -> None:
    found, quiet = judged(REFUSED, log="/e"), judged(replace(REFUSED, connects_refused=0))

    assert "The kernel refused 250 connects (ECONNREFUSED: nobody listened)" in found.lines[1]
    assert "obody had to wait" not in found.lines[2]
    assert "250 connects refused" in found.lines[2]
    assert found.lines[4].startswith("Find out why nobody listened")
    assert quiet.lines[1].startswith("No worker retried: the kernel refused no connect")


def test_where_kernel_and_log_differ_both_figures_are_said_and_no_claim_is_made() -> None:
    unread = replace(REFUSED, connects_refused=935, retries_in_window=0, retries_enoent_in_window=0)
    same = replace(unread, retries_in_window=930, retries_refused_in_window=930)

    torn = judged(unread, log="/e", log_level="debug").lines[1]
    agreed = judged(same, log="/e", log_level="debug").lines[1]

    assert "the kernel refused 935 connects, /e has 0 retry lines" in torn
    assert "not known" in torn
    assert "no worker retried" not in torn.lower()
    assert agreed.startswith("Workers retried 930 times: 930 refused")
    assert "the kernel refused 935 connects" in agreed


def test_a_refused_connect_of_another_program_is_a_request_that_its_front_server_answers() -> None:
    found = judged(replace(REFUSED, connects=300), **FPM)

    assert "250 of 300 connects were refused (ECONNREFUSED: nobody listened)" in found.lines[1]
    assert "502 or 503" in found.lines[2]


def test_one_overflow_among_many_sockets_is_the_answer() -> None:
    whole = verdict.judge_all([("/a", judged(EMPTY)), ("/b", judged(FULL))])

    assert whole.overflow is Overflow.OBSERVED
    assert whole.lines[0].startswith("/b: the queue overflowed")
    assert "/a: the queue did not overflow" in whole.lines[0]


def test_a_socket_to_which_nobody_came_takes_nothing_away_from_another() -> None:
    used = ("/a", judged(EMPTY))

    assert verdict.judge_all([used, ("/idle", judged(QUIET))]).overflow is Overflow.NOT_OBSERVED
    assert verdict.judge_all([("/idle", judged(QUIET))]).overflow is Overflow.INCONCLUSIVE


# --- what a host sends


def test_connects_come_home_as_they_lay_in_the_ring() -> None:
    records = [(5 * SECOND, 1_234_567, 0), (6 * SECOND, 999, -11)]
    raw = b"".join(struct.pack("=IIQQq", 24, 0, *r) for r in records)

    csv = connect_times.from_ring(raw + b"torn")

    assert csv == b"5000000000,1234,0\n6000000000,0,-11\n"


def test_an_observation_that_is_none_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "observation.json"
    path.write_text(json.dumps({"schema_version": 1}))

    with pytest.raises(StoreError, match="observation"):
        observation.read(path, "h1")


TARGET: dict[str, Any] = {
    "socket": "/run/a", "pid": 7, "httpd": False, "stopped": False, "events": [], "notes": [], "about": {},
    "network": "net:[1]",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("acceptors", [1]),
        ("acceptors", {"processes": "many"}),
        ("acceptors", {"processes": 2, "cpu_cores": "x"}),
        ("about", {"somaxconn": "x"}),
        ("about", {"version": 5}),
        ("about", {"requests": {"seen": 2, "why_none": "", "clients": [["a"]]}}),
    ],
)
def test_what_a_host_says_of_a_server_is_checked_before_anybody_counts_with_it(
    name: str, value: object, tmp_path: Path
) -> None:
    path = tmp_path / "observed.json"
    whole = {"schema_version": 1, **TARGET, "acceptors": {"processes": 2, "cpu_cores": 0.5, "runq_cores": None}}
    path.write_text(json.dumps(whole))
    assert observation.TARGET.read(path).acceptors == observation.ObservedAcceptors(2, 0.5)
    path.write_text(json.dumps({**whole, name: value}))

    with pytest.raises(StoreError, match=name):
        observation.TARGET.read(path)


# --- pace


def test_what_costs_more_is_done_less_often() -> None:
    cheap, dear = Meter(0.4, 1, 10**12, 100_000), Meter(0.4, 1, 10**12, 1_000_000)

    Pace(0.01, [cheap, dear], 0, 0)

    assert dear.period_ns == pytest.approx(10 * cheap.period_ns)
    assert cheap.cost_ns / cheap.period_ns < 0.01 * 0.4


def test_who_used_more_than_allowed_has_to_rest_and_to_slow_down() -> None:
    meter = Meter(0.5, 1, 10**12, 100_000)
    pace = Pace(0.01, [meter], 0, 0)
    before = meter.period_ns

    pace.adjust(SECOND, 50_000_000)  # 5 % in the first second

    assert meter.period_ns > before
    assert pace.rest_s(SECOND, 50_000_000) > 3
    assert pace.rest_s(10 * SECOND, 50_000_000) <= 0


# --- constant memory


def test_only_the_last_seconds_are_kept_in_memory() -> None:
    class Gauge(KeptRows):
        keep_ns = 2 * SECOND

        def __init__(self) -> None:
            self._lines = ["monotonic_ns,x\n"]

        def add(self, n: int) -> list[str]:
            self._lines.append(f"{n * SECOND},{n}\n")
            self.trim(n * SECOND)
            return self._lines

    gauge = Gauge()
    most = max(len(gauge.add(n)) for n in range(1000))

    assert most == 4
    assert gauge.add(1000)[1:] == [f"{n * SECOND},{n}\n" for n in (998, 999, 1000)]


# --- the server's files


def tree(root: Path, **files: str) -> list[str]:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_conf", ".conf")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return ["apache2", "-k", "start"]


BINARY = b'\0 -D HTTPD_ROOT="/etc/apache2"\0 -D SERVER_CONFIG_FILE="apache2.conf"\0'
NEVER = 1e12


def test_limits_and_level_are_read_as_the_server_read_them(tmp_path: Path) -> None:
    words = tree(
        tmp_path,
        etc__apache2__apache2_conf="""\
            Define level info
            LogLevel ${level} cgid:debug
            IncludeOptional mods/*.conf
            <VirtualHost *:80>
              LogLevel emerg
            </VirtualHost>
            """,
        etc__apache2__mods__mpm_conf="""\
            <IfModule mpm_prefork_module>
              MaxRequestWorkers 7
            </IfModule>
            <IfModule mpm_event_module>
              MaxRequestWorkers \\
                 400
            </IfModule>
            <IfModule !cgid_module>
              MaxRequestWorkers 9
            </IfModule>
            """,
    )

    found = config.read(words, BINARY, str(tmp_path), {"cgid", "mpm_event", "event"}, NEVER)

    assert found == config.Settings("debug", 400)


def test_a_later_plain_level_takes_back_that_of_the_module(tmp_path: Path) -> None:
    words = tree(tmp_path, etc__apache2__apache2_conf="LogLevel cgid:debug\nLogLevel error\n")

    assert config.read(words, BINARY, str(tmp_path), set(), NEVER).log_level == "error"


def test_nothing_is_known_of_files_that_changed_after_the_start(tmp_path: Path) -> None:
    words = tree(tmp_path, etc__apache2__apache2_conf="LogLevel debug\n")

    assert config.read(words, BINARY, str(tmp_path), set(), started_s=1.0) == config.NOTHING


def test_nothing_is_known_of_files_that_are_not_there(tmp_path: Path) -> None:
    assert config.read(["httpd", "-f", "/none.conf"], b"", str(tmp_path), set(), NEVER) == config.NOTHING


def test_only_what_a_log_gained_is_read_through_a_rotation(tmp_path: Path) -> None:
    log, out = tmp_path / "error_log", tmp_path / "out"
    log.write_text("old\n")
    tail = LogTail(str(log))
    with log.open("a") as file:
        file.write("new\n")
    log.rename(tmp_path / "error_log.1")
    log.write_text("after\n")

    tail.write_new(str(out))

    assert out.read_text() == "new\nafter\n"


# --- the command line


@pytest.mark.parametrize("words", [["--cost", "0"], ["--cost", "much"], ["--duration", "-1"], ["--duration", "soon"]])
def test_a_wrong_number_is_an_error_of_the_command_line(words: list[str]) -> None:
    assert main(["observe", *words]) == 2


@pytest.mark.parametrize(
    "words",
    [["--socket", "relative.sock"], ["--error-log", "error_log"], ["--status-url", "file:///etc/passwd"]],
)
def test_a_wrong_path_or_address_is_an_error_of_the_command_line(words: list[str]) -> None:
    assert main(["observe", *words]) == 2
