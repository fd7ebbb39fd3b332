"""Trials that the host's helper runs for real: a built httpd, real load, real instruments, and nothing left behind."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from cgidhost import group, process
from cgidhost.interventions import INTERVENTIONS
from cgidhost.process import start_ticks
from cgidhost.proof import as_directive

from cgidlab.instruments import sentinel
from cgidlab.instruments.strace import parse_strace
from cgidlab.parsers.documents import parse_sentinel
from cgidlab.parsers.interventions import DOCUMENT, UNTOUCHED, read_slots
from cgidlab.parsers.reloads import DOCUMENT as RELOADS
from tests.e2e.cgidhost_rig import NOBODY, Outcome, Rig, trial_processes
from tests.noise.matrix import seen
from tests.noise.neighbours import neighbours
from tests.waiting import eventually

pytestmark = [pytest.mark.needs_root, pytest.mark.slow]

MOVED: dict[str, Any] = {
    "keep_alive": False,
    "timeout_s": 33,
    "log_level": "warn cgid:debug",
    "tcp_backlog": 77,
    "max_dgram_qlen": 12,
}
HELD_BACK: dict[str, Any] = {"intervention_slot_s": 0.5, "script": "sleep", "sleep_ms": 20, "listen_queue": False}
RELOADED: dict[str, Any] = {"driver": "ab", "keep_alive": False, "log_level": "warn cgid:debug"}
RELOAD = {"action": "reload_conf", "at_s": 0.2, "for_s": 1.7, "every_s": 1.7}
RESTART = {"action": "restart", "at_s": 0.2, "for_s": 3.8, "every_s": 0}
OFFERED = {24: "constant", 25: "poisson", 26: "bursts"}
FROZEN: dict[str, Any] = {
    "driver": "steady",
    "loop": "open",
    "workers": 512,
    "threads_per_child": 512,
    "window_s": 5.0,
    "fault": {"action": "freeze_cgid", "at_s": 2.0, "for_s": 1.0},
}
EXTRA = """ServerAdmin  a@b
<IfModule nothing>
ServerSignature On
</IfModule>
<Location /x>
  Require all denied
