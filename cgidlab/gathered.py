"""Several trials together: by cell, and one figure of them; from which passes that figure is taken. Pure."""

import math
from collections.abc import Iterable, Sequence
from statistics import median

from cgidlab import figures
from cgidlab.model import TrialRecord

Levels = tuple[tuple[str, str], ...]


def by_cell(records: Iterable[TrialRecord]) -> dict[Levels, list[TrialRecord]]:
    """Return the trials of each cell by its levels, both in the order of the records."""
    cells: dict[Levels, list[TrialRecord]] = {}
    for record in records:
        cells.setdefault(record.levels, []).append(record)
    return cells


def answering(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Return the trials that responses are taken from: those in which nothing watched, or all where each was watched.

    Of a whole run, so that what is compared was measured alike.
    """
    found = list(records)
    return [r for r in found if not r.watched] or found


def witnessing(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Return the trials that say what happened inside the server: the watched windows; all where none was watched."""
    found = [r for r in records if r.pass_number]
    return [r for r in found if r.watched] or found


def known(records: Iterable[TrialRecord], figure: str) -> list[float]:
    """Return a figure of those trials that have it.

    What the load says is that of the trials that answer, and a percentile that of a block's windows together where
    there is a record of them.
    """
    found = list(records)
    of_load = figure in figures.COLUMNS and figures.COLUMNS[figure].source == figures.LOAD
    some = answering(found) if of_load else found
    whole = [r for r in some if not r.pass_number] if figure in figures.OF_A_BLOCK else []
    values = (getattr(r.figures, figure) for r in (whole or [r for r in some if r.pass_number]))
    return [v for v in values if v is not None and math.isfinite(v)]


def median_of(records: Iterable[TrialRecord], figure: str) -> float | None:
    """Return the median of a figure over the trials that have it; None when none has."""
    return middle(known(records, figure))


def largest_of(records: Iterable[TrialRecord], figure: str) -> float | None:
    """Return the largest value of a figure; None when no trial has it."""
    return max(known(records, figure), default=None)


def overhead_s(records: Iterable[TrialRecord]) -> float | None:
    """Return the median of what a trial cost beside warm-up and window; None when no trial knows its own."""
    return middle([r.overhead_s for r in records if r.overhead_s is not None])


def middle(values: Sequence[float]) -> float | None:
    """Return the median; None of nothing."""
    return median(values) if values else None


def numeric_setting(record: TrialRecord, setting: str) -> float | None:
    """Return a setting that is a number; None when it is none, or not there."""
    value = record.settings.get(setting)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
