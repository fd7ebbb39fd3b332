"""A run from its plan to its verdict: provision, blocks, harvest, conclude."""

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cgidlab import store
from cgidlab.errors import InterruptedRun, ProvisionError, RunError, SpecError, StoreError
from cgidlab.model import Plan, Status, TrialRecord
from cgidlab.parsers.host_report import HostReport
from cgidlab.pipeline import calibrating, provenance
from cgidlab.pipeline.blocks import one_block
from cgidlab.pipeline.concluding import conclude
from cgidlab.pipeline.loading import Loaded, Request, load_plan, new_run_id
from cgidlab.pipeline.locking import exclusive
from cgidlab.pipeline.provisioning import provisioned
from cgidlab.plan import blocks_within, estimated_s
from cgidlab.progress import Display, duration
from cgidlab.store import RunDirectory

INTERRUPTED_EXIT = 130


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended, for the command line."""

    text: str
    report: Path
    exit_code: int


def run(
    request: Request,
    results: Path,
    display: Display,
    cancelled: Callable[[], bool],
    budget_s: float | None = None,
    *,
    uncalibrated: bool = False,
) -> Ended:
    """Run an experiment to its verdict.

    `budget_s` is what all trials together may take, provisioning not counted: whole
    blocks are dropped to keep it, never levels. Where the witnesses' controls never passed
    on a host they are run first, unless `uncalibrated`. Raises `SpecError` before anything is
    touched and `ProvisionError` before any trial ran. Trials that failed or are invalid
    are counted in the exit status, and so is a block that did not run at all, which ends
    the run. Raises `InterruptedRun` when it was stopped before any trial.
    """
    loaded = load_plan(request)
    _check_budget(loaded.plan, budget_s)
    with exclusive(loaded.site):
        return _run(request, loaded, results, display, cancelled, budget_s, uncalibrated=uncalibrated)


def _run(
    request: Request,
    loaded: Loaded,
    results: Path,
    display: Display,
    cancelled: Callable[[], bool],
    budget_s: float | None,
    *,
    uncalibrated: bool,
) -> Ended:
    run_directory = store.create(results, loaded.plan, new_run_id())
    display.say(f"run {run_directory.path}")
    try:
        hosts = provisioned(loaded, run_directory, display, cancelled)
        run_directory.write(
            "provenance.json",
            {
                **provenance.collect(request.root, loaded.plan, hosts),
                "calibration": {"skipped": True}
                if uncalibrated
                else calibrating.before_run(loaded, hosts, results, display, cancelled),
            },
        )
        _all_blocks(loaded, run_directory, hosts, display, cancelled, budget_s)
    except RunError as err:  # what earlier blocks measured is not lost with it
        display.say(str(err))
    except BaseException as err:
        with suppress(StoreError):  # of a full disk: the error that led here says more
            run_directory.set_state(store.INTERRUPTED)
        if isinstance(err, ProvisionError) and cancelled():
            raise InterruptedRun("stopped before the first trial", where=str(run_directory.path)) from err
        raise
    stopped = cancelled()
    run_directory.set_state(store.INTERRUPTED if stopped else store.FINISHED)
    display.step("verdict")
    concluded = conclude(run_directory)
    if stopped:
        return Ended(concluded.text, concluded.report, INTERRUPTED_EXIT)
    whole = concluded.trials[Status.COMPLETE] > 0 and not concluded.lacking
    return Ended(concluded.text, concluded.report, 0 if whole else RunError.exit_code)


def _check_budget(plan: Plan, budget_s: float | None) -> None:
    if budget_s is not None and not blocks_within(plan, budget_s):
        need_s = estimated_s(plan, 1)
        raise SpecError(
            f"no block fits into {duration(budget_s)}: its {len(plan.cells)} trials need about {duration(need_s)}",
            where="--budget",
            fix=f"use --budget {math.ceil(need_s)}s or more, a shorter window_s, or fewer levels",
        )


def _all_blocks(
    loaded: Loaded,
    run_directory: RunDirectory,
    hosts: tuple[HostReport, ...],
    display: Display,
    cancelled: Callable[[], bool],
    budget_s: float | None,
) -> None:
    from cgidlab.analyse import decide  # noqa: PLC0415 -- scipy takes a second to load, and the first block can use it
    from cgidlab.inference.looks import planned_looks  # noqa: PLC0415 -- same

    plan = loaded.plan
    repetitions = plan.experiment.repetitions
    expected = planned_looks(repetitions.min, repetitions.max)[0]
    possible = repetitions.max if budget_s is None else blocks_within(plan, budget_s)
    _expect(run_directory, plan, min(expected, possible))
    display.expect(len(plan.cells) * min(expected, possible), estimated_s(plan, min(expected, possible)))
    began_s = time.monotonic()
    done: list[TrialRecord] = []
    for number, trials in enumerate(plan.blocks, start=1):
        host = hosts[(number - 1) % len(hosts)]
        done += one_block(loaded, run_directory, host, trials, display, cancelled)
        if cancelled():
            return
        if not repetitions.fixed and number >= repetitions.min:
            decision = decide(done, plan.experiment.rule, repetitions)
            if decision.stop:
                display.say(f"stopping after block {number}: {decision.reason}")
                return
            if number == expected:  # a look that decided nothing, or not all
                display.say(decision.reason)
            expected = decision.next_look or expected
        if budget_s is not None:
            possible = blocks_within(plan, budget_s, done=number, elapsed_s=time.monotonic() - began_s)
            if possible == number < repetitions.max:
                display.say(f"stopping after block {number}: no further block fits into {duration(budget_s)}")
                run_directory.set_state(store.RUNNING, budget={"budget_s": budget_s, "blocks": number})
                _expect(run_directory, plan, number)
                return
        _expect(run_directory, plan, min(expected, possible))
        display.now_expect(len(plan.cells) * min(expected, possible))


def _expect(run_directory: RunDirectory, plan: Plan, blocks: int) -> None:
    """Record how many trials the run will have as things stand, for those who look on."""
    run_directory.set_state(
        store.RUNNING, expected_trials=len(plan.cells) * blocks, estimated_s=round(estimated_s(plan, blocks), 1)
    )
