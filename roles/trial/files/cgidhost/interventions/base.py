"""What an intervention is, and how to add one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Optional

from ..ending import Unavailable
from ..waiting import now_ns

if TYPE_CHECKING:
    from ..server import Server

SLOWS, PRECEDES, CONTROL = "slows", "precedes", "control"


@dataclass(frozen=True)
class Subject:
    """What interventions are made on."""

    server: Server
    load_pid: Optional[int]  # the driver's; None: other machines make the load
    workers: int
    cpus: int
    own_mounts: bool = False  # what is mounted is there for this trial alone, and gone with it
    spare_workers: Optional[int] = None  # that can be taken and no client is lost for good; None: all of them

    @property
    def daemon(self) -> int:
        """Return the process that accepts from the system's queue; raise Unavailable where there is none."""
        pid = self.server.acceptor()
        if pid is None:
            raise Unavailable(self.server.system.why_no_daemon or "there is no daemon now")
        return pid


class Intervention:
    """One thing that is held back for a slot, or let go first, and is then as it was.

    Each is the one such class of a module here, and bears its name. To add one, copy stopped_driver.py. It runs in a
    process of its own that is ended with the trial (`performing`): whatever it changes has to be as before when
    `perform` is left, however it is left, and what it starts has to die with that process and have an end of its own.

    `cgidlab.analysis.interventions` makes of it what it says of throughput.
    """

    name: ClassVar[str]
    effect: ClassVar[str] = SLOWS  # or PRECEDES, or CONTROL: nothing that could change throughput
    component: ClassVar[str] = ""  # what it holds back, by the name that the verdict has for it
    doses: ClassVar[tuple[tuple[float, int], ...]] = ((0.0, 1),)  # share held back, and slots with it in each round

    def __init__(self, subject: Subject) -> None:
        self.subject = subject

    def probe(self) -> None:
        """Do it for a moment and take it back; raise Unavailable or OSError with the reason why it cannot be done."""
        self.perform(self.doses[0][0], now_ns())

    def perform(self, dose: float, until_ns: int) -> float:
        """Do it until a moment (CLOCK_MONOTONIC), and return the dose that it was in truth."""
        raise NotImplementedError


def sleep_until(due_ns: int) -> None:
    """Sleep until a moment of CLOCK_MONOTONIC."""
    left_ns = due_ns - now_ns()
    if left_ns > 0:
        time.sleep(left_ns / 1e9)
