"""What provisioning found and built on a host: `hosts/<host>.json`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgidlab.errors import StoreError


@dataclass(frozen=True, slots=True)
class Variant:
    """One compiled mod_cgid."""

    settings: Mapping[str, Any]  # of roles/cgid, with which it was compiled
    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Httpd:
    """One built httpd and its variants of mod_cgid."""

    binary: str
    modules_dir: str
    version: str
    source: str
    source_sha256: str
    build_key: str
    skipped: tuple[tuple[str, str], ...]  # version and why it was not taken
    variants: tuple[Variant, ...]
    unconfined: str = ""  # why its source was built with a network and a view of the host; empty: it was not

    def variant(self, wanted: Mapping[str, Any]) -> Variant:
        """Return the variant compiled with these; `KeyError` if provisioning did not build it."""
        for found in self.variants:
            if found.settings == wanted:
                return found
        raise KeyError(str(wanted))


@dataclass(frozen=True, slots=True)
class HostReport:
    """All that a run needs to know of one host."""

    host: str
    python: str
    become: bool
    work_dir: str
    helper: str
    httpd: Mapping[str, Httpd]  # by the level of the factor httpd
    scripts_dir: str
    tools: Mapping[str, str | None]  # path of each program, None where it is not to be had
    raw: Mapping[str, Any]  # the whole file, for provenance
    address: str = ""  # where other machines find it


@dataclass(frozen=True, slots=True)
class GeneratorReport:
    """All that a run needs to know of a host that makes load for others."""

    host: str
    python: str
    become: bool
    work_dir: str
    helper: str
    tools: Mapping[str, str | None]
    address: str  # from which its requests come
    raw: Mapping[str, Any]


def read(path: Path) -> HostReport:
    """Return the report in `path`. Raise `StoreError` if it is missing, torn or of another schema."""
    try:
        raw = json.loads(path.read_text())
        if raw["schema_version"] != 1:
            raise StoreError(f"schema_version {raw['schema_version']} is not known here", where=str(path))
        return HostReport(
            host=raw["host"],
            python=raw["python"],
            become=raw["become"],
            work_dir=raw["dirs"]["work"],
            helper=raw["helper"],
            httpd={name: _httpd(found) for name, found in raw["httpd"].items()},
            scripts_dir=raw["scripts_dir"],
            tools={name: tool["path"] for name, tool in raw["tools"].items()},
            raw=raw,
            address=raw.get("address", ""),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as err:
        raise StoreError(f"not a host report: {err!r}", where=str(path), fix="provision the host again") from err


def read_generator(path: Path) -> GeneratorReport:
    """Return the report of a generator in `path`. Raise `StoreError` as `read` does."""
    try:
        raw = json.loads(path.read_text())
        if raw["schema_version"] != 1:
            raise StoreError(f"schema_version {raw['schema_version']} is not known here", where=str(path))
        return GeneratorReport(
            host=raw["host"],
            python=raw["python"],
            become=raw["become"],
            work_dir=raw["dirs"]["work"],
            helper=raw["helper"],
            tools={name: tool["path"] for name, tool in raw["tools"].items()},
            address=raw["address"],
            raw=raw,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as err:
        raise StoreError(f"not a generator's report: {err!r}", where=str(path), fix="provision it again") from err


def _httpd(raw: Mapping[str, Any]) -> Httpd:
    return Httpd(
        binary=raw["binary"],
        modules_dir=raw["modules_dir"],
        version=raw["version"],
        source=raw["source"],
        source_sha256=raw["source_sha256"],
        build_key=raw["build_key"],
        skipped=tuple((s["version"], s["reason"]) for s in raw["skipped"]),
        variants=tuple(
            Variant({k: value for k, value in v.items() if k not in ("path", "sha256")}, v["path"], v["sha256"])
            for v in raw["variants"]
        ),
        unconfined=str(raw.get("unconfined", "")),
    )
