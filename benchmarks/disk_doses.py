"""What holding the disk back does to loops that write: what an intervention on the disk would have to be.

    python -m benchmarks.disk_doses [--directory /var/tmp] [--rounds 4] [--case WORD]

A block-I/O control group holds back these processes and nobody else: in a part of each period it lets one request a
second through, which is none. Each case is a number of processes that do one thing over and over, on the disk as it is
or below a limit of their group, which is then a slow disk by construction. What is printed is what a run's analysis
says of such slots: 1 is right where the disk alone sets the pace, 0 where it does not matter. A disk that is fast may
be no limit as it is: look at the CPUs beside it. Needs root, a control
group that can limit I/O, and a directory on a whole disk or a partition of it. Takes three minutes.
"""

import argparse
import fcntl
import mmap
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.figures import ROOT, say
from cgidlab.analysis.interventions import LimitsShown, Performed, shown
from cgidlab.parsers.interventions import UNTOUCHED, InterventionKind, InterventionSlot

sys.path.insert(0, str(ROOT / "roles" / "trial" / "files"))

from cgidhost import group, libc
from cgidhost.interventions.base import sleep_until
from cgidhost.waiting import now_ns

_PAGE_BYTES = 4096
_PIPE_BYTES = 1 << 20
_STAMP_BYTES = 8
_NS_OF_MS = 1_000_000
_SLOT_NS = 1_000 * _NS_OF_MS
_LOOK_NS = 20 * _NS_OF_MS
_STOPPED = 1  # requests a second: none within a stop
NO_LIMIT = 0


@dataclass(frozen=True, slots=True)
class Way:
    """One way to hold the disk back by a share."""

    name: str
    stop_ms: float = 0.0
    period_ms: float = 0.0  # 0: a lower limit for the whole slot, where there is a limit
    share: float = 0.2


WAYS = (
    Way("stop_4_of_20_ms", 4, 20),
    Way("stop_50_of_250_ms", 50, 250),
    Way("lower_limit"),
)


@dataclass(frozen=True, slots=True)
class Case:
    """So many processes, what each does over and over, and which requests a second all of them are allowed."""

    name: str
    processes: int
    cpu_ms: float = 0.0
    sleep_ms: float = 0.0
    writes: bool = True
    limit: int = NO_LIMIT


CASES = (
    Case("disk, as fast as it is", 8),
    Case("disk alone, 300 requests a second", 8, limit=300),
    Case("CPUs, many wait for them", 64, cpu_ms=4),
    Case("CPUs, few wait for them", 4, cpu_ms=4),
    Case("no I/O", 4, sleep_ms=2, writes=False),
)


def orders(version: int, device: str, limit: int) -> Mapping[str, str]:
    """Return what is written into which file of a group to allow so many requests a second; with NO_LIMIT any."""
    if version == 1:
        return {f"blkio.throttle.{way}_iops_device": f"{device} {limit}" for way in ("read", "write")}
    allowed = limit or "max"
    return {"io.max": f"{device} riops={allowed} wiops={allowed}"}


def device_of(directory: Path, sys_dev: Path = Path("/sys/dev/block")) -> str:
    """Return "8:0", the whole disk that a directory lies on; exit with the reason where there is none."""
    number = directory.stat().st_dev
    device = f"{os.major(number)}:{os.minor(number)}"
    about = (sys_dev / device).resolve()
    if not about.is_dir():
        raise SystemExit(f"{directory} lies on no block device: name another one with --directory")
    return (about.parent / "dev" if (about / "partition").exists() else about / "dev").read_text().strip()


class Held:
    """A group whose I/O can be held back."""

    def __init__(self, device: str) -> None:
        """Make it, or exit with the reason why that cannot be."""
        why = "this kernel has no control group that can limit I/O"
        for kind, point, own in group.hierarchies(("", "blkio")):
            if own is None:
                why = f"{point} does not show the group this process is in"
                continue
            self.version, self._device = (2 if kind.fs == "cgroup2" else 1), device
            self._path = Path(own) / f"disk-doses-{os.getpid()}"
            try:
                self._path.mkdir()
            except OSError as error:
                why = f"no group can be made in {own}: {error.strerror}"
                continue
            try:
                self.allow(NO_LIMIT)
            except OSError as error:
                why = f"the group {own} does not let I/O be limited below it: {error.strerror}"
                self._path.rmdir()
                continue
            return
        raise SystemExit(why)

    def enter(self) -> None:
        """Have the caller be in it."""
        (self._path / "cgroup.procs").write_text("0")

    def allow(self, limit: int) -> None:
        """Allow so many requests a second; raise OSError where that is refused."""
        for name, text in orders(self.version, self._device, limit).items():
            fd = os.open(self._path / name, os.O_WRONLY)  # never makes a file, where the controller is not there
            try:
                os.write(fd, text.encode())
            finally:
                os.close(fd)

    def remove(self) -> None:
        """Remove it; no process may be in it any more."""
        self._path.rmdir()


