"""A run from its plan to its verdict: provision, blocks, harvest, conclude; and an interrupted one to its end."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from cgidlab.design import choosing, own_files
from cgidlab.design.plan import blocks_within, estimated_s, told_sources
from cgidlab.engine import hosts_after, journal, readying, resuming
from cgidlab.engine.loading import Request, load_plan, new_run_id
from cgidlab.engine.locking import exclusive, of_run
from cgidlab.engine.pacing import spent_s
from cgidlab.engine.readying import How, Ready, RunSession
from cgidlab.engine.spreading import all_blocks
from cgidlab.errors import InterruptedRun, RunError, SpecError, StoreError, UnmetError
from cgidlab.model import Plan, Status
from cgidlab.progress import Display, duration
from cgidlab.runs import changes, ending, status, store
from cgidlab.runs.concluding import Concluded, conclude
from cgidlab.runs.store import RunDirectory
from cgidlab.verdict import words

INTERRUPTED_EXIT = 130


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended, for the command line."""

    text: str
    report: Path
    exit_code: int


def run(
    request: Request, results: Path, display: Display, cancelled: Callable[[], bool], how: How, run_id: str = ""
) -> Ended:
    """Run an experiment to its verdict, as `run_id` where somebody has to know that name before.

    To keep a budget whole blocks are dropped, never levels. Where the witnesses' controls never passed
    on a host they are run first, unless `uncalibrated`. Raises `SpecError` before anything is
    touched and `ProvisionError` before any trial ran. Trials that failed or are invalid
    are counted in the exit status; where they end the run (see `blocks` and `halting`) it is `interrupted`,
    and can go on. Raises `InterruptedRun` when it was stopped before any trial.
    """
    loaded = load_plan(request)
    _check_budget(loaded.plan, how.budget_s)
    with exclusive(loaded.site):
        run_directory = store.create(results, loaded.plan, run_id or new_run_id())
        with of_run(run_directory.path):
            display.say(f"run {run_directory.path}: {told_sources(loaded.plan)}")
            for warning in (*choosing.warnings(loaded.plan), *own_files.notes(loaded.site.own)):
                display.say(f"note: {warning}")
            if request.old is not None:
                changes.keep_asked(run_directory, load_plan(replace(request, old=None)).plan)
            run_directory.set_state(store.RUNNING, asked_budget_s=how.budget_s)
            session = RunSession(loaded, run_directory, results, display, cancelled, how)
            with _last_word(session):
                return _to_its_end(session, readying.new(session))


def resume(
    run_directory: RunDirectory,
    request: Request | None,
    root: Path,
    results: Path,
    display: Display,
    cancelled: Callable[[], bool],
    how: How,
    target: str | None = None,
) -> Ended:
    """Go on with a run where it ended, and bring it to its verdict.

    Trials that count (see `resuming`) stay as they are; all others are run. `request` is what the command
    line asks for beside the run, if anything, and `target` the hosts that it names without a file. Raises
    `SpecError` with everything that is not what it was and not accepted, and `ProvisionError` when another process
    has the run or its target. With `how.more` the run gets further blocks, and
    a budget is theirs alone.
    """
    with of_run(run_directory.path):
        continued = resuming.load(run_directory, root, request, target, how.more)
        resuming.refuse(continued, continued.differences, how.accepted)
        how = replace(how, budget_s=_budget_s(how, continued))
        loaded = continued.loaded
        session = RunSession(loaded, run_directory, results, display, cancelled, how, continued.done)
        with exclusive(loaded.site):
            display.say(
                f"resuming run {run_directory.path}: {told_sources(loaded.plan)}; {_counted(continued)}",
            )
            ready = readying.again(session, continued)
            with _last_word(session):
                return _to_its_end(session, ready)


def _budget_s(how: How, continued: resuming.Continued) -> float | None:
    """Return the time for all trials of the run together, earlier sessions' included."""
    if how.more is None:
        return how.budget_s or continued.run.state().get("asked_budget_s")
    return None if how.budget_s is None else how.budget_s + spent_s(continued.run, continued.done)


def _counted(continued: resuming.Continued) -> str:
    again = f", {len(continued.undone)} of them begun before and run again" if continued.undone else ""
    done = f"{len({r.key for r in continued.done})} trials are done"
    if continued.loaded.plan.experiment.search is not None:
        return f"{done}{again}"
    return f"{done}, up to {continued.pending} are to come{again}"


@contextmanager
def _last_word(session: RunSession) -> Iterator[None]:
    """Have the run's state say that it was interrupted, whatever it was that did it."""
    try:
        yield
    except BaseException as err:
        with suppress(StoreError):  # of a full disk: the error that led here says more
            session.run.set_state(store.INTERRUPTED)
        if isinstance(err, KeyboardInterrupt):
            raise _left_at_once(session.run) from err
        raise


def _left_at_once(run: RunDirectory) -> InterruptedRun:
    """Return what somebody who did not wait is told: what is kept, what hosts may still hold, what to do."""
    kept = f"stopped at once; {words.count(status.status(run.path).done, 'trial')} are kept"
    again = ending.go_on(run)
    try:
        held = journal.held(run)
    except StoreError:
        return InterruptedRun(f"{kept}; what its hosts still hold cannot be read", where=str(run.path), fix=again)
    if not held:
        return InterruptedRun(kept, where=str(run.path), fix=f"go on with: {again}")
    hosts = ", ".join(dict.fromkeys(f"{h.block} on {h.host}" for h in held))
    sysctls = sum(len(h.sysctls) for h in held)
    also = f" and {words.count(sysctls, 'sysctl')}" if sysctls else ""
    return InterruptedRun(
        f"{kept}; its hosts may still hold processes and {hosts}{also}",
        where=str(run.path),
        fix=f"give them back with: {ending.give_back(run)}; go on with: {again} (which gives them back as well)",
    )


def _to_its_end(session: RunSession, ready: Ready) -> Ended:
    stopped = None
    try:
        with hosts_after.compared(session.loaded, session.run, ready.hosts, session.display):
            all_blocks(session, ready)
    except RunError as err:  # what earlier blocks measured is not lost with it
        session.display.say(str(err))
        stopped = err.what
    cancelled = session.cancelled()
    session.run.set_state(store.INTERRUPTED if cancelled or stopped else store.FINISHED, stopped=stopped)
    session.display.step("verdict")
    concluded = conclude(session.run, say=session.how.say)
    if cancelled:
        return Ended(concluded.text, concluded.report, INTERRUPTED_EXIT)
    whole = concluded.trials[Status.COMPLETE] > 0 and not concluded.lacking and not stopped
    return Ended(concluded.text, concluded.report, _exit_code(concluded, whole=whole))


def _exit_code(concluded: Concluded, *, whole: bool) -> int:
    """Return the exit status: what was required and is not shown says more than trials that failed."""
    if concluded.required is False:
        return UnmetError.exit_code
    return 0 if whole else RunError.exit_code


def _check_budget(plan: Plan, budget_s: float | None) -> None:
    if budget_s is not None and not blocks_within(plan, budget_s):
        need_s = estimated_s(plan, 1)
        raise SpecError(
            f"no block fits into {duration(budget_s)}: its {plan.block_trials} trials need about {duration(need_s)}",
            where="--budget",
            fix=f"use --budget {math.ceil(need_s)}s or more, a shorter window_s, or fewer levels",
        )
