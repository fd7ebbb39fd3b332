"""What a system under test is, and how to add one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, ClassVar, Mapping, Optional

if TYPE_CHECKING:
    from ..proof import Proof
    from ..server import Server
    from ..sockdiag import SockDiag, UnixListener

Steps = tuple[Callable[[], None], Callable[[], None]]


class System:
    """What answers for httpd: the program behind its unix socket, or httpd alone. Each is the class of a module here.

    To add one, copy cgid.py. httpd itself is started by `server`, as its httpd.conf says; a system says what else a
    trial has to know: which socket has the queue, who accepts from it, how it is proved that the ordered one runs, and
    what may be done to it. Then name it in cgidlab/design/systems.py, which says when it is meant, and load what it
    needs in roles/server/templates/httpd.conf.j2.
    """

    name: ClassVar[str]
    why_no_queue: ClassVar[str] = ""  # where it has none: instruments that need one say this
    proofs: ClassVar[tuple[Proof, ...]] = ()
    # What may be done to it in the window, by name: each gives its begin and its end, which come as often as is
    # ordered. cgidlab/design/faults.py has the names.
    faults: ClassVar[Mapping[str, Callable[[Server, SockDiag], Steps]]] = {}

    def find_listener(self, run_dir: str, diag: SockDiag) -> Optional[UnixListener]:
        """Return the socket whose queue is observed, made below `run_dir`; None: it does not listen now."""
        del run_dir, diag
        return None

    def acceptor(self, httpd_pid: int, listener: Optional[UnixListener]) -> Optional[int]:
        """Return the process that accepts from it; None: there is none now."""
        del httpd_pid, listener
        return None
