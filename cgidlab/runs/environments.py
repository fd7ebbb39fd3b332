"""What a trial's result depends on beside its settings: the only module that knows those fields, and when they differ.

Together with the resolved settings this is the key of a trial. Trials of one run
have to agree in it, also when the run is continued weeks later.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgidlab.model import Cell, Plan
from cgidlab.parsers.host_report import HostReport
from cgidlab.runs.provenance import tree_sha256

_CODE = Path(__file__).parent.parent
_SHORT = 60

CODE_FIELDS = ("roles", "playbooks", "figures")
HOST_FIELDS = ("build", "load_generator", "host")
FIELDS = ("experiment", "settings", *CODE_FIELDS, *HOST_FIELDS, "provenance")


@dataclass(frozen=True, slots=True)
class Difference:
    """A field of the key that is not what it was when the run began."""

    field: str  # one of FIELDS: what --accept-changed names
    what: str  # more exactly
    before: str
    now: str

    def __str__(self) -> str:
        """Return one line for people."""
        return f"{self.what}: {_short(self.before)}, now {_short(self.now)}"


def of_code(root: Path) -> dict[str, Any]:
    """Return the fields that the project's own files decide, by CODE_FIELDS."""
    return {
        "roles": tree_sha256(root / "roles"),
        "playbooks": tree_sha256(root / "playbooks"),
        # The roles observe; this makes figures of what was observed.
        "figures": hashlib.sha256(
            (tree_sha256(_CODE / "measure") + tree_sha256(_CODE / "parsers")).encode()
        ).hexdigest(),
    }


def of_host(host: HostReport, plan: Plan) -> dict[str, Any]:
    """Return the fields that a host decides, by HOST_FIELDS. Only what the plan's cells use is in them."""
    facts = host.raw["facts"]
    settings = [cell.settings for cell in plan.cells]
    builds: dict[str, Any] = {}
    for s in settings:
        name = str(s["httpd"])
        if name not in host.httpd:
            continue
        entry = builds.setdefault(name, {"build_key": host.httpd[name].build_key, "mod_cgid": {}})
        entry["mod_cgid"] |= {
            "/".join(str(value) for name, value in s.items() if name in v.settings): v.sha256
            for v in host.httpd[name].variants
            if v.settings.items() <= s.items()
        }
    drivers = sorted({str(s["driver"]) for s in settings})
    tools = host.raw["tools"]
    return {
        "build": builds,
        "load_generator": {name: tools.get(name, {}).get("version") for name in drivers},
        "host": {name: facts.get(name) for name in ("machine_id_sha256", "kernel", "cpu_model")},
    }


def identity(code: Mapping[str, Any], host: Mapping[str, Any]) -> str:
    """Return a short name of an environment: equal exactly when all its fields are."""
    return hashlib.sha256(json.dumps({**code, **host}, sort_keys=True).encode()).hexdigest()[:16]


def differing(before: Mapping[str, Any], now: Mapping[str, Any], fields: Iterable[str]) -> list[Difference]:
    """Return each field that differs; of a nested one, the leaf."""
    return [
        Difference(field, what, old, new)
        for field in fields
        for what, old, new in _leaves(field, before.get(field), now.get(field))
    ]


def _leaves(name: str, before: Any, now: Any) -> list[tuple[str, str, str]]:  # noqa: ANN401 -- whatever JSON can hold
    if before == now:
        return []
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        keys = dict.fromkeys((*before, *now))
        return [leaf for key in keys for leaf in _leaves(f"{name} {key}", before.get(key), now.get(key))]
    return [(name, _text(before), _text(now))]


def settings_differing(before: Sequence[Mapping[str, Any]], now: Sequence[Cell]) -> list[Difference]:
    """Return each setting that cells of plan.json have with another value than the same cells have now."""
    old = {cell["id"]: cell["settings"] for cell in before}
    new = {cell.id: dict(cell.settings) for cell in now}
    found = [
        Difference(
            "settings",
            f"cells {word}",
            ", ".join(sorted(some)) or "none",
            "they are not" if word == "gone" else "they are",
        )
        for word, some in (("gone", old.keys() - new.keys()), ("new", new.keys() - old.keys()))
        if some
    ]
    seen: dict[tuple[str, str, str], Difference] = {}
    for cell in old.keys() & new.keys():
        for what, a, b in _leaves("settings", old[cell], new[cell]):
            seen[what, a, b] = Difference("settings", what, a, b)
    return [*found, *(seen[key] for key in sorted(seen))]


def _text(value: Any) -> str:  # noqa: ANN401 -- same
    return "not there" if value is None else str(value)


def _short(text: str) -> str:
    is_hash = len(text) == hashlib.sha256().digest_size * 2 and all(c in "0123456789abcdef" for c in text)
    if is_hash:
        return text[:12]
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}..."