class Loops:
    """The processes of a case, and when each came round."""

    def __init__(self, case: Case, held: Held, directory: Path) -> None:
        self._read, write = os.pipe()
        fcntl.fcntl(self._read, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        os.set_blocking(self._read, False)
        self._raw = bytearray()
        self._pids = [self._forked(case, held, directory / str(n), write) for n in range(case.processes)]
        os.close(write)

    def _forked(self, case: Case, held: Held, path: Path, write: int) -> int:
        pid = os.fork()
        if pid:
            return pid
        try:
            libc.die_with_parent()
            held.enter()
            _loop(case, path, write)
        finally:
            os._exit(1)

    def look(self) -> None:
        """Take what was told since, so that nobody waits for the pipe."""
        with suppress(BlockingIOError):
            while data := os.read(self._read, _PIPE_BYTES):
                self._raw += data

    @property
    def rounds_ns(self) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
        """Return when rounds were done."""
        whole = len(self._raw) // _STAMP_BYTES * _STAMP_BYTES
        return np.frombuffer(bytes(self._raw[:whole]), dtype="<i8").astype(np.int64)

    def end(self) -> None:
        """End them all."""
        for pid in self._pids:
            os.kill(pid, 9)
        for pid in self._pids:
            os.waitpid(pid, 0)
        os.close(self._read)


def _loop(case: Case, path: Path, write: int) -> None:
    page = mmap.mmap(-1, _PAGE_BYTES)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.pwrite(fd, page, 0)
    os.fsync(fd)
    while True:
        time.sleep(case.sleep_ms / 1e3)
        until_s = time.process_time() + case.cpu_ms / 1e3
        while case.cpu_ms and time.process_time() < until_s:
            pass
        if case.writes:
            os.pwrite(fd, page, 0)
            os.fdatasync(fd)
        os.write(write, now_ns().to_bytes(_STAMP_BYTES, "little"))


def perform(way: Way | None, case: Case, held: Held, until_ns: int, look: Callable[[], None]) -> float:
    """Hold the disk back until a moment, and return the share that it was; all is as before then."""
    begin_ns, stopped_ns = now_ns(), 0
    try:
        if way is not None and not way.period_ms:
            held.allow(round(case.limit * (1 - way.share)))
        period_ns = begin_ns
        while now_ns() < until_ns:
            look()
            if way is None or not way.period_ms:
                sleep_until(min(until_ns, now_ns() + _LOOK_NS))
                continue
            from_ns = now_ns()
            held.allow(_STOPPED)
            sleep_until(from_ns + int(way.stop_ms * _NS_OF_MS))
            held.allow(case.limit)
            stopped_ns += now_ns() - from_ns
            period_ns += int(way.period_ms * _NS_OF_MS)
            sleep_until(min(until_ns, period_ns))
    finally:
        held.allow(case.limit)
    if way is None:
        return 0.0
    return stopped_ns / (now_ns() - begin_ns) if way.period_ms else way.share


def order_of(ways: Sequence[Way], rounds: int) -> Iterator[Way | None]:
    """Yield what is done in each slot: an untouched one between any two, and each way twice a round."""
    shuffler = random.Random(1)  # noqa: S311 -- an order, not a secret
    for _ in range(rounds):
        a_round = [*ways, *ways]
        shuffler.shuffle(a_round)
        for way in a_round:
            yield None
            yield way
    yield None


def measured(case: Case, held: Held, directory: Path, rounds: int) -> tuple[LimitsShown, float]:
    """Return what a run's analysis says of a case, and how many rounds a second there were in untouched slots."""
    ways = [w for w in WAYS if w.period_ms or case.limit]
    slots = []
    loops = Loops(case, held, directory)
    try:
        held.allow(case.limit)
        due_ns = now_ns() + _SLOT_NS
        perform(None, case, held, due_ns, loops.look)
        for way in order_of(ways, rounds):
            begin_ns, due_ns = now_ns(), due_ns + _SLOT_NS
            dose = perform(way, case, held, due_ns, loops.look)
            name, asked = (UNTOUCHED, 0.0) if way is None else (way.name, way.share)
            slots.append(InterventionSlot(begin_ns, due_ns, name, asked, dose))
        loops.look()
    finally:
        held.allow(NO_LIMIT)
        loops.end()
    kinds = tuple(InterventionKind(w.name, "slows", w.name) for w in ways)
    at = loops.rounds_ns
    found = shown(Performed("", (), {}, kinds, tuple(slots), at))
    untouched = [np.count_nonzero((s.begin_ns < at) & (at <= s.end_ns)) for s in slots if s.name == UNTOUCHED]
    return found, float(np.median(untouched)) * 1e9 / _SLOT_NS


@contextmanager
def _held(device: str) -> Iterator[Held]:
    held = Held(device)
    try:
        yield held
    finally:
        held.remove()


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", type=Path, default=Path("/var/tmp"))  # noqa: S108 -- a directory is made in it
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--case", default="", metavar="WORD", help="only cases whose name has it")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.directory) as directory, _held(device_of(args.directory)) as held:
        say(f"control groups of version {held.version}")
        for case in [c for c in CASES if args.case in c.name]:
            found, rate = measured(case, held, Path(directory), args.rounds)
            say(f"{case.name}: {rate:.0f} rounds a second untouched{f'; {found.reason}' if found.reason else ''}")
            for one in found.held:
                for effect in one.effects:
                    ends = "" if one.interval is None else f" ({one.interval.low:.2f} to {one.interval.high:.2f})"
                    elasticity = "-" if one.elasticity is None else f"{one.elasticity:.2f}"
                    say(
                        f"  {one.component}: {effect.dose:.3f} held back, throughput x {effect.ratio:.3f}, "
                        f"elasticity {elasticity}{ends}, {one.word.value} {one.reason}".rstrip()
                    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
