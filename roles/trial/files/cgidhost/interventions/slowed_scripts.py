"""Scripts that take longer for what they do, by another build of each (roles/scripts/files/slowed.c)."""

from __future__ import annotations

import os
import struct
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import Iterator, NamedTuple

from .. import libc
from ..ending import Unavailable
from .base import Intervention, Subject, sleep_until

ORDER = "/run/cgidlab-slowed"  # where the slower builds look; /run is the trial's own
_ORDER = struct.Struct("=qq")  # the share in millionths, and the CPU time of a process's end in ns
_TOLD = struct.Struct("=qqqq")
_MOST_BYTES = 4 << 20  # a second of any server has less
_ENDINGS = 9
_DOSE_OF_ENDINGS = 0.5  # long enough that looking and telling are a part of it


class ToldByScript(NamedTuple):
    """What one script's own work took, and what it did more, in ns."""

    own_cpu: int
    own_wait: int
    more_cpu: int
    more_wait: int


class SlowedScripts(Intervention):
    """Each script started in the slot takes 1 / (1 - dose) of its own time: it computes more, and waits more.

    Their own time is the CPU that they use from fork to end, and what they wait for something else than a CPU. In the
    trial's own mounts the slower build lies upon the script, which nobody else sees, and what is there is not touched.
    """

    name = "slowed_scripts"
    component = "scripts"
    doses = ((0.2, 2),)

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._fd = -1
        self._ending_ns = 0

    def probe(self) -> None:
        """Find out what ending a process takes here, and put the slower builds in place for a moment."""
        builds = self._builds()
        self._fd = os.open(ORDER, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        os.fchmod(self._fd, 0o666)  # whoever is the server tells in it
        self._ending_ns = int(median(self._ended(builds[0][0]) for _ in range(_ENDINGS)))
        with _in_place(builds):
            pass

    def perform(self, dose: float, until_ns: int) -> float:
        """Have scripts take the share more until a moment; the dose is what they said of it."""
        self._say(dose, self._ending_ns)
        with _in_place(self._builds()):
            sleep_until(until_ns)
        told = self._told()
        more = sum(one.more_cpu + one.more_wait for one in told)
        return more / max(1, sum(map(sum, told)))

    def _builds(self) -> list[tuple[str, str]]:
        """Return each slower build and the script it is of; raise Unavailable where there are none, or no mounts."""
        server = self.subject.server
        if server.system.why_no_scripts:
            raise Unavailable(server.system.why_no_scripts)
        if not server.asks_for_scripts:
            raise Unavailable("no script is asked for")
        if not self.subject.own_mounts:
            raise Unavailable("the trial has no mounts of its own, and scripts would be slow for others too")
        names = sorted(os.listdir(server.slowed_dir)) if server.slowed_dir else []
        pairs = [(os.path.join(server.slowed_dir, name), os.path.join(server.scripts_dir, name)) for name in names]
        there = [(slower, script) for slower, script in pairs if os.path.isfile(script)]
        if not there:
            raise Unavailable("a script of your own has no slower build")
        return there

    def _ended(self, program: str) -> int:
        """Run a slower build, and return the CPU time that was used after it had done all it does, in ns."""
        self._say(_DOSE_OF_ENDINGS, 0)
        silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
        _, _, used = os.wait4(os.posix_spawn(program, [program], {}, file_actions=silent), 0)
        told = self._told()
        if not told:
            raise Unavailable("this kernel does not say how long a process waits for a CPU")
        return max(0, int(1e9 * (used.ru_utime + used.ru_stime)) - told[-1].own_cpu - told[-1].more_cpu)

    def _say(self, share: float, ending_ns: int) -> None:
        """Begin the file anew, with what is ordered: a script of the slot before may tell at any moment."""
        os.pwrite(self._fd, _ORDER.pack(round(1e6 * share), ending_ns), 0)
        os.ftruncate(self._fd, _ORDER.size)

    def _told(self) -> list[ToldByScript]:
        """Return what scripts told; what is none is left out, since the server's rights are enough to write it."""
        data = os.pread(self._fd, _MOST_BYTES, _ORDER.size)
        whole = data[: len(data) // _TOLD.size * _TOLD.size]
        return [one for one in map(ToldByScript._make, _TOLD.iter_unpack(whole)) if min(one) >= 0]


@contextmanager
def _in_place(builds: list[tuple[str, str]]) -> Iterator[None]:
    """Have what is started by a script's name be its slower build; what has been started goes on."""
    with ExitStack() as stack:
        for slower, script in builds:
            libc.mount(slower, script, "none", libc.MS_BIND)
            stack.callback(libc.unmount, script)
        yield
