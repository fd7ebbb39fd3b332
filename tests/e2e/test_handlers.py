"""Every handler answers the same requests for real: what scripts are told and sent, what they say, how they fail."""

import http.client
import os
import signal
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cgidhost import kernel, own, process

from cgidlab.design.systems import FCGID, PROVIDED, PROXIED, RUNNING_SCRIPTS, SYSTEMS
from tests.e2e.cgidhost_rig import NOBODY, Outcome, Rig, trial_processes
from tests.reach import let_pass
from tests.waiting import alive, ends, eventually

pytestmark = [pytest.mark.needs_root, pytest.mark.slow]

_PORT = 18080
_SCRIPTS = {
    "hello": 'printf "Content-Type: text/plain\\r\\n\\r\\nhello\\n"',
    "told": 'printf "Content-Type: text/plain\\r\\n\\r\\n%s|%s|%s|%s|" "$REQUEST_METHOD" "$QUERY_STRING" '
    '"$CONTENT_LENGTH" "$HTTP_X_ASKED"; basename "$SCRIPT_NAME"; cat',
    "created": 'printf "Status: 201 Created\\r\\nX-Own: yes\\r\\nContent-Type: text/plain\\r\\n\\r\\nmade"; exit 3',
    "silent": "exit 1",
    "broken": 'echo "no header at all"',
}


def ask(port: int, path: str, body: bytes | None = None) -> tuple[int, str, bytes]:
    """Return status, the script's own header and body of an answer."""
    one = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        one.request("GET" if body is None else "POST", path, body, {"X-Asked": "this"})
        answer = one.getresponse()
        return answer.status, answer.getheader("X-Own", ""), answer.read()
    finally:
        one.close()


def answers(port: int) -> bool:
    try:
        return ask(port, "/cgi-bin/hello")[0] == 200
    except OSError:
        return False


