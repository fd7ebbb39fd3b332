"""Reloads in a trial: what is sent, and the proof that each happened. The httpd is a script with its own daemon."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
from cgidhost import blockfile, load, process
from cgidhost.ending import TrialEnd
from cgidhost.instruments.base import Scene
from cgidhost.instruments.strace import Strace
from cgidhost.instruments.worker_states import WorkerStates
from cgidhost.reloading import RELOADS
from cgidhost.server import Places, Server
from cgidhost.sockdiag import SockDiag

from cgidlab.parsers import reloads
from tests.unit.test_cgidhost_orders import block, trial_entry
from tests.waiting import eventually

HTTPD = """#!{python}
import os, signal, socket, sys, time

conf = open(sys.argv[2]).read()
if sys.argv[3] == "-t":
    sys.exit("Nonsense" in conf)
run, log = conf.split()[1], open(conf.split()[3], "a")


def daemon():
    path = run + "/cgid.sock"
    if os.path.exists(path):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(5)
    parent, pid = os.getpid(), os.fork()
    if pid == 0:
        while os.getppid() == parent:
            time.sleep(0.01)
        os._exit(0)
    listener.close()
    return pid


def say(text):
    log.write(text + "\\n")
    log.flush()


def reload(number, _):
    graceful = number == signal.SIGUSR1
    say("SIGUSR1 received.  Doing graceful restart" if graceful else "SIGHUP received.  Attempting to restart")
    if "Hangs" in conf:
        return
    if "Keeps" not in conf:
        os.kill(child[0], signal.SIGKILL)
        os.waitpid(child[0], 0)
        if "Loses" not in conf:
            child[0] = daemon()
    say("configured -- resuming normal operations")


child = []
signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGUSR1, signal.SIGHUP))
for number in (signal.SIGUSR1, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN if "Deaf" in conf else reload)
child.append(daemon())
signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGUSR1, signal.SIGHUP))
while True:
    time.sleep(0.01)