</Location>"""
SYSCTLS = ("/proc/sys/net/core/somaxconn", "/proc/sys/net/unix/max_dgram_qlen")


def came(kind: str) -> dict[str, Any]:
    """Return 300 requests a second that come in some way; bursts of 60 come five times a second."""
    return {"kind": kind, "rate": 300, "burst_requests": 60, "rate_from": 1, "stages": [], "seed": "1:1:1"}


def host_state() -> dict[str, object]:
    """Return what a trial must leave as it was."""
    return {
        **{path: Path(path).read_text() for path in SYSCTLS},
        "mounts": sorted(line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()),
        "run": [*Path("/run").glob("cgid-*"), *Path("/tmp").glob("cgid-*")],  # noqa: S108 -- where the helper makes them
    }


@pytest.fixture(scope="module")
def rig(provisioned_host: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Rig:
    return Rig(provisioned_host, tmp_path_factory.mktemp("blocks"))


@pytest.fixture(scope="module")
def block(rig: Rig) -> dict[int, Outcome]:
    """Run one block of very different trials for most tests of this module."""
    return rig.run(
        "many",
        [
            rig.trial(1, listen_backlog=1, clients=60),
            rig.trial(2, listen_backlog=1024, clients=60),
            rig.trial(3, somaxconn=3, max_dgram_qlen=17, listen_backlog=100),
            rig.trial(4, workers=110, threads_per_child=25),
            rig.trial(5, conf="Nonsense on\n"),
            rig.trial(6, url_path="/cgi-bin/no-such-script"),
            rig.trial(7, loop="open", rate=100),
            rig.trial(8, driver="ab", clients=10),
            rig.trial(9, mpm="prefork", workers=20),
            rig.trial(10, mpm="worker", connect_times=False),
            rig.trial(11, clients=20, window_s=4.0, fault={"action": "kill_cgid", "at_s": 0.2, "for_s": 0}),
            rig.trial(12, listen_backlog=5, fault={"action": "freeze_cgid", "at_s": 0.2, "for_s": 0.5}),
            rig.trial(13, loop="open", rate=333),
            rig.trial(14, conf="ServerAdmin a@b\nTimeout 5\n"),
            rig.trial(15, log_level="info", conf="LogLevel debug\n"),
            rig.trial(16, listen_backlog=1, clients=60, strace=True),
            rig.trial(17, script="static"),
            # Without keep-alive h2load keeps no closed loop to the end.
            rig.trial(18, **MOVED, extra_directives=EXTRA, loop="open", rate=100, threads_per_child=50),
            rig.trial(19, driver="wrk", clients=10),
            rig.trial(20, **HELD_BACK, clients=20, window_s=16.9),
            rig.trial(21, cgid_nice=-5, clients=10),
            rig.trial(22, **RELOADED, fault=RELOAD, clients=20, window_s=5.0),
            rig.trial(23, mpm="prefork", workers=20, driver="ab", fault=RESTART, clients=5, window_s=4.0),
            *(rig.trial(n, **FROZEN, arrivals=came(kind)) for n, kind in OFFERED.items()),
        ],
    )


COMPLETE = (1, 2, 3, 7, 8, 9, 10, 11, 12, 16, 17, 18, 20, 21, 22, 23, *OFFERED)


@pytest.mark.parametrize("number", COMPLETE)
def test_a_trial_in_which_nothing_is_wrong_is_complete(block: dict[int, Outcome], number: int) -> None:
    assert block[number].result["reason"] == ""
    assert block[number].entry["ended"] == block[number].result["ended"] == "complete"


@pytest.mark.parametrize(
    ("number", "ended", "kind", "want"),
    [
        pytest.param(4, "invalid", "treatment", "workers: want 110, found 100", id="httpd rounds the workers"),
        pytest.param(5, "failed", "sut", "Invalid command 'Nonsense'", id="httpd does not start"),
        pytest.param(6, "invalid", "treatment", "cgi_status: want 200, found 404", id="the CGI is not there"),
        pytest.param(13, "failed", "client", "333 requests a second", id="a rate that cannot be kept"),
        pytest.param(14, "invalid", "treatment", "timeout_s: want 60, found 5", id="a directive overrides an option"),
        pytest.param(15, "invalid", "treatment", "log_level: want info, found debug", id="a directive overrides"),
    ],
)
def test_a_trial_that_goes_wrong_says_why_and_the_block_goes_on(
    block: dict[int, Outcome], number: int, ended: str, kind: str, want: str
) -> None:
    result = block[number].result

    assert (result["ended"], result["kind"]) == (ended, kind)
    assert want in result["reason"]
    assert "window" not in result


def test_a_short_queue_is_full_at_one_above_its_limit_and_workers_sleep_in_connect(block: dict[int, Outcome]) -> None:
    short = block[1]

    assert short.checks()["queue_limit"] == ("1", "1")
    rows = short.table("listen_queue")
    assert {row["cgid_limit"] for row in rows} == {"1"}
    assert max(int(row["cgid_depth"]) for row in rows) == 2
    assert max(int(row["connect"]) for row in short.table("worker_states")) > 0
    assert b"AH01256" not in short.files["logs/error_log"]


def test_a_long_queue_is_never_full_and_nobody_sleeps_in_connect(block: dict[int, Outcome]) -> None:
    long = block[2]

    assert max(int(row["cgid_depth"]) for row in long.table("listen_queue")) < 1024
    assert max(int(row["connect"]) for row in long.table("worker_states")) == 0


def test_the_kernels_settings_are_the_trials_own(block: dict[int, Outcome]) -> None:
    checks = block[3].checks()

    assert checks["somaxconn"] == ("3", "3")
    assert checks["max_dgram_qlen"] == ("17", "17")
    assert checks["server_uid"] == (str(NOBODY), str(NOBODY))
    assert checks["queue_limit"] == ("3", "3")
    assert checks["tcp_queue_limit"] == ("3", "3")


def test_every_option_that_says_how_it_is_read_back_was(rig: Rig, block: dict[int, Outcome]) -> None:
    """18 has them all moved; where a system has no queue, no proof is asked of one."""
    checks = block[18].checks()

    assert {name: found for name, (_, found) in checks.items() if name in MOVED} == {
        name: as_directive(value) for name, value in MOVED.items()
    }
    assert checks["extra_directives"][1] == "ServerAdmin a@b; <Location /x>; Require all denied"
    assert checks["httpd_version"] == (rig.host["httpd"]["distro"]["version"],) * 2
    assert checks["httpd_binary"] == (str(Path(rig.host["httpd"]["distro"]["binary"]).resolve()),) * 2
    assert checks["tcp_queue_limit"] == ("77", "77")
    assert checks["threads_per_child"] == ("50", "50")
    assert checks.keys() - block[9].checks().keys() == {
        "queue_limit", "module_sha256", "cgid_nice", "threads_per_child", "extra_directives"
    }  # fmt: skip


def test_each_thing_that_is_not_as_ordered_is_named(rig: Rig) -> None:
    """What the order says is falsified, not the server: each check must say so."""
    trial = rig.trial(1, conf="ServerAdmin a@b\n")
    settings = {**trial["settings"], "tcp_backlog": 99, "keep_alive": False, "threads_per_child": 20, "mpm": "worker"}
    settings["extra_directives"] = "ServerAdmin a@b\nServerSignature On"
    wrong = {**trial, "settings": settings, "httpd_version": "2.4.1"}

    reason = rig.run("falsified", [wrong])[1].result["reason"]

    assert "tcp_backlog: want 99, found 511" in reason
    assert "keep_alive: want Off, found On" in reason
    assert "threads_per_child: want 20, found 25" in reason
    assert "mpm: want worker, found event" in reason
    assert "extra_directives: want ServerAdmin a@b; ServerSignature On, found ServerAdmin a@b" in reason
    assert f"httpd_version: want 2.4.1, found {trial['httpd_version']}" in reason
    assert "tcp_queue_limit: want 99, found 511" in reason


def test_a_driver_that_is_not_there_and_a_name_that_is_none_are_told_apart(rig: Rig) -> None:
    missing = rig.write("no-driver", [rig.trial(1)], tools={"h2load": None})
    rig.start(missing)
    unknown = rig.write("unknown", [{**rig.trial(1), "instruments": ["forks"]}])

    assert rig.outcome(missing, 1).result["reason"] == "h2load is not installed"
    assert "no instrument is called forks" in rig.say("start", "--block", str(unknown / "block.json"))["error"]


def test_only_worker_threads_are_counted(block: dict[int, Outcome]) -> None:
    for number, want in ((1, "100"), (9, "20"), (10, "100")):
        assert {row["threads"] for row in block[number].table("worker_states")} == {want}


@pytest.mark.parametrize("number", [1, 2, 9, 10])
def test_the_scoreboard_is_read_of_every_mpm_and_accounts_for_every_worker(
    block: dict[int, Outcome], number: int
) -> None:
    """1 and 2: event, 9: prefork, 10: worker."""
    rows = block[number].table("worker_states")

    assert block[number].result["instruments"]["worker_states"]["scoreboard"] == ""
    total = {int(row["board_busy"]) + int(row["board_ready"]) for row in rows}
    assert total == {20 if number == 9 else 100}
    assert max(int(row["board_busy"]) for row in rows) >= 10
    assert int(rows[0]["board_busy"]) <= 2, "before the load only the read-back was served"


def test_reading_the_scoreboard_asks_the_server_nothing(block: dict[int, Outcome]) -> None:
    result = block[2].result
    to_realtime_ns = result["clock"]["realtime_ns"] - result["clock"]["monotonic_ns"]
    loaded_us = (next(p for p in result["phases"] if p["name"] == "warmup")["begin_ns"] + to_realtime_ns) / 1e3

    lines = [line.split() for line in block[2].files["logs/access_log"].decode().splitlines()]
    late = [line[-1] for line in lines if int(line[0]) > loaded_us]
    assert len(late) > 50
    assert set(late) == {"/cgi-bin/hello"}


def test_strace_sees_what_the_kernel_sees(block: dict[int, Outcome]) -> None:
    state = block[16].result["instruments"]["strace"]
    if state["state"] != "ran":
        pytest.skip(f"strace: {state['reason']}")
    socket = block[16].result["server"]["socket"]
    calls = parse_strace(block[16].files["instruments/strace.txt"], socket)

    assert calls.bad_lines == 0
    assert set(calls.result.tolist()) <= {0, -512}
    assert calls.duration_us.max() > 10_000, "a queue of 1 lets workers sleep"
    if block[16].result["instruments"]["connect_times"]["state"] == "ran":
        begin = block[16].result["phases"][4]["begin_ns"]
        timed = [c for c in block[16].connects() if c[0] >= begin]
        assert len(calls.result) == pytest.approx(len(timed), abs=110), "but those under way at the end"


def test_a_static_file_is_served_where_no_cgi_is_asked_for(block: dict[int, Outcome]) -> None:
    paths = {line.split()[-1] for line in block[17].files["logs/access_log"].decode().splitlines()}

    assert "/static/hello" in paths
    assert not any(path.startswith("/cgi-bin/") for path in paths)
    assert max(int(row["cgid_depth"]) for row in block[17].table("listen_queue")) == 0


def test_instruments_observe_warm_up_and_window_at_their_rates(block: dict[int, Outcome]) -> None:
    result = block[2].result
    begin, end = result["window"]["begin_ns"], result["window"]["end_ns"]

    for name, per_second in (("listen_queue", 100), ("worker_states", 5), ("cgid_daemon", 10), ("host", 10)):
        state = result["instruments"][name]
        times = [int(row["monotonic_ns"]) for row in block[2].table(name)]
        assert state["state"] == "ran"
        assert times[0] < begin
        assert times[-1] >= end - 1e9 / per_second
        inside = sum(begin <= t < end for t in times)
        assert per_second * 0.5 <= inside <= per_second * 1.1 + 1
    assert json.loads(block[2].files["instruments/host.json"])["end"]["loadavg1"] >= 0


def test_the_window_is_as_long_as_ordered_and_the_phases_follow_each_other(block: dict[int, Outcome]) -> None:
    for number in COMPLETE:
        result = block[number].result
        window = result["window"]
        # httpd looks for dead children about once a second; what is held back takes a slot each
        ordered_ns = {11: 4e9, 20: 16.9e9, 22: 5e9, 23: 4e9, **dict.fromkeys(OFFERED, 5e9)}.get(number, 1e9)
        assert 0.95 * ordered_ns <= window["end_ns"] - window["begin_ns"] <= ordered_ns + 1e6
        begins = [phase["begin_ns"] for phase in result["phases"]]
        assert begins == sorted(begins)
        names = [phase["name"] for phase in result["phases"]]
        assert names == ["namespaces", "start", "readback", "instruments", "warmup", "window", "stop", "gap", "collect"]


def test_every_row_of_a_closed_loop_ended_in_the_window(block: dict[int, Outcome]) -> None:
    result = block[2].result
    to_realtime_ns = result["clock"]["realtime_ns"] - result["clock"]["monotonic_ns"]
    begin_us, end_us = ((result["window"][edge] + to_realtime_ns) / 1e3 for edge in ("begin_ns", "end_ns"))

    rows = [[int(field) for field in line.split()] for line in block[2].files["load/rows.log"].splitlines()]
    assert len(rows) > 50
    ends = [start_us + took_us for start_us, _, took_us in rows]
    late_us = 50_000  # the window's begin is read from a pipe, on a machine that is busy by design
    assert all(begin_us - late_us <= end <= end_us + late_us for end in ends)


def test_an_open_loop_sends_exactly_its_rate_times_its_time(block: dict[int, Outcome]) -> None:
    assert len(block[7].files["load/rows.log"].splitlines()) == 150


@pytest.mark.parametrize("number", OFFERED, ids=OFFERED.values())
def test_a_schedule_shows_a_freeze_in_every_request_that_was_due_in_it(block: dict[int, Outcome], number: int) -> None:
    """A driver that waits for answers sends nothing meanwhile, and its p99 shows no freeze."""
    trial = block[number]
    result, fault = trial.result, FROZEN["fault"]
    to_us = result["clock"]["realtime_ns"] - result["clock"]["monotonic_ns"]
    begin_us = (result["window"]["begin_ns"] + to_us) // 1000
    frozen_us = begin_us + int(fault["at_s"] * 1e6), begin_us + int((fault["at_s"] + fault["for_s"]) * 1e6)
    sent = [int(line.split()[0]) for line in trial.files["load/sent.log"].splitlines()]
    rows = [tuple(map(int, line.split())) for line in trial.files["load/rows.log"].splitlines()]
    in_window = sorted(took for start, _, took in rows if begin_us <= start < begin_us + 5_000_000)
    held = {start: start + took for start, _, took in rows if frozen_us[0] + 20_000 <= start < frozen_us[1]}

    assert len(rows) == len(sent), "none is missing"
    assert len(sent) == sum(not line.startswith(b"#") for line in trial.files["load/due.log"].splitlines())
    assert set(held) == {at for at in sent if frozen_us[0] + 20_000 <= at < frozen_us[1]}
    assert min(held.values()) >= frozen_us[1] - 20_000, "each waits until the end of the freeze"
    p90, p99 = (in_window[int(share * len(in_window))] for share in (0.9, 0.99))
    assert p90 > 350_000, "a fifth of the requests were due in it"
    assert p99 > 750_000
    assert in_window[-1] > 800_000


def test_abs_window_begins_at_a_whole_second(block: dict[int, Outcome]) -> None:
    result = block[8].result
    begin_ns = result["window"]["begin_ns"] + result["clock"]["realtime_ns"] - result["clock"]["monotonic_ns"]

    assert abs((begin_ns + 500_000_000) % 1_000_000_000 - 500_000_000) < 1_000_000
    assert block[8].files["load/rows.log"].startswith(b"starttime\t")


def test_wrk_logs_the_moment_of_every_answer_that_the_server_sent(rig: Rig, block: dict[int, Outcome]) -> None:
    if "wrk" not in rig.host["tools"]:
        pytest.skip("this distribution has no package of wrk")
    result, rows = block[19].result, block[19].files["load/rows.log"].splitlines()

    assert (result["ended"], result["reason"]) == ("complete", "")
    assert {row.split(b"\t")[1] for row in rows} == {b"200"}
    served = block[19].files["logs/access_log"].count(b" /cgi-bin/")
    assert 0 <= served - len(rows) <= 10 + 5  # those under way at its end, and the read-back's own


def test_every_request_of_the_window_made_two_timed_connects(block: dict[int, Outcome]) -> None:
    if block[2].result["instruments"]["connect_times"]["state"] != "ran":
        pytest.skip(f"connect_times: {block[2].result['instruments']['connect_times']['reason']}")
    connects = [c for c in block[7].connects() if c[2] == 0]

    assert block[7].result["instruments"]["connect_times"]["lost"] == 0
    # each request is followed by a second connect, for its script's pid
    assert len(connects) == 2 * 150


def test_a_frozen_daemon_shows_as_connects_as_long_as_the_freeze(block: dict[int, Outcome]) -> None:
    frozen = block[12]

    assert frozen.result["server"]["cgid_pid_at_end"] == frozen.result["server"]["cgid_pid"]
    assert max(int(row["cgid_depth"]) for row in frozen.table("listen_queue")) == 6
    if frozen.result["instruments"]["connect_times"]["state"] == "ran":
        assert max(took_us for _, took_us, result in frozen.connects() if result == 0) > 400_000


def test_a_killed_daemon_is_seen_to_have_been_replaced(block: dict[int, Outcome]) -> None:
    killed = block[11]

    assert killed.result["server"]["cgid_pid_at_end"] not in (None, killed.result["server"]["cgid_pid"])
    assert len({row["pid"] for row in killed.table("cgid_daemon")}) == 2
    assert b"AH01239" in killed.files["logs/error_log"]


def test_instruments_that_are_off_or_cannot_run_say_so(block: dict[int, Outcome]) -> None:
    assert block[10].result["instruments"]["connect_times"]["state"] == "off"
    assert block[10].result["instruments"]["strace"]["state"] == "off"
    assert block[9].result["instruments"]["connect_times"]["state"] == "unavailable"
    assert "instruments/connect_times.csv" not in block[10].files


def test_checksums_cover_every_file(block: dict[int, Outcome]) -> None:
    for outcome in block.values():
        lines = [line.split("  ", 1) for line in outcome.files["SHA256SUMS"].decode().splitlines()]
        sums = {name: digest for digest, name in lines}
        assert sums == {n: hashlib.sha256(d).hexdigest() for n, d in outcome.files.items() if n != "SHA256SUMS"}
        assert hashlib.sha256(outcome.archive.read_bytes()).hexdigest() == outcome.entry["sha256"]


def test_what_the_trials_used_is_told_from_what_others_did(block: dict[int, Outcome]) -> None:
    for number in COMPLETE:
        found = parse_sentinel(block[number].files["instruments/sentinel.json"], where=str(number))
        assert found.group, found.why_no_group
        begin, end = found.begin, found.end
        assert begin.used_ns is not None
        assert end.used_ns is not None
        took_ns = end.monotonic_ns - begin.monotonic_ns
        assert 0 < end.used_ns - begin.used_ns <= took_ns * found.cpus
        assert found.before.end.monotonic_ns < begin.monotonic_ns < end.monotonic_ns < found.after.begin.monotonic_ns
        used, wanted, _ = sentinel.outsiders(found)
        assert used is not None
        assert wanted is not None
        assert max(used, wanted) <= found.cpus + 0.05


def test_a_block_leaves_the_host_as_it_was_and_sees_a_neighbour_that_lives_for_moments(rig: Rig) -> None:
    before = host_state()

    with neighbours(1.0, short_lived=True):
        trials = [rig.trial(1, somaxconn=99), rig.trial(2, isolation="host", somaxconn=99)]
        outcomes = rig.run("clean", trials)

    for outcome in outcomes.values():
        said = seen(outcome.files["instruments/sentinel.json"])
        assert said.said is not None, said
        assert said.wanted is not None
        assert said.wanted > 0.3
    directory = rig.work / "clean"
    assert rig.say("cleanup", "--dir", str(directory)) == {"dir": str(directory), "removed": True}
    assert not directory.exists()
    assert group.directories(str(directory)) == []
    assert trial_processes(directory) == []
    assert host_state() == before


def test_all_that_can_be_held_back_is_held_back_in_a_window_and_the_daemon_is_as_before(
    block: dict[int, Outcome], tmp_path: Path
) -> None:
    for name in ("csv", "json"):
        (tmp_path / name).write_bytes(block[20].files[f"instruments/interventions.{name}"])
    slots, found = read_slots(tmp_path / "csv"), DOCUMENT.read(tmp_path / "json")
    window = block[20].result["window"]

    assert {k.name: k.reason for k in found.interventions} == dict.fromkeys(INTERVENTIONS, "")
    assert found.cpus == len(os.sched_getaffinity(0))
    assert len(slots) == 33
    assert {s.name for s in slots} == {UNTOUCHED, *INTERVENTIONS}
    assert all((s.name == UNTOUCHED) == (n % 2 == 0) for n, s in enumerate(slots))
    slack_ns = (slots[0].end_ns - slots[0].begin_ns) / 2  # a busy host is late, by less than a slot
    assert window["begin_ns"] - slack_ns <= slots[0].begin_ns
    assert slots[-1].end_ns <= window["end_ns"] + slack_ns
    for name in INTERVENTIONS:  # a busy machine may keep one slot from its dose, and the analysis takes what was given
        shares = [s.dose / s.asked for s in slots if s.name == name and s.asked]
        assert not shares or 0.7 < median(shares) < 1.5, (name, shares)
    assert block[20].result["server"]["cgid_pid_at_end"] == block[20].result["server"]["cgid_pid"]


def test_httpd_is_reloaded_as_often_as_was_ordered_and_instruments_find_what_took_the_place(
    block: dict[int, Outcome],
) -> None:
    reloaded, window = block[22], block[22].result["window"]
    made = RELOADS.parse(reloaded.files["reloads.json"], where="22")
    log = reloaded.files["logs/error_log"]

    assert made.action == "reload_conf"
    assert len(made.reloads) == log.count(b"Doing graceful restart") == 2
    assert [(m.sent_ns - window["begin_ns"]) / 1e9 for m in made.reloads] == pytest.approx([0.2, 1.9], abs=0.7)
    assert reloaded.files["httpd.conf"].count(b"Define CGIDLAB_RELOAD_") == 2
    assert made.reloads[0].daemon_before == reloaded.result["server"]["cgid_pid"]
    assert made.reloads[1].daemon_after == reloaded.result["server"]["cgid_pid_at_end"]
    assert len({row["pid"] for row in reloaded.table("cgid_daemon")}) == 3
    for name, column in (("listen_queue", "cgid_limit"), ("worker_states", "idle")):
        late = [row for row in reloaded.table(name) if int(row["monotonic_ns"]) > window["end_ns"] - 1_000_000_000]
        assert any(row[column] not in ("", "0") for row in late), name
    assert b" 200 " in log_of_the_last(reloaded, window["end_ns"], seconds=1.5), "it serves after the last"


def log_of_the_last(outcome: Outcome, end_ns: int, *, seconds: float) -> bytes:
    """Return the lines of the access log that ended in the last moments of the window."""
    clock = outcome.result["clock"]
    end_us = (end_ns + clock["realtime_ns"] - clock["monotonic_ns"]) / 1e3
    lines = outcome.files["logs/access_log"].splitlines()
    return b"\n".join(line for line in lines if end_us - seconds * 1e6 < int(line.split()[1]) < end_us)


def test_a_server_without_a_daemon_is_restarted_too(block: dict[int, Outcome]) -> None:
    made = RELOADS.parse(block[23].files["reloads.json"], where="23")

    assert (made.action, len(made.reloads)) == ("restart", 1)
    assert (made.reloads[0].daemon_before, made.reloads[0].daemon_after) == (None, None)


def test_a_daemon_has_the_nice_value_that_was_ordered_and_its_scripts_do_not(rig: Rig) -> None:
    directory = rig.write("nice", [rig.trial(1, cgid_nice=-5, script="sleep", sleep_ms=200, window_s=3.0)])
    rig.start(directory)
    own = os.nice(0)  # httpd has it from whoever runs this

    def niced() -> tuple[set[int | None], set[int | None]]:
        """Return the nice values of the daemon and of its scripts, which do not carry the trial's mark."""
        daemons = [pid for pid in trial_processes(directory) if nice(pid) not in (own, None)]
        return {nice(pid) for pid in daemons}, {nice(pid) for daemon in daemons for pid in process.children(daemon)}

    def nice(pid: int) -> int | None:
        with suppress(OSError):
            return process.nice_of(pid)
        return None

    assert eventually(lambda: niced() == ({own - 5}, {max(0, own - 5)}), 20.0)
    outcome = rig.outcome(directory, 1)
    assert outcome.result["reason"] == ""
    assert outcome.checks()["cgid_nice"] == ("-5", "-5")


