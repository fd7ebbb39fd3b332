"""What an observation was asked to do, as the control machine writes it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Optional

from ..ending import BlockError


@dataclass(frozen=True)
class Order:
    """One observation of a host."""

    duration_s: Optional[float]  # None: until it is stopped, or until the first overflow
    until_full: bool
    around_s: float  # how much before and after the first overflow is kept with `until_full`
    cost_share: float  # of one core
    sockets: tuple[str, ...]  # empty: every instance's
    status_url: str  # empty: no request is sent
    error_logs: tuple[str, ...]
    lease_s: float
    every: bool = False  # all listening sockets of the host, a line each, and nothing in detail
    whole_requests: bool = False  # keep request lines and client addresses of sleeping workers as they are


def parse(text: str) -> Order:
    """Return the order in a JSON text; raise BlockError when it is none."""
    try:
        value: dict[str, Any] = json.loads(text)
        duration = value["duration_s"]
        return Order(
            duration_s=None if duration is None else float(duration),
            until_full=bool(value["until_full"]),
            around_s=float(value["around_s"]),
            cost_share=float(value["cost_share"]),
            sockets=tuple(str(s) for s in value["sockets"]),
            status_url=str(value["status_url"]),
            error_logs=tuple(str(path) for path in value["error_logs"]),
            lease_s=float(value["lease_s"]),
            every=bool(value["every"]),
            whole_requests=bool(value["whole_requests"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BlockError(f"this is no order of an observation: {error!r}") from error
