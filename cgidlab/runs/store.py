"""The run directory: what lies where, and how it is read back. docs/results.md describes it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cgidlab import files, processes, rundir
from cgidlab.errors import SpecError, StoreError
from cgidlab.model import Experiment, Outcome, Plan, Settings, Trial
from cgidlab.parsers import plan_document, run_documents, trial_documents, versions
from cgidlab.runs import planned_values
from cgidlab.starting import command

_MOST_SOURCE_BYTES = 4 << 20
_NUMBERED = re.compile(r"([0-9]{3,9})-")

INTERRUPTED = "interrupted"
RUNNING = "running"
FINISHED = "finished"
LOST = "lost"
"""Key of state.json: servers that were lost, the block that each ran then, and why."""
CONTROL_CPU = "control_cpu"
"""Key of state.json: what runner and Ansible used where the trials ran on their machine."""
MADE_READY = "made_ready"
"""Key of state.json: how long it took until trials could begin, for those who are to wait for it next time."""


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
    pass_number: int
    watched: bool


@dataclass(frozen=True, slots=True)
class Damage:
    """A file of a run that cannot be taken for what was written."""

    file: str  # relative to the run directory
    why: str


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """One run, and the paths below it that several stages use."""

    path: Path

    @property
    def run_id(self) -> str:
        """Return the run's name: its directory's."""
        return text_of(self.path.name)

    @property
    def trials(self) -> Path:
        """Return the directory that holds a directory a trial."""
        return self.path / "trials"

    def check_owned(self) -> None:
        """Raise `StoreError` for a directory that this user's runs cannot have left; see `rundir.check_owned`."""
        rundir.check_owned(self.path, passed=f"{self.run_id}/ansible/*/artifacts/*/command")  # of a killed Ansible

    def ansible(self, name: str) -> Path:
        """Return the directory of one Ansible invocation."""
        return self.path / "ansible" / name

    def unused_ansible(self, name: str) -> str:
        """Return a name for an Ansible invocation that none of this run has: `name`, or one that says it is later."""
        later = 1 + sum(1 for p in (self.path / "ansible").glob(f"{name}-resumed-*"))
        return f"{name}-resumed-{later}" if self.ansible(name).exists() else name

    def write(self, name: str, value: Mapping[str, Any]) -> None:
        """Write a JSON file of the run, with the version of its kind first."""
        files.write_sealed(self.path / name, versions.stamped(name, value))

    def read(self, name: str) -> dict[str, Any]:
        """Read a document of the run, brought up to date. Raise `StoreError` naming file and field if it is not one."""
        return run_documents.OF_A_RUN[name].read_raw(self.path / name)

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

        A directory without `outcome.json` was not finished and is passed over, but in a run that is over.
        """
        found, damaged = [], []
        over = self.state().get("state") == FINISHED
        try:
            directories = self.trial_directories()
        except StoreError as err:
            return (), (self.damage(err),)
        for directory in directories:
            try:
                _check_place(directory)
                if rundir.is_there(directory / "outcome.json"):
                    found.append(read_trial(directory))
                elif over:
                    damaged.append(self.damage(_lost(directory)))
            except StoreError as err:
                damaged.append(self.damage(err))
        return tuple(sorted(found, key=lambda t: t.number)), tuple(damaged)

    def trial_directories(self) -> tuple[Path, ...]:
        """Return what lies below `trials` by name. What has a dot is being put in its place, or out of it.

        Raise `StoreError` where `trials` is no directory, or a link to one.
        """
        return tuple(self.trials / name for name in rundir.names(self.trials) if not name.startswith("."))

    def trial_numbers(self) -> tuple[int, ...]:
        """Return the numbers that trials were run under, by the names of their directories; other names have none."""
        found = (_NUMBERED.match(path.name) for path in self.trial_directories())
        return tuple(int(named[1]) for named in found if named)

    def damage(self, err: StoreError) -> Damage:
        """Return what an error says of a file of this run."""
        path = Path(err.where)
        inside = path.is_relative_to(self.path)
        return Damage(text_of(str(path.relative_to(self.path)) if inside else err.where), text_of(err.what))


def text_of(name: str) -> str:
    """Return a file's name as text that can be written: bytes that are no UTF-8 are spelt out."""
    return name.encode("utf-8", "backslashreplace").decode()


def _check_place(directory: Path) -> None:
    """Raise `StoreError` for what is no directory of a trial, whatever is in it."""
    if not rundir.is_directory(directory):
        raise StoreError("this is no directory", where=str(directory))
    if text_of(directory.name) != directory.name or not directory.name.isprintable():
        raise StoreError("this name is no text", where=str(directory))


def _lost(directory: Path) -> StoreError:
    gone = "the file is missing, so that how the trial ended is not known"
    return StoreError(gone, where=f"{directory}/outcome.json")


