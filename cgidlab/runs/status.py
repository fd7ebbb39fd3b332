"""How far a run is: from its state and the outcomes of its trials, without reading what is large."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cgidlab import processes, rundir
from cgidlab.errors import StoreError
from cgidlab.model import Status
from cgidlab.parsers import trial_documents
from cgidlab.runs import store

UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class RunStatus:
    """Where a run stands. A run whose process is gone without a last word is `interrupted`."""

    experiment: str
    run_id: str
    directory: Path
    state: str  # running, interrupted, finished or unreadable
    note: str  # what is worth knowing of the state; may be empty
    trials: Mapping[Status, int]  # every status, 0 included
    expected: int | None  # trials as things stand; None when not known
    keys: int  # trials of the plan that have an outcome; a trial that was run again is one
    damaged: int  # outcomes that cannot be read
    left_s: float | None  # None unless running and known
    changed_at: str | None  # ISO 8601, UTC

    @property
    def done(self) -> int:
        """Return how many trials have ended, whichever way."""
        return sum(self.trials.values())

    @property
    def pending(self) -> int | None:
        """Return how many trials are to come, or will never come when the run is interrupted."""
        return None if self.expected is None else max(0, self.expected - self.keys)


def status(path: Path) -> RunStatus:
    """Return where the run in `path` stands. Raise `StoreError` if it is no run or its state cannot be read.

    Costs one directory listing and one small file a trial; the plan is read only
    where the run recorded no number of its own.
    """
    run = store.open_run(path)
    state = run.read("state.json")
    said = str(state.get("state"))
    seen = _outcomes(run)
    trials = {s: seen.counts[s] for s in Status}
    expected = state.get("expected_trials")
    if expected is None:
        plan = run.read("plan.json")
        expected = len(plan["cells"]) * plan["repetitions"]["min"] * plan["repetitions"]["passes"]
    if said == store.FINISHED:
        expected = len(seen.keys) + seen.damaged
    shown, note = _checked(state)
    return RunStatus(
        experiment=run.path.parent.name,
        run_id=run.run_id,
        directory=run.path,
        state=shown,
        note=note,
        trials=trials,
        expected=expected,
        keys=len(seen.keys),
        damaged=seen.damaged,
        left_s=_left_s(state, expected, seen) if shown == store.RUNNING else None,
        changed_at=state.get("changed_at"),
    )


def latest(results: Path) -> tuple[RunStatus, ...]:
    """Return where the newest run of every experiment stands, by experiment; one that cannot be read says so."""
    return tuple(_or_unreadable(link) for link in sorted(results.glob("*/latest")))


def _or_unreadable(link: Path) -> RunStatus:
    try:
        return status(link)
    except StoreError as err:
        none = dict.fromkeys(Status, 0)
        target = link.resolve()
        return RunStatus(
            link.parent.name, target.name, target, UNREADABLE, f"{err.what} ({err.where})", none, None, 0, 0, None, None
        )


@dataclass(slots=True)
class _Outcomes:
    """What the outcomes of a run say."""

    counts: Counter[Status] = field(default_factory=Counter)
    keys: set[str] = field(default_factory=set)
    ended_s: list[float] = field(default_factory=list)  # since 1970
    damaged: int = 0


def _outcomes(run: store.RunDirectory) -> _Outcomes:
    """Count the trials by status; an outcome that cannot be read is damaged, and no outcome."""
    seen = _Outcomes()
    for path in _outcome_files(run):
        try:
            outcome = trial_documents.OUTCOME.read(path)
            seen.ended_s.append(path.stat().st_mtime)
            seen.counts[outcome.status] += 1
            seen.keys.add(outcome.key)
        except (StoreError, OSError):
            seen.damaged += 1
    return seen


def _outcome_files(run: store.RunDirectory) -> Iterator[Path]:
    yield from (p for d in run.trial_directories() if rundir.is_there(p := d / "outcome.json"))


def _checked(state: Mapping[str, Any]) -> tuple[str, str]:
    """Return the state as it is and not as it was last written, with what is worth saying of it."""
    said = str(state.get("state"))
    if said != store.RUNNING:
        budget = state.get("budget")
        cut = f"cut by its budget after block {budget['blocks']}" if budget else ""
        return said, str(state.get("stopped") or cut)
    pid = state.get("pid")
    if pid is None:
        return store.INTERRUPTED, "which process it was is not known"
    if processes.lives(pid, state.get("started_ticks"), state.get("boot_id")):
        return said, f"process {pid}"
    return store.INTERRUPTED, f"its process {pid} is gone and left no last word"


def _left_s(state: Mapping[str, Any], expected: int, seen: _Outcomes) -> float | None:
    """Return the time left by the pace between the first trial's end and the last's; by the estimate before."""
    ended_s, left = seen.ended_s, max(0, expected - len(seen.keys))
    if len(ended_s) > 1:
        pace_s = (max(ended_s) - min(ended_s)) / (len(ended_s) - 1)
        return pace_s * left
    estimated_s = state.get("estimated_s")
    return None if estimated_s is None or not expected else estimated_s * left / expected
