"""Percentiles that the window's end cut short: how long requests take that still wait then, no log says. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from cgidlab.analysis.findings import Answer, Combination, Effect
from cgidlab.analysis.trimmed import TRIM_SHARE
from cgidlab.gathered import answering, by_cell
from cgidlab.model import Status, TrialRecord

TAIL = frozenset({"latency_p99_ms", "latency_p999_ms", "latency_max_ms"})
"""What such requests would change."""

NOT_CLAIMED = "not claimed: it is a lower bound, since requests had waited longer when windows ended"

Cell = frozenset[tuple[str, str]]

_BEYOND_P99 = 0.01


@dataclass(frozen=True, slots=True)
class CutShort:
    """A cell of which some windows (or blocks, whose windows are taken together) have a p99 that is too low."""

    levels: Combination
    some: int
    of: int
    most: int  # requests that still waited, in the worst of them

    @property
    def matters(self) -> bool:
        """Say whether these are more than are trimmed from a comparison's end."""
        return self.some > TRIM_SHARE * self.of


def cut_short(records: Iterable[TrialRecord]) -> tuple[CutShort, ...]:
    """Return the cells whose p99 is a lower bound in some complete trial, in the order of the records.

    It is one where those that had waited longer when the window ended are more than 1 % of all requests with them.
    """
    found = []
    complete = answering(r for r in records if r.outcome.status is Status.COMPLETE)
    for levels, trials in by_cell(complete).items():
        units = [r for r in trials if not r.pass_number] or trials
        cut = [waiting for r in units if (waiting := _waiting(r))]
        if cut:
            found.append(CutShort(levels, len(cut), len(units), max(cut)))
    return tuple(found)


def _waiting(record: TrialRecord) -> int:
    """Return how many waited longer than the p99, where they make it too low; else 0."""
    waiting, answered = record.figures.waiting_beyond_p99 or 0, record.figures.requests or 0
    return waiting if waiting > _BEYOND_P99 * (answered + waiting) else 0


def without_tail(records: Iterable[TrialRecord]) -> frozenset[Cell]:
    """Return the cells of whose tail nothing can be claimed."""
    return frozenset(frozenset(c.levels) for c in cut_short(records) if c.matters)


def unclaimed(found: Sequence[Effect], records: Iterable[TrialRecord]) -> tuple[Effect, ...]:
    """Return the effects, without claims on the tail that rest on such a cell."""
    cells = without_tail(records)
    return tuple(_unclaimed(e, cells) for e in found) if cells else tuple(found)


def _unclaimed(effect: Effect, cells: Iterable[Cell]) -> Effect:
    if effect.response not in TAIL or effect.answer is Answer.DESCRIBED:
        return effect
    both = {(effect.factor, effect.level), (effect.factor, effect.reference)}
    if not any(cell & both and cell - both >= set(effect.at) for cell in cells):
        return effect
    return replace(effect, answer=Answer.INCONCLUSIVE, more_blocks=None, note=NOT_CLAIMED)
