"""Memory of httpd, of what stands behind it and of their scripts: server_memory.csv."""

from __future__ import annotations

from functools import partial
from typing import Callable, Iterable

from ..ending import Unavailable
from ..process import parent_of, pids, read_text
from .base import Gauge, Scene


def with_descendants(firsts: Iterable[int]) -> list[int]:
    """Return processes and all that descend from them, by one look at each process that there is."""
    children: dict[int, list[int]] = {}
    for pid in pids():
        parent = parent_of(pid)
        if parent is not None:
            children.setdefault(parent, []).append(pid)
    found = list(firsts)
    for pid in found:  # grows on the way
        found += children.get(pid, [])
    return found


def pss_kb(pid: int) -> int:
    """Return the memory of a process, its share alone of what others have as well; raise OSError when it is gone."""
    for line in read_text(f"/proc/{pid}/smaps_rollup").splitlines():
        name, _, value = line.partition(":")
        if name == "Pss":
            return int(value.split()[0])
    raise ProcessLookupError(f"process {pid} has no memory")  # it has ended, and nobody has reaped it


class ServerMemory(Gauge):
    """Pss of every process of the server; one that ends meanwhile is left out."""

    name = "server_memory"
    columns = "pss_kb,processes"
    period_ns = 250_000_000

    @classmethod
    def prepared(cls, scene: Scene) -> Callable[[], Gauge]:
        """Return what makes it for the processes that httpd and its system began with."""
        return partial(cls, scene.directory, scene.the_server.first_pids)

    def __init__(self, directory: str, firsts: list[int]) -> None:
        """Look once; raise Unavailable where the kernel does not say, or does not say it to us."""
        self._firsts = firsts
        try:
            pss_kb(firsts[0])
        except OSError as error:
            raise Unavailable(f"the memory of httpd cannot be read: {error.strerror or error}") from error
        super().__init__(directory)

    def read(self) -> str:
        """Return the sum and of how many processes it is."""
        found = []
        for pid in with_descendants(self._firsts):
            try:
                found.append(pss_kb(pid))
            except OSError:  # noqa: PERF203 -- scripts end at any moment
                continue
        return f"{sum(found)},{len(found)}"