@pytest.fixture
def long_block(rig: Rig, request: pytest.FixtureRequest) -> Iterator[Callable[..., tuple[Path, int]]]:
    """Return what starts a block of two long trials and waits until the first is under load."""
    started: list[Path] = []

    def start(isolation: str = "namespaces", *, held_back: bool = False, **changes: object) -> tuple[Path, int]:
        name = "".join(c if c.isalnum() else "-" for c in request.node.name)
        more: dict[str, Any] = {"intervention_slot_s": 1.0} if held_back else {}
        trials = [rig.trial(n, window_s=60.0, isolation=isolation, somaxconn=99, **more) for n in (1, 2)]
        directory = rig.write(name, trials, **changes)
        started.append(directory)
        pid = rig.start(directory)
        rows = directory / "001" / "load" / "rows.log"
        assert eventually(lambda: rows.exists() and rows.stat().st_size > 0), (directory / "cgidhost.log").read_text()
        return directory, pid

    yield start
    for directory in started:
        rig.say("cleanup", "--dir", str(directory))


@pytest.mark.parametrize("isolation", ["namespaces", "host"])
def test_a_block_that_is_stopped_ends_its_trial_as_interrupted(
    rig: Rig, long_block: Callable[..., tuple[Path, int]], isolation: str
) -> None:
    before = host_state()
    directory, _ = long_block(isolation)
    assert trial_processes(directory)

    assert rig.say("stop", "--dir", str(directory))["stopped"] is True

    assert trial_processes(directory) == []
    outcome = rig.outcome(directory, 1)
    assert (outcome.result["ended"], outcome.result["kind"]) == ("failed", "interrupted")
    assert outcome.files["load/rows.log"]
    assert rig.say("await", "--dir", str(directory), "--number", "2", "--timeout", "5")["state"] == "dead"
    assert host_state() == before


