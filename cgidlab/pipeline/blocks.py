"""One block on one host, from its order to its records: the only module that keeps what comes home."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from cgidlab import ansible, execute, files, harvest, store
from cgidlab.errors import LabError, RunError
from cgidlab.model import FailureKind, Figures, NoisePolicy, Outcome, Status, Trial, TrialRecord
from cgidlab.parsers.host_report import HostReport
from cgidlab.pipeline import records
from cgidlab.pipeline.loading import Loaded
from cgidlab.progress import Display
from cgidlab.store import RunDirectory


@dataclass(slots=True)
class _Block:
    """The state of one block while it runs."""

    trials: dict[int, Trial]
    came_home: set[int] = field(default_factory=set)
    news: list[str] = field(default_factory=list)
    fault: LabError | None = None


def one_block(
    loaded: Loaded,
    run_directory: RunDirectory,
    host: HostReport,
    trials: tuple[Trial, ...],
    display: Display,
    cancelled: Callable[[], bool],
) -> list[TrialRecord]:
    """Run a block and keep its trials; those that never came home are recorded as failed.

    Trials that were noisy are run again at the end of the block, as often as
    the experiment allows; the noisy ones are kept beside them.
    """
    name = f"block-{trials[0].block:03d}"
    kept = _trials(loaded, run_directory, host, trials, name, display, cancelled)
    for attempt in range(1, loaded.plan.experiment.noise.reruns + 1):
        again = _noisy(trials, kept, run_directory, loaded)
        if not again or cancelled():
            break
        display.say(f"running {len(again)} noisy trials of block {trials[0].block} again")
        display.also_expect(len(again))
        kept += _trials(loaded, run_directory, host, again, f"{name}-again-{attempt}", display, cancelled)
    return kept


def _noisy(
    trials: tuple[Trial, ...], kept: list[TrialRecord], run_directory: RunDirectory, loaded: Loaded
) -> tuple[Trial, ...]:
    """Return, under new numbers, the trials of which only noisy records were kept."""
    complete = {r.key for r in kept if r.outcome.status is Status.COMPLETE}
    noisy = {r.key for r in kept if r.outcome.kind is FailureKind.NOISE} - complete
    used = max([len(loaded.plan.trials), *(int(p.name.split("-")[0]) for p in run_directory.trials.glob("[0-9]*-*"))])
    return tuple(replace(t, number=used + n) for n, t in enumerate((t for t in trials if t.key in noisy), start=1))


def _trials(
    loaded: Loaded,
    run_directory: RunDirectory,
    host: HostReport,
    trials: tuple[Trial, ...],
    name: str,
    display: Display,
    cancelled: Callable[[], bool],
) -> list[TrialRecord]:
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
            record = _keep(run_directory, host, state, arrival, loaded.plan.experiment.noise)
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
        _clean_up(loaded, block, display)
    if state.fault:
        raise state.fault
    if not cancelled():
        kept += _never_came(run_directory, host, state, played, display)
    return kept


def _clean_up(loaded: Loaded, block: execute.BlockRun, display: Display) -> None:
    stopped = execute.stop_block(loaded.site, block)
    if not stopped.ok:
        display.say(
            f"warning: {block.host_directory} on {block.host.host} could not be cleaned up: {stopped.why}; "
            "the next run there does it"
        )


def _keep(
    run_directory: RunDirectory, host: HostReport, state: _Block, arrival: execute.Arrival, noise: NoisePolicy
) -> TrialRecord | None:
    """Unpack, measure and judge one trial; its outcome is written last."""
    if arrival.archive is None:
        state.news.append(arrival.reason)
        return None
    trial = state.trials[arrival.number]
    directory = run_directory.trials / trial.directory
    harvest.unpack(arrival.archive, directory, store.trial_json(trial, host.host))
    store.write_outcome(directory, records.judge(directory, trial.key, noise))
    arrival.archive.unlink()
    state.came_home.add(trial.number)
    return records.load(run_directory.path, store.read_trial(directory))


def _never_came(
    run_directory: RunDirectory, host: HostReport, state: _Block, played: ansible.Played, display: Display
) -> list[TrialRecord]:
    missing = [t for n, t in sorted(state.trials.items()) if n not in state.came_home]
    if not missing:
        return []
    news = [n for n in state.news if n]
    reason = " ".join((played.why or (news[0] if news else "the block ended without it")).split())
    lost = []
    for trial in missing:
        directory = run_directory.trials / trial.directory
        files.make_directory(directory)
        files.write_json(directory / "trial.json", store.trial_json(trial, host.host))
        outcome = Outcome(trial.key, Status.FAILED, f"did not come home: {reason}", FailureKind.INFRA)
        store.write_outcome(directory, outcome)
        display.trial(trial, outcome, Figures())
        lost.append(records.load(run_directory.path, store.read_trial(directory)))
    if not state.came_home:  # the next block would fare no better
        raise RunError(
            f"no trial of block {missing[0].block} was run: {reason}", where=str(played.directory / "stdout")
        )
    return lost
