"""How far a run is: from its state and the outcomes of its trials, without reading what is large."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgidlab import processes, store
from cgidlab.errors import StoreError
from cgidlab.model import Status

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
    left_s: float | None  # None unless running and known
    changed_at: str | None  # ISO 8601, UTC

    @property
    def done(self) -> int:
        """Return how many trials have ended, whichever way."""
        return sum(self.trials.values())

    @property
    def pending(self) -> int | None:
        """Return how many trials are to come, or will never come when the run is interrupted."""
        return None if self.expected is None else max(0, self.expected - self.done)


def status(path: Path) -> RunStatus:
    """Return where the run in `path` stands. Raise `StoreError` if it is no run or its state cannot be read.

    Costs one directory listing and one small file a trial; the plan is read only
    where the run recorded no number of its own.
    """
    run = store.open_run(path)
    state = run.read("state.json")
    said = str(state.get("state"))
    trials, ended_s = _outcomes(run.trials)
    expected = state.get("expected_trials")
    if expected is None:
        plan = run.read("plan.json")
        expected = len(plan["cells"]) * plan["repetitions"]["min"]
    if said == store.FINISHED:
        expected = sum(trials.values())
    shown, note = _checked(state)
    return RunStatus(
        experiment=run.path.parent.name,
        run_id=run.run_id,
        directory=run.path,
        state=shown,
        note=note,
        trials=trials,
        expected=expected,
        left_s=_left_s(state, expected, ended_s) if shown == store.RUNNING else None,
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
            link.parent.name, target.name, target, UNREADABLE, f"{err.what} ({err.where})", none, None, None, None
        )


def _outcomes(trials: Path) -> tuple[dict[Status, int], list[float]]:
    """Count the trials by status, and return when each ended (seconds since 1970)."""
    counts: Counter[Status] = Counter()
    ended_s = []
    for path in _outcome_files(trials):
        try:
            counts[Status(store.read_json(path)["status"])] += 1
        except (KeyError, ValueError) as err:
            raise StoreError(f"not what an outcome holds: {err!r}", where=str(path)) from err
        ended_s.append(path.stat().st_mtime)
    return {s: counts[s] for s in Status}, ended_s


def _outcome_files(trials: Path) -> Iterator[Path]:
    if trials.is_dir():
        yield from (p for d in trials.iterdir() if not d.name.startswith(".") and (p := d / "outcome.json").is_file())


def _checked(state: Mapping[str, Any]) -> tuple[str, str]:
    """Return the state as it is and not as it was last written, with what is worth saying of it."""
    said = str(state.get("state"))
    if said != store.RUNNING:
        budget = state.get("budget")
        return said, f"cut by its budget after block {budget['blocks']}" if budget else ""
    pid = int(state["pid"])
    if processes.lives(pid, state.get("started_ticks"), state.get("boot_id")):
        return said, f"process {pid}"
    return store.INTERRUPTED, f"its process {pid} is gone and left no last word"


def _left_s(state: Mapping[str, Any], expected: int, ended_s: list[float]) -> float | None:
    """Return the time left by the pace between the first trial's end and the last's; by the estimate before."""
    if len(ended_s) > 1:
        pace_s = (max(ended_s) - min(ended_s)) / (len(ended_s) - 1)
        return pace_s * max(0, expected - len(ended_s))
    estimated_s = state.get("estimated_s")
    return None if estimated_s is None or not expected else estimated_s * (1 - len(ended_s) / expected)
