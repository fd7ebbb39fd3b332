"""What a reload costs in each cell: requests lost, with an interval that is honest for counts near none.

The unit is the block: reloads of one trial share its moment. The interval is Student's over blocks, never narrower than
that of a count which nothing but chance moves (Garwood 1936), since few blocks of small counts are alike by luck; and
it does not go below 0. Where no block lost any, no interval of the mean can be told: a reload that loses many may be
rare. What can be is how rare (docs/statistics.md).
"""

from collections.abc import Sequence

from scipy import stats  # type: ignore[import-untyped]  # scipy ships no types

from cgidlab.analysis.intervals import ALPHA, MIN_BLOCKS, Interval, t_interval
from cgidlab.analysis.looks import nominal_alpha
from cgidlab.analysis.pairs import complete
from cgidlab.analysis.reload_cost import ReloadCost
from cgidlab.design import faults
from cgidlab.gathered import by_cell
from cgidlab.model import TrialRecord


def reload_costs(records: Sequence[TrialRecord], looks: tuple[int, ...]) -> tuple[ReloadCost, ...]:
    """Return what a reload costs in each cell that had some, in the order of the records.

    `records` are those that answer. What the driver could not count is None. Nothing is claimed of a cell with fewer
    than MIN_BLOCKS blocks.
    """
    alpha = nominal_alpha(looks, ALPHA)
    windows = [r for r in complete(records) if r.pass_number and r.figures.reloads and faults.is_reload(r.settings)]
    return tuple(_of_cell(trials, alpha) for trials in by_cell(windows).values())


def _of_cell(trials: Sequence[TrialRecord], alpha: float) -> ReloadCost:
    counted = [r for r in trials if r.figures.lost_per_reload is not None]
    blocks: dict[tuple[str, int], list[TrialRecord]] = {}
    for record in counted:
        blocks.setdefault((record.host, record.block), []).append(record)
    lost = [sum(map(_lost, some)) / sum(map(_reloads, some)) for some in blocks.values()]
    reloads = sum(map(_reloads, counted))
    enough = len(lost) >= MIN_BLOCKS
    kind = str(trials[0].settings["fault"])
    retries = [v for r in trials if (v := r.figures.enoent_per_reload) is not None]
    return ReloadCost(
        kind=kind,
        levels=trials[0].levels,
        blocks=len(lost),
        reloads=reloads,
        lost=sum(lost) / len(lost) if lost else None,
        interval=rate_interval(lost, reloads, alpha) if enough and any(lost) else None,
        # the largest share of blocks with a loss that so many without one are likely to miss
        rarest=1 - alpha ** (1 / len(lost)) if enough and not any(lost) else None,
        enoent=sum(retries) / len(retries) if retries else None,
    )


def _reloads(record: TrialRecord) -> int:
    return record.figures.reloads or 0


def _lost(record: TrialRecord) -> float:
    return (record.figures.lost_per_reload or 0.0) * _reloads(record)


def rate_interval(values: Sequence[float], units: int, alpha: float) -> Interval:
    """Return the interval at confidence 1 - alpha of a mean count.

    `values` are its means in two blocks or more, of `units` counts in all.
    """
    student = t_interval(values, alpha)
    assert student is not None  # noqa: S101 -- of two blocks or more there is one
    total = units * sum(values) / len(values)
    low = float(stats.chi2.ppf(alpha / 2, 2 * total)) / 2 / units if total else 0.0
    high = float(stats.chi2.isf(alpha / 2, 2 * total + 2)) / 2 / units
    return Interval(max(0.0, min(student.low, low)), max(student.high, high))
