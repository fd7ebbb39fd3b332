"""What a search tries next, and after which block it ends. Asks `analysis` for both; decides nothing of its own."""

import time
from collections.abc import Sequence

from cgidlab.design import limit_search
from cgidlab.design.plan import estimated_s
from cgidlab.engine.loading import Loaded
from cgidlab.engine.pacing import spent_s
from cgidlab.model import Trial, TrialRecord
from cgidlab.progress import Display, duration
from cgidlab.runs import store
from cgidlab.runs.store import RunDirectory


class SearchPacing:
    """The length of one search as things stand. A block begins when the one before it is known."""

    def __init__(
        self,
        loaded: Loaded,
        run_directory: RunDirectory,
        display: Display,
        budget_s: float | None,
        before: Sequence[TrialRecord] = (),
    ) -> None:
        """Begin to count. `before` are the records of an earlier session."""
        search = loaded.plan.experiment.search
        assert search is not None  # noqa: S101 -- who asks has looked
        self._search, self._loaded, self._run, self._display = search, loaded, run_directory, display
        self._budget_s = budget_s
        self._told = 0
        self._spent_s = spent_s(run_directory, before)
        self._began_s = time.monotonic()
        self._expected = loaded.plan.block_trials * loaded.plan.experiment.repetitions.min
        self._done_before = len(before)
        display.expect(max(loaded.plan.block_trials, self._expected - len(before)), estimated_s(loaded.plan))
        self._expect(self._expected)

    @property
    def may_begin(self) -> int:
        """Return the last block that may begin: what it tries rests on all before it."""
        return self._told + 1

    def wanted(self, block: int, earlier: Sequence[TrialRecord]) -> tuple[Trial, ...]:
        """Return the trials of a block, by what earlier ones saw. The same records give the same trials."""
        from cgidlab.analysis.limit_searches import searches  # noqa: PLC0415 -- scipy takes a second to load

        experiment = self._loaded.plan.experiment
        levels = experiment.hardest_last
        looks = {
            place: (look.levels, look.short)
            for place, search in searches(self._search, levels, experiment.places, earlier).items()
            if not search.over
            for look in [search.next()]
        }
        named = {place: ([levels[i] for i in indices], short) for place, (indices, short) in looks.items()}
        return limit_search.block_of(self._loaded.plan, self._loaded.catalogue, named, block)

    def stops_after(self, number: int, records: Sequence[TrialRecord]) -> bool:
        """Say whether the search ends with block `number`, and what it knows. `records` may have later blocks' too."""
        from cgidlab.analysis.limit_searches import found_limits  # noqa: PLC0415 -- same
        from cgidlab.verdict.limits_found import progress  # noqa: PLC0415 -- same

        self._told = number
        elapsed_s = self._spent_s + time.monotonic() - self._began_s
        self._run.set_state(store.RUNNING, spent={"blocks": number, "spent_s": round(elapsed_s, 1)})
        experiment = self._loaded.plan.experiment
        so_far = [r for r in records if r.block <= number]
        found = found_limits(self._search, experiment.hardest_last, experiment.places, so_far)
        for limit in found:
            self._display.say(f"after block {number}: {progress(limit)}")
        if all(limit.known for limit in found):
            self._display.say(f"stopping after block {number}: every limit is known as well as was asked")
            return self._ended(so_far)
        if number == self._loaded.plan.experiment.repetitions.max:
            return self._ended(so_far)
        if self._budget_s is not None and elapsed_s * (number + 1) / number > self._budget_s:
            self._display.say(f"stopping after block {number}: no further block fits into {duration(self._budget_s)}")
            self._run.set_state(store.RUNNING, budget={"budget_s": self._budget_s, "blocks": number})
            return self._ended(so_far)
        self._expected = max(self._expected, len(so_far) + self._loaded.plan.block_trials)
        self._expect(self._expected)
        self._display.now_expect(self._expected - self._done_before)
        return False

    def _ended(self, records: Sequence[TrialRecord]) -> bool:
        self._expect(len(records))
        return True

    def _expect(self, trials: int) -> None:
        self._run.set_state(store.RUNNING, expected_trials=trials, estimated_s=round(estimated_s(self._loaded.plan), 1))
