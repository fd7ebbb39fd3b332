"""Each patch of mod_cgid serves CGI as the plain module does: the same requests, the same answers, the same log."""

import hashlib
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cgidhost import process

from tests.e2e.cgidhost_rig import ROOT, Outcome, Rig
from tests.reach import let_pass
from tests.waiting import ends, eventually
from tests.workers import PATCHED_BACKLOG, PATCHES

pytestmark = [pytest.mark.needs_root, pytest.mark.slow]

_PORT = 18200
_MEGABYTE = 1 << 20
_SENT = bytes(range(256)) * (_MEGABYTE // 256)
_AT_ONCE = 200
_PLAIN = ""
_HEADER = 'printf "Content-Type: text/plain\\r\\n\\r\\n"'
_SCRIPTS = {
    "hello": f"{_HEADER}; echo hello",
    # Without what is of one server or one moment: ports, pids, the order of the environment. What is sent has to be
    # read: a unix socket that is closed with something unread in it resets the other side.
    "told": f"cat >/dev/null; {_HEADER}; pwd | sed 's|.*/||'; echo \"$#|$*\"; "
    "env | grep -v -e PORT -e ^REMOTE -e ^_= | sort; "
    "grep -E '^Uid|^NoNewPrivs' /proc/self/status; ulimit -t; ls /proc/$$/fd",
    "counted": f"{_HEADER}; sha256sum",
    "large": f"{_HEADER}; head -c {_MEGABYTE} /dev/zero",
    "failing": 'printf "Status: 201 Created\\r\\nX-Own: yes\\r\\nContent-Type: text/plain\\r\\n\\r\\nmade"; exit 3',
    "silent": "exit 1",
    "broken": 'echo "no header at all"',
    "talking": f"echo 'said aside' >&2; {_HEADER}; echo hello",
    "echoing": f'{_HEADER}; echo "$QUERY_STRING"',
    # The two that go on do so in the place of the shell, so that the pid is theirs.
    "late": 'echo $$ >"$DOCUMENT_ROOT/late.pid"; exec sleep 60',
    "endless": f'{_HEADER}; echo $$ >"$DOCUMENT_ROOT/endless.pid"; exec yes 2>/dev/null',
    "deaf": f'trap "" TERM; echo $$ >"$DOCUMENT_ROOT/deaf.pid"; {_HEADER}; echo hello; exec sleep 60 <&- >&- 2>&-',
}
# A shell changes what is done with SIGCHLD; Python changes SIGPIPE alone.
_SIGNALS = """\
#!/usr/bin/python3
signals = [one for one in open("/proc/self/status") if one.startswith(("SigBlk", "SigIgn", "SigCgt"))]
print("Content-Type: text/plain\\r\\n\\r\\n" + "".join(signals), end="")
"""
_CONFIGURATION = """\
ServerRoot "{place}"
DefaultRuntimeDir "{place}"
DocumentRoot "{place}/own"
PidFile "{place}/httpd.pid"
ServerName localhost
Listen 127.0.0.1:{port}
User nobody
Group #65534
{modules}
LoadModule cgid_module "{module}"
ScriptSock "{place}/cgid.sock"
StartServers 4
ServerLimit 8
ThreadsPerChild 64
MaxRequestWorkers 256
MaxSpareThreads 256
ErrorLog "{place}/error_log"
ErrorLogFormat "%M"
<Directory "{place}">
    Require all granted
</Directory>
ScriptAlias /cgi-bin/ "{place}/scripts/"
ScriptAlias /limited/ "{place}/limited/"
<Directory "{place}/limited">
    RLimitCPU 77
</Directory>
<Location /cgi-bin/late>
    CGIDScriptTimeout 1
</Location>
"""


@dataclass
class Apache:
    """An httpd with one variant of mod_cgid, on a port of its own."""

    place: Path
    port: int
    conf: Path = field(init=False)
    started: "subprocess.Popen[bytes]" = field(init=False)

    def start(self, httpd: dict[str, Any], module: str) -> None:
        """Start it and wait until it answers."""
        self.place.chmod(0o755)
        (self.place / "own").mkdir()
        shutil.chown(self.place / "own", "nobody")
        for directory in ("scripts", "limited"):
            (self.place / directory).mkdir()
            for name, text in _SCRIPTS.items():
                path = self.place / directory / name
                path.write_text(f"#!/bin/sh\n{text}\n")
                path.chmod(0o755)
        (self.place / "scripts/closed").write_text("#!/bin/sh\n")
        (self.place / "scripts/homeless").write_text("#!/no/such/interpreter\n")
        (self.place / "scripts/homeless").chmod(0o755)
        (self.place / "scripts/signals").write_text(_SIGNALS)
        (self.place / "scripts/signals").chmod(0o755)
        needed = ("mpm_event", "unixd", "authz_core", "alias", "env")
        modules = "\n".join(f'LoadModule {name}_module "{httpd["modules_dir"]}/mod_{name}.so"' for name in needed)
        self.conf = self.place / "httpd.conf"
        self.conf.write_text(_CONFIGURATION.format(place=self.place, port=self.port, modules=modules, module=module))
        self.started = subprocess.Popen([httpd["binary"], "-f", str(self.conf), "-D", "FOREGROUND"], cwd="/")
        assert eventually(self.answers, 30), self.log()

    def answers(self) -> bool:
        """Say whether it serves."""
        try:
            return self.ask("hello")[0] == 200
        except OSError:
            return False

    def ask(self, path: str, body: bytes | None = None, directory: str = "cgi-bin") -> tuple[int, str, bytes]:
        """Return status, the script's own header and body of an answer."""
        one = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            one.request("GET" if body is None else "POST", f"/{directory}/{path}", body, {"X-Asked": "this"})
            answer = one.getresponse()
            told = answer.read().replace(str(self.place).encode(), b"PLACE").replace(b":%d" % self.port, b":PORT")
            return answer.status, answer.getheader("X-Own", ""), told
        finally:
            one.close()

    def pid_of(self, script: str) -> int:
        """Return the pid that a script wrote down."""
        path = self.place / "own" / f"{script}.pid"
        assert eventually(lambda: path.exists() and path.read_text().endswith("\n"), 30), script
        return int(path.read_text())

    def log(self) -> str:
        """Return its error_log, without what is of this server or this moment alone."""
        text = (self.place / "error_log").read_text(errors="replace")
        return re.sub(r"CGI process \d+", "CGI process N", text.replace(str(self.place), "PLACE"))

    def logged(self, *words: str) -> list[str]:
        """Return the lines that speak of something."""
        return [line for line in self.log().splitlines() if any(word in line for word in words)]

    def daemons(self) -> list[int]:
        """Return the processes that hold the listening socket for good, so not the scripts that are being started."""
        held = re.compile(rf"^\S+ \S+ \S+ 00010000 \S+ 01 +(\d+) {re.escape(str(self.place))}/cgid.sock", re.MULTILINE)
        (inode,) = held.findall(Path("/proc/net/unix").read_text())
        below = process.children(self.started.pid)
        below += [child for one in below for child in process.children(one)]
        return [pid for pid in below if process.has_socket(pid, int(inode))]

    def gone_after_stop(self) -> bool:
        """Stop it, and say whether all of its processes went."""
        held = self.daemons()
        self.started.send_signal(signal.SIGTERM)
        self.started.wait(30)
        return all(ends(pid, 10) for pid in held)


@dataclass(frozen=True)
class Served:
    """What one variant did of all that was asked of it."""

    answers: dict[str, tuple[int, str, bytes]]
    log: dict[str, list[str]]
    ended: dict[str, bool]  # scripts, and the processes of a server that was stopped
    deaf_s: float  # until a script that does not listen to SIGTERM was over
    daemons: list[int]  # how many: at first, after a reload, after the first of them was killed
    together: list[tuple[int, str, bytes]]


def _hang_up(server: Apache) -> None:
    """Ask for an answer without an end and leave once it has begun."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as one:
        one.sendall(b"GET /cgi-bin/endless HTTP/1.0\r\n\r\n")
        assert one.recv(1000).startswith(b"HTTP/1.1 200")


def _all_of(server: Apache) -> Served:
    with ThreadPoolExecutor(1) as aside:
        late = aside.submit(server.ask, "late")
        answers = {
            "told": server.ask("told?one+t%77o"),
            "told more": server.ask("told/further/on?a=1&b=%20", b"sent"),
            "limited": server.ask("told", directory="limited"),
            "counted": server.ask("counted", _SENT),
            "nothing sent": server.ask("counted"),
            "signals": server.ask("signals"),
            **{
                name: server.ask(name)
                for name in ("large", "failing", "silent", "broken", "talking", "missing", "closed", "homeless")
            },
        }
        _hang_up(server)
        ended = {"endless": ends(server.pid_of("endless"), 20)}
        began = time.monotonic()
        answers["deaf"] = server.ask("deaf")
        ended["deaf"] = ends(server.pid_of("deaf"), 30)
        deaf_s = time.monotonic() - began
        answers["late"] = late.result()
        ended["late"] = ends(server.pid_of("late"), 20)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        together = list(pool.map(lambda n: server.ask(f"echoing?{n}"), range(_AT_ONCE)))
    daemons = [len(server.daemons())]
    before = server.daemons()
    server.started.send_signal(signal.SIGUSR1)
    ended["daemons of before a reload"] = all(ends(pid, 20) for pid in before)
    assert eventually(server.answers, 30)
    before = server.daemons()
    daemons.append(len(before))
    os.kill(before[0], signal.SIGKILL)
    ended["daemons after the first was killed"] = all(ends(pid, 20) for pid in before)
    assert eventually(lambda: "AH01239" in server.log() and server.answers(), 30)
    daemons.append(len(server.daemons()))
    words = ("silent", "broken", "missing", "closed", "homeless", "late", "endless", "deaf", "said aside", "SIGKILL")
    log = {word: sorted(set(server.logged(word))) for word in words}
    ended["server"] = server.gone_after_stop()
    return Served(answers, log, ended, deaf_s, daemons, together)


@pytest.fixture(scope="module")
def served(provisioned_host: dict[str, Any]) -> Iterator[dict[str, Served]]:
    """Ask the same of each variant, of all at the same time."""
    httpd = provisioned_host["httpd"]["distro"]
    yield from _served(
        httpd, {one["patches"]: one["path"] for one in httpd["variants"] if one["listen_backlog"] == PATCHED_BACKLOG}
    )


def _served(httpd: dict[str, Any], modules: dict[str, str]) -> Iterator[dict[str, Served]]:
    places = {patches: Path(tempfile.mkdtemp(prefix="cgid-", dir="/tmp")) for patches in PATCHES}
    servers = {patches: Apache(place, _PORT + n) for n, (patches, place) in enumerate(places.items())}

    def asked(patches: str) -> Served:
        servers[patches].start(httpd, modules[patches])
        return _all_of(servers[patches])

    try:
        with ThreadPoolExecutor(2) as pool:
            yield dict(zip(PATCHES, pool.map(asked, PATCHES), strict=True))
    finally:
        for server in servers.values():
            if hasattr(server, "started") and server.started.poll() is None:
                server.started.terminate()
                server.started.wait()
            shutil.rmtree(server.place)


@pytest.mark.parametrize("patches", PATCHES)
def test_a_script_is_told_sent_and_answered_for_as_it_is_to_be(served: dict[str, Served], patches: str) -> None:
    answers = served[patches].answers

    assert b"QUERY_STRING=a=1&b=%20\n" in answers["told more"][2]
    assert b"CONTENT_LENGTH=4\n" in answers["told more"][2]
    assert b"HTTP_X_ASKED=this\n" in answers["told more"][2]
    assert answers["told"][2].startswith(b"scripts\n2|one two\n"), "its directory and its arguments"
    assert b"\n77\n" in answers["limited"][2]
    ignored = int(dict(line.split(b":\t") for line in answers["signals"][2].splitlines())[b"SigIgn"], 16)
    assert not ignored & 1 << (signal.SIGCHLD - 1), "which the daemon ignores"
    for name, sent in (("counted", _SENT), ("nothing sent", b"")):
        assert answers[name] == (200, "", f"{hashlib.sha256(sent).hexdigest()}  -\n".encode())
    assert (answers["large"][0], len(answers["large"][2])) == (200, _MEGABYTE)
    assert answers["failing"] == (201, "yes", b"made"), "however it exits"
    assert [answers[name][0] for name in ("missing", "closed", "homeless", "silent", "broken", "late")] == [
        404, 500, 500, 500, 500, 504,
    ]  # fmt: skip
    assert served[patches].together == [(200, "", b"%d\n" % n) for n in range(_AT_ONCE)]


@pytest.mark.parametrize("patches", PATCHES[1:])
def test_answers_environment_descriptors_and_signals_are_those_of_the_plain_module(
    served: dict[str, Served], patches: str
) -> None:
    assert served[patches].answers == served[_PLAIN].answers


@pytest.mark.parametrize("patches", PATCHES)
def test_its_log_says_what_the_plain_module_says(served: dict[str, Served], patches: str) -> None:
    log = served[patches].log

    assert "AH01264" in log["missing"][0]
    assert any("exec of 'PLACE/scripts/closed' failed" in line for line in log["closed"]), log
    assert any("End of script output before headers" in line for line in log["silent"])
    assert any("Script timed out" in line for line in log["late"])
    assert log["said aside"]
    assert log["SIGKILL"], "the deaf one"
    assert log == served[_PLAIN].log


@pytest.mark.parametrize("patches", PATCHES)
def test_scripts_and_daemons_end_when_they_have_to(served: dict[str, Served], patches: str) -> None:
    one = served[patches]

    assert all(one.ended.values()), one.ended
    assert one.daemons == ([4] * 3 if "acceptors" in patches else [1] * 3)
    assert 2.5 < one.deaf_s < 10, "three seconds are given to it"


@pytest.fixture(scope="module")
def trials(provisioned_host: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """Run a short trial of each, a block's."""
    rig = Rig(provisioned_host, tmp_path_factory.mktemp("blocks"))
    quick: dict[str, Any] = {"warmup_s": 0.2, "window_s": 1.0, "clients": 20, "listen_backlog": PATCHED_BACKLOG}
    found = rig.run("patches", [rig.trial(n, patches=one, **quick) for n, one in enumerate(PATCHES, start=1)])
    return {one: found[n] for n, one in enumerate(PATCHES, start=1)}


@pytest.mark.parametrize("patches", PATCHES)
def test_a_trial_is_proved_to_be_of_it_and_connects_once_a_request_where_the_pid_comes_first(
    trials: dict[str, Outcome], patches: str
) -> None:
    one = trials[patches]
    window = one.result["window"]
    connects = [end_ns for end_ns, _, _ in one.connects() if window["begin_ns"] <= end_ns < window["end_ns"]]
    requests = [
        line for line in one.files["logs/access_log"].decode().splitlines()
        if window["begin_ns"] <= _monotonic_ns(one, int(line.split()[1])) < window["end_ns"]
    ]  # fmt: skip

    assert one.result["reason"] == ""
    want, found = one.checks()["module_sha256"]
    assert want == found
    assert len(requests) > 40
    assert len(connects) / len(requests) == pytest.approx(1 if "pid-first" in patches else 2, rel=0.2)


def _monotonic_ns(one: Outcome, time_us: int) -> int:
    clock = one.result["clock"]
    return time_us * 1000 - int(clock["realtime_ns"]) + int(clock["monotonic_ns"])


@pytest.mark.long
def test_each_serves_alike_where_workers_pass_their_descriptors(
    provisioned_host: dict[str, Any], tmp_path: Path
) -> None:
    """Enterprise Linux and trunk build mod_cgid so: stderr of a script goes to the worker, not to the daemon's log."""
    httpd = provisioned_host["httpd"]["distro"]
    modules = {patches: _passing(httpd, patches, tmp_path / f"variant-{n}") for n, patches in enumerate(PATCHES)}
    for served in _served(httpd, {patches: str(path) for patches, path in modules.items()}):
        plain = served[_PLAIN]
        assert plain.log["said aside"] == ["AH01215: stderr from PLACE/scripts/talking: said aside"]
        for one in served.values():
            assert one.answers == plain.answers
            assert one.log == plain.log
            assert all(one.ended.values()), one.ended
            assert one.together == plain.together


def _passing(httpd: dict[str, Any], patches: str, directory: Path) -> Path:
    """Compile a variant with fd passing; return its module."""
    built = Path(httpd["modules_dir"]).parents[1]
    shutil.copytree(built / "modules", directory / "modules")
    for name in patches.split():
        text = ROOT / f"roles/cgid/files/patches/{name}.patch"
        subprocess.run(["patch", "-s", "-p1", "--fuzz=0", "-i", text], cwd=directory, check=True)
    flags = subprocess.run(
        ["apr-1-config", "--cppflags", "--includes"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    module = directory / "mod_cgid.so"
    generators = directory / "modules/generators"
    words = ["gcc", "-O2", "-fPIC", "-shared", "-DHAVE_CGID_FDPASSING", *flags, f"-I{built}/prefix/include"]
    subprocess.run([*words, f"-I{generators}", "-o", module, generators / "mod_cgid.c"], check=True)
    return let_pass(module)
