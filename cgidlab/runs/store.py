"""The run directory: what lies where, and how it is read back. docs/results.md describes it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cgidlab import files, processes
from cgidlab.errors import StoreError
from cgidlab.model import (
    SCHEMA_VERSION,
    Experiment,
    Factor,
    FailureKind,
    Level,
    NoisePolicy,
    Outcome,
    Plan,
    Repetitions,
    Settings,
    SmallestEffect,
    Status,
    Trial,
    VerdictRule,
)

INTERRUPTED = "interrupted"
RUNNING = "running"
FINISHED = "finished"
LOST = "lost"
"""Key of state.json: servers that were lost, the block that each ran then, and why."""


@dataclass(frozen=True, slots=True)
class StoredTrial:
    """A trial as its directory tells it: `trial.json` and `outcome.json`."""

    directory: Path
    number: int
    block: int
    key: str
    host: str
    levels: tuple[tuple[str, str], ...]
    settings: Settings
    outcome: Outcome
    environment: str  # empty: not recorded


@dataclass(frozen=True, slots=True)
class Damage:
    """A file of a run that cannot be taken for what was written."""

    file: str  # relative to the run directory
    why: str


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """One run. All paths below it are named here and nowhere else."""

    path: Path

    @property
    def run_id(self) -> str:
        """Return the run's name: its directory's."""
        return self.path.name

    @property
    def trials(self) -> Path:
        """Return the directory that holds a directory a trial."""
        return self.path / "trials"

    def ansible(self, name: str) -> Path:
        """Return the directory of one Ansible invocation."""
        return self.path / "ansible" / name

    def unused_ansible(self, name: str) -> str:
        """Return a name for an Ansible invocation that none of this run has: `name`, or one that says it is later."""
        later = 1 + sum(1 for p in (self.path / "ansible").glob(f"{name}-resumed-*"))
        return f"{name}-resumed-{later}" if self.ansible(name).exists() else name

    def write(self, name: str, value: Mapping[str, Any]) -> None:
        """Write a JSON file of the run, with the schema's version first."""
        files.write_sealed(self.path / name, {"schema_version": SCHEMA_VERSION, **value})

    def read(self, name: str) -> dict[str, Any]:
        """Read a JSON file of the run. Raise `StoreError` if it is missing, torn or newer than this program."""
        return read_json(self.path / name)

    def set_state(self, state: str, **more: Any) -> None:  # noqa: ANN401 -- what a state carries beside its name
        """Record that the run is running, interrupted or finished. What earlier states carried stays, `more` wins."""
        self.write("state.json", {**self.state(), "state": state, **processes.identity(), "changed_at": now(), **more})

    def state(self) -> dict[str, Any]:
        """Return what `state.json` holds; nothing when it is not there or cannot be read, as after a crash."""
        try:
            return self.read("state.json")
        except StoreError:
            return {}

    def stored_trials(self) -> tuple[tuple[StoredTrial, ...], tuple[Damage, ...]]:
        """Return every trial that has an outcome, in the order of the run, and those whose files cannot be read.

        A directory without `outcome.json` was not finished and is passed over.
        """
        found, damaged = [], []
        for directory in self.trial_directories():
            if (directory / "outcome.json").exists():
                try:
                    found.append(read_trial(directory))
                except StoreError as err:
                    damaged.append(self.damage(err))
        return tuple(sorted(found, key=lambda t: t.number)), tuple(damaged)

    def trial_directories(self) -> tuple[Path, ...]:
        """Return the directories of trials by name. One with a dot is being put in its place, or out of it."""
        if not self.trials.is_dir():
            return ()
        return tuple(sorted(p for p in self.trials.iterdir() if not p.name.startswith(".")))

    def damage(self, err: StoreError) -> Damage:
        """Return what an error says of a file of this run."""
        path = Path(err.where)
        inside = path.is_relative_to(self.path)
        return Damage(str(path.relative_to(self.path)) if inside else err.where, err.what)


