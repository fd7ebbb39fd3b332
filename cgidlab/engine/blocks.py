"""One block on one host, from its order to its records."""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from cgidlab import files, processes
from cgidlab.engine import ansible, execute, generators, journal, unreachable
from cgidlab.engine.arrivals import Arrival
from cgidlab.engine.halting import StopRule
from cgidlab.engine.handing import BlockCalls
from cgidlab.engine.loading import Loaded
from cgidlab.engine.own_cpu import OwnCpu
from cgidlab.engine.room import Room
from cgidlab.engine.scheduling import HostLost
from cgidlab.errors import LabError, RunError
from cgidlab.failures import RULES, is_out_of_room
from cgidlab.model import FailureKind, Figures, NoisePolicy, Outcome, Status, Trial, TrialRecord
from cgidlab.parsers.host_report import HostReport
from cgidlab.progress import Display
from cgidlab.runs import ending, harvest, keeping, records, store
from cgidlab.runs.store import RunDirectory
from cgidlab.starting import command

_ANY_NOISE = NoisePolicy(None, None, 0)
AT_ONCE = 4  # trials that are looked at,
_SMALL_BYTES = 4 << 20  # as long as each of their archives is: of a long log there are several copies in memory


@dataclass(frozen=True, slots=True)
class Beside:
    """Trials that ride along at the end of a block and are not the run's: kept apart, and run once."""

    run: RunDirectory
    trials: tuple[Trial, ...]


@dataclass(frozen=True, slots=True)
class BlockBegin:
    """What a block finds there when it begins."""

    before: Sequence[TrialRecord] = ()  # records of its trials that an earlier session of the run left
    environment: str = ""  # name of what trials run with beside their settings: see `environments`
    stop_rule: StopRule = field(default_factory=StopRule)
    numbers: "Numbers | None" = None  # of the run, where blocks of it run at once
    others: bool = False  # hosts that could run the block as well
    beside: Sequence[Beside] = ()
    calls: BlockCalls | None = None  # that other blocks of the run go through as well


class Numbers:
    """Numbers for trials that are run again: none is given twice, whatever runs at once."""

    def __init__(self, loaded: Loaded, run: RunDirectory) -> None:
        """Begin after the last number that the plan or the run directory has."""
        self._last = max([len(loaded.plan.trials), *run.trial_numbers()])
        self._lock = threading.Lock()

    def given(self, trials: Iterable[Trial]) -> tuple[Trial, ...]:
        """Return the trials under numbers of their own."""
        with self._lock:
            found = tuple(replace(t, number=self._last + n) for n, t in enumerate(trials, start=1))
            self._last += len(found)
            return found


@dataclass(frozen=True, slots=True)
class _Where:
    """What the orders of one block have in common."""

    loaded: Loaded
    run: RunDirectory
    host: HostReport
    display: Display
    cancelled: Callable[[], bool]
    environment: str
    stop_rule: StopRule
    numbers: Numbers
    others: bool
    calls: BlockCalls

    @property
    def noise(self) -> NoisePolicy:
        return self.loaded.plan.experiment.noise


@dataclass(slots=True)
class _Ordered:
    """The state of one order for trials of a block."""

    trials: dict[int, Trial]
    beside: dict[int, tuple[Beside, Trial]] = field(default_factory=dict)
    came_home: set[int] = field(default_factory=set)
    news: list[str] = field(default_factory=list)
    fault: LabError | None = None
    heard_s: float = field(default_factory=time.monotonic)
    silent: bool = False