def test_nothing_of_a_trial_outlives_a_killed_block_process(
    rig: Rig, long_block: Callable[..., tuple[Path, int]]
) -> None:
    before = host_state()
    directory, pid = long_block()

    os.kill(pid, signal.SIGKILL)

    assert eventually(lambda: trial_processes(directory) == [])
    assert host_state() == before
    assert rig.say("await", "--dir", str(directory), "--number", "1", "--timeout", "5")["state"] == "dead"
    assert len(group.directories(str(directory))) == 1, "a killed process cannot leave its group"
    rig.say("cleanup", "--dir", str(directory))
    assert group.directories(str(directory)) == []


@pytest.mark.parametrize("while_", ["stopped", "spinning"])
def test_what_holds_things_back_ends_with_a_killed_block_process(
    long_block: Callable[..., tuple[Path, int]], while_: str
) -> None:
    """Nothing is left stopped, and nothing that takes the machine's CPU is left at all."""
    directory, pid = long_block(held_back=True)

    def held() -> bool:
        for one in trial_processes(directory):
            with suppress(OSError):
                stat = process.read_text(f"/proc/{one}/stat").rpartition(")")[2].split()
                spinning = os.sched_getscheduler(one) & ~os.SCHED_RESET_ON_FORK == os.SCHED_FIFO and int(stat[11]) > 10
                if stat[0] == "T" if while_ == "stopped" else spinning:
                    return True
        return False

    assert eventually(held)
    os.kill(pid, signal.SIGKILL)

    assert eventually(lambda: trial_processes(directory) == [], 5.0)


