"""instruments/listen_queue.csv: depth and limit of the cgid socket and of the TCP listener."""

from dataclasses import dataclass, replace

from cgidlab.arrays import Ints, np
from cgidlab.instruments.base import Evidence, Instrument, Need, TrialDetail
from cgidlab.instruments.controls import FREEZE_S, FULL, IDLE, MISSING, REFUSED, SEEN, Expectation, Kind, places
from cgidlab.model import Figures, Settings
from cgidlab.numeric_lines import ABSENT, parse_csv

FILE = "listen_queue.csv"
_COLUMNS = ("monotonic_ns", "cgid_depth", "cgid_limit", "tcp_depth", "tcp_limit")


@dataclass(frozen=True, slots=True)
class Samples:
    """One entry a sample. `ABSENT` (-1) where the socket was not there at that moment."""

    bad_lines: int
    monotonic_ns: Ints
    cgid_depth: Ints
    cgid_limit: Ints
    tcp_depth: Ints
    tcp_limit: Ints


def parse_listen_queue(data: bytes, *, where: str) -> Samples:
    """Return the samples. Raise `StoreError` if the header lacks a column."""
    table = parse_csv(data, _COLUMNS, where=where, optional=_COLUMNS[1:])
    return Samples(table.bad_lines, *table.columns)


def _was_full(f: Figures, s: Settings) -> bool:
    long_enough = (f.queue_full_share or 0.0) * float(s["window_s"]) >= SEEN * FREEZE_S
    return f.queue_limit == s["listen_backlog"] and f.queue_depth_max == places(s) and long_enough


def _had_room(f: Figures, s: Settings) -> bool:
    return f.queue_full_share == 0 and f.queue_depth_max is not None and f.queue_depth_max < places(s)


class ListenQueue(Instrument):
    """Depth and limit of the cgid socket's and the TCP listener's queue, through sock_diag, 100 times a second."""

    name = "listen_queue"
    cost_row = "listen_queue"
    needs = (Need("sock_diag", "unix_diag", "listen_queue cannot see the queue: allow the module unix_diag to load"),)
    expectations = (
        Expectation(
            FULL,
            Kind.POSITIVE,
            f"6 in a queue of 5 for {SEEN * FREEZE_S:.1f} s or more",
            _was_full,
            ("queue_limit", "queue_depth_max", "queue_full_share"),
        ),
        *(
            Expectation(control, Kind.NEGATIVE, "never full", _had_room, ("queue_full_share", "queue_depth_max"))
            for control in (REFUSED, MISSING, IDLE)
        ),
    )

    def figures(self, evidence: Evidence) -> Figures:
        """Return how deep the queues were and how long the cgid socket's was full: depth = limit + 1."""
        q = self._samples(evidence)
        held = evidence.held(self.name, q.monotonic_ns) if q else None
        found = Figures()
        if q is None or held is None:
            return found
        there = (held.seconds > 0) & (q.cgid_depth != ABSENT) & (q.cgid_limit != ABSENT)
        if there.any():
            full = there & (q.cgid_depth > q.cgid_limit)  # listen(N) holds N + 1
            found = Figures(
                queue_limit=_most_frequent(q.cgid_limit[there]),
                queue_depth_max=int(q.cgid_depth[there].max()),
                queue_depth_mean=held.mean(np.where(there, q.cgid_depth, 0)),
                queue_full_share=held.share(full),
                queue_full_longest_ms=held.longest_s(full) * 1000,
            )
        there = (held.seconds > 0) & (q.tcp_depth != ABSENT) & (q.tcp_limit != ABSENT)
        if there.any():
            limit, deepest = _most_frequent(q.tcp_limit[there]), int(q.tcp_depth[there].max())
            found = replace(found, tcp_queue_limit=limit, tcp_queue_depth_max=deepest)
        return found

    def detail(self, evidence: Evidence) -> TrialDetail:
        """Return the depth of the cgid socket's queue over the window, and its limit."""
        q = self._samples(evidence)
        if q is None:
            return TrialDetail()
        limits = q.cgid_limit[evidence.inside(q.monotonic_ns)]
        limits = limits[limits != ABSENT]
        return TrialDetail(
            queue_depth=evidence.series(q.monotonic_ns, q.cgid_depth),
            queue_limit=int(np.median(limits)) if len(limits) else None,
        )

    def _samples(self, evidence: Evidence) -> Samples | None:
        data = evidence.data(self.name, FILE)
        return None if data is None else parse_listen_queue(data, where=evidence.where(FILE))


def _most_frequent(values: Ints) -> int:
    found, counts = np.unique(values, return_counts=True)
    return int(found[counts.argmax()])
