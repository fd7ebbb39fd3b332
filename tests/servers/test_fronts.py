"""nginx in front of php-fpm, uWSGI and gunicorn as their distribution has them, watched through all that can happen.

The truth is what nginx wrote of each request in the window that the observation names: its status, and the error number
of its connect(). `make servers` runs this: it fetches the packages from the distribution's mirror. `make e2e` runs
php-fpm's overflow, for which `make test-tools` installs the packages.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.rigs import ssh_hosts
from tests.servers.distribution import HOST, await_true, fetch, install, start, version
from tests.servers.fronts import LIGHT, await_nobody, ended, kill_holders, load, observing, pages, running, statuses
from tests.servers.table import DEAD, LIGHT_LOAD, NO_LOAD, OVERFLOW, Table

pytestmark = [pytest.mark.needs_root, pytest.mark.slow]

SOCKET = "/run/app.sock"
ADDRESS = "http://127.0.0.1:8099/slow.php"
WATCHED = ("--socket", SOCKET)
QUEUE, WORKERS, SCRIPT_MS, CLIENTS = 5, 2, 20, 40
NGINX = """\
user root;
master_process off;
pid /run/fronts.pid;
error_log /var/log/fronts.error.log error;
events { worker_connections 512; }
http {
  log_format told '$msec $status';
  access_log /var/log/fronts.access.log told;
  server {
    listen 127.0.0.1:8099;
    location / {
      PASS
    }
  }
}
"""
APP = f"""\
import time
def application(environ, start_response):
    time.sleep({SCRIPT_MS / 1000})
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3")])
    return [b"ok\\n"]
"""
FPM = f"""\
[global]
error_log = /var/log/fpm.log
daemonize = no
[www]
user = www-data
group = www-data
listen = {SOCKET}
listen.backlog = {QUEUE}
listen.mode = 0666
pm = static
pm.max_children = {WORKERS}
"""


@dataclass(frozen=True)
class Backend:
    """A server behind nginx: its packages, how it is started, and how nginx speaks to it."""

    packages: tuple[str, ...]
    argv: tuple[str, ...]
    speak: str  # nginx's directives
    setting: str  # of its queue, as the advice has to name it


_FCGI = f"include /etc/nginx/fastcgi_params; fastcgi_param SCRIPT_FILENAME /opt/slow.php; fastcgi_pass unix:{SOCKET};"
_PLUGIN = ("--plugins-dir", "/usr/lib/uwsgi/plugins", "--plugin", "python3")
BACKENDS = {
    "php-fpm": Backend(
        ("php-fpm",),
        ("sh", "-c", "exec $(ls /usr/sbin/php-fpm* | head -1) -F -y /opt/fpm.conf"),
        _FCGI,
        "listen.backlog",
    ),
    "uWSGI": Backend(
        ("uwsgi-core", "uwsgi-plugin-python3"),
        ("uwsgi-core", *_PLUGIN, "--master", "--processes", str(WORKERS), "--listen", str(QUEUE), "--socket", SOCKET,
         "--chmod-socket=666", "--wsgi-file", "/opt/app.py"),
        f"include /etc/nginx/uwsgi_params; uwsgi_pass unix:{SOCKET};",
        "--listen",
    ),
    "gunicorn": Backend(
        ("gunicorn",),
        ("gunicorn", "--chdir", "/opt", "--workers", str(WORKERS), "--backlog", str(QUEUE), "--bind", f"unix:{SOCKET}",
         "app:application"),
        f"proxy_pass http://unix:{SOCKET};",
        "--backlog",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ssh_hosts.Rig]:
    """Return a host that has nginx, and pages for all that is put behind it."""
    if ssh_hosts.missing():
        pytest.skip(ssh_hosts.missing())
    packages = fetch(tmp_path_factory.mktemp("packages"), "nginx")
    with ssh_hosts.Rig([HOST], tmp_path_factory.mktemp("rig")) as made:
        install(made, packages)
        root = made[HOST].root
        (root / "opt/app.py").write_text(APP)
        (root / "opt/slow.php").write_text(f"<?php usleep({SCRIPT_MS * 1000}); echo 'ok';\n")
        (root / "opt/fpm.conf").write_text(FPM)
        yield made


@dataclass(frozen=True)
class Serving:
    """nginx with one backend, which run."""

    rig: ssh_hosts.Rig
    name: str
    backend: Backend

    def listens(self) -> bool:
        """Say whether somebody accepts from the backend's socket."""
        return f" {SOCKET}" in self.rig.run(HOST, "ss", "-xlH").stdout

    def answers(self) -> bool:
        """Say whether a request is answered as it should be."""
        return pages(self.rig, ADDRESS)

    def kill_backend(self) -> None:
        """End all who hold the socket; its file stays, as after a crash."""
        kill_holders(self.rig, SOCKET)

    def truth(self, begin: str, end: str) -> dict[int, int]:
        """Return how many requests nginx answered with which status between two times."""
        return statuses((self.rig[HOST].root / "var/log/fronts.access.log").read_text(), begin, end)

    def error_log(self) -> str:
        """Return what nginx wrote of its failures."""
        return (self.rig[HOST].root / "var/log/fronts.error.log").read_text()


