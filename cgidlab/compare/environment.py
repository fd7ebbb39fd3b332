"""What differs around two runs, and what of it bars a comparison: the only module that knows the fields."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cgidlab.analysis.findings import Combination
from cgidlab.design import catalogue
from cgidlab.errors import SpecError
from cgidlab.model import Scalar

NOT_RECORDED = "not recorded"

_CHECKED = ("cpu_model", "cpus", "kernel", "httpd_version", "load_generator", "measuring_sha256")
_FETCHING = frozenset({"mirror", "refresh"})  # settings of how a source is fetched, not of what is measured
_IMPLIED = {"httpd": ("httpd_version",)}  # who names the source of httpd means its version too
_FACTS = (
    "cpu_model",
    "cpus",
    "kernel",
    "architecture",
    "memory_mb",
    "distribution",
    "distribution_version",
    "virtualization",
    "clocksource",
    "machine_id_sha256",
)


@dataclass(frozen=True, slots=True)
class Difference:
    """A field whose value is not the same in both runs."""

    field: str
    a: str
    b: str
    checked: bool  # makes a comparison meaningless unless the user names it
    setting: bool  # a setting of trials, so that it can be a factor


@dataclass(frozen=True, slots=True)
class Side:
    """One of the runs: its plan.json and provenance.json, as they were read."""

    plan: Mapping[str, Any]
    provenance: Mapping[str, Any]

    def settings(self, cell: Combination) -> Mapping[str, Scalar]:
        """Return every setting of a cell."""
        wanted = frozenset(cell)
        found: Mapping[str, Scalar] = next(
            c["settings"] for c in self.plan["cells"] if frozenset(c["levels"].items()) == wanted
        )
        return found

    def fields(self) -> dict[str, str]:
        """Return what is known around the run beside the settings, as text; several values are joined."""
        p = self.provenance
        hosts = list(p.get("hosts", {}).values())
        httpds = [found for h in hosts for found in h.get("httpd", {}).values()]
        drivers = {str(c["settings"].get("driver")) for c in self.plan["cells"]}
        tools = {name: str(t.get("version")) for h in hosts for name, t in h.get("tools", {}).items()}
        control = p.get("control", {})
        return {
            **{name: _joined(h["facts"].get(name) for h in hosts) for name in _FACTS},
            "httpd_version": _joined(found.get("version") for found in httpds),
            "httpd_source": _joined(found.get("source") for found in httpds),
            "httpd_build_key": _joined(found.get("build_key") for found in httpds),
            "compiler_version": _joined(found.get("compiler") for found in httpds),
            "load_generator": _joined(f"{name} {tools.get(name, NOT_RECORDED)}" for name in sorted(drivers)),
            **{f"{name}_version": version for name, version in tools.items() if name not in drivers},
            "scripts_sha256": _joined(s.get("sha256") for h in hosts for s in h.get("scripts", {}).values()),
            "measuring_sha256": _joined([p.get("measuring_sha256")]),
            "roles_sha256": _joined([p.get("roles_sha256")]),
            "playbooks_sha256": _joined([p.get("playbooks_sha256")]),
            "cgidlab_version": _joined([p.get("cgidlab")]),
            "commit": _joined([p.get("git", {}).get("commit")]),
            "ansible_core": _joined([control.get("packages", {}).get("ansible-core")]),
            "python": _joined([control.get("python")]),
            "target": _joined([self.plan.get("target")]),
            "seed": _joined([self.plan.get("seed")]),
            "rule": json.dumps(self.plan.get("rule"), sort_keys=True),
        }


def _joined(values: Any) -> str:  # noqa: ANN401 -- an iterable of whatever JSON can hold
    known = dict.fromkeys(NOT_RECORDED if v is None else str(v) for v in values)
    return ", ".join(known) or NOT_RECORDED


def differences(a: Side, b: Side, cells: Sequence[Combination]) -> tuple[Difference, ...]:
    """Return every field that differs, settings of the given cells first. What one run did not record differs."""
    found = []
    pairs = [(a.settings(cell), b.settings(cell)) for cell in cells]
    for name in dict.fromkeys(n for pair in pairs for settings in pair for n in settings):
        if any(x.get(name) != y.get(name) for x, y in pairs):
            values = (_joined(x.get(name) for x, _ in pairs), _joined(y.get(name) for _, y in pairs))
            found.append(Difference(name, *values, checked=name not in _FETCHING, setting=True))
    ours, theirs = a.fields(), b.fields()
    for name in dict.fromkeys((*ours, *theirs)):
        one, other = ours.get(name, NOT_RECORDED), theirs.get(name, NOT_RECORDED)
        if one != other:
            found.append(Difference(name, one, other, checked=name in _CHECKED, setting=False))
    return tuple(found)


def refuse(found: Sequence[Difference], across: Collection[str], known: Collection[str]) -> None:
    """Raise `SpecError` for a checked field that differs and is not named in `across`.

    `known` are the fields of both runs: a word in `across` that is none of them is refused too.
    """
    for name in across:
        if name not in known:
            raise catalogue.unknown("no field is called", name, known, f"--across {name}")
    named = {*across, *(more for name in across for more in _IMPLIED.get(name, ()))}
    barred = [d for d in found if d.checked and d.field not in named]
    if barred:
        what = "; ".join(f"{d.field}: {_short(d.a)} and {_short(d.b)}" for d in barred)
        words = " ".join(dict.fromkeys((*across, *(d.field for d in barred))))
        raise SpecError(
            f"the runs differ in more than what is asked for ({what}), so a ratio would not say what changed",
            where="RUN_A, RUN_B",
            fix=f"if that is what you compare, name it: --across {words}",
        )


def known_fields(a: Side, b: Side, cells: Sequence[Combination]) -> frozenset[str]:
    """Return every field that `--across` may name."""
    settings = (n for side in (a, b) for cell in cells for n in side.settings(cell))
    return frozenset((*settings, *a.fields(), *b.fields()))


def _short(value: str, length: int = 40) -> str:
    return value if len(value) <= length else value[: length - 3] + "..."


def suggestion(a: Side, b: Side, cells: Sequence[Combination], found: Sequence[Difference]) -> str:
    """Return the part of an experiment file that asks the same in one interleaved run; empty if none can.

    Settings that differ become factors; so does the version of httpd.
    """
    asked = {d.field: (_values(a, cells, d.field), _values(b, cells, d.field)) for d in found if _may_be_factor(d)}
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
    return difference.setting and difference.checked


def _values(side: Side, cells: Sequence[Combination], name: str) -> list[Any]:
    return list(dict.fromkeys(side.settings(cell).get(name) for cell in cells))


def _httpd_levels(side: Side, cells: Sequence[Combination]) -> list[Any]:
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
