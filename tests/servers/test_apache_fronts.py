"""The distribution's Apache before php-fpm and mod_wsgi, and with mod_cgid under event and prefork, through all of it.

The truth is what Apache wrote of each request in the window that the observation names, its status and how long it
took, and its error log. `make servers` runs this.
"""

import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.rigs import ssh_hosts
from tests.servers.distribution import HOST, await_true, fetch, install, start, version
from tests.servers.fronts import LIGHT, Observed, await_nobody, ended, kill_holders, load, observing, pages, statuses
from tests.servers.table import DEAD, LIGHT_LOAD, NO_LOAD, OVERFLOW, Table

if TYPE_CHECKING:
    import subprocess

pytestmark = [pytest.mark.needs_root, pytest.mark.slow]

QUEUE, WORKERS, SCRIPT_S = 5, 2, 0.02
PORT = 8098
ACCESS, ERROR = "/var/log/apache-told.log", "/var/log/apache-error.log"
# The time of a request's begin, its status, and how long it took in microseconds.
_CONF = """\
ServerName told.example
Listen 127.0.0.1:{port}
PidFile /run/apache-told.pid
DefaultRuntimeDir /run
ErrorLog {error}
LogLevel warn
LogFormat "%{{end:sec}}t.%{{end:msec_frac}}t %>s %D" told
CustomLog {access} told
Timeout 60
KeepAlive Off
DocumentRoot /opt/www
User www-data
Group www-data
Include /etc/apache2/mods-available/authz_core.load
Include /etc/apache2/mods-available/status.load
{modules}
<Directory /opt/www>
    Require all granted
    Options +ExecCGI
    <FilesMatch "[.]cgi$">
        SetHandler cgi-script
    </FilesMatch>
</Directory>
{own}
"""
_THREADS = "ThreadsPerChild 25\nMinSpareThreads 25\nMaxSpareThreads {n}\n"
_EVENT = "StartServers 2\nServerLimit 16\nMaxRequestWorkers {n}\n" + _THREADS
_PREFORK = "StartServers 150\nServerLimit {n}\nMaxRequestWorkers {n}\nMinSpareServers 150\nMaxSpareServers {n}\n"
_APP = f"""\
import time
def application(environ, start_response):
    time.sleep({SCRIPT_S})
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3")])
    return [b"ok\\n"]
"""
_FPM = f"""\
[global]
error_log = /var/log/fpm.log
daemonize = no
[www]
user = www-data
group = www-data
listen = /run/fpm.sock
listen.backlog = {QUEUE}
listen.mode = 0666
pm = static
pm.max_children = {WORKERS}
"""


@dataclass(frozen=True)
class Front:
    """One way in which Apache stands in front of a unix socket."""

    modules: tuple[str, ...]
    own: str
    page: str
    socket: str  # what its path matches
    queue: int
    clients: int
    backend: tuple[str, ...] = ()  # where Apache does not start it
    comes_again: bool = False  # is turned away by a full queue and tries again, where others wait in connect()


