"""Which trials are compared with which.

Only complete trials count. A pass is one window of every cell on one host, in random order, and a block is one pass or
several. Two trials are a pair when host, block, pass and every other factor agree; for a percentile, which is one of
all requests of a cell in a block, when host, block and every other factor do.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cgidlab.analysis.findings import Combination
from cgidlab.figures import OF_A_BLOCK
from cgidlab.model import Factor, Scalar, Status, TrialRecord

Unit = tuple[str, int, int]  # host, block, pass; 0 for the block as a whole

MIN_REQUESTS_P999 = 10_000
"""p99.9 of fewer requests rests on fewer than ten of them, so it is left out."""


def complete(records: Sequence[TrialRecord]) -> tuple[TrialRecord, ...]:
    """Return the trials that may be analysed, in their order."""
    return tuple(r for r in records if r.outcome.status is Status.COMPLETE)


def value_of(record: TrialRecord, response: str) -> float | None:
    """Return a trial's figure; None when it was not observed or rests on too few requests."""
    value = getattr(record.figures, response)
    if value is None or not math.isfinite(value):
        return None
    if response == "latency_p999_ms" and (record.figures.requests or 0) < MIN_REQUESTS_P999:
        return None
    return float(value)


@dataclass(frozen=True, slots=True)
class FactorLevels:
    """The levels of one factor as the records have them: label to value, in the file's order."""

    name: str
    values: Mapping[str, Scalar]

    def same_value(self, one: str, other: str) -> bool:
        """Say whether two labels are names of one value (an A/A pair)."""
        return one in self.values and other in self.values and self.values[one] == self.values[other]


def levels_of(records: Sequence[TrialRecord], factor: str, declared: Sequence[Factor] = ()) -> FactorLevels:
    """Return the levels of a factor that occur in the records, in the declared order where there is one."""
    found: dict[str, Scalar] = {}
    for record in records:
        for name, label in record.levels:
            if name == factor:
                found.setdefault(label, record.settings.get(factor, label))
    order = [level.label for f in declared if f.name == factor for level in f.levels]
    known = [label for label in order if label in found]
    rest = sorted((label for label in found if label not in order), key=lambda label: _rank(found[label], label))
    return FactorLevels(factor, {label: found[label] for label in (*known, *rest)})


def _rank(value: Scalar, label: str) -> tuple[int, float, str]:
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return (0, float(value), label) if numeric else (1, 0.0, label)


def combinations_of(records: Sequence[TrialRecord], factor: str) -> tuple[Combination, ...]:
    """Return the combinations of the other factors, in the order the records first have them, sorted by value."""
    found: dict[Combination, tuple[tuple[int, float, str], ...]] = {}
    for record in records:
        others = tuple((n, label) for n, label in record.levels if n != factor)
        found.setdefault(others, tuple(_rank(record.settings.get(n, label), label) for n, label in others))
    return tuple(sorted(found, key=found.__getitem__))


def cells_of(records: Sequence[TrialRecord], factor: str) -> dict[tuple[str, Combination], list[TrialRecord]]:
    """Return the trials of every cell, complete or not, by level of `factor` and combination of the others."""
    cells: dict[tuple[str, Combination], list[TrialRecord]] = {}
    for record in records:
        label = next((lb for n, lb in record.levels if n == factor), "")
        others = tuple((n, lb) for n, lb in record.levels if n != factor)
        cells.setdefault((label, others), []).append(record)
    return cells


def by_unit(records: Sequence[TrialRecord], response: str) -> dict[Unit, float]:
    """Return a response of one cell's trials, unit by unit, of the complete ones that have it.

    The unit is the pass; for a response in OF_A_BLOCK it is the block. A block of several passes then counts only if
    there is a record of its windows as one (pass 0), since their figures cannot be made into one. The records are those
    that answer (`gathered.answering`).
    """
    known = [(r, v) for r in complete(records) if (v := value_of(r, response)) is not None]
    if response not in OF_A_BLOCK:
        return {(r.host, r.block, r.pass_number): v for r, v in known if r.pass_number}
    several = {(r.host, r.block) for r in records if r.pass_number != 1}  # a pass that was run again is one still
    whole = {(r.host, r.block, 0): v for r, v in known if not r.pass_number}
    single = {(r.host, r.block, 0): v for r, v in known if (r.host, r.block) not in several}
    return whole | single


Pairs = dict[Unit, tuple[float, float]]  # treated, reference


def pairs_of(
    cells: Mapping[tuple[str, Combination], Sequence[TrialRecord]],
    level: str,
    reference: str,
    place: Combination,
    response: str,
) -> Pairs | None:
    """Return the pairs of one comparison; None when the design lacks one of its cells."""
    if (level, place) not in cells or (reference, place) not in cells:
        return None
    return paired(by_unit(cells[level, place], response), by_unit(cells[reference, place], response))


def paired(treated: Mapping[Unit, float], reference: Mapping[Unit, float]) -> Pairs:
    """Return both values of every unit that has both."""
    return {unit: (treated[unit], reference[unit]) for unit in treated if unit in reference}


def within_blocks(pairs: Pairs) -> tuple[str, list[float]]:
    """Return the scale and the differences within blocks: log ratios where all are positive, else differences."""
    if all(a > 0 and b > 0 for a, b in pairs.values()):
        return "ratio", [math.log(a / b) for _, (a, b) in sorted(pairs.items())]
    return "difference", [a - b for _, (a, b) in sorted(pairs.items())]
