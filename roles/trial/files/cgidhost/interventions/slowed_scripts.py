"""Scripts that take longer for what they do, by another build of each (roles/scripts/files/slowed.c)."""

from __future__ import annotations

import os
import struct
from contextlib import contextmanager
from statistics import median
from typing import Iterator, NamedTuple

from .. import libc
from ..ending import Unavailable
from .base import Intervention, Subject, sleep_until

ORDER = "/run/cgidlab-slowed"  # where the slower builds look; /run is the trial's own
ORIGINALS = "/run/cgidlab-scripts"
_ORDER = struct.Struct("=qqq")  # the share in millionths; CPU time in ns: of a process's end, and of the other build
_TOLD = struct.Struct("=qqqqq")
_BYTES = 4096  # there before any script maps it: a page that the file has not would end it
_TRIES = 15
_DOSE_OF_TRIES = 0.5  # long enough that looking and telling are a part of it


class ToldByScripts(NamedTuple):
    """How many scripts were slowed, what their own work took, and what they did more, in ns."""

    scripts: int
    own_cpu: int
    own_wait: int
    more_cpu: int
    more_wait: int


class SlowedScripts(Intervention):
    """Each script started in the slot takes 1 / (1 - dose) of its own time: it computes more, and waits more.

    Their own time is the CPU that they use from fork to end, and what they wait for something else than a CPU. In the
    trial's own mounts the slower builds lie upon the scripts, which nobody else sees, and what is there is not touched.
    """

    name = "slowed_scripts"
    component = "scripts"
    doses = ((0.2, 2),)

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._fd = -1
        self._costs = (0, 0)

    def probe(self) -> None:
        """Find out what the builds cost here, and put the slower builds in place for a moment."""
        slower, scripts, name = self._builds()
        self._fd = os.open(ORDER, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        os.fchmod(self._fd, 0o666)  # whoever is the server tells in it
        os.ftruncate(self._fd, _BYTES)
        os.mkdir(ORIGINALS)
        libc.mount(scripts, ORIGINALS, "none", libc.MS_BIND)
        self._costs = self._measured(os.path.join(slower, name), os.path.join(scripts, name))
        with _in_place(slower, scripts):
            pass

    def perform(self, dose: float, until_ns: int) -> float:
        """Have scripts take the share more until a moment; the dose is what they said of it."""
        slower, scripts, _ = self._builds()
        self._say(dose, *self._costs)
        with _in_place(slower, scripts):
            sleep_until(until_ns)
        told = self._told()
        more = told.more_cpu + told.more_wait
        return min(1.0, max(0.0, more / max(1, more + told.own_cpu + told.own_wait)))

    def _builds(self) -> tuple[str, str, str]:
        """Return where the slower builds are, where the scripts are, and a name of both; raise Unavailable for none."""
        server = self.subject.server
        if server.system.why_no_scripts:
            raise Unavailable(server.system.why_no_scripts)
        if not server.asks_for_scripts:
            raise Unavailable("no script is asked for")
        if not self.subject.own_mounts:
            raise Unavailable("the trial has no mounts of its own, and scripts would be slow for others too")
        names = sorted(os.listdir(server.slowed_dir)) if server.slowed_dir else []
        if not names or not all(os.path.isfile(os.path.join(server.scripts_dir, name)) for name in names):
            raise Unavailable("a script of your own has no slower build")
        return server.slowed_dir, server.scripts_dir, names[0]

    def _measured(self, slower: str, script: str) -> tuple[int, int]:
        """Return the CPU time of a process after all it can do itself, and what a slower build costs without an order.

        The others of a busy host can only add to it, so that the least of some tries is compared.
        """
        plain, besides, endings = [], [], []
        for _ in range(_TRIES):
            plain.append(_used_ns(script))
            self._say(_DOSE_OF_TRIES)
            used_ns = _used_ns(slower)
            told = self._told()
            if told.scripts != 1:
                raise Unavailable("a slower build did not do as it was told here")
            besides.append(used_ns - told.more_cpu)
            endings.append(used_ns - told.more_cpu - told.own_cpu)
        return max(0, int(median(endings))), max(0, min(besides) - min(plain))

    def _say(self, share: float, ending_ns: int = 0, besides_ns: int = 0) -> None:
        """Begin the file anew, with what is ordered and nothing told."""
        nothing = _TOLD.pack(*[0] * len(ToldByScripts._fields))
        os.pwrite(self._fd, _ORDER.pack(round(1e6 * share), ending_ns, besides_ns) + nothing, 0)

    def _told(self) -> ToldByScripts:
        """Return what scripts told; the server's rights are enough to write something else there."""
        return ToldByScripts._make(_TOLD.unpack(os.pread(self._fd, _TOLD.size, _ORDER.size)))


def _used_ns(program: str) -> int:
    """Run a program to its end, and return the CPU time that it used."""
    silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    _, _, used = os.wait4(os.posix_spawn(program, [program], {}, file_actions=silent), 0)
    return int(1e9 * (used.ru_utime + used.ru_stime))


@contextmanager
def _in_place(slower: str, scripts: str) -> Iterator[None]:
    """Have what is started by a script's name be its slower build; what has been started goes on.

    Afterwards the scripts lie on top again. To take the mount away would wait for the kernel's own threads, on a busy
    host for much of a slot.
    """
    try:
        libc.mount(slower, scripts, "none", libc.MS_BIND)
        yield
    finally:
        libc.mount(ORIGINALS, scripts, "none", libc.MS_BIND)