def test_a_trial_whose_interventions_are_killed_fails_and_goes_no_further(
    rig: Rig, long_block: Callable[..., tuple[Path, int]]
) -> None:
    directory, pid = long_block("host", held_back=True)
    helpers = [pid for pid in trial_processes(directory) if str(directory).encode() in _command_line(pid)]
    first = process.children(process.children(pid)[0])[0]
    performer = max(p for p in process.children(first) if p in helpers)

    os.kill(performer, signal.SIGKILL)

    outcome = rig.outcome(directory, 1)
    assert outcome.entry["ended"] == "failed"
    assert outcome.entry["reason"] == "the process that holds things back ended with -9"


def test_what_a_killed_block_process_changed_on_the_host_is_undone_by_cleanup(
    rig: Rig, long_block: Callable[..., tuple[Path, int]]
) -> None:
    before = host_state()
    directory, pid = long_block("host")
    assert host_state() != before, "without a network namespace the sysctl is the host's"

    os.kill(pid, signal.SIGKILL)
    rig.say("cleanup", "--dir", str(directory))

    assert eventually(lambda: trial_processes(directory) == [])
    assert host_state() == before


def test_a_block_ends_with_the_process_that_ordered_it(rig: Rig, long_block: Callable[..., tuple[Path, int]]) -> None:
    control = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    watched = {"pid": control.pid, "start_ticks": start_ticks(control.pid), "boot_id": boot_id}
    directory, _ = long_block(control=watched)

    control.communicate()

    outcome = rig.outcome(directory, 1)
    assert outcome.result["reason"] == "the control process is gone"
    assert eventually(lambda: trial_processes(directory) == [])


