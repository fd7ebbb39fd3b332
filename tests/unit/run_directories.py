"""Run directories made without a host: trials as they come home, for tests of what is done with them afterwards."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

from cgidlab.design import catalogue, plan, spec, strict_yaml
from cgidlab.model import NoisePolicy, Outcome, Plan, Trial
from cgidlab.runs import harvest, records, store

ROOT = Path(__file__).parents[2]
CATALOGUE = catalogue.load(ROOT / "roles")
EXPERIMENT = """\
schema_version: 1
name: small
question: What is left of a run?
factors: {listen_backlog: [5, 1024]}
settings: {workers: 50, threads_per_child: 25}
warmup_s: 0.5
window_s: 2.0
repetitions: 3
noise: ignore
verdict: {factor: listen_backlog, reference: 1024}
"""


def file(directory: Path, text: str = EXPERIMENT) -> Path:
    """Write an experiment file and return its path."""
    path = directory / "small.yml"
    path.write_text(text)
    return path


def planned(directory: Path, text: str = EXPERIMENT) -> Plan:
    """Return the plan of an experiment file."""
    return plan.make(spec.build(strict_yaml.read(file(directory, text)), CATALOGUE), CATALOGUE)


def archive(path: Path, trial: Trial, *, ended: str = "complete", kind: str | None = None, reason: str = "") -> Path:
    """Write what a host sends of a trial that ended before its window, whole or not."""
    result = {
        "schema_version": 1,
        "key": trial.key,
        "ended": ended,
        "reason": reason,
        "kind": kind,
        "clock": {"realtime_ns": 1_000_000_000_000, "monotonic_ns": 1_000_000},
        "phases": [{"name": "start", "begin_ns": 1_000_000, "end_ns": 3_000_000}],
        "server": {"httpd_pid": 1, "version": "Apache/2.4.68 (Unix)"},
        "instruments": {},
    }
    files = {"result.json": json.dumps(result).encode(), "httpd.conf": b"Listen 8080\n", "logs/error_log": b"one\n"}
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items())
    with tarfile.open(path, "w:gz") as tar:
        for name, data in {"SHA256SUMS": sums.encode(), **files}.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def keep(
    run: store.RunDirectory, packed: Path, trial: Trial, *, environment: str = "env", outcome: Outcome | None = None
) -> Path:
    """Keep a trial as a block does, and return its directory."""
    directory = run.trials / trial.directory
    harvest.unpack(packed, directory, store.trial_json(trial, "local", environment))
    judged = records.judge(directory, trial.key, NoisePolicy(None, None, 0))
    store.write_outcome(directory, outcome or judged)
    return directory
