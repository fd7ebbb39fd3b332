"""Compares what a trial ordered with what the running system says, by one table: readback.json."""

from __future__ import annotations

import os
from typing import Any, Iterator, Optional

from . import SCHEMA_VERSION, http, kernel, process
from .blockfile import TrialOrder
from .proof import Proof, ProofMade, RunningServer, as_directive, directives_in, in_force, made
from .server import Server, worker_count
from .sockdiag import SockDiag, tcp_query

# What httpd obeys while it reads httpd.conf, and keeps nothing of for mod_info to show.
_OBEYED_AT_ONCE = {"define", "undefine", "include", "includeoptional", "loadfile", "loadmodule", "serverroot", "use"}
_CONDITIONS = ("<if", "<macro")  # of which <If> alone is on the page


def document(checks: list[ProofMade]) -> dict[str, Any]:
    """Return what readback.json holds."""
    rows = [{"name": c.name, "want": c.want, "found": c.found, "ok": c.ok} for c in checks]
    return {"schema_version": SCHEMA_VERSION, "ok": all(c.ok for c in checks), "checks": rows}


def mismatch(checks: list[ProofMade]) -> str:
    """Return one sentence about the settings that are not in force, or ''."""
    return "; ".join(f"{c.name}: want {c.want}, found {c.found}" for c in checks if not c.ok)


def _said(evidence: RunningServer, name: str) -> str:
    """Return what mod_status says under a name."""
    return evidence.status.get(name) or evidence.silent or "not stated"


def _httpd_version(evidence: RunningServer) -> str:
    return _said(evidence, "ServerVersion").partition("/")[2].partition(" ")[0] or _said(evidence, "ServerVersion")


