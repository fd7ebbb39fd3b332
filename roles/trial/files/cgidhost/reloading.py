"""Reloads of httpd in a trial's window: how each is asked for, and the proof that it happened: reloads.json."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any, Callable, Mapping, NamedTuple, Optional

from . import SCHEMA_VERSION, process
from .ending import TrialEnd
from .waiting import now_ns
from .wholefile import write_json

if TYPE_CHECKING:
    from .server import Server
    from .sockdiag import SockDiag
    from .sut.base import Steps

FILE = "reloads.json"
# httpd's words of every version and MPM. It writes them at level notice, which no LogLevel keeps out of a file.
_GRACEFUL = (b"Doing graceful restart", b"Graceful restart requested, doing restart")
_RESTART = (b"SIGHUP received.  Attempting to restart", b"SIGHUP received. Attempting to restart")
_RESUMED = b"resuming normal operations"


class ReloadKind(NamedTuple):
    """One way to have httpd read its configuration again."""

    name: str
    signal: signal.Signals
    begins: tuple[bytes, ...]  # what httpd writes when it obeys, in any of these words
    rewrites: bool = False  # its configuration is changed, and checked, first


KINDS = (
    ReloadKind("graceful", signal.SIGUSR1, _GRACEFUL),
    ReloadKind("restart", signal.SIGHUP, _RESTART),
    ReloadKind("reload_conf", signal.SIGUSR1, _GRACEFUL, rewrites=True),
)


class Acceptor(NamedTuple):
    """The process that accepts from the system's queue; with its start it is told from a later one of the same pid."""

    pid: int
    start_ticks: int


class Reloads:
    """The reloads of one trial. One that did not happen ends the trial as invalid: it would have cost nothing."""

    def __init__(self, kind: ReloadKind, server: Server, diag: SockDiag) -> None:
        self._kind, self._server, self._diag = kind, server, diag
        self._made: list[dict[str, Any]] = []
        self._before: Optional[Acceptor] = None
        self._log_at = self._sent_ns = 0

    def send(self) -> None:
        """Ask httpd to reload; raise TrialEnd (infra) where the configuration cannot be written or checked."""
        self._before = self._acceptor()
        if self._before is None and self._replaces_daemon:
            raise TrialEnd("sut", f"there was no {self._server.system.name} daemon before the reload")
        if self._kind.rewrites:
            # A define that nothing refers to: another configuration, and the same server.
            self._server.add_to_configuration(f"Define CGIDLAB_RELOAD_{len(self._made) + 1}")
        self._log_at = self._server.log_size()
        self._sent_ns = now_ns()
        os.kill(self._server.pid, self._kind.signal)

    def prove(self) -> None:
        """Write down the reload that was sent last; raise TrialEnd (invalid) where it did not happen until now."""
        said = self._server.log_from(self._log_at)
        began = max(said.find(words) for words in self._kind.begins)
        if began < 0:
            raise self._missing("httpd's error_log has no word of it")
        if said.find(_RESUMED, began) < 0:
            raise self._missing("httpd did not resume")
        after = self._acceptor()
        if self._replaces_daemon and after is None:
            raise self._missing(f"no {self._server.system.name} daemon listens since")
        if after is not None and self._replaces_daemon and after == self._before:
            raise self._missing(f"the {self._server.system.name} daemon {after.pid} is the one of before")
        self._made.append(
            {
                "sent_ns": self._sent_ns,
                "daemon_before": self._before.pid if self._before else None,
                "daemon_after": after.pid if after else None,
            }
        )
        document = {"schema_version": SCHEMA_VERSION, "action": self._kind.name, "reloads": self._made}
        write_json(os.path.join(self._server.trial_dir, FILE), document)

    @property
    def _replaces_daemon(self) -> bool:
        """Say whether httpd starts who accepts, and so another one when it reloads."""
        system = self._server.system
        return not (system.program or system.why_no_daemon)

    def _missing(self, why: str) -> TrialEnd:
        name = f"reload {len(self._made) + 1} ({self._kind.name})"
        return TrialEnd("treatment", f"{name} did not happen in its time: {why}", "invalid")

    def _acceptor(self) -> Optional[Acceptor]:
        pid = self._server.find_acceptor(self._diag)
        ticks = None if pid is None else process.start_ticks(pid)
        return None if pid is None or ticks is None else Acceptor(pid, ticks)


def _fault(kind: ReloadKind) -> Callable[[Server, SockDiag], Steps]:
    def steps(server: Server, diag: SockDiag) -> Steps:
        reloads = Reloads(kind, server, diag)
        return reloads.send, reloads.prove

    return steps


RELOADS: Mapping[str, Callable[[Server, SockDiag], Steps]] = {kind.name: _fault(kind) for kind in KINDS}
"""The faults of every system, since httpd stands before each: a reload is sent at its begin, and proved at its end."""
