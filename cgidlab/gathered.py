"""Several trials together: by cell, and one figure of them. Pure."""

import math
from collections.abc import Iterable, Sequence
from statistics import median

from cgidlab.model import TrialRecord

Levels = tuple[tuple[str, str], ...]


def by_cell(records: Iterable[TrialRecord]) -> dict[Levels, list[TrialRecord]]:
    """Return the trials of each cell by its levels, both in the order of the records."""
    cells: dict[Levels, list[TrialRecord]] = {}
    for record in records:
        cells.setdefault(record.levels, []).append(record)
    return cells


def known(records: Iterable[TrialRecord], figure: str) -> list[float]:
    """Return a figure of those trials that have it."""
    values = (getattr(r.figures, figure) for r in records)
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