def _threads_per_child(evidence: RunningServer) -> str:
    """Return how many of the workers that httpd counts each of its processes has."""
    workers, processes = worker_count(evidence.status), len(evidence.server.worker_pids())
    if not processes or workers % processes:
        return f"{workers} workers in {processes} processes"
    return str(workers // processes)


def _tcp_queue_limit(evidence: RunningServer) -> Optional[str]:
    """Return the limit of the queue that httpd accepts from, after the kernel's clamp; None without tcp_diag."""
    server = evidence.server
    queue = evidence.diag.queues(tcp_query(server.address, server.port))[0]
    return None if queue is None else str(queue.limit)


def _in_one_line(text: str) -> str:
    return " ".join(text.split())


def extra_directives(text: str) -> Iterator[str]:
    """Yield the directives of some lines of httpd.conf that mod_info shows for certain, as it shows them.

    Not among them are those that are obeyed while the file is read, are inside of a condition, or name a variable.
    """
    depth = 0
    for line in text.replace("\\\n", " ").splitlines():
        words = _in_one_line(line)
        name = words.partition(" ")[0].lower()
        if name.startswith(_CONDITIONS) and name != "<if":
            depth += 1
        elif name.startswith(("</if", "</macro")) and name != "</if>":
            depth -= 1
        elif words and not depth and not name.startswith(("#", "</")) and name not in _OBEYED_AT_ONCE:
            yield from [words] if "${" not in words else []


def _extra_directives(evidence: RunningServer) -> str:
    """Return those of the ordered lines that are on httpd's page."""
    shown = {(d.name.lower(), _in_one_line(d.value)) for d in evidence.directives}
    lines = [line.partition(" ") for line in extra_directives(evidence.order.text("extra_directives"))]
    there = [f"{name} {value}".strip() for name, _, value in lines if (name.lower(), value) in shown]
    return "; ".join(there) or evidence.silent or "none of them"


def _cgi_status(evidence: RunningServer) -> str:
    server = evidence.server
    try:
        return str(http.get(server.address, server.port, evidence.order.url_path, 15.0).status)
    except OSError as error:
        return f"no answer: {error}"


def _script(evidence: RunningServer) -> str:
    """Return the SHA-256 of the file that httpd runs, or hands on, for the trial's path."""
    ordered = evidence.order.script
    for directive in evidence.directives if ordered is not None else ():
        if directive.name.lower() in ("scriptalias", "alias"):
            url, _, place = directive.value.partition(" ")
            if url == "/cgi-bin/" and ordered is not None:
                return process.sha256_of(os.path.join(place.strip().strip('"'), ordered.path))
    return evidence.silent or "no alias for /cgi-bin/"


def _requests(evidence: RunningServer) -> Optional[str]:
    """Return the SHA-256 of the list that the load is to take, None where another machine has it and looks itself."""
    listed = evidence.order.requests
    return None if listed is None or evidence.order.remote is not None else process.sha256_of(listed.path)


# What is proved of every system, beside the directives of the block file, the sysctls and what the system has itself.
PROOFS = (
    Proof(
        "httpd_binary", lambda o: os.path.realpath(o.httpd_binary), lambda e: os.readlink(f"/proc/{e.server.pid}/exe")
    ),
    Proof("httpd_version", lambda o: o.httpd_version, _httpd_version),
    Proof("mpm", lambda o: o.text("mpm"), lambda e: _said(e, "ServerMPM").lower()),
    Proof("workers", lambda o: o.text("workers"), lambda e: e.silent or str(worker_count(e.status))),
    Proof(
        "threads_per_child",
        lambda o: None if o.settings["mpm"] == "prefork" else o.text("threads_per_child"),
        _threads_per_child,
    ),
    Proof(
        "tcp_queue_limit",
        lambda o: str(min(o.number_of("tcp_backlog"), o.number_of("somaxconn"))),
        _tcp_queue_limit,
    ),
    Proof(
        "extra_directives", lambda o: "; ".join(extra_directives(o.text("extra_directives"))) or None, _extra_directives
    ),
    Proof("script", lambda o: None if o.script is None else o.script.sha256, _script),
    Proof("requests", lambda o: None if o.requests is None else o.requests.sha256, _requests),
    Proof("cgi_status", lambda _: "200", _cgi_status),
)


def _sysctl(name: str) -> Proof:
    return Proof(name, lambda o: o.text(name), lambda _: kernel.read(name))


def _directive(option: str, directive: str) -> Proof:
    return Proof(
        option,
        lambda o: as_directive(o.settings[option]),
        lambda e: in_force(directive, e.directives) if e.directives else e.silent or "not stated",
    )


def proofs_of(order: TrialOrder) -> list[Proof]:
    """Return every proof that is made of a trial."""
    directives = [_directive(option, name) for option, name in order.directives.items()]
    return [*map(_sysctl, kernel.SYSCTLS), *order.system.proofs, *PROOFS, *directives]


def read_back(order: TrialOrder, server: Server, diag: SockDiag, account: Optional[process.Account]) -> list[ProofMade]:
    """Return all checks of the running server. What cannot be read is found as 'unreadable: ...'.

    Without an `account` the server has the rights of whoever started it, and nothing is checked of them.
    """
    evidence = _evidence(order, server, diag)
    checks = [check for proof in proofs_of(order) for check in made(proof, evidence)]
    if account is not None:
        users = process.users_of(server.pids)
        checks.append(ProofMade("server_uid", str(account.uid), " ".join(str(uid) for uid in sorted(users))))
    return checks


def _evidence(order: TrialOrder, server: Server, diag: SockDiag) -> RunningServer:
    try:
        answer = http.get(server.address, server.port, "/server-info?config", 5.0)
        if answer.status != http.OK:
            raise OSError(f"server-info answered {answer.status}")  # noqa: TRY301 -- said in the same words as the others
        return RunningServer(
            order, server, diag, server.status(), directives_in(answer.body.decode("utf-8", "replace"))
        )
    except OSError as error:
        return RunningServer(order, server, diag, {}, (), f"unreadable: {error}")
