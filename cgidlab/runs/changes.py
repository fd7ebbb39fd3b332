"""What is new since the latest finished run of an experiment: which one that is, and what is there now, in words."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cgidlab import rundir
from cgidlab.compare import Recorded, differing
from cgidlab.errors import StoreError
from cgidlab.runs import store
from cgidlab.runs.store import RunDirectory


def latest_finished(runs: Path) -> RunDirectory | None:
    """Return the newest run of an experiment that came to its end with a provenance; None when there is none."""
    for path in sorted((p for p in runs.glob("*/plan.json") if not p.parent.is_symlink()), reverse=True):
        run = RunDirectory(path.parent.resolve())
        try:
            if run.read("state.json")["state"] == store.FINISHED and rundir.is_there(run.path / "provenance.json"):
                of(run)
                return run
        except StoreError:
            continue  # torn, or of another version: nothing to compare with
    return None


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