@pytest.fixture(scope="module")
def rig(provisioned_host: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Rig:
    return Rig(provisioned_host, tmp_path_factory.mktemp("blocks"))


@pytest.fixture(scope="module")
def block(rig: Rig) -> dict[int, Outcome]:
    """Run a short trial of each handler, a short queue of each that has one under more clients than it has room for."""
    quick: dict[str, Any] = {"warmup_s": 0.2, "window_s": 0.6}
    # As slow for all: uWSGI takes requests so quickly that few samples find a worker asleep.
    slow = {"script": "sleep", "sleep_ms": 2}
    few = {**quick, **slow, "listen_backlog": 5, "children": 3, "clients": 40}
    # A worker that finds no process of mod_fcgid free sleeps a second: a shorter window may hold no answer.
    longer = {FCGID: {"window_s": 3.0}}
    return rig.run(
        "handlers",
        [
            rig.trial(n, handler=name, **few | longer.get(name, {}), server_memory=True)
            for n, name in enumerate(SYSTEMS, start=1)
        ]
        + [
            rig.trial(11, handler="fcgiwrap", children=1, clients=2, **quick),
            rig.trial(12, handler="cgi", mpm="prefork", workers=20, clients=5, **quick),
            rig.trial(13, handler="cgid", mpm="prefork", workers=20, clients=5, **quick),
            rig.trial(
                14, handler="php_fpm", clients=5, fault={"action": "freeze_children", "at_s": 0.2, "for_s": 0.5},
                script="burn", burn_ms=1, listen_backlog=100,
            ),
            rig.trial(15, handler="gunicorn", clients=5, script="sleep", sleep_ms=5, **quick),
            rig.trial(16, handler="php_fpm", clients=5, script="bytes", size_bytes=40000, **quick),
        ],
    )  # fmt: skip


@pytest.mark.parametrize("number", [*range(1, len(SYSTEMS) + 1), 11, 12, 13, 14, 15, 16])
def test_a_trial_of_each_is_complete_and_proved_to_be_of_it(block: dict[int, Outcome], number: int) -> None:
    one = block[number]

    assert one.result["reason"] == ""
    assert one.entry["ended"] == "complete"
    want, found = one.checks()["handler"]
    assert want == found
    assert one.checks()["server_uid"] == (str(NOBODY), str(NOBODY))
    assert one.files["load/rows.log"]


@pytest.mark.parametrize("name", PROXIED)
def test_its_queue_and_its_processes_are_those_that_were_ordered(block: dict[int, Outcome], name: str) -> None:
    one = block[SYSTEMS.index(name) + 1]

    assert one.checks()["queue_limit"] == ("5", "5")
    assert one.checks()["children"] == ("3", "3")
    assert max(int(row["cgid_depth"]) for row in one.table("listen_queue")) == 6
    assert one.result["instruments"]["cgid_daemon"]["state"] == "unavailable"
    assert max(int(row["connect"]) for row in one.table("worker_states")) > 0, (
        "mod_proxy sleeps for room as mod_cgid does"
    )
    assert b" 503 " not in one.files["logs/access_log"]
    assert {result for _, _, result in one.connects()} == {0}


def test_mod_fcgid_is_held_to_its_processes_and_says_why_it_has_no_queue(block: dict[int, Outcome]) -> None:
    one = block[SYSTEMS.index(FCGID) + 1]

    assert one.checks()["children"] == ("3", "3")
    assert "queue_limit" not in one.checks()
    assert one.checks()["threads_per_child"] == ("25", "25"), "its process manager is no process of workers"
    assert one.result["instruments"]["listen_queue"]["state"] == "ran", "of httpd's own queue"
    assert {row["cgid_depth"] for row in one.table("listen_queue")} == {""}
    assert "a socket of its own" in one.result["instruments"]["connect_times"]["reason"]


@pytest.mark.parametrize("number", range(1, len(SYSTEMS) + 1))
def test_the_memory_of_all_its_processes_is_known(block: dict[int, Outcome], number: int) -> None:
    rows = block[number].table("server_memory")

    assert len(rows) > 1
    assert all(2000 < int(row["pss_kb"]) < 2_000_000 for row in rows)
    least = 2 + (
        4 if SYSTEMS[number - 1] in PROXIED else 0
    )  # httpd's first process, a child; the program and its three
    assert all(int(row["processes"]) >= least for row in rows)


def test_children_that_are_frozen_answer_nothing_until_they_go_on(block: dict[int, Outcome]) -> None:
    window = block[14].result["window"]
    rows = [line.split("\t") for line in block[14].files["load/rows.log"].decode().splitlines()]
    clock = block[14].result["clock"]
    offset_us = (clock["realtime_ns"] - clock["monotonic_ns"]) // 1000
    ends_us = sorted(int(begin) + int(took) - offset_us for begin, _, took in rows)
    inside = [end for end in ends_us if window["begin_ns"] <= end * 1000 < window["end_ns"]]

    assert max(b - a for a, b in pairwise(inside)) > 400_000
    assert {status for _, status, _ in rows} == {"200"}


@dataclass(frozen=True)
class Served:
    """What one handler answered to the same requests as the others, and whose its socket is."""

    answers: dict[str, tuple[int, str, bytes]]
    sockets: list[tuple[int, int]]  # user and mode; of mod_fcgid the directory that they are in


def sockets_of(directory: Path) -> list[tuple[int, int]]:
    """Return user and mode of the sockets that a block's trial has on the host itself, or of their directory."""
    found = [p for name in ("system.sock", "fcgid") for p in Path(own.sockets_place()).glob(f"cgid-*/{name}")]
    mine = [p.stat() for p in found if (p.parent / own.MARK).resolve().parent == directory.resolve()]
    return [(one.st_uid, stat.S_IMODE(one.st_mode)) for one in mine]


@pytest.fixture(scope="module")
def served(rig: Rig, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Served]:
    """Have each handler answer the same requests, all at the same time on ports of their own."""
    scripts = let_pass(tmp_path_factory.mktemp("scripts"))
    scripts.chmod(0o755)
    for name, text in _SCRIPTS.items():
        (scripts / name).write_text(f"#!/bin/sh\n{text}\n")
        (scripts / name).chmod(0o755)

    def asked(name: str) -> Served:
        port = _PORT + SYSTEMS.index(name)
        # All are asked while it lasts, seven trials at once on a host that may be slow. Beside the load a request may
        # find no process of mod_fcgid free, and sleeps for a second.
        window_s = 10.0 if name == FCGID else 7.0
        trial = rig.trial(
            1, scripts_dir=str(scripts) if name in RUNNING_SCRIPTS else "", handler=name, isolation="host", clients=1,
            window_s=window_s, connect_times=False, children=4, workers=25, **now,
        )  # fmt: skip
        trial = {**trial, "port": port}
        directory = rig.write(f"served-{name}", [trial])
        rig.start(directory)
        eventually(lambda: answers(port), 30)
        found = {
            "hello": ask(port, "/cgi-bin/hello"),
            "missing": ask(port, "/cgi-bin/no-such-script"),
        }
        if name in RUNNING_SCRIPTS:
            found |= {
                "told": ask(port, "/cgi-bin/told?a=1&b", b"sent\n" * 3000),
                "created": ask(port, "/cgi-bin/created"),
                "silent": ask(port, "/cgi-bin/silent"),
                "broken": ask(port, "/cgi-bin/broken"),
            }
        sockets = sockets_of(directory)
        assert rig.outcome(directory, 1).result["reason"] == ""
        assert eventually(lambda: trial_processes(directory) == [], 20)
        return Served(found, sockets)

    # Nothing of the host's is changed, which trials side by side would undo for each other.
    now: dict[str, Any] = {name: int(kernel.read(name)) for name in kernel.SYSCTLS}
    with ThreadPoolExecutor() as pool:
        return dict(zip(SYSTEMS, pool.map(asked, SYSTEMS), strict=True))


@pytest.mark.parametrize("name", SYSTEMS)
def test_all_say_hello_and_none_finds_what_is_not_there(served: dict[str, Served], name: str) -> None:
    answers = served[name].answers

    assert answers["hello"] == (200, "", b"hello\n")
    assert answers["missing"][0] in ((404, 403) if name == "fcgiwrap" else (404,))


@pytest.mark.parametrize("name", RUNNING_SCRIPTS)
def test_a_script_is_told_and_sent_the_same_and_its_answer_is_passed_on(served: dict[str, Served], name: str) -> None:
    answers = served[name].answers

    status, _, body = answers["told"]
    assert (status, body) == (200, b"POST|a=1&b|15000|this|told\n" + b"sent\n" * 3000)
    assert answers["created"] == (201, "yes", b"made"), "however it exits"
    assert answers["silent"][0] == (502 if name in (FCGID, "fcgiwrap") else 500), "fcgiwrap says so of itself"
    # mod_proxy_fcgi takes what is no header for the answer itself.
    assert answers["broken"][0] == (200 if name == "fcgiwrap" else 500)


@pytest.mark.parametrize("name", PROXIED)
def test_a_socket_behind_mod_proxy_is_nobody_elses(served: dict[str, Served], name: str) -> None:
    ((user, mode),) = served[name].sockets

    assert user == NOBODY
    assert not mode & 0o077


def test_what_mod_fcgid_starts_has_sockets_that_are_nobody_elses(served: dict[str, Served]) -> None:
    assert served[FCGID].sockets == [(NOBODY, 0o700)]


def descendants(pid: int) -> set[int]:
    """Return the processes that a process started, and those that these started."""
    below = process.children(pid)
    return {*below, *(each for one in below for each in descendants(one))}


def is_stopped(pid: int) -> bool:
    """Say whether a process is stopped by a signal."""
    with suppress(OSError):
        return process.read_text(f"/proc/{pid}/stat").rpartition(")")[2].split()[0] == "T"
    return False


def begun(name: str, pid: int) -> bool:
    """Say whether all processes of a handler are frozen; of mod_fcgid, which no fault freezes, whether one runs."""
    if name == FCGID:
        return any(exe_of(one) == "fcgiwrap" for one in descendants(pid))
    return sum(map(is_stopped, descendants(pid))) == 3


def exe_of(pid: int) -> str:
    """Return the name of the program that a process runs, '' when it is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/exe").readlink().name
    return ""


@pytest.mark.parametrize("name", PROVIDED)
def test_recover_ends_what_a_killed_block_left_of_it(rig: Rig, name: str) -> None:
    """Its frozen processes hear of nobody's end."""
    frozen: dict[str, Any] = {"fault": {"action": "freeze_children", "at_s": 0.0, "for_s": 60.0}}
    frozen = {} if name == FCGID else frozen
    places = tuple(map(Path, ("/run", "/tmp", "/dev/shm")))  # noqa: S108 -- where programs leave things
    before = {path for place in places for path in place.iterdir()}
    now: dict[str, Any] = {one: int(kernel.read(one)) for one in kernel.SYSCTLS}
    directory = rig.write(
        f"killed-{name}",
        [rig.trial(1, handler=name, isolation="host", clients=5, window_s=90.0, children=3, **frozen, **now)],
    )
    pid = rig.start(directory)
    assert eventually(lambda: begun(name, pid))
    started = {one: process.start_ticks(one) for one in descendants(pid)}

    os.kill(pid, signal.SIGKILL)
    assert ends(pid)
    said = rig.say("recover", "--work-dir", str(rig.work))

    assert said["problems"] == []
    assert {one for one, ticks in started.items() if process.start_ticks(one) == ticks and alive(one)} == set()
    assert not directory.exists()
    assert not [p for place in places for p in place.iterdir() if p not in before and os.lstat(p).st_uid == NOBODY]
