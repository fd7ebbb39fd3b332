"""instruments/worker_states.csv: how many worker threads sleep where, and how many httpd calls busy."""

from dataclasses import dataclass, replace

from cgidlab.arrays import Ints
from cgidlab.instruments.base import Evidence, Instrument, Need, TrialDetail
from cgidlab.instruments.controls import FREEZE_S, FULL, IDLE, MISSING, REFUSED, SEEN, Expectation, Kind, places, quiet
from cgidlab.instruments.gauges import hold
from cgidlab.model import Figures, Settings
from cgidlab.numeric_lines import ABSENT, parse_csv

FILE = "worker_states.csv"
STATES = ("connect", "read", "idle", "running", "other")
"""Where a worker thread can be."""
_BOARD = ("board_busy", "board_ready")


@dataclass(frozen=True, slots=True)
class Samples:
    """One entry a sample: counts of threads by wait channel; of the scoreboard, `ABSENT` (-1) where it was not read."""

    bad_lines: int
    monotonic_ns: Ints
    threads: Ints
    connect: Ints
    read: Ints
    idle: Ints
    running: Ints
    other: Ints
    board_busy: Ints
    board_ready: Ints


def parse_worker_states(data: bytes, *, where: str) -> Samples:
    """Return the samples. Raise `StoreError` if the header lacks a column."""
    table = parse_csv(data, ("monotonic_ns", "threads", *STATES, *_BOARD), where=where, added=_BOARD)
    return Samples(table.bad_lines, *table.columns)


def _all_others_slept(f: Figures, s: Settings) -> bool:
    """Say whether all workers slept in connect() that had to.

    Each client keeps a worker. A worker that does not sleep has a connection in the queue, or the
    one that the daemon had accepted when it froze: so no fewer than clients - places - 1 sleep. It may
    also sleep with a connection in the queue, since a request makes two, so no more than all.
    """
    clients, fewest = int(s["clients"]), int(s["clients"]) - places(s) - 1
    lasting = (f.workers_in_connect_mean or 0.0) * float(s["window_s"]) >= SEEN * FREEZE_S * fewest
    return fewest <= (f.workers_in_connect_max or 0) <= clients and lasting


class WorkerStates(Instrument):
    """Wait channel of every worker thread, and what httpd's scoreboard calls it, 5 times a second."""

    name = "worker_states"
    cost_row = "worker_states"
    needs = (
        Need("wait channels", "wchan", "worker_states cannot tell who sleeps in connect: trials must run as root"),
    )
    expectations = (
        Expectation(
            FULL,
            Kind.POSITIVE,
            f"53 to 60 of 60 asleep in connect for {SEEN * FREEZE_S:.1f} s or more",
            _all_others_slept,
            ("workers_in_connect_max", "workers_in_connect_mean"),
        ),
        *(quiet(control, "nobody asleep in connect", "workers_in_connect_max") for control in (REFUSED, MISSING, IDLE)),
    )

    def figures(self, evidence: Evidence) -> Figures:
        """Return how many worker threads slept where, and how many httpd's scoreboard calls busy."""
        w = self._samples(evidence)
        held = evidence.held(self.name, w.monotonic_ns) if w else None
        if w is None or held is None:
            return Figures()
        found = Figures(
            workers_in_connect_max=held.max(w.connect),
            workers_in_connect_mean=held.mean(w.connect),
            workers_in_read_mean=held.mean(w.read),
            workers_idle_mean=held.mean(w.idle),
            workers_busy_max=held.max(w.threads - w.idle),
        )
        if (w.board_busy[held.seconds > 0] == ABSENT).any():
            return found
        return replace(
            found,
            scoreboard_busy_mean=held.mean(w.board_busy),
            scoreboard_busy_max=held.max(w.board_busy),
            scoreboard_ready_mean=held.mean(w.board_ready),
        )

    def detail(self, evidence: Evidence) -> TrialDetail:
        """Return the threads asleep in connect() over the window, and the mean number in each state."""
        w = self._samples(evidence)
        if w is None:
            return TrialDetail()
        held = hold(w.monotonic_ns, evidence.window)
        return TrialDetail(
            workers_in_connect=evidence.series(w.monotonic_ns, w.connect),
            worker_states=None if held is None else {name: held.mean(getattr(w, name)) for name in STATES},
        )

    def _samples(self, evidence: Evidence) -> Samples | None:
        data = evidence.data(self.name, FILE)
        return None if data is None else parse_worker_states(data, where=evidence.where(FILE))
