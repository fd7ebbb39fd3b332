"""instruments/cgid_daemon.csv: CPU and run-queue delay of the cgid daemon alone."""

from dataclasses import dataclass

from cgidlab.arrays import Ints, np
from cgidlab.instruments.base import Evidence, Instrument, Need
from cgidlab.instruments.controls import FULL, IDLE, MISSING, REFUSED, Expectation, Kind, quiet, some
from cgidlab.instruments.gauges import rise, unbroken
from cgidlab.model import Figures
from cgidlab.numeric_lines import ABSENT, parse_csv

FILE = "cgid_daemon.csv"

_COLUMNS = ("monotonic_ns", "pid", "cpu_ns", "runq_ns", "switches")


@dataclass(frozen=True, slots=True)
class Samples:
    """One entry a sample. Counters are cumulative and begin again with a new pid; `ABSENT` (-1) for an empty field."""

    bad_lines: int
    monotonic_ns: Ints
    pid: Ints
    cpu_ns: Ints
    runq_ns: Ints
    switches: Ints


def parse_cgid_daemon(data: bytes, *, where: str) -> Samples:
    """Return the samples. Raise `StoreError` if the header lacks a column."""
    table = parse_csv(data, _COLUMNS, where=where, optional=_COLUMNS[1:])
    return Samples(table.bad_lines, *table.columns)


class CgidDaemon(Instrument):
    """CPU time and run-queue delay of the cgid daemon, and its replacement by another."""

    name = "cgid_daemon"
    cost_row = "cgid_daemon and host"
    needs = (Need("schedstat", "schedstat", "cgid_daemon cannot say how long the daemon waited for a CPU"),)
    expectations = (
        *(quiet(control, "not replaced", "cgid_restarts") for control in (FULL, MISSING, IDLE)),
        Expectation(REFUSED, Kind.POSITIVE, "replaced", some("cgid_restarts"), ("cgid_restarts",)),
    )

    def figures(self, evidence: Evidence) -> Figures:
        """Return the CPU of the cgid daemon alone, and how often it was replaced."""
        data = evidence.data(self.name, FILE)
        if data is None:
            return Figures()
        d = parse_cgid_daemon(data, where=evidence.where(FILE))
        there = (d.pid > 0) & (d.cpu_ns != ABSENT) & (d.runq_ns != ABSENT)
        times, pid = d.monotonic_ns[there], d.pid[there]
        cpu = rise(times, unbroken(d.cpu_ns[there], pid), evidence.window)
        runq = rise(times, unbroken(d.runq_ns[there], pid), evidence.window)
        if cpu is None or runq is None:
            evidence.note(self.name, "its samples cover less than 90 % of the window")
            return Figures()
        length_ns = evidence.window.end_ns - evidence.window.begin_ns
        return Figures(
            cgid_restarts=int((np.diff(pid[evidence.inside(times)]) != 0).sum()),
            cgid_cpu_share=cpu / length_ns,
            cgid_runq_share=runq / length_ns,
        )
