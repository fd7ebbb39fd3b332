"""The short facts of a run that every form of the report states: counts, times, provenance in a line each."""

from collections import Counter
from collections.abc import Iterable, Mapping
from statistics import median

from cgidlab.model import Status, TrialRecord
from cgidlab.report import words
from cgidlab.report.data import ReportInput

_OVERFLOW = {
    "observed": "The queue overflowed",
    "not_observed": "The queue did not overflow",
    "inconclusive": "Whether the queue overflowed cannot be said",
}
_LEAD_LENGTH = 60  # a longer first sentence is no heading


def overflow_words(overflow: str) -> str:
    """Return the overflow answer as people say it; an unknown answer is shown as it is."""
    return _OVERFLOW.get(overflow, overflow or "No verdict")


def split_lead(line: str) -> tuple[str, str]:
    """Return a verdict line as (question, answer), or ("", line) when it does not begin with a question."""
    lead, mark, rest = line.partition("? ")
    return (lead + "?", rest) if mark and len(lead) <= _LEAD_LENGTH else ("", line)


def status_counts(trials: Iterable[TrialRecord]) -> dict[str, int]:
    """Return how many trials ended in each way; every status is there, with 0 if none did."""
    counts = Counter(t.outcome.status for t in trials)
    return {status.value: counts[status] for status in Status}


def overhead_s(trials: Iterable[TrialRecord]) -> float | None:
    """Return the median overhead of a trial, or None when no trial knows its own."""
    values = [t.overhead_s for t in trials if t.overhead_s is not None]
    return median(values) if values else None


def facts(report: ReportInput) -> list[tuple[str, str]]:
    """Return the facts for the head of the report as (name, value)."""
    counts = status_counts(report.trials)
    total = sum(counts.values())
    wall = report.timing.get("wall_s")
    return [
        ("Trials", f"{counts['complete']:,} of {total:,} complete"),
        ("Cells", f"{len({t.levels for t in report.trials}):,}"),
        ("Blocks", f"{len({t.block for t in report.trials}):,}"),
        ("Took", words.duration(float(wall) if isinstance(wall, int | float) else None)),
        ("Overhead a trial", words.duration(overhead_s(report.trials))),
    ]


def flat(values: Mapping[str, object], prefix: str = "") -> list[tuple[str, str]]:
    """Return a nested mapping as (dotted name, text) in its own order; None reads "not known"."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            rows += flat(value, f"{name}.")
        elif isinstance(value, list | tuple):
            rows.append((name, ", ".join(str(v) for v in value)))
        else:
            rows.append((name, words.NOT_KNOWN if value is None else str(value)))
    return rows