def test_a_block_ends_when_its_lease_does(rig: Rig, long_block: Callable[..., tuple[Path, int]]) -> None:
    directory, _ = long_block(control={"pid": 1, "start_ticks": 0, "boot_id": "elsewhere"}, lease_s=2.0)

    assert eventually(lambda: trial_processes(directory) == [])
    assert rig.outcome(directory, 1).result["kind"] == "interrupted"


def test_a_second_block_in_the_same_directory_is_refused(rig: Rig, long_block: Callable[..., tuple[Path, int]]) -> None:
    directory, pid = long_block()

    answer = rig.say("start", "--block", str(directory / "block.json"))

    assert f"process {pid} runs a block" in answer["error"]


def test_trials_run_without_root_where_the_kernel_lets_a_user_make_namespaces(
    rig: Rig, tmp_path_factory: pytest.TempPathFactory
) -> None:
    allowed = rig.say("probe")["namespaces_user"]
    if not allowed["ok"]:
        pytest.skip(f"this host does not let a user make namespaces: {allowed['reason']}")
    python = shutil.which("python3", path="/usr/bin")
    if python is None:
        pytest.skip("no Python that another user may run")
    work = Path("/var/tmp") / tmp_path_factory.mktemp("nobody").name  # noqa: S108 -- pytest's own directories are root's
    work.mkdir()
    try:
        user = Rig(rig.host, work, python)
        directory = user.write("b", [user.trial(1, listen_backlog=1, somaxconn=50)])
        for path in (work, directory, directory / "block.json"):
            os.chown(path, NOBODY, NOBODY)
        user.prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        user.start(directory)
        outcome = user.outcome(directory, 1)

        assert outcome.result["ended"] == "complete", outcome.result["reason"]
        assert outcome.checks()["somaxconn"] == ("50", "50")
        assert max(int(row["cgid_depth"]) for row in outcome.table("listen_queue")) == 2
        times = outcome.result["instruments"]["connect_times"]
        assert times["state"] == "unavailable"
        assert "root" in times["reason"], times
    finally:
        shutil.rmtree(work)


