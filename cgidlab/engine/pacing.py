"""After which block a run ends: budget, planned looks and what is expected of both. Decides nothing about a block."""

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cgidlab.design import limiting
from cgidlab.design.plan import blocks_within, estimated_s, trial_s
from cgidlab.figures import title
from cgidlab.model import Plan, TrialRecord
from cgidlab.progress import Display, duration
from cgidlab.runs import store
from cgidlab.runs.store import RunDirectory

if TYPE_CHECKING:
    from cgidlab.analysis.findings import Decision


_MOST_SHOWN = 5000
"""Trials from which on a run of a fixed length no longer shows its precision: to compare them takes too long."""


class Pacing:
    """The length of one run as things stand, from its first trial, in whichever session that was, to its last."""

    def __init__(
        self,
        plan: Plan,
        run_directory: RunDirectory,
        display: Display,
        budget_s: float | None,
        before: Sequence[TrialRecord] = (),
        at_once: int = 1,
        beside_s: float = 0.0,
    ) -> None:
        """Begin to count. `before` are the records of an earlier session; `at_once` blocks run at a time.

        `beside_s` is what one block takes longer than the others for trials that are not of the plan.
        """
        from cgidlab.analysis.looks import planned_looks  # noqa: PLC0415 -- scipy takes a second to load
        from cgidlab.runs.blockwise import Blockwise  # noqa: PLC0415 -- same

        self._whole_blocks = Blockwise(run_directory.path)
        repetitions = plan.experiment.repetitions
        self._plan, self._run, self._display, self._budget_s = plan, run_directory, display, budget_s
        self._keys = [{t.key for t in trials} for trials in plan.blocks]
        self._before = {r.key for r in before}
        self._beside_s = beside_s
        self._spent_s = spent_s(run_directory, before)
        self._began_s = time.monotonic()
        self._expected = next(n for n in planned_looks(repetitions) if n > max(repetitions.looked, default=0))
        self._possible = repetitions.max
        if budget_s is not None:
            done = self._finished(before)
            within = blocks_within(plan, budget_s, done=done, elapsed_s=self._spent_s, beside_s=beside_s)
            # Before there is a pace, one estimated for one host.
            self._possible = min(repetitions.max, max(done, within if done else within * at_once))
        self._expect(min(self._expected, self._possible))
        pending = self._pending(min(self._expected, self._possible))
        results = run_directory.path.parent.parent
        display.expect(pending, _trials_s(plan, results, pending, begun=bool(before)) / at_once, plan.cells)

    @property
    def may_begin(self) -> int:
        """Return the last block that may begin as things stand: none after the next look begins before it."""
        return max(1, min(self._expected, self._possible))

    def stops_after(self, number: int, records: Sequence[TrialRecord]) -> bool:
        """Say whether the run ends with block `number`. `records` are all that there are, later blocks' too."""
        from cgidlab.analysis.analyse import decide  # noqa: PLC0415 -- same

        repetitions = self._plan.experiment.repetitions
        finished = self._finished(records)
        elapsed_s = self._spent_s + time.monotonic() - self._began_s
        self._run.set_state(store.RUNNING, spent={"blocks": finished, "spent_s": round(elapsed_s, 1)})
        so_far = [r for r in records if r.block <= number]
        decision = None
        if not repetitions.fixed or len(so_far) <= _MOST_SHOWN:
            whole, _torn = self._whole_blocks.of(so_far)  # what cannot be read is named when the run is concluded
            decision = decide((*so_far, *whole), self._plan.experiment.rule, repetitions)
            if not self._keys[number - 1] <= self._before:  # an earlier session said it
                self._say_precision(number, decision)
        if decision is not None and not repetitions.fixed and number >= repetitions.min:
            if decision.stop:
                self._display.say(f"stopping after block {number}: {decision.reason}")
                return True
            if number == self._expected:  # a look that decided nothing, or not all
                self._display.say(decision.reason)
            self._expected = decision.next_look or self._expected
        if self._budget_s is not None:
            self._possible = blocks_within(
                self._plan, self._budget_s, done=finished, elapsed_s=elapsed_s, beside_s=self._beside_s
            )
            if self._possible <= number < repetitions.max:
                self._display.say(
                    f"stopping after block {number}: no further block fits into {duration(self._budget_s)}"
                )
                self._run.set_state(store.RUNNING, budget={"budget_s": self._budget_s, "blocks": number})
                self._expect(number)
                return True
        blocks = min(self._expected, self._possible)
        self._expect(blocks)
        self._display.now_expect(self._pending(blocks))
        return False

    def _say_precision(self, number: int, decision: "Decision") -> None:
        """Show how well comparisons are known by now, once all of a response's have an interval."""
        said = [
            f"{title(p.response)} known to \N{PLUS-MINUS SIGN}{100 * p.half_width:.1f} %, "
            f"{p.answered} of {p.comparisons} answered"
            + (f" ({p.together} only by what they have in common)" if p.together else "")
            for p in decision.precision
            if p.half_width is not None
        ]
        if said:
            self._display.say(f"after block {number}: {'; '.join(said)}")

    def _finished(self, records: Iterable[TrialRecord]) -> int:
        """Return how many blocks have a record of each of their trials."""
        known = {r.key for r in records}
        return sum(keys <= known for keys in self._keys)

    def _pending(self, blocks: int) -> int:
        """Return how many trials of the first blocks this session has to run."""
        return sum(len(keys - self._before) for keys in self._keys[:blocks])

    def _expect(self, blocks: int) -> None:
        """Record how many trials the run will have as things stand, for those who look on."""
        self._run.set_state(
            store.RUNNING,
            expected_trials=self._plan.block_trials * blocks,
            estimated_s=round(estimated_s(self._plan, blocks), 1),
        )


def session_s(plan: Plan, results: Path, budget_s: float | None, before: Sequence[TrialRecord]) -> float:
    """Return how long the trials of a session will take on one host, up to the first look at which it may end."""
    from cgidlab.analysis.looks import planned_looks  # noqa: PLC0415 -- scipy takes a second to load

    if plan.experiment.search is not None:
        return estimated_s(plan)
    repetitions, done = plan.experiment.repetitions, {r.key for r in before}
    blocks = next(n for n in planned_looks(repetitions) if n > max(repetitions.looked, default=0))
    if budget_s is not None:
        blocks = min(blocks, max(1, blocks_within(plan, budget_s)))
    pending = sum(t.key not in done for trials in plan.blocks[:blocks] for t in trials)
    return _trials_s(plan, results, pending, begun=bool(before))


def _trials_s(plan: Plan, results: Path, pending: int, *, begun: bool) -> float:
    """Return how long so many trials take on one host: as the last run's blocks did, or by the estimate.

    Where nothing of them has `begun`, what limits throughput is tried among them.
    """
    from cgidlab.runs.expecting import last_block_s  # noqa: PLC0415 -- scipy takes a second to load

    blocks = pending / max(1, plan.block_trials)
    known_s = last_block_s(plan, results)
    if known_s is not None:  # with what was tried among them
        return known_s * blocks
    return estimated_s(plan, 1) * blocks + (0.0 if begun else limiting.extra_s(plan))


def spent_s(run_directory: RunDirectory, records: Sequence[TrialRecord]) -> float:
    """Return what earlier sessions took: as they noted after each block, and an estimate of what came later."""
    said: Mapping[str, Any] = run_directory.state().get("spent") or {"blocks": 0, "spent_s": 0.0}
    later = [r for r in records if r.block > int(said["blocks"])]
    return float(said["spent_s"]) + sum(trial_s(r.settings) for r in later)
