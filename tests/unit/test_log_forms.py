"""Logs as people have them: each form gives the same counts, and whoever cannot be read is said to be unreadable."""

import json
import os
from collections import Counter
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from cgidlab.parsers.error_log import LogCounts, Window, parse_error_log
from tests.unit import log_forms

LOGS = Path(__file__).parent.parent / "data" / "logs"
TRUTH = json.loads((LOGS / "truth.json").read_text())


def parse(tmp_path: Path, data: bytes, window: Window | None = None) -> LogCounts:
    path = tmp_path / "log"
    path.write_bytes(data)
    return parse_error_log(path, window)


def found(log: LogCounts) -> dict[str, int]:
    return {name: n for name, n in log.messages.items() if n}


@pytest.mark.parametrize("name", TRUTH)
def test_every_log_gives_what_a_reader_would_count(name: str) -> None:
    log = parse_error_log(LOGS / name)

    truth = dict(TRUTH[name]["truth"])
    assert sum(log.queue_full.values()) == truth.pop("unix_listener_full", 0)
    refused = truth.pop("retries_refused", None)
    assert refused is None or log.refused_retries == refused
    for key in [key for key in truth if key.startswith("errno_of_")]:
        errors = Counter[str]()
        for error, n in log.by_errno[key.removeprefix("errno_of_")].items():
            errors[error.number.decode()] += n
        assert errors == truth.pop(key)
    assert {name: n for name, n in found(log).items() if name != "AH01220"} == truth
    assert log.recognised


@pytest.mark.parametrize("form", log_forms.TIMED)
def test_a_wrapping_changes_neither_the_counts_nor_the_times(tmp_path: Path, form: str) -> None:
    second_ns = 10**9
    window = Window((log_forms.FIRST_S + 1) * second_ns, (log_forms.FIRST_S + 3) * second_ns)

    log = parse(tmp_path, log_forms.TIMED[form], window)

    assert found(log) == log_forms.MESSAGES
    assert (log.before.total, log.inside.total, log.after.total) == (1, 1, 0)
    assert {name: n for name, n in log.messages_inside.items() if n} == {"AH01256": 1, "AH01257": 1}
    assert log.refused_retries == 2
    assert {e.name: n for e, n in log.by_errno["AH01257"].items()} == {"ECONNREFUSED": 1}
    assert {e.name: n for e, n in log.by_errno["AH02833"].items()} == {"ENOENT": 1}
    assert log.recognised
    assert log.untimed == 0


@pytest.mark.parametrize("form", log_forms.WITHOUT_TIME)
def test_lines_without_a_time_are_counted_and_in_no_part_of_a_window(tmp_path: Path, form: str) -> None:
    log = parse(tmp_path, log_forms.WITHOUT_TIME[form])
    cut = parse(tmp_path, log_forms.WITHOUT_TIME[form], Window(0, 10**18))

    assert found(log) == found(cut) == log_forms.MESSAGES
    assert (log.inside.total, log.untimed) == (2, 0)
    assert (cut.before.total, cut.inside.total, cut.after.total, cut.untimed) == (0, 0, 0, 4)
    assert log.recognised


