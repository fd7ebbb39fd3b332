"""mod_cgid: one daemon, a child of httpd, accepts from a unix socket and forks the scripts."""

from __future__ import annotations

import hashlib
import os
import signal
from typing import TYPE_CHECKING, Callable, ClassVar, Mapping, Optional

from .. import process
from ..proof import Proof, RunningServer
from ..reloading import RELOADS
from .base import Steps, System, queue_limit, wanted_queue_limit
from .faults import accepting, freeze, hide

if TYPE_CHECKING:
    from ..server import Server
    from ..sockdiag import SockDiag, UnixListener

_MOST_MODULE_BYTES = 64 << 20


def mapped_module(maps: str, module: str) -> Optional[str]:
    """Return the path of the CGI module in the text of a /proc/PID/maps, the ordered one first."""
    paths = {line.split(None, 5)[5] for line in maps.splitlines() if "/mod_cgi" in line}
    return module if module in paths else next(iter(sorted(paths)), None)


def _module_sha256(evidence: RunningServer) -> str:
    """Return the hash of what the daemon has mapped: all that was compiled into it is proved by that."""
    pid = evidence.server.acceptor()
    if pid is None:
        return "no process that could have mapped it"
    return sha256_of_module(pid, os.path.realpath(evidence.order.module))


def sha256_of_module(pid: int, module: str) -> str:
    """Return the hash of the CGI module that a process has mapped; raise OSError where that is no plain file."""
    path = mapped_module(process.read_text(f"/proc/{pid}/maps"), module)
    if path is None:
        return "no CGI module is mapped"
    digest = hashlib.sha256()
    with open(process.open_plain(path), "rb") as file:  # whose name is what the daemon says
        left = _MOST_MODULE_BYTES
        while left > 0 and (part := file.read(1 << 20)):
            digest.update(part)
            left -= len(part)
    return digest.hexdigest()


def _nice(evidence: RunningServer) -> str:
    """Return by how much the daemon's nice value differs from that of httpd, which started it."""
    pid = evidence.server.acceptor()
    if pid is None:
        return "no cgid daemon"
    return str(process.nice_of(pid) - process.nice_of(evidence.server.pid))


def _kill(server: Server, diag: SockDiag) -> Steps:
    """Kill the daemon, and keep httpd's parent process, which starts a new one, asleep until the fault is over."""

    def begin() -> None:
        (daemon,) = accepting(server, diag)
        os.kill(server.pid, signal.SIGSTOP)
        os.kill(daemon, signal.SIGKILL)

    return begin, lambda: os.kill(server.pid, signal.SIGCONT)


def _handler(evidence: RunningServer) -> str:
    pid = evidence.server.acceptor()
    path = None if pid is None else mapped_module(process.read_text(f"/proc/{pid}/maps"), evidence.order.module)
    return "no cgid daemon" if path is None else "cgid"


class Cgid(System):
    """The daemon is found by the socket that it holds, since a restarted one makes a new socket of the same name."""

    name = "cgid"
    proofs = (
        Proof("handler", lambda _: "cgid", _handler),
        Proof("queue_limit", wanted_queue_limit, queue_limit),
        Proof("module_sha256", lambda o: o.module_sha256, _module_sha256),
        Proof("cgid_nice", lambda o: o.text("cgid_nice"), _nice),
    )
    faults: ClassVar[Mapping[str, Callable[[Server, SockDiag], Steps]]] = {
        "freeze_cgid": freeze,
        "kill_cgid": _kill,
        "hide_socket": hide,
        **RELOADS,
    }

    def acceptors(self, first_pid: int, listener: Optional[UnixListener]) -> list[int]:
        """Return the child of httpd that holds the socket."""
        if listener is None:
            return []
        return [p for p in process.children(first_pid) if process.has_socket(p, listener.inode)][:1]
