"""What is new since the latest finished run of an experiment: which one that is, and what is there now, in words."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cgidlab import rundir
from cgidlab.compare import Recorded, differing
from cgidlab.errors import StoreError
from cgidlab.model import Plan
from cgidlab.runs import store
from cgidlab.runs.store import RunDirectory

ASKED = "asked.json"


def latest_finished(runs: Path) -> RunDirectory | None:
    """Return the newest run of an experiment that came to its end with a provenance; None when there is none."""
    for path in sorted((p for p in runs.glob("*/plan.json") if not p.parent.is_symlink()), reverse=True):
        run = RunDirectory(path.parent.resolve())
        try:
            if run.read("state.json")["state"] == store.FINISHED and rundir.is_there(run.path / "provenance.json"):
                asked(run)
                return run
        except StoreError:
            continue  # torn, or of another version: nothing to compare with
    return None


def keep_asked(run: RunDirectory, plan: Plan) -> None:
    """Write down what was asked of a run that has an old build beside it: the next look compares with that."""
    run.write(ASKED, store.plan_json(replace(plan, trials=())))


def asked(run: RunDirectory) -> Recorded:
    """Return what a run wrote down of itself as the experiment asked for it, without the old build. As `of`."""
    found = of(run)
    return replace(found, plan=run.read(ASKED)) if is_beside(run) else found


def is_beside(run: RunDirectory) -> bool:
    """Say whether a run has an old build beside the new one."""
    return rundir.is_there(run.path / ASKED)


def old_build(before: Recorded, now: Recorded) -> tuple[tuple[str, str] | None, str]:
    """Return the source of httpd whose build changed with the key of the old one, or None and why none is to be had.

    The reason is empty where no build changed, and where an old one is among those of the run: it is beside the new
    one without our doing. One source has to have changed, from one build on all hosts.
    """
    used = now.used("httpd")
    changed: dict[str, set[str]] = {}
    there: set[str] = set()
    for host, said in now.hosts.items():
        builds = before.hosts.get(host, {}).get("httpd", {})
        for level, found in said.get("httpd", {}).items():
            if level in used:
                there.add(str(found.get("build_key")))
                old = builds.get(level, {}).get("build_key")
                if old and old != found.get("build_key"):
                    changed.setdefault(level, set()).add(str(old))
    if not changed or any(keys & there for keys in changed.values()):
        return None, ""
    if len(changed) > 1:
        return None, f"the builds of {' and '.join(sorted(changed))} changed at once"
    ((level, keys),) = changed.items()
    if len(keys) > 1:
        return None, "the hosts had different builds"
    return (level, keys.pop()), ""


def of(run: RunDirectory) -> Recorded:
    """Return what a run wrote down of itself. Raise `StoreError` when that cannot be read, or is not a run's."""
    return differing.recorded(run.read("plan.json"), run.read("provenance.json"), str(run.path))


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
