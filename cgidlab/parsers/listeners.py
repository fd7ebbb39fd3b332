"""Rows of `observe --all`: what a host says of each of its listening unix sockets."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


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
    queue_wait_ms: float | None  # by Little's law: an estimate

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)

    @property
    def trouble(self) -> tuple[float, ...]:
        """Return what sorts the worst first: who was kept out, how long it was full, how full it was."""
        kept_out = -float(self.turned_away or 0), -float(self.refused or 0)
        fill = self.depth_max / max(1, self.limit)
        return (*kept_out, -self.full_share, -float(self.sleeping_max or 0), -fill, -float(self.connects or 0))


def listener(raw: Mapping[str, Any], host: str) -> Listener:
    """Return one row. Raise KeyError, TypeError or ValueError where it is none."""
    length_s, mean = float(raw["length_s"]), float(raw["depth_mean"])
    connects, away, refused, other = (_whole(raw[k]) for k in ("connects", "turned_away", "refused", "failed_other"))
    taken = None if connects is None else connects - (away or 0) - (refused or 0) - (other or 0)
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
        full_share=min(1.0, float(raw["full_s"]) / length_s) if length_s > 0 else 0.0,
        there=bool(raw["there"]),
        connects=connects,
        turned_away=away,
        refused=refused,
        failed_other=other,
        sleeping=_whole(raw["sleeping"]),
        sleeping_max=_whole(raw["sleeping_max"]),
        queue_wait_ms=1000 * mean * length_s / taken if taken and taken > 0 else None,
    )


def _whole(value: object) -> int | None:
    return None if value is None else int(str(value))
