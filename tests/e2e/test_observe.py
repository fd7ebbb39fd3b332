"""Watching servers that run: really built httpds as services, real load, and what can happen meanwhile."""

import errno
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.observing import Target, watch
from tests.rigs.httpd_instances import Instance, httpd, let_through, wait_for

pytestmark = [pytest.mark.needs_root, pytest.mark.slow]

AS_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")


@dataclass(frozen=True)
class Servers:
    """The instances that run for this module."""

    short: Instance  # a queue of 5
    long: Instance  # a queue of 1024
    contained: Instance  # a queue of 100, in a network of its own


@pytest.fixture(scope="module")
def servers(provisioned_host: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    base = tmp_path_factory.mktemp("httpd")
    with ExitStack() as running:
        yield Servers(
            running.enter_context(
                httpd(provisioned_host, base / "short", listen_backlog=5, workers=100, log_level="warn cgid:debug")
            ),
            running.enter_context(httpd(provisioned_host, base / "long", listen_backlog=1024)),
            running.enter_context(httpd(provisioned_host, base / "contained", listen_backlog=100, contained=True)),
        )


def label(instance: Instance) -> str:
    """Return what an observation calls an instance's socket."""
    return str(instance.directory / "run" / "cgid.sock")


@dataclass(frozen=True)
class Observed:
    """One `runner.py observe --format json`, and what it printed."""

    status: int
    said: dict[str, Any]
    stderr: str
    results: Path

    def instance(self, one: Instance) -> dict[str, Any]:
        """Return what was said of an instance."""
        return next(i for i in self.said["instances"] if i["pid"] == one.pid)


def observe(repo_root: Path, results: Path, *words: str) -> Observed:
    ran = subprocess.run(
        [sys.executable, "runner.py", "observe", "--format", "json", "--results", str(results), *words],
        check=False,
        cwd=repo_root,
        capture_output=True,
        text=True,
    )
    return Observed(ran.returncode, json.loads(ran.stdout) if ran.stdout else {}, ran.stderr, results)


@pytest.fixture(scope="module")
def observed(repo_root: Path, servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Observed:
    """Watch all instances while one of them has more clients than its queue holds."""
    results = tmp_path_factory.mktemp("results")
    load = servers.short.load(clients=150, seconds=900)
    try:
        words = ("--duration", "5", "--cost", "2%", "--error-log", str(servers.short.error_log), "--watch")
        return observe(repo_root, results, *words)
    finally:
        load.kill()
        load.wait()


def test_every_instance_is_found_with_its_socket_and_what_it_allows(observed: Observed, servers: Servers) -> None:
    assert observed.status == 0, observed.stderr
    short, long, contained = (observed.instance(s) for s in (servers.short, servers.long, servers.contained))

    assert [i["queue_limit"] for i in (short, long, contained)] == [5, 1024, 100]
    assert short["socket"] == str(servers.short.sockets[0])
    assert (short["mpm"], short["threads_per_child"], short["server_limit"], short["max_request_workers"]) == (
        "event",
        25,
        4,
        100,
    )
    assert short["version"].startswith("Apache/2.")
    assert short["network"] != contained["network"]


def test_a_real_overflow_is_called_one_and_the_other_queues_are_not(observed: Observed, servers: Servers) -> None:
    short = observed.instance(servers.short)

    assert short["verdict"]["overflow"] == "observed", short
    assert short["queue_depth_max"] in (5, 6)  # 6, but for the moments between a wake-up and its worker's turn
    assert short["workers_in_connect_max"] > 5
    assert short["connect_max_us"] > 1000
    assert short["cgid_cpu_share"] > 0
    for other in (servers.long, servers.contained):  # one request was answered before, none in the window
        assert observed.instance(other)["verdict"]["overflow"] == "inconclusive"
        assert "no CGI request came" in observed.instance(other)["verdict"]["text"].replace("No CGI", "no CGI")


def test_the_error_log_adds_retries_at_a_level_that_would_show_them(observed: Observed, servers: Servers) -> None:
    short, long = observed.instance(servers.short), observed.instance(servers.long)

    assert (short["retries"], short["log_level"]) == (0, "debug")
    assert "no worker retried" in short["verdict"]["text"].lower()
    assert long["retries"] is None  # its log was not named
    assert "would retry is not known: no request came" in long["verdict"]["text"]


def test_it_costs_what_it_may_and_says_so(observed: Observed) -> None:
    assert 0 < observed.said["cost"]["cpu_share"] <= 0.021  # 2 % were allowed; the end is measured with it


def test_what_is_seen_is_shown_while_it_is(observed: Observed, servers: Servers) -> None:
    assert f"{label(servers.short)}: queue " in observed.stderr


def test_an_observation_is_a_run_that_report_status_and_compare_read(
    repo_root: Path, observed: Observed, servers: Servers
) -> None:
    again = observe(repo_root, observed.results, "--duration", "1", "--socket", label(servers.long))
    first, second = observed.said["run_directory"], again.said["run_directory"]

    def said(*words: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "runner.py", *words]
        return subprocess.run(argv, check=False, cwd=repo_root, capture_output=True, text=True)

    report, status = said("report", first, "--format", "md"), said("status", first)
    compared = said("compare", first, second, "--across", "window_s", "--format", "json")

    assert "The queue overflowed" in report.stdout, report.stderr
    assert re.search(r"finished: (\d+) of \1 ", status.stdout), status.stderr
    assert compared.returncode == 0, compared.stderr
    assert [dict(c) for c in json.loads(compared.stdout)["cells"]] == [{"socket": label(servers.long)}]


def test_nothing_to_observe_is_exit_status_3_and_names_what_could_be(
    repo_root: Path, tmp_path: Path, servers: Servers
) -> None:
    found = observe(repo_root, tmp_path, "--duration", "1", "--socket", "/no/such.sock")

    assert found.status == 3
    assert "nobody listens at /no/such.sock" in found.stderr
    assert servers.short.sockets
    assert "/run/cgid.sock." in found.stderr


def test_clients_that_do_not_wait_are_counted_and_the_listener_is_known(repo_root: Path, tmp_path: Path) -> None:
    """What nginx does to php-fpm: connects that a full queue turns away at once, one after the other."""
    path = tmp_path / "app.sock"
    ended = threading.Event()
    seen = {"tried": 0, "turned away": 0}

    def come() -> None:
        while not ended.wait(0.005):
            with socket.socket(socket.AF_UNIX) as client:
                client.setblocking(False)  # noqa: FBT003 -- the library's
                seen["tried"] += 1
                seen["turned away"] += client.connect_ex(str(path)) == errno.EAGAIN

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(3)
        thread = threading.Thread(target=come)
        thread.start()
        try:
            words = ("--duration", "3", "--socket", str(path), "--fail-on", "full")
            found = observe(repo_root, tmp_path / "results", *words)
        finally:
            ended.set()
            thread.join()

    (one,) = found.said["instances"]
    assert found.status == 1
    assert one["verdict"]["overflow"] == "observed", one
    assert 0 < one["connects_turned_away"] == one["connects"] <= seen["turned away"]
    assert one["acceptors"]["processes"] == 1
    assert "turned away (EAGAIN)" in one["verdict"]["lines"][0]
    assert f"watched from {one['begin'][11:19]}" in one["verdict"]["lines"][0]


@pytest.fixture(scope="module")
def seen(
    servers: Servers,
    provisioned_host: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Target]:
    """Watch while one instance restarts gracefully, one is stopped, and one is started anew."""
    base = tmp_path_factory.mktemp("meanwhile")
    with ExitStack() as running:
        stopped = running.enter_context(httpd(provisioned_host, base / "stopped", listen_backlog=5))
        watching = watch(base / "watch", duration_s=600.0)
        watching.await_live()
        before = servers.short.sockets[0].stat().st_ctime_ns  # its inode may be used again
        servers.short.signal(signal.SIGUSR1)
        os.kill(stopped.pid, signal.SIGTERM)
        wait_for(lambda: servers.short.sockets and servers.short.sockets[0].stat().st_ctime_ns != before)
        wait_for(lambda: not any(t["there"] for t in watching.live()["targets"] if t["label"] == label(stopped)))
        asleep_s = time.monotonic() + 3.0  # for the look after a replaced socket
        wait_for(lambda: time.monotonic() > asleep_s)
        watching.stop()
        return {**watching.targets(), "stopped": watching.targets()[label(stopped)]}


def test_a_socket_that_is_replaced_is_followed(seen: dict[str, Target], servers: Servers) -> None:
    target = seen[label(servers.short)]

    assert "the socket was replaced" in target.events
    assert not target.said["stopped"]
    assert target.result["server"]["cgid_pid"] != target.result["server"]["cgid_pid_at_end"]
    assert set(target.column("listen_queue", "cgid_limit")) == {5}


def test_an_httpd_that_stops_meanwhile_is_said_and_ends_its_window(seen: dict[str, Target], servers: Servers) -> None:
    target, other = seen["stopped"], seen[label(servers.short)]

    assert target.said["stopped"]
    assert target.events[-1] == "httpd stopped"
    assert target.result["window"]["end_ns"] < other.result["window"]["end_ns"]


def test_a_graceful_reload_is_enough_for_the_queue_of_a_module_that_was_built_anew(
    servers: Servers, provisioned_host: dict[str, Any], tmp_path: Path
) -> None:
    """What the advice rests on: httpd loads its modules anew, and the new daemon listens with the new length."""
    module = tmp_path / "mod_cgid.so"
    with httpd(provisioned_host, tmp_path / "httpd", listen_backlog=5) as one:
        for built, limit in ((one, 5), (servers.long, 1024)):
            conf = built.directory / "httpd.conf"
            (loaded,) = re.findall(r"^LoadModule cgid_module (.+)$", conf.read_text(), re.MULTILINE)
            shutil.copy(loaded.strip('"'), tmp_path / "new.so")
            (tmp_path / "new.so").replace(module)
            if built is one:
                conf.write_text(conf.read_text().replace(loaded, str(module)))
            one.signal(signal.SIGUSR1)
            wait_for(lambda: str(module) in Path(f"/proc/{one.pid}/maps").read_text())
            wait_for(lambda limit=limit: _limits(one) == [limit] and one.answers())


def _limits(instance: Instance) -> list[int]:
    """Return the limit of each queue that an instance's daemon listens with, as ss says it."""
    listening = subprocess.run(["ss", "-xlnH"], check=True, capture_output=True, text=True).stdout
    return [int(line.split()[3]) for line in listening.splitlines() if label(instance) in line]


def test_without_root_it_sees_the_queue_and_says_how_to_see_more(servers: Servers, tmp_path: Path) -> None:
    directory = tmp_path / "watch"
    directory.mkdir()
    let_through(tmp_path)
    os.chown(directory, 65534, 65534)

    watching = watch(directory, prefix=AS_NOBODY, duration_s=2.0)
    target = watching.targets()[label(servers.long)]

    assert target.said["by_name_alone"]
    assert set(target.column("listen_queue", "cgid_limit")) == {1024}
    for instrument in ("worker_states", "connect_times", "cgid_daemon"):
        assert "run as root (--become)" in target.unavailable(instrument)
    assert any("--become" in note for note in watching.result()["notes"])


def test_a_queue_of_4096_of_another_program_is_watched(tmp_path: Path) -> None:
    somaxconn = int(Path("/proc/sys/net/core/somaxconn").read_text())
    if somaxconn < 4096:
        pytest.skip(f"net.core.somaxconn is {somaxconn} here, so no queue holds 4,096")
    path = tmp_path / "app.sock"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with ExitStack() as opened, socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen(4096)
            for _ in range(4097):
                client = opened.enter_context(socket.socket(socket.AF_UNIX))
                client.connect(str(path))
            target = watch(tmp_path / "watch", sockets=[str(path)]).targets()[str(path)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert (target.said["pid"], target.said["httpd"]) == (os.getpid(), False)
    assert set(target.column("listen_queue", "cgid_limit")) == {4096}
    assert set(target.column("listen_queue", "cgid_depth")) == {4097}
    assert "is not known" in target.unavailable("worker_states")


def test_every_listener_of_the_host_and_of_its_containers_has_a_line(servers: Servers, tmp_path: Path) -> None:
    path, gone = tmp_path / "app.sock", tmp_path / "gone.sock"
    with ExitStack() as opened:
        for one in (path, gone):
            listener = opened.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(str(one))
            listener.listen(3)
        replaced = tmp_path / "replaced.sock"
        old, new = (opened.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(2))
        old.bind(str(replaced))
        old.listen(3)
        watching = watch(tmp_path / "watch", every=True, duration_s=4.0)
        watching.await_live()
        listener.close()
        old.close()
        replaced.unlink()
        new.bind(str(replaced))
        new.listen(3)
        opened.enter_context(socket.socket(socket.AF_UNIX)).connect(str(replaced))
        for one in (path,) * 10 + (gone,) * 5:
            client = opened.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)  # noqa: FBT003 -- the library's
            client.connect_ex(str(one))
        result = watching.result()
        live = watching.live()

    rows = {row["path"]: row for row in result["every"]}
    full, dead = rows[str(path)], rows[str(gone)]
    assert (full["limit"], full["depth_max"], full["pid"]) == (3, 4, os.getpid())
    assert (full["connects"], full["turned_away"], full["refused"]) == (10, 6, 0)
    assert 0 < full["full_s"] <= full["length_s"]
    assert (dead["there"], dead["refused"]) == (False, 5)
    counts = {row["there"]: row["connects"] for row in result["every"] if row["path"] == str(replaced)}
    assert counts[True] == 1
    assert counts.get(False) is None, "an inode may be given again at once: then there is one row"
    contained = rows[str(servers.contained.sockets[0])]
    assert contained["limit"] == 100
    assert contained["network"] != full["network"]
    assert live["every"]
    assert result["targets"] == []
    assert 0 < result["cost"]["cpu_share"] <= 0.05


def test_all_is_a_table_with_the_worst_first_that_says_when_it_was_watched(repo_root: Path, tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    strange = os.fsencode(tmp_path) + b"/\xff\n.sock"  # any user may call one so
    with ExitStack() as opened:
        other = opened.enter_context(socket.socket(socket.AF_UNIX))
        other.bind(strange)
        other.listen(1)
        listener = opened.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(path))
        listener.listen(3)
        argv = [sys.executable, "runner.py", "observe", "--all", "--duration", "4", "--watch", "--results"]
        with subprocess.Popen(
            [*argv, str(tmp_path / "results")], cwd=repo_root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stderr is not None
            shown = process.stderr.readline()  # it watches
            before = datetime.now(UTC)
            for _ in range(9):
                client = opened.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)  # noqa: FBT003 -- the library's
                client.connect_ex(str(path))
            out, err = process.communicate(timeout=120)

    assert process.returncode == 0, err
    header, worst = out.splitlines()[:2]
    assert header.split()[:2] == shown.split()[:2] == ["who", "limit"]
    assert worst.endswith(str(path))
    assert worst.split()[2:5] == ["3", "4", "4"]
    told = re.search(r"^watched from (\d\d:\d\d:\d\d) to (\d\d:\d\d:\d\d) UTC$", out, re.MULTILINE)
    assert told is not None
    (kept,) = (tmp_path / "results" / "observe-all").glob("*/listeners.json")
    assert os.fsdecode(strange.replace(b"\xff", b"\\xff")) in {
        row["path"] for row in json.loads(kept.read_text())["listeners"]
    }
    (host,) = json.loads(kept.read_text())["hosts"].values()
    begin, end = (datetime.fromisoformat(host[edge]) for edge in ("begin", "end"))
    assert begin < before < end
    assert told.groups() == (f"{begin:%H:%M:%S}", f"{end:%H:%M:%S}")


def test_until_full_waits_and_keeps_the_seconds_around_the_first_overflow(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    with ExitStack() as opened, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(3)
        watching = watch(
            tmp_path / "watch", sockets=[str(path)], until_full=True, duration_s=None, around_s=2.0, cost_share=0.2
        )
        wait_for(lambda: watching.live().get("elapsed_s", 0) > 4)
        assert not watching.live()["full"]
        for _ in range(4):
            client = opened.enter_context(socket.socket(socket.AF_UNIX))
            client.connect(str(path))
        result = watching.result()
        target = watching.targets()[str(path)]

    assert result["ended"] == "full"
    assert target.said["acceptors"]["processes"] == 1
    window = target.result["window"]
    times = target.column("listen_queue", "monotonic_ns")
    assert window["begin_ns"] == result["full_ns"] - 2_000_000_000
    assert result["end_ns"] - result["full_ns"] >= 2_000_000_000
    assert min(times) > window["begin_ns"] - 2_000_000_000  # not the four seconds before
    assert {0, 4} <= set(target.column("listen_queue", "cgid_depth"))


def test_a_helper_that_nobody_asks_for_ends_and_leaves_nothing(servers: Servers, tmp_path: Path) -> None:
    watching = watch(tmp_path / "watch", duration_s=600.0, lease_s=1.0, sockets=[label(servers.long)])
    watching.await_live()

    wait_for(lambda: not Path(f"/proc/{watching.pid}").exists())

    assert not watching.directory.exists()
