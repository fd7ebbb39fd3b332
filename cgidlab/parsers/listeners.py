"""Rows of `observe --all`: what a host says of each of its listening unix sockets."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Any

from cgidlab.parsers.document import Count, Size, ToldKind

# Upper ends of the times that a host's helper counts; one more bucket is above the last.
WAITS_S = (1e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class ToldListener:
    """One row as a host says it."""

    path: str
    network: str
    program: str
    pid: Count | None
    limit: Count
    depth: Count
    depth_max: Count
    depth_mean: Size
    full_s: Size
    length_s: Size
    there: bool
    connects: Count | None
    turned_away: Count | None
    refused: Count | None
    failed_other: Count | None
    sleeping: Count | None
    sleeping_max: Count | None
    waited_ns: Count = 0
    waited: tuple[Count, ...] = ()

    def __post_init__(self) -> None:
        """Refuse times in the queue that are not by `WAITS_S`."""
        if len(self.waited) not in (0, len(WAITS_S) + 1):
            raise ValueError(f"has times in the queue in {len(self.waited)} buckets")


TOLD = ToldKind(ToldListener)


@dataclass(frozen=True, slots=True)
class Listener:
    """One listening unix stream socket over the window. None: not seen."""

    host: str
    path: str  # "@NAME" is an abstract one, "" one without a name
    network: str  # name of its network namespace
    program: str
    pid: int | None
    limit: int
    depth: int  # at the last sample
    depth_max: int
    depth_mean: float
    full_share: float
    there: bool  # at the last sample
    connects: int | None  # to its path
    turned_away: int | None
    refused: int | None
    failed_other: int | None
    sleeping: int | None  # threads in connect() for longer than a millisecond, at the last look
    sleeping_max: int | None
    queue_wait_ms: float | None  # mean time in the queue
    queue_wait_p99_ms: float | None  # at most: the upper end of its histogram's bucket; inf above the last
    wait_measured: bool  # False: an estimate by Little's law, without p99
    waited: tuple[int, ...]  # connections by `WAITS_S`

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it: `queue_wait_p99_ms` is null above the last bucket, which `waited` tells."""
        p99 = self.queue_wait_p99_ms
        return {**asdict(self), "queue_wait_p99_ms": None if p99 == math.inf else p99}

    @property
    def trouble(self) -> tuple[float, ...]:
        """Return what sorts the worst first: who was kept out, how long it was full, how full it was."""
        kept_out = -float(self.turned_away or 0), -float(self.refused or 0)
        fill = self.depth_max / max(1, self.limit)
        return (*kept_out, -self.full_share, -float(self.sleeping_max or 0), -fill, -float(self.connects or 0))


def listener(row: ToldListener, host: str) -> Listener:
    """Return what a host's row comes to."""
    taken = None
    if row.connects is not None:
        taken = row.connects - (row.turned_away or 0) - (row.refused or 0) - (row.failed_other or 0)
    mean_ms = 1000 * row.depth_mean * row.length_s / taken if taken and taken > 0 else None
    if sum(row.waited):
        mean_ms = row.waited_ns / 1e6 / sum(row.waited)
    return Listener(
        host=host,
        path=row.path,
        network=row.network,
        program=row.program,
        pid=row.pid,
        limit=row.limit,
        depth=row.depth,
        depth_max=row.depth_max,
        depth_mean=row.depth_mean,
        full_share=min(1.0, row.full_s / row.length_s) if row.length_s > 0 else 0.0,
        there=row.there,
        connects=row.connects,
        turned_away=row.turned_away,
        refused=row.refused,
        failed_other=row.failed_other,
        sleeping=row.sleeping,
        sleeping_max=row.sleeping_max,
        queue_wait_ms=mean_ms,
        queue_wait_p99_ms=_at_most_ms(row.waited, 0.99),
        wait_measured=sum(row.waited) > 0,
        waited=row.waited,
    )


def _at_most_ms(waited: Sequence[int], share: float) -> float | None:
    """Return what such a share of connections waited at most, by the buckets' ends."""
    if not sum(waited):
        return None
    so_far = list(accumulate(waited))
    ends_s = (*WAITS_S, math.inf)
    return next(1000 * end_s for end_s, number in zip(ends_s, so_far, strict=True) if number >= share * so_far[-1])
