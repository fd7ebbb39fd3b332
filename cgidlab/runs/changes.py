"""What differs between two runs of an experiment: httpd, kernel, roles, file. Alone knows what of it counts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgidlab import rundir
from cgidlab.errors import StoreError
from cgidlab.runs import store
from cgidlab.runs.store import RunDirectory

# The rest of a plan follows from these.
_ASKED = ("target", "settings", "factors", "exclude", "repetitions", "instruments", "rule", "noise")
_BUILT_FROM = (("source", "source"), ("source_sha256", "source's content"), ("compiler", "compiler"))


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is not as it was."""

    what: str  # "kernel of local"
    before: str
    now: str

    def __str__(self) -> str:
        """Return the change in words."""
        return f"{self.what}: {self.before} -> {self.now}" if self.before or self.now else self.what


def latest_finished(runs: Path) -> RunDirectory | None:
    """Return the newest run of an experiment that came to its end with a provenance; None when there is none."""
    for path in sorted((p for p in runs.glob("*/plan.json") if not p.parent.is_symlink()), reverse=True):
        run = RunDirectory(path.parent.resolve())
        try:
            if run.read("state.json")["state"] == store.FINISHED and rundir.is_there(run.path / "provenance.json"):
                return run
        except StoreError:
            continue  # torn, or of another version: nothing to compare with
    return None


Run = tuple[Mapping[str, Any], Mapping[str, Any]]
"""plan.json and provenance.json of a run, as they were read."""


def between(before: Run, now: Run) -> tuple[Change, ...]:
    """Return what differs between two runs of one experiment in httpd, kernel, roles and file."""
    return tuple(_between(before, now))


def _between(before: Run, now: Run) -> Iterator[Change]:
    (plan_a, a), (plan_b, b) = before, now
    if a.get("experiment_sha256") != b.get("experiment_sha256"):
        yield Change("the experiment file", "", "")
    elif any(plan_a.get(key) != plan_b.get(key) for key in _ASKED):
        yield Change("what the command line set (--set, --only, --target)", "", "")
    for key, what in (("roles_sha256", "the roles"), ("playbooks_sha256", "the playbooks")):
        if a.get(key) != b.get(key):
            yield Change(what, "", "")
    if a.get("measuring_sha256") != b.get("measuring_sha256") and a.get("roles_sha256") == b.get("roles_sha256"):
        yield Change("the code that measures", "", "")
    hosts_a, hosts_b = a.get("hosts", {}), b.get("hosts", {})
    if sorted(hosts_a) != sorted(hosts_b):
        yield Change("hosts", ", ".join(sorted(hosts_a)), ", ".join(sorted(hosts_b)))
    for name in sorted(set(hosts_a) & set(hosts_b)):
        one, other = hosts_a[name], hosts_b[name]
        kernels = [str(h.get("facts", {}).get("kernel", "not recorded")) for h in (one, other)]
        if kernels[0] != kernels[1]:
            yield Change(f"kernel of {name}", *kernels)
        yield from _httpds(name, one.get("httpd", {}), other.get("httpd", {}))


def _httpds(host: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Change]:
    for level in sorted(set(before) & set(now)):  # levels that came or went are in the file
        one, other = before[level], now[level]
        if one.get("build_key") == other.get("build_key"):
            continue
        what = f"httpd {level} on {host}"
        if one.get("version") != other.get("version"):
            yield Change(what, str(one.get("version")), str(other.get("version")))
            continue
        differs = [(n, words) for n, words in _BUILT_FROM if one.get(n) != other.get(n)]
        name, words = differs[0] if differs else ("build_key", "build, by libraries or flags")
        yield Change(f"{what}, {words}", str(one.get(name)), str(other.get(name)))


def describe(provenance_json: Mapping[str, Any]) -> str:
    """Return the httpd versions and kernels of a run in one clause."""
    parts = []
    for name, host in provenance_json.get("hosts", {}).items():
        versions = ", ".join(_version(level, found) for level, found in host.get("httpd", {}).items())
        parts.append(f"{name}: httpd {versions}; kernel {host.get('facts', {}).get('kernel', 'not recorded')}")
    return "; ".join(parts)


def _version(level: str, found: Mapping[str, Any]) -> str:
    version = str(found.get("version", "not recorded"))
    return version if version in level else f"{version} ({level})"
