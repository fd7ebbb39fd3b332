"""`snapshots/<host>.begin.json` and `.end.json`: how a host was, as its helper says it (docs/results.md)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgidlab.errors import StoreError
from cgidlab.model import SCHEMA_VERSION
from cgidlab.numeric_lines import read

_LARGEST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Process:
    """A process; `run` is the directory of the block it belongs to, "cache" if only its program says so, or empty."""

    pid: int
    start_ticks: int
    parent: int
    uid: int
    name: str
    run: str


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening socket."""

    protocol: str
    address: str
    pid: int | None  # None: of a process that cannot be seen


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One host at one moment."""

    boot_id: str
    taken_s: float
    work_dir: str
    sysctls: Mapping[str, str]
    processes: tuple[Process, ...]
    listeners: tuple[Listener, ...]
    mounts: frozenset[tuple[str, str, str]]  # point, type, source
    services: Mapping[str, str]
    files: Mapping[str, str]  # path to the directory of the block it belongs to, or ""
    bpf_programs: Mapping[int, str]


def read_snapshot(path: Path) -> Snapshot:
    """Return the snapshot in `path`. Raise `StoreError` if it is missing or not what a helper writes."""
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise StoreError("the snapshot is too large to be one", where=str(path))
    except OSError as err:
        raise StoreError(f"the file cannot be read: {err.strerror}", where=str(path)) from err
    return parse_snapshot(read(path), where=str(path))


def parse_snapshot(data: bytes, *, where: str) -> Snapshot:
    """Return a snapshot from its bytes; as `read_snapshot`."""
    try:
        raw = json.loads(data)
        if raw["schema_version"] != SCHEMA_VERSION:
            raise StoreError(f"schema_version is {raw['schema_version']!r}", where=where)
        return Snapshot(
            boot_id=_text(raw["boot_id"]),
            taken_s=float(raw["taken_s"]),
            work_dir=_text(raw["work_dir"]),
            sysctls=_texts(raw["sysctls"]),
            processes=tuple(_process(p) for p in raw["processes"]),
            listeners=tuple(
                Listener(_text(e["protocol"]), _text(e["address"]), None if e["pid"] is None else int(e["pid"]))
                for e in raw["listeners"]
            ),
            mounts=frozenset((_text(m["point"]), _text(m["type"]), _text(m["source"])) for m in raw["mounts"]),
            services=_texts(raw["services"]),
            files={_text(f["path"]): _text(f["run"]) for f in raw["files"]},
            bpf_programs={int(p["id"]): _text(p["name"]) for p in raw["bpf_programs"]},
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as err:
        raise StoreError(f"not a snapshot of a host: {err!r:.200}", where=where) from err


def _process(raw: Mapping[str, Any]) -> Process:
    return Process(
        int(raw["pid"]),
        int(raw["start_ticks"]),
        int(raw["parent"]),
        int(raw["uid"]),
        _text(raw["name"]),
        _text(raw["run"]),
    )


def _texts(raw: Mapping[str, Any]) -> dict[str, str]:
    return {_text(name): _text(value) for name, value in raw.items()}


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.60} is not text")
    return value
