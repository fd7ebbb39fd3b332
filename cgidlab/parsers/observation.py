"""`observation.json`: what the helper says of a host that it watched, beside the archives of its sockets."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgidlab.errors import StoreError
from cgidlab.model import SCHEMA_VERSION
from cgidlab.parsers.listeners import Listener, listener


@dataclass(frozen=True, slots=True)
class SeenTarget:
    """One socket, or one httpd without one, as the host tells it."""

    label: str  # the same after a restart of the server
    archive: str  # name of its archive
    pid: int | None
    raw: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Observation:
    """One host's observation."""

    host: str
    ended: str  # duration, full, stopped or nothing
    length_s: float
    targets: tuple[SeenTarget, ...]
    notes: tuple[str, ...]  # what could not be seen of the host
    listeners: tuple[str, ...]  # all unix sockets that could have been named
    every: tuple[Listener, ...]  # of `--all`, else none
    cost: Mapping[str, float | None]  # cpu_share, cpu_s, set_up_cpu_s, packing_cpu_s, limit
    raw: Mapping[str, Any]


def read(path: Path, host: str) -> Observation:
    """Return a host's `observation.json`. Raise `StoreError` when it is not one."""
    try:
        value = json.loads(path.read_bytes())
        if value["schema_version"] != SCHEMA_VERSION:
            raise StoreError(f"schema_version is {value['schema_version']!r}", where=str(path))
        return Observation(
            host=host,
            ended=str(value["ended"]),
            length_s=(int(value["end_ns"]) - int(value["begin_ns"])) / 1e9,
            targets=tuple(
                SeenTarget(str(t["label"]), Path(str(t["archive"])).name, _whole(t["pid"]), t) for t in value["targets"]
            ),
            notes=tuple(str(n) for n in value["notes"]),
            listeners=tuple(str(p) for p in value["listeners"]),
            every=tuple(listener(row, host) for row in value.get("every", [])),
            cost={str(k): None if v is None else float(v) for k, v in value["cost"].items()},
            raw=value,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
        raise StoreError(f"not what an observation holds: {err!r}", where=str(path)) from err


def _whole(value: object) -> int | None:
    return None if value is None else int(str(value))
