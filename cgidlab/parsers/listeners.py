"""Rows of `observe --all`: what a host says of each of its listening unix sockets."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Any

# Upper ends of the times that a host's helper counts; one more bucket is above the last.
WAITS_S = (1e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

_LARGEST = 2.0**63


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


def listener(raw: Mapping[str, Any], host: str) -> Listener:
    """Return one row. Raise KeyError, TypeError, ValueError or ArithmeticError where it is none."""
    length_s, mean = _size(raw["length_s"]), _size(raw["depth_mean"])
    connects, away, refused, other = (_whole(raw[k]) for k in ("connects", "turned_away", "refused", "failed_other"))
    taken = None if connects is None else connects - (away or 0) - (refused or 0) - (other or 0)
    waited = tuple(int(n) for n in raw.get("waited") or ())
    if len(waited) not in (0, len(WAITS_S) + 1):
        raise ValueError(f"times in the queue in {len(waited)} buckets")
    mean_ms = 1000 * mean * length_s / taken if taken and taken > 0 else None
    if sum(waited):
        mean_ms = _size(raw["waited_ns"]) / 1e6 / sum(waited)
    return Listener(
        host=host,
        path=str(raw["path"]),
        network=str(raw["network"]),
        program=str(raw["program"]),
        pid=_whole(raw["pid"]),
        limit=int(raw["limit"]),
        depth=int(raw["depth"]),
        depth_max=int(raw["depth_max"]),
        depth_mean=mean,
        full_share=min(1.0, _size(raw["full_s"]) / length_s) if length_s > 0 else 0.0,
        there=bool(raw["there"]),
        connects=connects,
        turned_away=away,
        refused=refused,
        failed_other=other,
        sleeping=_whole(raw["sleeping"]),
        sleeping_max=_whole(raw["sleeping_max"]),
        queue_wait_ms=mean_ms,
        queue_wait_p99_ms=_at_most_ms(waited, 0.99),
        wait_measured=sum(waited) > 0,
        waited=waited,
    )


def _at_most_ms(waited: Sequence[int], share: float) -> float | None:
    """Return what such a share of connections waited at most, by the buckets' ends."""
    if not sum(waited):
        return None
    so_far = list(accumulate(waited))
    ends_s = (*WAITS_S, math.inf)
    return next(1000 * end_s for end_s, number in zip(ends_s, so_far, strict=True) if number >= share * so_far[-1])


def _size(value: object) -> float:
    """Return a number that a clock or a counter can have shown."""
    found = float(str(value))
    if not 0 <= found <= _LARGEST:
        raise ValueError(f"{found:.3g} is no time and no number of anything")
    return found


def _whole(value: object) -> int | None:
    return None if value is None else int(str(value))
