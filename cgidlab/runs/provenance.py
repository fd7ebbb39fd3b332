"""What a run ran on and with: `provenance.json`."""

import hashlib
import platform
import subprocess
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cgidlab import __version__
from cgidlab.errors import StoreError
from cgidlab.model import Experiment, Plan
from cgidlab.parsers.host_report import HostReport
from cgidlab.runs.store import RunDirectory

_PACKAGES = ("ansible-core", "ansible-runner", "jinja2", "numpy", "polars", "pydantic", "scipy")


def of(run: RunDirectory) -> dict[str, Any]:
    """Return what a run wrote down of itself; nothing for one that was ended before, or when that is damaged."""
    try:
        return run.read("provenance.json")
    except StoreError:
        return {}


def collect(root: Path, plan: Plan, hosts: Iterable[HostReport]) -> dict[str, Any]:
    """Return what is worth knowing of a run's environment before its first trial."""
    return {
        **code(root),
        "experiment_sha256": experiment_sha256(plan.experiment),
        "hosts": {
            h.host: {
                "facts": h.raw["facts"],
                "httpd": {
                    name: {k: v for k, v in found.items() if k != "configure"} for name, found in h.raw["httpd"].items()
                },
                "scripts": h.raw["scripts"],
                **({"requests": lists} if (lists := h.raw.get("requests")) else {}),
                "tools": h.raw["tools"],
            }
            for h in hosts
        },
    }


def experiment_sha256(experiment: Experiment) -> str:
    """Return the SHA-256 of an experiment's file."""
    return hashlib.sha256(experiment.source.encode()).hexdigest()


def code(root: Path) -> dict[str, Any]:
    """Return what the program itself is, and what it runs with on the control machine."""
    return {
        "cgidlab": __version__,
        "git": _git(root),
        "roles_sha256": tree_sha256(root / "roles"),
        "playbooks_sha256": tree_sha256(root / "playbooks"),
        "measuring_sha256": _measuring_sha256(root),
        "control": {
            "python": platform.python_version(),
            "kernel": platform.release(),
            "packages": {name: version(name) for name in _PACKAGES},
        },
    }


def _measuring_sha256(root: Path) -> str:
    """Return one SHA-256 over the code that observes trials and makes figures of what was observed."""
    code = Path(__file__).parent.parent
    parts = (
        *(code / name for name in ("drivers", "instruments", "measure", "parsers")),
        root / "roles/trial/files",
        root / "roles/load",
        root / "roles/instruments",
    )
    return hashlib.sha256("".join(tree_sha256(part) for part in parts).encode()).hexdigest()


def tree_sha256(directory: Path) -> str:
    """Return one SHA-256 over names and contents of all files below a directory."""
    digest = hashlib.sha256()
    for path in sorted(directory.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(directory)}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _git(root: Path) -> dict[str, Any]:
    """Return commit and whether the tree differs from it; empty where there is no git or no checkout."""
    try:
        commit = _output("git", "-C", str(root), "rev-parse", "HEAD")
        changed = _output("git", "-C", str(root), "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return {}
    return {"commit": commit, "changed": bool(changed)}


def _output(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()
