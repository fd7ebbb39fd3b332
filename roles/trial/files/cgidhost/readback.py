"""Compares what a trial ordered with what the running system says: readback.json."""

from __future__ import annotations

import hashlib
import html
import os
import re
from dataclasses import dataclass
from typing import Any, Optional

from . import SCHEMA_VERSION, http, kernel, process
from .blockfile import TrialOrder
from .server import Server, worker_count
from .sockdiag import SockDiag, unix_query

_TAG = re.compile(r"<[^>]+>")
_LOG_LEVEL = re.compile(r"^(?:\s*\d+\s*:)?\s*LogLevel\s+(.+?)\s*$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Check:
    """One setting: what was wanted, what the host says is in force."""

    name: str
    want: str
    found: str

    @property
    def ok(self) -> bool:
        """Say whether they agree."""
        return self.want == self.found


def document(checks: list[Check]) -> dict[str, Any]:
    """Return what readback.json holds."""
    rows = [{"name": c.name, "want": c.want, "found": c.found, "ok": c.ok} for c in checks]
    return {"schema_version": SCHEMA_VERSION, "ok": all(c.ok for c in checks), "checks": rows}


def mismatch(checks: list[Check]) -> str:
    """Return one sentence about the settings that are not in force, or ''."""
    return "; ".join(f"{c.name}: want {c.want}, found {c.found}" for c in checks if not c.ok)


def wanted(order: TrialOrder) -> dict[str, str]:
    """Return the value each check must find, by the check's name; `want` of the block file goes first."""
    settings = order.settings
    want = {
        "somaxconn": str(settings["somaxconn"]),
        "max_dgram_qlen": str(settings["max_dgram_qlen"]),
        "queue_limit": str(min(int(settings["listen_backlog"]), int(settings["somaxconn"]))),
        "module_sha256": order.module_sha256,
        "mpm": str(settings["mpm"]),
        "workers": str(settings["workers"]),
        "log_level": str(settings["log_level"]),
        "cgi_status": "200",
    }
    want.update({name: value for name, value in order.want.items() if name in want})
    if not order.has_queue:
        del want["queue_limit"], want["module_sha256"]  # the baseline: no daemon and no variant of mod_cgid
    return want


def read_back(order: TrialOrder, server: Server, diag: SockDiag, account: Optional[process.Account]) -> list[Check]:
    """Return all checks of the running server. What cannot be read is found as 'unreadable: ...'.

    Without an `account` the server has the rights of whoever started it, and nothing is checked of them.
    """
    status = _attempt_status(server)
    found = {
        "somaxconn": _sysctl("somaxconn"),
        "max_dgram_qlen": _sysctl("max_dgram_qlen"),
        "queue_limit": _queue_limit(server, diag),
        "module_sha256": _module_sha256(order, server),
        "mpm": status.get("ServerMPM", status.get("unreadable", "not stated")).lower(),
        "workers": str(worker_count(status)),
        "log_level": _log_level(server),
        "cgi_status": _cgi_status(order, server),
    }
    checks = [Check(name, want, found[name]) for name, want in wanted(order).items()]
    if account is not None:
        users = process.users_of([server.pid, *process.children(server.pid)])
        checks.append(Check("server_uid", str(account.uid), " ".join(str(uid) for uid in sorted(users))))
    return checks


def _attempt_status(server: Server) -> dict[str, str]:
    try:
        return server.status()
    except OSError as error:
        return {"unreadable": f"unreadable: {error}"}


def _sysctl(name: str) -> str:
    try:
        return kernel.read(name)
    except OSError as error:
        return f"unreadable: {error.strerror}"


def _queue_limit(server: Server, diag: SockDiag) -> str:
    if server.listener is None:
        return "no listening cgid socket"
    queue = diag.unix_queue(unix_query(server.listener))
    return "no listening cgid socket" if queue is None else str(queue.limit)


def mapped_module(maps: str, module: str) -> Optional[str]:
    """Return the path of the CGI module in the text of a /proc/PID/maps, the ordered one first."""
    paths = {line.split(None, 5)[5] for line in maps.splitlines() if "/mod_cgi" in line}
    return module if module in paths else next(iter(sorted(paths)), None)


def _module_sha256(order: TrialOrder, server: Server) -> str:
    pid = server.cgid_pid() if order.has_queue else next(iter(server.worker_pids()), None)
    if pid is None:
        return "no process that could have mapped it"
    try:
        path = mapped_module(process.read_text(f"/proc/{pid}/maps"), os.path.realpath(order.module))
        if path is None:
            return "no CGI module is mapped"
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError as error:
        return f"unreadable: {error}"


def log_levels(server_info: str) -> list[str]:
    """Return the arguments of all LogLevel directives on mod_info's configuration page, in order."""
    lines = server_info.replace("<dd>", "\n")  # not every directive of the page is on a line of its own
    return _LOG_LEVEL.findall(html.unescape(_TAG.sub("", lines)).replace("\xa0", " "))


def _log_level(server: Server) -> str:
    try:
        answer = http.get(server.address, server.port, "/server-info?config", 5.0)
    except OSError as error:
        return f"unreadable: {error}"
    if answer.status != http.OK:
        return f"unreadable: server-info answered {answer.status}"
    levels = log_levels(answer.body.decode("utf-8", "replace"))
    return levels[-1] if levels else "warn"  # httpd's default where no directive is


def _cgi_status(order: TrialOrder, server: Server) -> str:
    try:
        answer = http.get(server.address, server.port, order.url_path, 15.0)
    except OSError as error:
        return f"no answer: {error}"
    body = order.want.get("cgi_body")
    if answer.status == http.OK and body is not None and answer.body != body.encode():
        return f"200 with another body: {answer.body[:60]!r}"
    return str(answer.status)