@pytest.fixture(params=BACKENDS, scope="module")
def serving(
    request: pytest.FixtureRequest, rig: ssh_hosts.Rig, table: Table, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serving]:
    backend = BACKENDS[request.param]
    install(rig, fetch(tmp_path_factory.mktemp("packages"), *backend.packages))
    name = f"nginx, {request.param}"
    table.name(name, lambda package: version(rig, package))
    root = rig[HOST].root
    (root / "opt/nginx.conf").write_text(NGINX.replace("PASS", backend.speak))
    one = Serving(rig, name, backend)
    with running(rig, "nginx", "-c", "/opt/nginx.conf", "-g", "daemon off;"):
        yield one
    one.kill_backend()


@pytest.fixture
def server(serving: Serving) -> Serving:
    """Return them with the backend up."""
    if not serving.listens():
        start(serving.rig, *serving.backend.argv)
    await_true(serving.answers, timeout_s=120.0, why=lambda: serving.error_log()[-2000:])
    return serving


def test_an_overflow_is_one_and_costs_what_nginx_answered_with_502(
    repo_root: Path, server: Serving, table: Table, tmp_path: Path
) -> None:
    with load(server.rig, ADDRESS, CLIENTS):
        found = ended(observing(repo_root, server.rig, tmp_path, *WATCHED, "--duration", "6"))

    one, truth = found.one, server.truth(found.one["begin"], found.one["end"])
    assert one["verdict"]["overflow"] == "observed", one
    assert one["queue_limit"] == QUEUE
    assert one["connects_turned_away"] == pytest.approx(truth[502], rel=0.05)
    assert "(11: Resource temporarily unavailable)" in server.error_log()
    assert "turned away (EAGAIN)" in found.lines[0]
    assert "answered with 502 or 503" in found.lines[2]
    assert "cannot be told" not in found.lines[2]
    assert (one["acceptors"]["processes"], one["acceptors"]["cpu_cores"] < 1) == (WORKERS, True)
    assert server.backend.setting in found.lines[4]
    assert "only hide" in found.lines[4]
    table.add(server.name, OVERFLOW, one, truth)


def test_a_light_load_is_no_overflow(repo_root: Path, server: Serving, table: Table, tmp_path: Path) -> None:
    with load(server.rig, ADDRESS, *LIGHT):
        found = ended(observing(repo_root, server.rig, tmp_path, *WATCHED, "--duration", "6"))

    one, truth = found.one, server.truth(found.one["begin"], found.one["end"])
    assert set(truth) == {200}
    assert one["verdict"]["overflow"] == "not_observed", one
    assert (one["connects_turned_away"], one["connects_refused"]) == (0, 0)
    assert one["connects"] == pytest.approx(truth[200], abs=2)
    assert found.lines[4].startswith("Leave the queue as it is")
    table.add(server.name, LIGHT_LOAD, one, truth)


def test_without_a_request_nothing_is_said_to_be_well(
    repo_root: Path, server: Serving, table: Table, tmp_path: Path
) -> None:
    await_nobody(server.rig, ADDRESS)
    found = ended(observing(repo_root, server.rig, tmp_path, *WATCHED, "--duration", "3"))

    truth = server.truth(found.one["begin"], found.one["end"])
    assert truth == {}
    assert found.one["verdict"]["overflow"] == "inconclusive"
    assert found.lines[0].startswith("No connection came in these 3 s: nothing can be said")
    assert "Leave the queue" not in found.lines[4]
    table.add(server.name, NO_LOAD, found.one, truth)


def test_a_backend_that_dies_refuses_and_does_not_overflow(
    repo_root: Path, server: Serving, table: Table, tmp_path: Path
) -> None:
    with load(server.rig, ADDRESS, *LIGHT):
        process = observing(repo_root, server.rig, tmp_path, *WATCHED, "--duration", "6", "--watch")
        assert process.stderr is not None
        process.stderr.readline()  # it watches
        server.kill_backend()
        found = ended(process)

    one, truth = found.one, server.truth(found.one["begin"], found.one["end"])
    assert truth[502] > 0
    assert one["verdict"]["overflow"] != "observed", one
    assert one["connects_refused"] == pytest.approx(truth[502], abs=2)
    assert "(111: Connection refused)" in server.error_log()
    assert "nobody listens any more at" in found.lines[0]
    assert "were refused (ECONNREFUSED" in found.lines[1]
    assert found.lines[4].startswith("Find out why nobody listened")
    table.add(server.name, DEAD, one, truth)


def test_a_backend_that_is_dead_already_is_named(repo_root: Path, server: Serving, tmp_path: Path) -> None:
    server.kill_backend()

    found = ended(observing(repo_root, server.rig, tmp_path, *WATCHED, "--duration", "2"))

    assert found.status == 3
    assert f"nobody listens at {SOCKET}" in found.stderr


def test_until_full_ends_with_the_first_connect_that_is_turned_away(
    repo_root: Path, server: Serving, tmp_path: Path
) -> None:
    process = observing(repo_root, server.rig, tmp_path, *WATCHED, "--until-full", "--around", "4", "--watch")
    assert process.stderr is not None
    process.stderr.readline()
    with load(server.rig, ADDRESS, CLIENTS):
        found = ended(process)

    assert found.said["hosts"][0]["ended"] == "full"
    assert found.one["verdict"]["overflow"] == "observed", found.one