def test_where_bpf_is_not_allowed_connect_times_says_so_and_nothing_takes_its_place(
    rig: Rig,
) -> None:
    """As in a container that may not use bpf but may trace its own processes; the sysctls stay as they are."""
    if rig.say("probe")["bpf"]["ok"] is not True:
        pytest.skip("bpf is not allowed to anybody here")
    values = [int(Path(path).read_text()) for path in SYSCTLS]
    bare = Rig(rig.host, rig.work)
    bare.prefix = ["setpriv", "--bounding-set=-sys_admin,-bpf"]
    trial = rig.trial(1, listen_backlog=1, clients=60, isolation="host", somaxconn=values[0], max_dgram_qlen=values[1])

    outcome = bare.run("no-bpf", [trial])[1]

    assert outcome.result["ended"] == "complete", outcome.result["reason"]
    times = outcome.result["instruments"]["connect_times"]
    assert times["state"] == "unavailable"
    assert "bpf: " in times["reason"], times
    assert "instruments/connect_times.csv" not in outcome.files


def test_the_probe_says_of_every_question_yes_or_why_not(rig: Rig) -> None:
    answer = rig.say("probe")

    for name in (
        "namespaces_root",
        "namespaces_user",
        "bpf",
        "unix_diag",
        "wchan",
        "schedstat",
        "psi",
        "pidfd",
        "control_group",
    ):
        assert answer[name]["ok"] is True or answer[name]["reason"], name
    assert answer["namespaces_root"]["sysctls"]["somaxconn"]["ok"] is True
    assert answer["unix_diag"]["ok"] is True


def test_what_left_its_trial_on_the_host_by_every_means_ends_with_it(rig: Rig) -> None:
    """A session and an environment of its own, and a parent that is gone: neither its group nor the mark finds it."""
    trial = rig.trial(1, isolation="host")
    trial["hooks"] = {"before_trial": ["sh", "-c", "env -i setsid sleep 86397 >/dev/null 2>&1 & sleep 0.5"]}

    made = rig.run("left-on-host", [trial])[1]

    assert made.entry["ended"] == "complete", made.entry
    assert made.result["hooks"]["before_trial"]["exit_code"] == 0
    assert [pid for pid in process.pids() if b"86397" in _command_line(pid)] == []


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
