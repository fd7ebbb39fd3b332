"""instruments/server_memory.csv: memory of httpd, of what stands behind it and of their scripts."""

from dataclasses import dataclass

from cgidlab.arrays import Ints
from cgidlab.instruments.base import Evidence, Instrument
from cgidlab.model import Figures
from cgidlab.numeric_lines import parse_csv

FILE = "server_memory.csv"
_COLUMNS = ("monotonic_ns", "pss_kb", "processes")


@dataclass(frozen=True, slots=True)
class MemorySamples:
    """One entry a sample."""

    bad_lines: int
    monotonic_ns: Ints
    pss_kb: Ints
    processes: Ints


def parse_server_memory(data: bytes, *, where: str) -> MemorySamples:
    """Return the samples. Raise `StoreError` if the header lacks a column."""
    table = parse_csv(data, _COLUMNS, where=where)
    return MemorySamples(table.bad_lines, *table.columns)


class ServerMemory(Instrument):
    """Memory of httpd, of what stands behind it and of their scripts, where what they share counts once.

    Off unless it is asked for: the kernel walks the pages of every process for it.
    """

    name = "server_memory"
    on_by_default = False
    observes = False

    def figures(self, evidence: Evidence) -> Figures:
        """Return the most of any sample in the window."""
        data = evidence.data(self.name, FILE)
        if data is None:
            return Figures()
        found = parse_server_memory(data, where=evidence.where(FILE))
        inside = found.pss_kb[evidence.inside(found.monotonic_ns)]
        if not len(inside):
            evidence.note(self.name, "no sample is in the window")
            return Figures()
        return Figures(server_memory_mb=float(inside.max()) * 1024 / 1e6)
