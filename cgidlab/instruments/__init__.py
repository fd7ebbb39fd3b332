"""The instruments there are, a module each: nothing else names them all. `base.Instrument` says how to add one."""

from collections.abc import Iterable

from cgidlab.errors import StoreError
from cgidlab.instruments.base import Instrument
from cgidlab.instruments.cgid_daemon import CgidDaemon
from cgidlab.instruments.connect_times import ConnectTimes
from cgidlab.instruments.error_log import ErrorLog
from cgidlab.instruments.host import Host
from cgidlab.instruments.listen_queue import ListenQueue
from cgidlab.instruments.sentinel import Sentinel
from cgidlab.instruments.strace import Strace
from cgidlab.instruments.worker_states import WorkerStates

INSTRUMENTS: tuple[Instrument, ...] = (
    ListenQueue(),
    WorkerStates(),
    ConnectTimes(),
    ErrorLog(),
    CgidDaemon(),
    Host(),
    Sentinel(),
    Strace(),
)

WITNESSES: tuple[Instrument, ...] = tuple(i for i in INSTRUMENTS if i.expectations)
"""Those that a verdict on the mechanism rests on: each has to be proven by controls."""


def check_known(names: Iterable[str], where: str) -> None:
    """Raise `StoreError` for a name that is no instrument's: what it saw would be left out without a word."""
    known = {i.name for i in INSTRUMENTS}
    for name in names:
        if name not in known:
            raise StoreError(
                f"no instrument is called `{name}`", where=where, fix="report it with the version that wrote it"
            )