"""

Made = Callable[..., Server]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Made]:
    """Return what starts a server whose configuration has some words."""
    binary = tmp_path / "httpd"
    binary.write_text(HTTPD.replace("{python}", sys.executable))
    binary.chmod(0o755)
    servers: list[Server] = []

    def start(words: str = "", action: str = "graceful") -> Server:
        places = Places(str(tmp_path / "trial"), str(tmp_path / "run"))
        for path in (places.run, places.logs, places.load, places.instruments):
            Path(path).mkdir(parents=True)
        (Path(places.logs) / "error_log").write_text("resuming normal operations\n")
        fault = {"action": action, "at_s": 0.5, "for_s": 1.0, "every_s": 1.0}
        entry = {**trial_entry(), "fault": fault, "httpd_binary": str(binary)}
        order = blockfile.parse(block(entry)).trials[0]
        order = replace(order, httpd_conf=f"RUN @RUN_DIR@ LOG @TRIAL_DIR@/logs/error_log {words}\n")
        server = Server(order, places, 1)
        server.start(None)
        servers.append(server)
        assert eventually(lambda: server.find_acceptor(SockDiag()) is not None, 20)
        return server

    yield start
    for server in servers:
        os.kill(server.pid, signal.SIGKILL)


def reload(server: Server, action: str, *, until: bytes = b"resuming") -> None:
    """Have it reload once, and prove that it did when the word is there."""
    send, prove = RELOADS[action](server, SockDiag())
    at = server.log_size()
    send()
    eventually(lambda: until in server.log_from(at), 10 if until else 0)
    prove()


def resumed(server: Server, at: int) -> bool:
    """Say whether httpd wrote, from there on, that it resumed."""
    return b"resuming" in server.log_from(at)


def written(server: Server) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(Path(server.trial_dir, "reloads.json").read_text()))


@pytest.mark.parametrize("action", ["graceful", "restart", "reload_conf"])
def test_a_reload_that_happened_is_written_down_with_the_daemons_of_before_and_after(
    started: Made, action: str
) -> None:
    server = started(action=action)
    send, prove = RELOADS[action](server, SockDiag())
    for count in (1, 2):
        at = server.log_size()
        send()
        assert eventually(partial(resumed, server, at), 10)
        prove()
        assert len(written(server)["reloads"]) == count

    made = reloads.DOCUMENT.read(Path(server.trial_dir, "reloads.json"))
    assert made.action == action
    assert [m.daemon_after == n.daemon_before for m, n in pairwise(made.reloads)] == [True]
    assert made.reloads[1].daemon_after == server.acceptor()
    assert all(m.daemon_before != m.daemon_after for m in made.reloads)
    assert made.reloads[0].sent_ns < made.reloads[1].sent_ns
    conf = Path(server.trial_dir, "httpd.conf").read_text()
    assert conf.count("Define CGIDLAB_RELOAD_") == (2 if action == "reload_conf" else 0)


@pytest.mark.parametrize(
    ("words", "until", "want"),
    [
        ("Deaf", b"", "error_log has no word of it"),
        ("Hangs", b"Doing graceful", "did not resume"),
        ("Keeps", b"resuming", "is the one of before"),
        ("Loses", b"resuming", "no cgid daemon listens since"),
    ],
)
def test_a_reload_that_did_not_happen_makes_the_trial_invalid(
    started: Made, words: str, until: bytes, want: str
) -> None:
    server = started(words)

    with pytest.raises(TrialEnd, match=want) as caught:
        reload(server, "graceful", until=until)

    assert (caught.value.kind, caught.value.ended) == ("treatment", "invalid")
    assert not Path(server.trial_dir, "reloads.json").exists()


def test_a_word_of_an_earlier_reload_proves_nothing(started: Made) -> None:
    server = started("Deaf")
    with Path(server.trial_dir, "logs", "error_log").open("a") as log:
        log.write("SIGUSR1 received.  Doing graceful restart\nresuming normal operations\n")

    with pytest.raises(TrialEnd, match="no word of it"):
        reload(server, "graceful", until=b"")


def test_a_log_that_is_no_plain_file_is_not_read_for_what_it_says_of_a_reload(started: Made, tmp_path: Path) -> None:
    """Where httpd writes it may put a link, or a pipe that nobody fills, in its place."""
    server = started()
    log = Path(server.trial_dir, "logs", "error_log")
    (tmp_path / "other").write_text("Doing graceful restart\nresuming normal operations\n")

    for put in (partial(log.symlink_to, tmp_path / "other"), partial(os.mkfifo, log)):
        log.unlink()
        put()
        with pytest.raises(OSError, match="error_log"):
            server.log_from(0)


def test_a_configuration_that_httpd_does_not_take_is_no_reload(started: Made) -> None:
    server = started("Nonsense", "reload_conf")

    with pytest.raises(TrialEnd, match="httpd -t ended with 1") as caught:
        RELOADS["reload_conf"](server, SockDiag())[0]()

    assert caught.value.kind == "infra"


def test_a_repeated_fault_is_due_as_often_as_it_was_ordered_and_each_end_before_the_next_begin(started: Made) -> None:
    server = started()
    order = replace(server._order, settings={**server._order.settings, "window_s": 3.6})  # noqa: SLF001 -- a longer one

    timed = load.fault(order, server, SockDiag())

    assert [t.after_ns for t in timed] == [500_000_000, 1_500_000_000, 1_500_000_000, 2_500_000_000, 2_500_000_000,
                                           3_500_000_000]  # fmt: skip
    due = sorted(timed, key=lambda t: t.after_ns)
    assert [getattr(t.action, "__name__", "") for t in due] == ["send", "prove"] * 3


def test_strace_says_that_it_cannot_follow_a_reload(started: Made, tmp_path: Path) -> None:
    scene = Scene(str(tmp_path), {"strace": "/usr/bin/strace"}, {}, started())

    assert "cannot follow" in Strace.why_not(scene)


def test_workers_that_others_take_the_place_of_are_counted_again(tmp_path: Path) -> None:
    """A sample between two generations found nobody, and nobody was looked for again."""
    children: list[process.Program] = []

    def worker() -> process.Program:
        out = str(tmp_path / "out")
        children.append(process.Program(["/bin/sleep", "60"], out, out))
        return children[-1]

    living = [worker()]
    assert eventually(lambda: process.read_text(f"/proc/{living[0].pid}/wchan") != "0", 20)
    gauge = WorkerStates(str(tmp_path), lambda: [p.pid for p in living], 1, replaced=True)
    counts = [gauge.read().split(",")[0]]
    living.pop().kill()
    children[0].reap(5.0)
    counts.append(gauge.read().split(",")[0])
    living.extend((worker(), worker()))
    counts.append(gauge.read().split(",")[0])
    for child in children:
        child.kill()
        child.reap(5.0)

    assert counts == ["1", "0", "2"]
