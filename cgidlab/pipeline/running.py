"""A run from its plan to its verdict: provision, blocks, harvest, conclude."""

import getpass
import secrets
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cgidlab import ansible, execute, files, harvest, store
from cgidlab.errors import LabError, ProvisionError, RunError
from cgidlab.model import FailureKind, Figures, Outcome, Status, Trial, TrialRecord
from cgidlab.parsers.host_report import HostReport
from cgidlab.pipeline import provenance, records
from cgidlab.pipeline.concluding import conclude
from cgidlab.pipeline.loading import Loaded, Request, load_plan
from cgidlab.plan import estimated_s
from cgidlab.progress import Display
from cgidlab.store import RunDirectory

INTERRUPTED_EXIT = 130


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended, for the command line."""

    text: str
    report: Path
    exit_code: int


@dataclass(slots=True)
class _Block:
    """The state of one block while it runs."""

    trials: dict[int, Trial]
    came_home: set[int] = field(default_factory=set)
    news: list[str] = field(default_factory=list)
    fault: LabError | None = None


def run(request: Request, results: Path, display: Display, cancelled: Callable[[], bool]) -> Ended:
    """Run an experiment to its verdict.

    Raises `SpecError` before anything is touched and `ProvisionError` before any
    trial ran. Trials that failed or are invalid are counted in the exit status.
    """
    loaded = load_plan(request)
    run_directory = store.create(results, loaded.plan, _new_run_id())
    display.say(f"run {run_directory.path}")
    try:
        hosts = _provisioned(loaded, run_directory, display, cancelled)
        run_directory.write("provenance.json", provenance.collect(request.root, loaded.plan, hosts))
        _all_blocks(loaded, run_directory, hosts, display, cancelled)
    except BaseException:
        run_directory.set_state(store.INTERRUPTED)
        raise
    stopped = cancelled()
    run_directory.set_state(store.INTERRUPTED if stopped else store.FINISHED)
    display.step("verdict")
    concluded = conclude(run_directory)
    if stopped:
        return Ended(concluded.text, concluded.report, INTERRUPTED_EXIT)
    whole = concluded.trials[Status.COMPLETE] == sum(concluded.trials.values()) > 0
    return Ended(concluded.text, concluded.report, 0 if whole else RunError.exit_code)


def _new_run_id() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


def _provisioned(
    loaded: Loaded, run_directory: RunDirectory, display: Display, cancelled: Callable[[], bool]
) -> tuple[HostReport, ...]:
    """Provision all hosts, asking for the sudo password if, and only if, a package is missing."""
    display.say("provisioning: packages, httpd, mod_cgid variants (the first time builds httpd, about a minute)")
    watch = ansible.Watch(on_task=lambda name: display.step(f"provisioning: {name}"), cancelled=cancelled)
    hosts_dir = run_directory.path / "hosts"
    directory = run_directory.ansible("provision")
    try:
        return execute.provision(loaded.site, loaded.plan, hosts_dir, directory, watch)
    except ProvisionError as err:
        if "password" not in err.what or not sys.stdin.isatty() or _sudo_needs_no_password():
            raise
        display.say("a package is missing and sudo wants a password to install it")
    password = getpass.getpass("sudo password: ")
    return execute.provision(
        loaded.site, loaded.plan, hosts_dir, run_directory.ansible("provision-become"), watch, password
    )


def _sudo_needs_no_password() -> bool:
    ran = subprocess.run(["/usr/bin/env", "sudo", "-n", "true"], check=False, capture_output=True)
    return ran.returncode == 0


def _all_blocks(
    loaded: Loaded,
    run_directory: RunDirectory,
    hosts: tuple[HostReport, ...],
    display: Display,
    cancelled: Callable[[], bool],
) -> None:
    from cgidlab.analyse import decide  # noqa: PLC0415 -- scipy takes a second to load, and the first block can use it

    plan = loaded.plan
    repetitions = plan.experiment.repetitions
    display.expect(len(plan.cells) * repetitions.min, estimated_s(plan))
    done: list[TrialRecord] = []
    for number, trials in enumerate(plan.blocks):
        host = hosts[number % len(hosts)]
        done += _one_block(loaded, run_directory, host, trials, display, cancelled)
        if cancelled():
            return
        if number + 1 >= repetitions.min and not repetitions.fixed:
            decision = decide(done, plan.experiment.rule, repetitions)
            if decision.stop:
                display.say(f"stopping after block {number + 1}: {decision.reason}")
                return


def _one_block(
    loaded: Loaded,
    run_directory: RunDirectory,
    host: HostReport,
    trials: tuple[Trial, ...],
    display: Display,
    cancelled: Callable[[], bool],
) -> list[TrialRecord]:
    """Run a block and keep its trials; those that never came home are recorded as failed."""
    name = f"block-{trials[0].block:03d}"
    block = execute.BlockRun(
        directory=run_directory.ansible(name),
        host=host,
        host_directory=f"{host.work_dir}/{run_directory.run_id}-{name}",
    )
    state = _Block({t.number: t for t in trials})
    kept: list[TrialRecord] = []

    def arrived(arrival: execute.Arrival) -> None:
        # ansible-runner calls this; an exception here would leave its process behind.
        try:
            record = _keep(run_directory, host, state, arrival)
        except LabError as err:
            state.fault = err
            return
        if record:
            kept.append(record)
            display.trial(state.trials[arrival.number], record.outcome, record.figures)

    display.step(f"block {trials[0].block}")
    played = execute.run_block(
        loaded.site, block, trials, loaded.catalogue, arrived, lambda: cancelled() or state.fault is not None
    )
    if not played.ok:
        execute.stop_block(loaded.site, block)
    if state.fault:
        raise state.fault
    if not cancelled():
        kept += _never_came(run_directory, host, state, played, display)
    return kept


def _keep(run_directory: RunDirectory, host: HostReport, state: _Block, arrival: execute.Arrival) -> TrialRecord | None:
    """Unpack, measure and judge one trial; its outcome is written last."""
    if arrival.archive is None:
        state.news.append(arrival.reason)
        return None
    trial = state.trials[arrival.number]
    directory = run_directory.trials / trial.directory
    harvest.unpack(arrival.archive, directory, store.trial_json(trial, host.host))
    store.write_outcome(directory, records.judge(directory, trial.key))
    arrival.archive.unlink()
    state.came_home.add(trial.number)
    return records.load(run_directory.path, store.read_trial(directory))


def _never_came(
    run_directory: RunDirectory, host: HostReport, state: _Block, played: ansible.Played, display: Display
) -> list[TrialRecord]:
    missing = [t for n, t in sorted(state.trials.items()) if n not in state.came_home]
    if not missing:
        return []
    said = [f.message for f in played.failures] or [n for n in state.news if n] or ["the block ended without it"]
    reason = " ".join(said[0].split())
    if not state.came_home:
        raise RunError(
            f"no trial of block {missing[0].block} was run: {reason}", where=str(played.directory / "stdout")
        )
    lost = []
    for trial in missing:
        directory = run_directory.trials / trial.directory
        files.make_directory(directory)
        files.write_json(directory / "trial.json", store.trial_json(trial, host.host))
        outcome = Outcome(trial.key, Status.FAILED, f"did not come home: {reason}", FailureKind.INFRA)
        store.write_outcome(directory, outcome)
        display.trial(trial, outcome, Figures())
        lost.append(records.load(run_directory.path, store.read_trial(directory)))
    return lost
