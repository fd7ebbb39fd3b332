"""Trials gathered by cell and block: medians, counts, and which trials a page has room for."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import quantiles
from typing import TypeVar

from cgidlab import gathered
from cgidlab.failures import likeness
from cgidlab.gathered import Levels
from cgidlab.model import Factor, Status, TrialRecord

T = TypeVar("T")
_FEW = 3  # values, of which quartiles say nothing that the median does not


@dataclass(frozen=True, slots=True)
class CellTrials:
    """One cell with all its trials, complete or not, in the order of the run."""

    levels: Levels
    trials: tuple[TrialRecord, ...]
    complete: tuple[TrialRecord, ...]  # those that may be analysed
    whole: tuple[TrialRecord, ...] = ()  # where a block has several passes, its windows as one

    @property
    def name(self) -> str:
        """Return the cell's id, "listen_backlog=100,clients=50"."""
        return ",".join(f"{factor}={label}" for factor, label in self.levels)

    @property
    def title(self) -> str:
        """Return the cell as people read it."""
        return ", ".join(f"{factor} {label}" for factor, label in self.levels)

    def median(self, column: str) -> float | None:
        """Return the median of a figure over the complete trials that know it, or None; see `gathered.known`."""
        return gathered.median_of((*self.complete, *self.whole), column)

    def quartiles(self, column: str) -> tuple[float, float] | None:
        """Return the quartiles of the same trials; None of fewer than three, or where they do not differ."""
        known = gathered.known((*self.complete, *self.whole), column)
        if len(known) < _FEW:
            return None
        low, _, high = quantiles(known, n=4, method="inclusive")
        return (low, high) if low < high else None

    @property
    def witnessed(self) -> tuple[TrialRecord, ...]:
        """Return the complete trials that say what happened inside the server."""
        return tuple(gathered.witnessing(self.complete))


def by_cell(
    trials: Iterable[TrialRecord], factors: Sequence[Factor], whole_blocks: Iterable[TrialRecord] = ()
) -> tuple[CellTrials, ...]:
    """Return the cells that were run, in the order of the factors' levels."""
    groups = gathered.by_cell(trials)
    whole = gathered.by_cell(whole_blocks)
    rank = {(f.name, level.label): i for f in factors for i, level in enumerate(f.levels)}

    def place(levels: Levels) -> list[tuple[int, str]]:
        return [(rank.get(pair, len(rank)), pair[1]) for pair in levels]

    return tuple(
        CellTrials(
            levels,
            tuple(groups[levels]),
            tuple(t for t in groups[levels] if t.outcome.status is Status.COMPLETE),
            tuple(whole.get(levels, ())),
        )
        for levels in sorted(groups, key=place)
    )


def others(levels: Levels, factor: str) -> str:
    """Return the levels of all factors but one, "clients=50,mpm=event"; empty when there are none."""
    return ",".join(f"{name}={label}" for name, label in levels if name != factor)


def spread(trials: Sequence[T], room: int) -> tuple[T, ...]:
    """Return at most `room` trials, evenly spaced over the order given; all of them when there is room."""
    if len(trials) <= room:
        return tuple(trials)
    if room <= 0:
        return ()
    return tuple(trials[(2 * i + 1) * len(trials) // (2 * room)] for i in range(room))


def with_room(cells: Sequence[Sequence[T]], room: int) -> tuple[tuple[T, ...], ...]:
    """Return of each cell's trials those to show in detail: the same number each, at most `room` together.

    With more cells than room the last cells get none.
    """
    if sum(map(len, cells)) <= room:
        return tuple(map(tuple, cells))
    each = max(1, room // max(1, len(cells)))
    return tuple(spread(trials, each) if i * each < room else () for i, trials in enumerate(cells))


def reasons(trials: Iterable[TrialRecord]) -> tuple[tuple[str, str, int, tuple[TrialRecord, ...]], ...]:
    """Return (status, reason, number of trials, the trials) of all that are not complete, commonest first.

    Reasons that differ in their figures alone are one: the first stands for all, and says so.
    """
    groups: dict[tuple[str, str], list[TrialRecord]] = {}
    for trial in trials:
        if trial.outcome.status is not Status.COMPLETE:
            key = (trial.outcome.status.value, likeness(trial.outcome.reason))
            groups.setdefault(key, []).append(trial)
    counts = Counter({key: len(group) for key, group in groups.items()})
    return tuple((key[0], _reason(groups[key]), count, tuple(groups[key])) for key, count in counts.most_common())


def _reason(alike: Sequence[TrialRecord]) -> str:
    first = alike[0].outcome.reason or "no reason was recorded"
    return first if len({t.outcome.reason for t in alike}) == 1 else f"{first} and the like"