_FPM = "/run/php/php8.2-fpm.sock"
_T = "[Wed May 20 10:00:00.123456 2026] "
_BUSY = "(11)Resource temporarily unavailable: "
FULL = {
    "mod_wsgi": f"{_T}[wsgi:error] [pid 8:tid 9] {_BUSY}[client 192.0.2.7:5] mod_wsgi (pid=8): Unable to "
    f"connect to WSGI "
    "daemon process 'site' on '/run/wsgi.1.sock' after multiple attempts as listener backlog limit was exceeded "
    "or the "
    "socket does not exist.",
    "mod_wsgi without module": f"[Wed May 20 10:00:00 2026] [error] [client 192.0.2.7] {_BUSY}mod_wsgi (pid=8): "
    f"Unable to "
    "connect to WSGI daemon process 'site' on '/run/wsgi.1.sock' after multiple attempts as listener backlog "
    "limit was "
    "exceeded.",
    "mod_proxy_fcgi": f"{_T}[proxy:error] [pid 8:tid 9] {_BUSY}AH02454: FCGI: attempt to connect to Unix domain "
    f"socket "
    f"{_FPM} (localhost) failed",
    "mod_proxy_http": f"{_T}[proxy:error] [pid 8:tid 9] {_BUSY}AH02454: HTTP: attempt to connect to Unix domain "
    f"socket "
    "/run/gunicorn.sock (localhost:80) failed",
    "mod_proxy on FreeBSD": f"{_T}[proxy:error] [pid 8:tid 9] (35)Resource temporarily unavailable: AH02454: "
    f"FCGI: attempt "
    f"to connect to Unix domain socket {_FPM} (*) failed",
    "nginx": f"2026/05/20 10:00:00 [error] 65#0: *5 connect() to unix:{_FPM} failed (11: Resource temporarily "
    f"unavailable) "
    f'while connecting to upstream, client: 192.0.2.7, upstream: "fastcgi://unix:{_FPM}:", host: "example.org"',
    "nginx in syslog": "May 20 10:00:00 web1 nginx: 2026/05/20 10:00:00 [error] 65#0: *5 connect() to "
    "unix:/run/g.sock "
    'failed (11: Resource temporarily unavailable) while connecting to upstream, upstream: '
    '"http://unix:/run/g.sock:/"',
    "uWSGI": 'Wed May 20 10:00:00 2026 - *** uWSGI listen queue of socket "/run/u.sock" (fd: 3) full !!! '
    '(101/100) ***',
    "uWSGI of old": "Wed May 20 10:00:00 2026 - *** uWSGI listen queue of socket 4 full !!! (101/100) ***",
    "uWSGI in Docker": json.dumps(
        {"log": '*** uWSGI listen queue of socket "/run/u.sock" (fd: 3) full !!! (101/100) ***\n', "time": "x"}
    ),
    "lighttpd": "2026-05-20 10:00:00: (gw_backend.c.278) establishing connection failed: socket: unix:/run/php.sock: "
    "Resource temporarily unavailable",
    "Caddy": '{"level":"error","ts":1779271200.1,"msg":"dial unix /run/php.sock: connect: resource temporarily '
    'unavailable"}',
    "in JSON with escapes": json.dumps(
        {"message": f"mod_wsgi: {_BUSY}Unable to connect to WSGI daemon process 's' on '/run/w.sock' after multiple "
         "attempts as listener backlog limit was exceeded"}
    ).replace("'", "\\u0027"),
}  # fmt: skip
NOT_FULL = {
    "mod_wsgi, nobody there": FULL["mod_wsgi"].replace("(11)Resource temporarily unavailable", "(111)Connection "
    "refused"),
    "mod_wsgi, no socket": FULL["mod_wsgi"].replace("(11)Resource temporarily unavailable", "(2)No such file or "
    "directory"),
    "mod_proxy, nobody there": FULL["mod_proxy_http"].replace(_BUSY, "(111)Connection refused: "),
    "nginx over TCP": "2026/05/20 10:00:00 [error] 65#0: *5 connect() failed (111: Connection refused) while "
    "connecting to "
    'upstream, upstream: "fastcgi://127.0.0.1:9000"',
    "nginx, nobody there": FULL["nginx"].replace("11: Resource temporarily unavailable", "111: Connection refused"),
    "nginx, reading": "2026/05/20 10:00:00 [error] 65#0: *5 recv() failed (11: Resource temporarily "
    "unavailable) while "
    f'reading response header from upstream, upstream: "fastcgi://unix:{_FPM}:"',
    "mod_cgi, no process": f"{_T}[cgi:error] [pid 3] {_BUSY}[client 192.0.2.7:4] AH01223: couldn't spawn child "
    f"process: /a",
    "mod_cgid, no process": f"{_T}[cgid:error] [pid 3] {_BUSY}[client 192.0.2.7:4] AH01252: couldn't create child "
    "process: 11: a.cgi",
    "mod_cgid itself": f"{_T}[cgid:error] [pid 3] {_BUSY}[client 192.0.2.7:4] AH01257: unable to connect to cgi "
    f"daemon "
    "after multiple tries: /a",
    "php-fpm": "[20-May-2026 10:00:00] WARNING: [pool www] server reached pm.max_children setting (5), consider "
    "raising it",
}  # fmt: skip


