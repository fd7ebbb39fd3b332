"""What observes a trial: the registry of all instruments. `base.Instrument` says how to add one."""

from __future__ import annotations

from typing import Mapping

from .base import Instrument
from .cgid_daemon import CgidDaemon
from .connect_times import ConnectTimes
from .host import Host
from .listen_queue import ListenQueue
from .strace import Strace
from .worker_states import WorkerStates

_ALL: tuple[type[Instrument], ...] = (ListenQueue, WorkerStates, ConnectTimes, CgidDaemon, Host, Strace)

INSTRUMENTS: Mapping[str, type[Instrument]] = {one.name: one for one in _ALL}
"""Every instrument by its name, in the order in which they are told of."""
