"""mod_cgid: one daemon, a child of httpd, accepts from a unix socket and forks the scripts."""

from __future__ import annotations

import hashlib
import os
import signal
from typing import TYPE_CHECKING, Callable, ClassVar, Mapping, Optional

from .. import process
from ..ending import TrialEnd
from ..proof import Proof, RunningServer
from ..reloading import RELOADS
from ..sockdiag import SockDiag, UnixListener, unix_query
from .base import Steps, System

if TYPE_CHECKING:
    from ..server import Server

_MOST_MODULE_BYTES = 64 << 20


def _queue_limit(evidence: RunningServer) -> str:
    """Return the limit that the kernel holds, after its clamp."""
    listener = evidence.server.listener
    queue = None if listener is None else evidence.diag.unix_queue(unix_query(listener))
    return "no listening cgid socket" if queue is None else str(queue.limit)


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


def _daemon(server: Server, diag: SockDiag) -> int:
    pid = server.find_acceptor(diag)
    if pid is None:
        raise TrialEnd("sut", "there was no cgid daemon for the fault")
    return pid


def _freeze(server: Server, diag: SockDiag) -> Steps:
    """Stop the daemon and let it go on: its queue fills, since nobody accepts."""
    return (
        lambda: os.kill(_daemon(server, diag), signal.SIGSTOP),
        lambda: os.kill(_daemon(server, diag), signal.SIGCONT),
    )


def _kill(server: Server, diag: SockDiag) -> Steps:
    """Kill the daemon, and keep httpd's parent process, which starts a new one, asleep until the fault is over."""

    def begin() -> None:
        daemon = _daemon(server, diag)
        os.kill(server.pid, signal.SIGSTOP)
        os.kill(daemon, signal.SIGKILL)

    return begin, lambda: os.kill(server.pid, signal.SIGCONT)


def _hide(server: Server, diag: SockDiag) -> Steps:
    """Rename the socket's file: the daemon listens as before, but nobody finds it."""

    def move(source: str, target: str) -> None:
        _daemon(server, diag)  # and with it the present listener
        path = "" if server.listener is None else server.listener.path
        place, name = os.path.split(path)
        if place != server.run_dir or name in ("", ".", ".."):
            raise TrialEnd("sut", f"the socket {path!r:.200} does not lie right below {server.run_dir}")
        try:
            # Not by its path: httpd may put a link in the place of any directory below its own.
            at = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.rename(name + source, name + target, src_dir_fd=at, dst_dir_fd=at)
            finally:
                os.close(at)
        except OSError as error:
            raise TrialEnd("infra", f"{path}: {error.strerror}") from error

    return lambda: move("", ".hidden"), lambda: move(".hidden", "")


class Cgid(System):
    """The daemon is found by the socket that it holds, since a restarted one makes a new socket of the same name."""

    name = "cgid"
    proofs = (
        Proof("queue_limit", lambda o: str(min(o.number_of("listen_backlog"), o.number_of("somaxconn"))), _queue_limit),
        Proof("module_sha256", lambda o: o.module_sha256, _module_sha256),
        Proof("cgid_nice", lambda o: o.text("cgid_nice"), _nice),
    )
    faults: ClassVar[Mapping[str, Callable[[Server, SockDiag], Steps]]] = {
        "freeze_cgid": _freeze,
        "kill_cgid": _kill,
        "hide_socket": _hide,
        **RELOADS,
    }

    def find_listener(self, run_dir: str, diag: SockDiag) -> Optional[UnixListener]:
        """Return the daemon's socket."""
        return next((one for one in diag.unix_listeners() if one.path.startswith(run_dir + "/")), None)

    def acceptor(self, httpd_pid: int, listener: Optional[UnixListener]) -> Optional[int]:
        """Return the child of httpd that holds the socket."""
        if listener is None:
            return None
        return next((p for p in process.children(httpd_pid) if process.has_socket(p, listener.inode)), None)