@pytest.mark.parametrize("name", FULL)
def test_another_listeners_full_queue_is_counted_by_its_socket(tmp_path: Path, name: str) -> None:
    log = parse(tmp_path, (FULL[name] + "\n").encode() * 3)

    assert sum(log.queue_full.values()) == 3
    (socket,) = log.queue_full
    assert socket in FULL[name]
    assert socket.startswith("/run/") or name == "uWSGI of old"
    assert found(log) == {}
    assert log.recognised


@pytest.mark.parametrize("name", NOT_FULL)
def test_what_only_looks_like_a_full_queue_is_not_counted_as_one(tmp_path: Path, name: str) -> None:
    log = parse(tmp_path, (NOT_FULL[name] + "\n").encode())

    assert log.queue_full == {}
    assert log.recognised


EVENTS = {
    "AH00489: Apache/2.4.68 (Unix) configured -- resuming normal operations": "resumed",
    "AH00163: Apache/2.4.6 (CentOS) configured -- resuming normal operations": "resumed",
    "Apache/2.2.15 (Unix) DAV/2 configured -- resuming normal operations": "resumed",
    "AH00493: SIGUSR1 received.  Doing graceful restart": "graceful_restart",
    "AH00171: Graceful restart requested, doing restart": "graceful_restart",
    "AH00297: SIGUSR1 received.  Doing graceful restart": "graceful_restart",
    "AH00494: SIGHUP received.  Attempting to restart": "restart",
    "AH00491: caught SIGTERM, shutting down": "stopped",
    "caught SIGTERM, shutting down": "stopped",
    "AH00492: caught SIGWINCH, shutting down gracefully": "graceful_stop",
    "AH00484: server reached MaxRequestWorkers setting, consider raising it": "max_request_workers",
    "AH00485: scoreboard is full, not at MaxRequestWorkers": "max_request_workers",
    "server reached MaxClients setting, consider raising the MaxClients setting": "max_request_workers",
    "AH00052: child pid 77 exit signal Segmentation fault (11)": "crashed",
    "AH01239: cgid daemon process died, restarting": "daemon_died",
    "(11)Resource temporarily unavailable: AH00481: fork: Unable to fork new process": "fork_failed",
    "(12)Cannot allocate memory: AH01252: couldn't create child process: 12: a.cgi": "fork_failed",
    "[client 192.0.2.7:5] AH01220: Timeout waiting for output from CGI script /a.cgi": "script_timeout",
    "AH00094: Command line: '/usr/sbin/httpd'": "started",
}


@pytest.mark.parametrize("text", EVENTS)
@pytest.mark.parametrize(
    "head",
    [
        "[Wed May 20 10:00:07.123456 2026] [{}:notice] [pid 1:tid 2] ",
        "[Wed May 20 10:00:07 2026] [notice] ",
        "May 20 10:00:07 web1 httpd[1]: [{}:notice] [pid 1] ",
        "2026-05-20T10:00:07.5Z stderr F [Wed May 20 10:00:07.123456 2026] [{}:notice] [pid 1:tid 2] ",
    ],
    ids=["2.4", "2.2", "syslog", "Kubernetes"],
)
def test_what_happened_around_is_told_by_the_minute(tmp_path: Path, head: str, text: str) -> None:
    module = "cgid" if "AH012" in text else "mpm_event"
    log = parse(tmp_path, (head.format(module) + text + "\n").encode() * 2)

    assert [(e.time_s, e.kind, e.times) for e in log.timeline.events()] == [(log_forms.FIRST_S, EVENTS[text], 2)]
    assert log.recognised


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("May 20 10:00:07 web1 systemd[1]: Reloading apache2.service - The Apache HTTP Server...", "service_reload"),
        ("May 20 10:00:07 web1 systemd[1]: Stopping The Apache HTTP Server...", "service_stop"),
        ("May 20 10:00:07 web1 kernel: Out of memory: Killed process 77 (httpd) total-vm:1kB", "oom_kill"),
        (
            (
                'May 20 10:00:07 web1 kernel: audit: avc:  denied  { connectto } for pid=7 comm="httpd" '
                'path="/run/cgisock.1"'
            ),
            "denied_by_selinux",
        ),
        (NOT_FULL["php-fpm"], "php_fpm_busy"),
    ],
    ids=["reload", "stop", "memory", "SELinux", "php-fpm"],
)
def test_what_the_host_says_of_it_is_told_too(tmp_path: Path, line: str, kind: str) -> None:
    log = parse(tmp_path, (line + "\n").encode())

    assert [(e.time_s, e.kind, e.times) for e in log.timeline.events()] == [(log_forms.FIRST_S, kind, 1)]