def one_block(
    loaded: Loaded,
    run_directory: RunDirectory,
    host: HostReport,
    trials: tuple[Trial, ...],
    display: Display,
    cancelled: Callable[[], bool],
    given: BlockBegin | None = None,
) -> list[TrialRecord]:
    """Run a block and return its records; trials that never came home are recorded as failed.

    Trials that have a record before are not run again, unless a rerun is due. Trials that failed in
    a way that may pass are run again at the end of the block, as often as `failures` says; the failed
    ones are kept beside them. Raises `RunError` when nothing at all came home twice, and when
    `stop_rule` has seen enough; what was kept by then is in the run directory. Raises `HostLost` when the host
    cannot be reached any more and there are others; then nothing is said of the trials that did not come home. So it is
    where its disk is full: other hosts can have the block whole.
    """
    given = given or BlockBegin()
    if given.calls is None:
        with BlockCalls(loaded.site) as calls:
            return one_block(loaded, run_directory, host, trials, display, cancelled, replace(given, calls=calls))
    before = given.before
    numbers = given.numbers or Numbers(loaded, run_directory)
    where = _Where(
        loaded,
        run_directory,
        host,
        display,
        cancelled,
        given.environment,
        given.stop_rule,
        numbers,
        given.others,
        given.calls,
    )
    name = f"block-{trials[0].block:03d}"
    done = {r.key for r in before}
    todo = tuple(t for t in trials if t.key not in done)
    kept = list(before)
    if todo:
        kept += _trials(where, todo, name, given.beside)
    attempt = 0
    while (again := _due(where, trials, kept)) and not cancelled():
        attempt += 1
        display.say(f"running {len(again)} of the trials of block {trials[0].block} again: {_why(again, kept)}")
        if attempt == 1 and _mostly_noise(kept):
            display.say(
                f"  {host.host} does other work: end that, or stop here (Ctrl-C) and go on later:"
                f" {ending.go_on(run_directory)}"
            )
        display.also_expect(len(again))
        kept += _trials(where, again, f"{name}-again-{attempt}")
    lost = [r for r in kept if r not in before and not _came_home(run_directory, r)]
    if lost and len(lost) == len(kept) and not cancelled():  # the next block would fare no better
        raise RunError(
            f"no trial of block {trials[0].block} was run: {lost[0].outcome.reason}",
            where=str(run_directory.path / "ansible"),
            fix=f"mend that, then go on: --resume {run_directory.run_id}",
        )
    complete = {r.key for r in kept if r.outcome.status is Status.COMPLETE}
    full = [r for r in kept if r not in before and r.key not in complete and is_out_of_room(r.outcome)]
    if full and given.others and not cancelled():  # a part of a block compares nothing: whole again elsewhere
        raise HostLost(f"{host.host} has no room left: {full[0].outcome.reason}")
    return kept


def _came_home(run: RunDirectory, record: TrialRecord) -> bool:
    return (run.path / record.directory / "result.json").exists()


def _due(where: _Where, trials: tuple[Trial, ...], kept: Sequence[TrialRecord]) -> tuple[Trial, ...]:
    """Return, under new numbers, the trials that have no complete record and a rerun left."""
    complete = {r.key for r in kept if r.outcome.status is Status.COMPLETE}
    due = [t for t in trials if t.key not in complete and _has_rerun(t.key, kept, where.noise)]
    return where.numbers.given(due)


def _has_rerun(key: str, kept: Sequence[TrialRecord], noise: NoisePolicy) -> bool:
    kinds = [r.outcome.kind for r in kept if r.key == key and r.outcome.kind is not None]
    if not kinds:
        return False
    reruns = RULES[kinds[-1]].reruns
    return Counter(kinds)[kinds[-1]] <= (noise.reruns if reruns is None else reruns)


def _mostly_noise(kept: Sequence[TrialRecord]) -> bool:
    """Say whether another look at the host is worth more than running trials again."""
    return 2 * sum(r.outcome.kind is FailureKind.NOISE for r in kept) > len(kept)


def _why(again: tuple[Trial, ...], kept: Sequence[TrialRecord]) -> str:
    last = {r.key: r.outcome.kind for r in kept}
    counts = Counter(kind for t in again if (kind := last.get(t.key)) is not None)
    return ", ".join(f"{n} {kind.value}" for kind, n in counts.items())


