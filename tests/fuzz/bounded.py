"""Cases in a child that has so much memory and time and no more: one that ends it is a find, and the next goes on."""

import json
import os
import resource
import select
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

MOST_MB = 500  # resident, at any moment of a case
WAIT_S = 150.0  # for a word of the child; its own limits (`rundirs.limited`) come before
_ADDRESSES = 6 << 30  # asked for at once: before the machine runs out of memory
_EACH = 400  # cases of one child: what an allocator keeps is nobody's find
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True, slots=True)
class Find:
    """A verb that raised what is no error of ours, took too long or too much, or ended the process."""

    seed: str
    verb: str
    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """What a case came to."""

    seed: str
    finds: tuple[Find, ...]
    memory_mb: int  # the most that was resident; 0 if nobody was left to say so


def each(seeds: Sequence[str], tried: Callable[[str], Sequence[Find]]) -> Iterator[Done]:
    """Try one case after the other, each with a bound on memory and time, and yield what became of it."""
    left = list(seeds)
    while left:
        pid, end = _begun(left[:_EACH], tried)
        try:
            for done in _heard(pid, end, left[:_EACH]):
                left.pop(0)
                yield done
        finally:
            os.close(end)


def _heard(pid: int, end: int, seeds: Sequence[str]) -> Iterator[Done]:
    """Yield what a child says of its cases; of the one in which it ended or fell silent, that it did."""
    rest = b""
    for seed in seeds:
        while b"\n" not in rest:
            ready = select.select([end], [], [], WAIT_S)[0]
            part = os.read(end, 1 << 16) if ready else b""
            if not part:
                if not ready:
                    os.kill(pid, signal.SIGKILL)
                status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                why = f"the process ended with {status}" if ready else f"nothing was heard for {WAIT_S:.0f} s"
                yield Done(seed, (Find(seed, "-", why),), 0)
                return
            rest += part
        line, _, rest = rest.partition(b"\n")
        said = json.loads(line)
        yield Done(seed, tuple(Find(**find) for find in said["finds"]), said["memory_mb"])
    os.waitpid(pid, 0)


def _begun(seeds: Sequence[str], tried: Callable[[str], Sequence[Find]]) -> tuple[int, int]:
    """Start a child and return its process and where it can be heard."""
    end, told = os.pipe()
    pid = os.fork()
    if pid:
        os.close(told)
        return pid, end
    status = 1
    try:
        os.close(end)
        resource.setrlimit(resource.RLIMIT_AS, (_ADDRESSES, _ADDRESSES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for seed in seeds:
            forget_peak()
            finds = list(tried(seed))
            memory_mb = _peak_mb()
            if memory_mb > MOST_MB:
                finds.append(Find(seed, "-", f"{memory_mb} MB were resident"))
            said = {"finds": [{"seed": f.seed, "verb": f.verb, "text": f.text} for f in finds], "memory_mb": memory_mb}
            os.write(told, json.dumps(said).encode() + b"\n")
        status = 0
    except BaseException:  # noqa: BLE001 -- it is said, and shows as the child's end
        traceback.print_exc()
    finally:
        os._exit(status)  # nothing of the parent's is to be run down twice


def forget_peak() -> None:
    """Count the most that is resident anew: what made a case is none of its own."""
    _CLEAR.write_text("5")  # proc(5)


def _peak_mb() -> int:
    line = next(li for li in _STATUS.read_text().splitlines() if li.startswith("VmHWM:"))
    return int(line.split()[1]) // 1024