_PROXY = 'ProxyPassMatch "^/(.*\\.php)$" "unix:/run/fpm.sock|fcgi://app/opt/www/" retry=0 disablereuse=on'
_WSGI = (
    f"WSGIDaemonProcess app processes={WORKERS} threads=1 listen-backlog={QUEUE} queue-timeout=45 python-path=/opt\n"
    "WSGISocketPrefix /run/wsgi\nWSGIScriptAlias / /opt/www/app.wsgi process-group=app application-group=%{GLOBAL}"
)
_CGI_QUEUE = 100  # DEFAULT_CGID_LISTENBACKLOG, as the distribution compiles it
FRONTS = {
    "mod_proxy_fcgi, php-fpm": Front(
        ("mpm_event", "proxy", "proxy_fcgi"), _EVENT.format(n=150) + _PROXY, "slow.php", r"/run/fpm\.sock", QUEUE, 40,
        backend=("sh", "-c", "exec $(ls /usr/sbin/php-fpm* | head -1) -F -y /opt/fpm.conf"),
    ),
    "mod_wsgi": Front(
        ("mpm_event", "wsgi"), _EVENT.format(n=150) + _WSGI, "app", r"/run/wsgi\.\S+\.sock", QUEUE, 40,
        comes_again=True,
    ),
    "mod_cgid, event": Front(
        ("mpm_event", "cgid"), _EVENT.format(n=400) + "ScriptSock /run/cgisock", "hello.cgi", r"/run/cgisock\.\d+",
        _CGI_QUEUE, 390,
    ),
    "mod_cgid, prefork": Front(
        ("mpm_prefork", "cgid"), _PREFORK.format(n=300) + "ScriptSock /run/cgisock", "hello.cgi",
        r"/run/cgisock\.\d+", _CGI_QUEUE, 290,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ssh_hosts.Rig]:
    """Return a host that has Apache and all that it stands in front of."""
    if ssh_hosts.missing():
        pytest.skip(ssh_hosts.missing())
    packages = fetch(tmp_path_factory.mktemp("packages"), "apache2", "libapache2-mod-wsgi-py3", "php-fpm")
    with ssh_hosts.Rig([HOST], tmp_path_factory.mktemp("rig")) as made:
        install(made, packages)
        www = made[HOST].root / "opt/www"
        www.mkdir()
        (www / "slow.php").write_text(f"<?php usleep({int(1e6 * SCRIPT_S)}); echo 'ok';\n")
        (www / "app.wsgi").write_text(_APP)
        (www / "hello.cgi").write_text("#!/bin/sh\necho Content-Type: text/plain\necho\necho hello\n")
        (www / "hello.cgi").chmod(0o755)
        (made[HOST].root / "opt/fpm.conf").write_text(_FPM)
        yield made


@dataclass
class Serving:
    """Apache as one of the fronts."""

    rig: ssh_hosts.Rig
    name: str
    front: Front
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start Apache, and return when it answers."""
        checked = self.rig.run(HOST, "/usr/sbin/apache2", "-f", "/opt/apache.conf", "-t", check=False)
        assert checked.returncode == 0, checked.stderr
        self.process = start(self.rig, "/usr/sbin/apache2", "-f", "/opt/apache.conf", "-DFOREGROUND")
        await_true(lambda: pages(self.rig, self.address), 120.0, lambda: self.log(ERROR)[-2000:])

    def end(self) -> None:
        """Kill Apache with all its processes."""
        self.rig.run(HOST, "sh", "-c", "kill -9 $(ps -C apache2 -o pid=)", check=False)
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)  # nsenter stops with what it started
            self.process.wait()

    @property
    def address(self) -> str:
        """Return a page that is answered through the socket."""
        return f"http://127.0.0.1:{PORT}/{self.front.page}"

    @property
    def socket(self) -> str:
        """Return the path of the socket now, "" where nobody listens."""
        found = re.search(rf" ({self.front.socket}) ", self.rig.run(HOST, "ss", "-xlH").stdout)
        return found.group(1) if found else ""

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to Apache's first process."""
        self.rig.run(HOST, "sh", "-c", f"kill -{int(number)} $(cat /run/apache-told.pid)")

    def log(self, name: str) -> str:
        """Return a log of Apache's."""
        return (self.rig[HOST].root / name.lstrip("/")).read_text()

    def truth(self, found: Observed) -> dict[int, int]:
        """Return how many requests ended in the window with which status."""
        return statuses(self.log(ACCESS), found.one["begin"], found.one["end"])


@pytest.fixture(params=FRONTS, scope="module")
def server(request: pytest.FixtureRequest, rig: ssh_hosts.Rig, table: Table) -> Iterator[Serving]:
    """Return Apache and its backend, which answer."""
    front = FRONTS[request.param]
    root = rig[HOST].root
    modules = "\n".join(f"Include /etc/apache2/mods-available/{name}.load" for name in front.modules)
    (root / "opt/apache.conf").write_text(
        _CONF.format(port=PORT, error=ERROR, access=ACCESS, modules=modules, own=front.own)
    )
    for name in (ACCESS, ERROR):
        (root / name.lstrip("/")).write_text("")
    one = Serving(rig, f"Apache, {request.param}", front)
    table.name(one.name, lambda package: version(rig, package))
    if front.backend:
        start(rig, *front.backend)
        await_true(lambda: bool(one.socket))
    try:
        one.start()
        yield one
    finally:
        one.end()
        if front.backend:
            kill_holders(rig, one.socket)


def watched(
    server: Serving, repo_root: Path, results: Path, seconds: int, do: Callable[[], None] = lambda: None
) -> Observed:
    """Watch the socket for some seconds; `do` is done once it is being watched."""
    words = ("--socket", server.socket, "--duration", str(seconds), "--cost", "2%", "--error-log", ERROR, "--watch")
    process = observing(repo_root, server.rig, results, *words)
    assert process.stderr is not None
    process.stderr.readline()
    do()
    return ended(process)


def test_an_overflow_is_one(repo_root: Path, server: Serving, table: Table, tmp_path: Path) -> None:
    with load(server.rig, server.address, server.front.clients):
        found = watched(server, repo_root, tmp_path, 8)

    one, truth = found.one, server.truth(found)
    assert one["verdict"]["overflow"] == "observed", (one, server.log(ERROR)[-1000:])
    assert one["queue_limit"] == server.front.queue
    assert (one["connects_turned_away"] > 0) == server.front.comes_again
    if server.front.comes_again:
        assert set(truth) <= {200, 503}  # it gives up after 15 s
        assert ("(11)Resource temporarily unavailable" in server.log(ERROR)) or 503 not in truth
        assert "answered with 502 or 503, or tried again" in found.lines[2]
        assert "listen-backlog of WSGIDaemonProcess" in found.lines[4]
    else:  # mod_proxy too: it sets a timeout when it is connected
        assert set(truth) == {200}
        assert one["connect_max_us"] > 1000
    table.add(server.name, OVERFLOW, one, truth)


def test_whose_requests_sleep_is_told_and_who_asked_is_shortened(
    repo_root: Path, server: Serving, tmp_path: Path
) -> None:
    if server.front.queue != _CGI_QUEUE:
        pytest.skip("Apache's scoreboard is read for mod_cgid's socket")
    with load(server.rig, server.address + "?secret=1", server.front.clients):
        short = watched(server, repo_root, tmp_path / "short", 5).one["requests"]
        words = ("--socket", server.socket, "--duration", "5", "--cost", "2%", "--requests")
        whole = ended(observing(repo_root, server.rig, tmp_path / "whole", *words)).one["requests"]

    assert short["seen"] > 20
    assert short["unknown"] <= 0.1 * short["seen"]
    assert [text for text, _ in short["requests"]] == ["GET /hello.cgi"]
    assert [text for text, _ in short["clients"]] == ["127.0.0.0/24"]
    assert short["vhosts"][0][0].startswith("told.example")
    assert whole["requests"][0][0] == "GET /hello.cgi?secret=1 HTTP/1.1"
    assert whole["clients"][0][0] == "127.0.0.1"
    kept = [path for path in (tmp_path / "short").rglob("*") if path.is_file() and b"secret=1" in path.read_bytes()]
    assert kept == []


def test_a_light_load_is_no_overflow(repo_root: Path, server: Serving, table: Table, tmp_path: Path) -> None:
    with load(server.rig, server.address, *LIGHT):
        found = watched(server, repo_root, tmp_path, 6)

    one, truth = found.one, server.truth(found)
    assert set(truth) == {200}
    assert one["verdict"]["overflow"] == "not_observed", one
    assert (one["connects_turned_away"], one["connects_refused"]) == (0, 0)
    assert found.lines[4].startswith("Leave the queue as it is")
    table.add(server.name, LIGHT_LOAD, one, truth)


def test_without_a_request_nothing_is_said_to_be_well(
    repo_root: Path, server: Serving, table: Table, tmp_path: Path
) -> None:
    await_nobody(server.rig, server.address)
    found = watched(server, repo_root, tmp_path, 3)

    assert server.truth(found) == {}
    assert found.one["verdict"]["overflow"] == "inconclusive", found.one
    assert "nothing can be said" in found.lines[0]
    assert "Leave the queue" not in found.lines[4]
    table.add(server.name, NO_LOAD, found.one, server.truth(found))


def test_a_backend_that_dies_refuses_and_does_not_overflow(
    repo_root: Path, server: Serving, table: Table, tmp_path: Path
) -> None:
    socket = server.socket

    def kill() -> None:
        if not server.front.backend:
            server.signal(signal.SIGSTOP)  # its first process would start another one at once
        kill_holders(server.rig, socket)

    try:
        with load(server.rig, server.address, *LIGHT):
            found = watched(server, repo_root, tmp_path, 8, kill)
    finally:
        server.end()
        if server.front.backend:
            start(server.rig, *server.front.backend)
            await_true(lambda: bool(server.socket))
        server.start()
    truth = server.truth(found)

    one = found.one
    assert one["verdict"]["overflow"] != "observed", one
    assert one["connects_refused"] > 0
    assert "refused" in found.lines[1], found.lines
    if server.front.backend:
        assert one["connects_refused"] == pytest.approx(truth[503], abs=2)
        assert "(111)Connection refused" in server.log(ERROR)
    table.add(server.name, DEAD, one, truth)