def test_syslogs_repetitions_are_counted(tmp_path: Path) -> None:
    line = f"May 20 10:00:00 web1 httpd[3]: {log_forms.UNTIMED[0]}"
    rsyslog = f"May 20 10:00:05 web1 httpd[3]: message repeated 3 times: [ {log_forms.UNTIMED[0]}]"
    old = "May 20 10:00:09 web1 last message repeated 5 times"

    assert parse(tmp_path, f"{line}\n{rsyslog}\n".encode()).messages["AH01256"] == 4
    assert parse(tmp_path, f"{line}\n{old}\n".encode()).messages["AH01256"] == 6
    assert parse(tmp_path, f"{old}\n".encode()).messages["AH01256"] == 0


@pytest.mark.parametrize(
    ("error", "name", "system"),
    [
        ("(111)Connection refused", "ECONNREFUSED", "Linux"),
        ("(61)Connection refused", "ECONNREFUSED", "FreeBSD or macOS"),
        ("(146)Connection refused", "ECONNREFUSED", "Solaris or illumos"),
        ("(54)Connection reset by peer", "ECONNRESET", "FreeBSD or macOS"),
        ("(35)Resource temporarily unavailable", "EAGAIN", "FreeBSD or macOS"),
        ("(13)Permission denied", "EACCES", ""),
        ("(111)", "ECONNREFUSED", "Linux"),
        ("(9999)Something new", "9999", ""),
    ],
)
def test_the_words_beside_a_number_decide_and_say_whose_numbers_they_are(
    tmp_path: Path, error: str, name: str, system: str
) -> None:
    log = parse(tmp_path, f"{_T}[cgid:error] [pid 3] {error}: [client 192.0.2.7:4] AH01257: unable to: /a\n".encode())

    assert [(e.name, n) for e, n in log.by_errno["AH01257"].items()] == [(name, 1)]
    assert log.system == system


def test_the_hour_that_comes_twice_is_told_apart_by_what_went_before(tmp_path: Path) -> None:
    line = "[Sun Oct 25 {}.000000 2026] [cgid:error] [pid 3] (111)Connection refused: AH01256: connect #1 to "
    "cgi daemon failed"
    times = ["00:59:59", "01:00:00", "01:59:59", "01:00:00", "01:30:00", "02:00:00"]
    path = tmp_path / "log"
    path.write_text("".join(line.format(t) + "\n" for t in times))
    turned = 1792890000 * 10**9  # 01:00 UTC

    log = parse_error_log(path, Window(turned, turned + 3600 * 10**9), zone=ZoneInfo("Europe/London"))

    assert (log.before.total, log.inside.total, log.after.total) == (3, 2, 1)


def test_a_year_that_syslog_leaves_out_is_that_of_the_files_last_change(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(
        "".join(f"{day} 10:00:00 web1 httpd[3]: {log_forms.UNTIMED[0]}\n" for day in ("Dec 31", "Jan  1", "Jan  2"))
    )
    os.utime(path, (1767348000, 1767348000))  # 2026-01-02 10:00 UTC

    log = parse_error_log(path)

    assert log.times_ns == (1767175200 * 10**9, 1767348000 * 10**9)
