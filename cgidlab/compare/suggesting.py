"""One interleaved run in place of two: the part of an experiment file that asks the same."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from cgidlab.analysis.findings import Combination
from cgidlab.compare.differing import Difference
from cgidlab.compare.fields import Recorded


def suggestion(a: Recorded, b: Recorded, cells: Sequence[Combination], found: Sequence[Difference]) -> str:
    """Return the part of an experiment file that asks the same in one interleaved run; empty if none can.

    Settings that differ become factors; so does the version of httpd.
    """
    asked = {d.word: (_values(a, cells, d.word), _values(b, cells, d.word)) for d in found if _may_be_factor(d)}
    if "httpd" not in asked and any(d.field == "httpd_version" for d in found):
        asked["httpd"] = (_httpd_levels(a, cells), _httpd_levels(b, cells))
    factors = {name: list(dict.fromkeys((*one, *other))) for name, (one, other) in asked.items()}
    factors = {name: levels for name, levels in factors.items() if len(levels) > 1 and None not in levels}
    if not factors:
        return ""
    first = next(iter(factors))
    lines = ["factors:", *(f"  {name}: [{', '.join(map(_scalar, levels))}]" for name, levels in factors.items())]
    for name, levels in a.plan["factors"].items():
        kept = [lv for lv in levels if any((name, lv["label"]) in cell for cell in cells)]
        if name not in factors and kept:
            lines.append(f"  {name}: [{', '.join(map(_level, kept))}]")
    shares = a.plan["rule"]["smallest_effects"]
    limits = ", ".join(f"{response}: {share}" for response, share in shares.items())
    reference = _scalar(asked[first][0][0])
    return "\n".join(
        [*lines, "verdict:", f"  factor: {first}", f"  reference: {reference}", f"  smallest_effects: {{{limits}}}"]
    )


def _may_be_factor(difference: Difference) -> bool:
    return difference.field == "settings" and difference.decides


def _values(side: Recorded, cells: Sequence[Combination], name: str) -> list[Any]:
    by_levels = {frozenset(c["levels"].items()): c["settings"] for c in side.plan["cells"]}
    return list(dict.fromkeys(by_levels[frozenset(cell)].get(name) for cell in cells))


def _httpd_levels(side: Recorded, cells: Sequence[Combination]) -> list[Any]:
    """Return the sources of httpd with their versions spelt out: "distro" is another one each month."""
    versions = {
        label: found.get("version") for h in side.provenance["hosts"].values() for label, found in h["httpd"].items()
    }
    named = _values(side, cells, "httpd")
    return [f"distro:{versions[n]}" if n == "distro" and versions.get(n) else n for n in named]


def _scalar(value: Any) -> str:  # noqa: ANN401 -- a setting
    return json.dumps(value, ensure_ascii=False)  # JSON is YAML, and a quoted string is never taken for a number


def _level(level: Mapping[str, Any]) -> str:
    usual = str(level["value"]).lower() if isinstance(level["value"], bool) else str(level["value"])
    if level["label"] == usual:
        return _scalar(level["value"])
    return f"{{label: {_scalar(level['label'])}, value: {_scalar(level['value'])}}}"