def _trials(where: _Where, trials: tuple[Trial, ...], name: str, beside: Sequence[Beside] = ()) -> list[TrialRecord]:
    run, host = where.run, where.host
    name = run.unused_ansible(name)
    loaded_by = generators.of_server(run.path / "hosts", host)
    trials = generators.placed(trials, loaded_by)
    besides = {t.number: (b, t) for b in beside for t in generators.placed(b.trials, loaded_by)}
    riding = tuple(t for _, t in besides.values())
    block = execute.BlockNeeds(
        run.ansible(name),
        host,
        f"{host.work_dir}/{run.run_id}-{name}",
        loaded_by,
        where.loaded.site.own,
        where.loaded.plan.experiment.hooks,
        frozenset(t.number for t in trials if t.watched),
        where.loaded.plan.experiment.seed,
    )
    state = _Ordered({t.number: t for t in trials}, besides)
    desk = _Desk(where, state)
    room = Room(run)
    limits = where.loaded.site.limits
    patience_s = max(limits.of_trial_s(t) for t in (*trials, *riding)) + limits.silence_s

    def over() -> bool:
        if (want := room.want()) is not None:  # others write it meanwhile
            state.fault = state.fault or want
        state.silent = state.silent or time.monotonic() - state.heard_s > patience_s
        return where.cancelled() or state.silent or state.fault is not None or where.stop_rule.stop is not None

    where.display.step(f"block {trials[0].block}")
    trials = (*trials, *riding)
    journal.opened(run, str(where.loaded.site.inventory.resolve()), block, trials)
    with OwnCpu() as cpu:
        played = where.calls.run(block, trials, where.loaded.catalogue, desk.arrived, over)
        desk.take_waiting()
    if desk.shared:
        _note_cpu(run, cpu, desk.kept)
    if played.ok or _clean_up(where.loaded, block, run, where.display):
        journal.released(run, block)
    if state.fault:
        raise state.fault
    gone = next((f for f in played.failures if f.unreachable and f.host == host.host), None)
    if gone and where.others and not where.cancelled():
        raise HostLost(f"{host.host} cannot be reached any more: {unreachable.in_short(gone.message)}")
    if not where.cancelled() and not where.stop_rule.stop:
        desk.kept += _never_came(where, state, played, patience_s)
    where.stop_rule.check(run)
    return desk.kept


class _Desk:
    """Where the arrivals of one order are taken.

    On a machine that the trials share nothing is unpacked or measured before the last of them has come, since another
    trial is in its window meanwhile. Only one that failed is looked at at once.
    """

    def __init__(self, where: _Where, state: _Ordered) -> None:
        self.kept: list[TrialRecord] = []
        self._where, self._state = where, state
        self.shared = processes.is_this_boot(str(where.host.raw["facts"].get("boot_id")))
        self._arrived = 0
        self._waiting: list[Arrival] = []
        self._said: set[tuple[str, str]] = set()  # of hooks

    def arrived(self, arrival: Arrival) -> None:
        """Take an arrival, now or when the block is over."""
        self._state.heard_s = time.monotonic()
        if self.shared and arrival.complete:
            self._waiting.append(arrival)
            self._where.display.arrived()
        else:
            self._tell(arrival, self._looked_at(arrival))
        self._arrived += 1
        if self._arrived == len(self._state.trials) + len(self._state.beside):
            self.take_waiting()

    def take_waiting(self) -> None:
        """Take those that wait, several at once, since the disk takes a third of the time."""
        waiting, self._waiting = self._waiting, []
        small = all(_size_bytes(a.archive) < _SMALL_BYTES for a in waiting)
        with ThreadPoolExecutor(AT_ONCE if small else 1) as pool:
            try:
                for arrival, record in zip(waiting, pool.map(self._looked_at, waiting), strict=True):
                    self._tell(arrival, record)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _looked_at(self, arrival: Arrival) -> TrialRecord | None:
        """Return the record of a trial of the run, and leave all else of an arrival behind.

        Nothing is taken any more once the run is to end for a fault of this machine.
        """
        where, state = self._where, self._state
        if state.fault is not None:
            return None
        try:
            if arrival.number not in state.beside:
                return _keep(where, state, arrival)
            beside, trial = state.beside[arrival.number]
            with suppress(harvest.BadArchive):
                _kept(where, beside.run, trial, arrival, _ANY_NOISE)
        except LabError as err:  # raised here it would leave Ansible's process behind
            state.fault = err
        return None

    def _tell(self, arrival: Arrival, record: TrialRecord | None) -> None:
        if record is not None:
            self.kept.append(record)
            self._where.display.trial(self._state.trials[arrival.number], record.outcome, record.figures)
            self._where.stop_rule.saw(record.outcome)
            self._say_of_hooks(record)

    def _say_of_hooks(self, record: TrialRecord) -> None:
        """Say once a block what went wrong with a hook: no trial ends for it."""
        directory = self._where.run.path / record.directory
        for event, why in records.hooks_gone_wrong(directory) if record.watched else ():
            if (event, why) not in self._said:
                self._where.display.say(f"note: the hook {event} of trial {record.number}: {why}")
                self._said.add((event, why))