def now() -> str:
    """Return the time as UTC in ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def create(results: Path, plan: Plan, run_id: str) -> RunDirectory:
    """Make a run directory with its experiment and plan, and point `latest` to it."""
    run = RunDirectory(results / plan.experiment.name / run_id)
    files.make_directory(run.path.parent)
    try:
        files.before("mkdir", run.path, None)
        run.path.mkdir(mode=files.DIRECTORY_MODE)
    except FileExistsError as err:
        raise StoreError("the run directory exists", where=str(run.path), fix="run the command again") from err
    except OSError as err:
        raise StoreError(f"cannot make the run directory: {err.strerror}", where=str(run.path)) from err
    files.make_directory(run.trials)
    files.write_text(run.path / "experiment.yml", plan.experiment.source)
    run.set_state(RUNNING)
    run.write("plan.json", plan_json(plan))  # with it, and not before, this is a run
    point_latest_to(run)
    return run


def begin(results: Path, name: str, run_id: str) -> RunDirectory:
    """Make a run directory whose plan is not known yet; it is no run before its `plan.json` is there."""
    run = RunDirectory(results / name / run_id)
    files.make_directory(run.path)
    files.make_directory(run.trials)
    run.set_state(RUNNING)
    return run


def open_run(path: Path) -> RunDirectory:
    """Return the run in `path`, following `latest`. Raise `StoreError` if it is not one."""
    resolved = path.resolve()
    if not (resolved / "plan.json").is_file():
        raise StoreError(
            "this is not a run directory", where=str(path), fix="name results/<experiment>/<run-id>, or .../latest"
        )
    return RunDirectory(resolved)


def plan_json(plan: Plan) -> dict[str, Any]:
    """Return the plan as it is kept: cells once, trials by their number."""
    e = plan.experiment
    return {
        "experiment": e.name,
        "question": e.question,
        "target": e.target,
        "seed": e.seed,
        "repetitions": {"min": e.repetitions.min, "max": e.repetitions.max},
        "instruments": list(e.instruments),
        "settings": dict(e.settings),
        "exclude": [[list(pair) for pair in exclusion] for exclusion in e.exclude],
        "factors": {f.name: [{"label": lv.label, "value": lv.value} for lv in f.levels] for f in e.factors},
        "rule": {
            "factor": e.rule.factor,
            "reference": e.rule.reference,
            "smallest_effects": {s.response: s.share for s in e.rule.smallest_effects},
        },
        "noise": {
            "max_outsider_cpu": e.noise.max_outsider_cpu,
            "max_steal_share": e.noise.max_steal_share,
            "reruns": e.noise.reruns,
        },
        "cells": [
            {"id": c.id, "levels": {n: lv.label for n, lv in c.levels}, "settings": dict(c.settings)}
            for c in plan.cells
        ],
        "trials": [{"number": t.number, "block": t.block, "cell": t.cell.id, "key": t.key} for t in plan.trials],
    }


def experiment_of(run: RunDirectory) -> Experiment:
    """Return the experiment of a run as its `plan.json` has it. Raise `StoreError` if that is not whole."""
    plan = run.read("plan.json")
    try:
        rule = plan["rule"]
        return Experiment(
            name=plan["experiment"],
            question=plan["question"],
            target=plan["target"],
            factors=tuple(
                Factor(name, tuple(Level(lv["label"], lv["value"]) for lv in levels))
                for name, levels in plan["factors"].items()
            ),
            settings=plan["settings"],
            exclude=tuple(tuple((name, label) for name, label in exclusion) for exclusion in plan["exclude"]),
            repetitions=Repetitions(plan["repetitions"]["min"], plan["repetitions"]["max"]),
            seed=plan["seed"],
            instruments=tuple(plan["instruments"]),
            rule=VerdictRule(
                rule["factor"],
                rule["reference"],
                tuple(SmallestEffect(response, share) for response, share in rule["smallest_effects"].items()),
            ),
            noise=NoisePolicy(**plan["noise"]) if "noise" in plan else NoisePolicy(None, None, 0),
            source=(run.path / "experiment.yml").read_text(),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OSError) as err:
        raise StoreError(f"not what a plan holds: {err!r}", where=str(run.path / "plan.json")) from err


def trial_json(trial: Trial, host: str, environment: str = "") -> dict[str, Any]:
    """Return what a trial was meant to be: `trial.json`. `environment` names what it ran with beside its settings."""
    return {
        "schema_version": SCHEMA_VERSION,
        "number": trial.number,
        "block": trial.block,
        "key": trial.key,
        "host": host,
        "cell": trial.cell.id,
        "levels": {name: level.label for name, level in trial.cell.levels},
        "settings": dict(trial.cell.settings),
        **({"environment": environment} if environment else {}),
    }


def write_outcome(directory: Path, outcome: Outcome) -> None:
    """Write `outcome.json`: with it, and not before, the trial is done."""
    files.write_sealed(
        directory / "outcome.json",
        {
            "schema_version": SCHEMA_VERSION,
            "key": outcome.key,
            "status": outcome.status,
            "reason": outcome.reason,
            "kind": outcome.kind,
        },
    )


def read_trial(directory: Path) -> StoredTrial:
    """Return the trial in `directory`. Raise `StoreError` naming the file that cannot be read."""
    trial, outcome = read_json(directory / "trial.json"), read_json(directory / "outcome.json")
    try:
        return StoredTrial(
            directory=directory,
            number=trial["number"],
            block=trial["block"],
            key=trial["key"],
            host=trial["host"],
            levels=tuple(trial["levels"].items()),
            settings=trial["settings"],
            outcome=Outcome(
                outcome["key"],
                Status(outcome["status"]),
                outcome["reason"],
                FailureKind(outcome["kind"]) if outcome["kind"] else None,
            ),
            environment=str(trial.get("environment", "")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as err:
        raise StoreError(f"not what a trial's files hold: {err!r}", where=str(directory)) from err


def read_json(path: Path) -> dict[str, Any]:
    """Read one of our JSON files. Raise `StoreError` if it is missing, torn or newer than this program."""
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError as err:
        raise StoreError("the file is missing", where=str(path)) from err
    except (OSError, ValueError, RecursionError) as err:
        raise StoreError(f"the file cannot be read: {err}", where=str(path)) from err
    version = value.get("schema_version") if isinstance(value, dict) else None
    if version != SCHEMA_VERSION:
        raise StoreError(
            f"schema_version is {version!r}; this program reads {SCHEMA_VERSION}"
            if isinstance(value, dict)
            else "this is no JSON object",
            where=str(path),
            fix="use the version of cgidlab that wrote it",
        )
    assert isinstance(value, dict)  # noqa: S101 -- tells mypy what the check above made sure of
    seal = value.pop(files.SEAL, None)
    if seal is not None and not _holds(value, seal):
        raise StoreError("the file was changed: it does not have the checksum in it", where=str(path))
    return value


def _holds(value: dict[str, Any], seal: object) -> bool:
    try:
        return seal == files.seal_of(value)
    except (ValueError, RecursionError):  # NaN, or nested deeper than we ever write
        return False


def point_latest_to(run: RunDirectory) -> None:
    """Make `latest` lead to this run."""
    try:
        files.link(run.path.parent / "latest", run.run_id)
    except OSError as err:
        raise StoreError(f"cannot point `latest` to the run: {err.strerror}", where=str(run.path)) from err