def now() -> str:
    """Return the time as UTC in ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def create(results: Path, plan: Plan, run_id: str) -> RunDirectory:
    """Make a run directory with its experiment and plan, and point `latest` to it."""
    run = RunDirectory(_without_links(results) / plan.experiment.name / run_id)
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


def _without_links(results: Path) -> Path:
    """Return where results really are: below a run no path leads through a link, and above it one may."""
    real = results.resolve()
    return results if real == results.absolute() else real


def begin(results: Path, name: str, run_id: str) -> RunDirectory:
    """Make a run directory whose plan is not known yet; it is no run before its `plan.json` is there."""
    run = RunDirectory(_without_links(results) / name / run_id)
    files.make_directory(run.path)
    files.make_directory(run.trials)
    run.set_state(RUNNING)
    return run


def open_run(path: Path) -> RunDirectory:
    """Return the run in `path`, following `latest`. Raise `StoreError` if it is not one."""
    try:
        resolved = path.resolve()
    except (OSError, RuntimeError, ValueError):  # a circle of links, or a name that no file can have
        resolved = path.absolute()
    # A damaged plan costs what it held: the trials are still there.
    if not rundir.is_there(resolved / "plan.json") and not rundir.is_there(resolved / "trials"):
        raise StoreError(
            "this is not a run directory", where=str(path), fix="name results/<experiment>/<run-id>, or .../latest"
        )
    return RunDirectory(resolved)


def find(results: Path, word: str) -> RunDirectory:
    """Return the run that a word names: its directory, its id, or the experiment whose latest run it is.

    Raise `SpecError` if it names none, or several.
    """
    if Path(word).exists():
        return open_run(Path(word))
    is_name = bool(word) and "/" not in word and word not in {".", ".."} and not any(c in word for c in "*?[")
    found = [p for p in results.glob(f"*/{word}") if p.name == word and not p.is_symlink()] if is_name else []
    if not found and is_name and (results / word / "latest").exists():
        return open_run(results / word / "latest")
    if len(found) != 1:
        raise SpecError(
            f"{'several runs are' if found else 'no run is'} called `{word}`",
            where=str(results),
            fix=f"name its directory, or see: {command('status')}",
        )
    return open_run(found[0])


def plan_json(plan: Plan) -> dict[str, Any]:
    """Return the plan as it is kept: cells once, trials by their number."""
    return planned_values.written(plan)


def experiment_of(run: RunDirectory) -> Experiment:
    """Return the experiment of a run as `plan.json` and `experiment.yml` have it. Raise `StoreError` for damage."""
    return replace(planned(run), source=source_of(run))


def source_of(run: RunDirectory) -> str:
    """Return the experiment file that a run was begun with. Raise `StoreError` if it cannot be read."""
    path = run.path / "experiment.yml"
    try:
        return rundir.read(path, _MOST_SOURCE_BYTES).decode()
    except UnicodeDecodeError as err:
        raise StoreError(f"the file cannot be read: {err}", where=str(path)) from err


def planned(run: RunDirectory) -> Experiment:
    """Return the experiment of a run without its source, from `plan.json` alone. Raise `StoreError` for damage."""
    return planned_values.experiment(plan_document.PLAN.read(run.path / "plan.json"))


def trial_json(trial: Trial, host: str, environment: str = "") -> dict[str, Any]:
    """Return what a trial was meant to be: `trial.json`. `environment` names what it ran with beside its settings."""
    return versions.stamped(
        "trial.json",
        {
            "number": trial.number,
            "block": trial.block,
            "pass_number": trial.pass_number,
            "watched": trial.watched,
            "key": trial.key,
            "host": host,
            "cell": trial.cell.id,
            "levels": {name: level.label for name, level in trial.cell.levels},
            "settings": dict(trial.cell.settings),
            **({"environment": environment} if environment else {}),
        },
    )


def write_outcome(directory: Path, outcome: Outcome) -> None:
    """Write `outcome.json`: with it, and not before, the trial is done."""
    value = {"key": outcome.key, "status": outcome.status, "reason": outcome.reason, "kind": outcome.kind}
    files.write_sealed(directory / "outcome.json", versions.stamped("outcome.json", value))


def read_trial(directory: Path) -> StoredTrial:
    """Return the trial in `directory`. Raise `StoreError` naming the file that cannot be read."""
    trial = trial_documents.TRIAL.read(directory / "trial.json")
    outcome = trial_documents.OUTCOME.read(directory / "outcome.json")
    if outcome.key != trial.key:
        raise StoreError("trial.json and outcome.json are of two trials", where=str(directory))
    return StoredTrial(
        directory=directory,
        number=trial.number,
        block=trial.block,
        key=trial.key,
        host=trial.host,
        levels=tuple(trial.levels.items()),
        settings=trial.settings,
        outcome=Outcome(outcome.key, outcome.status, outcome.reason, outcome.kind),
        environment=trial.environment,
        pass_number=trial.pass_number,
        watched=trial.watched,
    )


def point_latest_to(run: RunDirectory) -> None:
    """Make `latest` lead to this run."""
    try:
        files.link(run.path.parent / "latest", run.run_id)
    except OSError as err:
        raise StoreError(f"cannot point `latest` to the run: {err.strerror}", where=str(run.path)) from err