def _size_bytes(path: Path | None) -> int:
    with suppress(OSError):  # which whoever takes it says
        return path.stat().st_size if path else 0
    return 0


def _note_cpu(run: RunDirectory, cpu: OwnCpu, kept: Sequence[TrialRecord]) -> None:
    """Add to the run's state what this program and Ansible used of the machine that the trials share."""
    spans = [(r.started_s, r.started_s + float(r.settings["window_s"])) for r in kept if r.started_s is not None]
    before = run.state().get(store.CONTROL_CPU) or {"trials": 0, "cpu_s": 0.0, "windows_s": 0.0, "in_windows_s": 0.0}
    now = {
        "trials": len(kept),
        "cpu_s": cpu.whole_s,
        "windows_s": sum(end - begin for begin, end in spans),
        "in_windows_s": cpu.used_s(spans),
    }
    total = {name: round(before[name] + value, 4) for name, value in now.items()}
    run.set_state(store.RUNNING, **{store.CONTROL_CPU: {**total, "cores": len(os.sched_getaffinity(0))}})


def _clean_up(loaded: Loaded, block: execute.BlockNeeds, run_directory: RunDirectory, display: Display) -> bool:
    stopped = execute.stop_block(loaded.site, block)
    if not stopped.ok:
        display.say(
            f"warning: {block.host_directory} on {block.host.host} could not be cleaned up: {stopped.why}; "
            f"the next run there does it, and so does: {command(f'recover {run_directory.path}')}"
        )
    return stopped.ok


def _keep(where: _Where, state: _Ordered, arrival: Arrival) -> TrialRecord | None:
    """Keep one trial of the run, or the reason why it did not come home."""
    trial = state.trials[arrival.number]
    why = arrival.reason
    try:
        record = _kept(where, where.run, trial, arrival, where.noise)
    except harvest.BadArchive as err:
        record, why = None, err.what
    if record is None:
        state.news.append(why)
    else:
        state.came_home.add(trial.number)
    return record


def _kept(where: _Where, run: RunDirectory, trial: Trial, arrival: Arrival, noise: NoisePolicy) -> TrialRecord | None:
    """Unpack, measure and judge one trial; its outcome is written last. None for one that did not come home.

    Raises `BadArchive` for one of which nothing can be kept.
    """
    if arrival.archive is None:
        return None
    return keeping.keep(run, trial, where.host.host, where.environment, noise, arrival.archive, arrival.load)


def _never_came(where: _Where, state: _Ordered, played: ansible.Played, patience_s: float) -> list[TrialRecord]:
    missing = [t for n, t in sorted(state.trials.items()) if n not in state.came_home]
    news = [n for n in state.news if n]
    reason = " ".join((played.why or (news[0] if news else "the block ended without it")).split())
    if state.silent:
        reason = f"nothing was heard of the block for {patience_s:.0f} s"
    late = state.silent or played.timed_out or "did not end within" in reason
    kind = FailureKind.TIMEOUT if late else FailureKind.INFRA
    lost = []
    for trial in missing:
        directory = where.run.trials / trial.directory
        files.make_directory(directory)
        files.write_sealed(directory / "trial.json", store.trial_json(trial, where.host.host, where.environment))
        outcome = Outcome(trial.key, Status.FAILED, f"did not come home: {reason}", kind)
        store.write_outcome(directory, outcome)
        where.display.trial(trial, outcome, Figures())
        lost.append(records.load(where.run.path, store.read_trial(directory)))
    if lost:  # one cause, however many trials it took
        where.stop_rule.saw(lost[0].outcome)
    return lost
