"""What a system under test is, and how to add one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, ClassVar, Mapping, Optional

from .. import process
from ..sockdiag import unix_query

if TYPE_CHECKING:
    from ..blockfile import TrialOrder
    from ..proof import Proof, RunningServer
    from ..server import Places, Server
    from ..sockdiag import SockDiag, UnixListener

Steps = tuple[Callable[[], None], Callable[[], None]]


class System:
    """What answers for httpd: the program behind its unix socket, or httpd alone. Each is the class of a module here.

    To add one whose program httpd starts itself, copy cgid.py; to add one behind mod_proxy, copy gunicorn.py. httpd is
    started by `server`, as its httpd.conf says; a system says what else a trial has to know: what is started beside
    httpd, which socket has the queue, who accepts from it, how it is proved that the ordered one runs, and what may be
    done to it. Then name it in cgidlab/design/systems.py, which says when it is meant, and load what it needs in
    roles/server/templates/httpd.conf.j2. The role `systems` installs its program, and its own files are the templates
    in the folder of its name there.
    """

    name: ClassVar[str]
    program: ClassVar[str] = ""  # that is started beside httpd, by its name among the host's tools; "": none is
    why_no_queue: ClassVar[str] = ""  # where it has none: instruments that need one say this
    why_no_daemon: ClassVar[str] = ""  # where no single process accepts from it: those that need one say this
    why_no_scripts: ClassVar[str] = ""  # where no program is started for a request: those that need one say this
    proofs: ClassVar[tuple[Proof, ...]] = ()
    # What may be done to it in the window, by name: each gives its begin and its end, which come as often as is
    # ordered. cgidlab/design/faults.py has the names.
    faults: ClassVar[Mapping[str, Callable[[Server, SockDiag], Steps]]] = {}

    def arguments(self, order: TrialOrder, places: Places) -> list[str]:
        """Return the arguments of the program that is started beside httpd."""
        del order, places
        return []

    def in_child(self, order: TrialOrder, places: Places) -> Optional[Callable[[], None]]:
        """Return what is done in the forked child, with the server's rights, before it becomes that program."""
        del order, places
        return None

    def find_listener(self, run_dir: str, diag: SockDiag) -> Optional[UnixListener]:
        """Return the socket whose queue is observed, the one made below `run_dir`; None: it does not listen now."""
        if self.why_no_queue:
            return None
        return next((one for one in diag.unix_listeners() if one.path.startswith(run_dir + "/")), None)

    def acceptors(self, first_pid: int, listener: Optional[UnixListener]) -> list[int]:
        """Return the processes that accept from it, which the process `first_pid` started; [] while there are none."""
        del first_pid, listener
        return []

    def managers(self, httpd_pid: int) -> list[int]:
        """Return httpd's children that are no workers and do not accept either; [] where it has none such."""
        del httpd_pid
        return []

    def acceptor(self, first_pid: int, listener: Optional[UnixListener]) -> Optional[int]:
        """Return the one process that accepts from it; None: there is none now, or never a single one."""
        return None if self.why_no_daemon else next(iter(self.acceptors(first_pid, listener)), None)


def script_modules(httpd_pid: int) -> list[str]:
    """Return by file name the modules that hand scripts on, which httpd has mapped; raise OSError when it is gone."""
    lines = process.read_text(f"/proc/{httpd_pid}/maps").splitlines()
    names = {line.rpartition("/")[2] for line in lines}
    return sorted(name for name in names if name.startswith(("mod_cgi", "mod_fcgid", "mod_proxy_")))


def queue_limit(evidence: RunningServer) -> str:
    """Return the limit that the kernel holds, after its clamp."""
    listener = evidence.server.listener
    queue = None if listener is None else evidence.diag.unix_queue(unix_query(listener))
    return f"no listening socket of {evidence.order.system.name}" if queue is None else str(queue.limit)


def wanted_queue_limit(order: TrialOrder) -> str:
    """Return the limit that a queue must have: the ordered one, or what the kernel cuts it down to."""
    return str(min(order.number_of("listen_backlog"), order.number_of("somaxconn")))
