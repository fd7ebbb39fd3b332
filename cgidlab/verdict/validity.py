"""Whether requests were answered at all, and when errors come before everything else."""

from collections.abc import Sequence
from dataclasses import dataclass

from cgidlab.analysis.cut_short import CutShort
from cgidlab.analysis.findings import Combination
from cgidlab.design import faults
from cgidlab.model import TrialRecord
from cgidlab.verdict import words

FAILED_SHARE = 0.001
"""Of a cell's requests: from here on its throughput and latency are those of a server that fails."""


@dataclass(frozen=True, slots=True)
class CellErrors:
    """The requests of one cell's complete trials together."""

    levels: Combination
    requests: int
    errors: int
    unavailable: int  # answered 503
    reloaded: bool = False  # httpd was, in each trial: that requests fail then is what is measured

    @property
    def share(self) -> float:
        """Return the share of requests that failed."""
        return self.errors / self.requests if self.requests else 0.0

    @property
    def fails(self) -> bool:
        """Say whether more failed than is borne, and nothing that was done to httpd explains it."""
        return self.share > FAILED_SHARE and not self.reloaded


def by_cell(valid: Sequence[TrialRecord]) -> tuple[CellErrors, ...]:
    """Return the requests of every cell whose driver counted them, in the order of the records."""
    cells: dict[Combination, list[TrialRecord]] = {}
    for record in valid:
        if record.figures.requests is not None and record.figures.errors is not None:
            cells.setdefault(record.levels, []).append(record)
    return tuple(
        CellErrors(
            levels,
            sum(r.figures.requests or 0 for r in trials),
            sum(r.figures.errors or 0 for r in trials),
            sum(r.figures.gave_up_503 or 0 for r in trials),
            all(faults.is_reload(r.settings) for r in trials),
        )
        for levels, trials in cells.items()
    )


def line(cells: Sequence[CellErrors], factor: str) -> str:
    """Return the sentence that leads a verdict on servers that fail; empty where they do not."""
    bad = [c for c in cells if c.fails]
    if not bad:
        return ""
    low, high = (words.per_cent(f(c.share for c in bad)) for f in (min, max))
    share = low if low == high else f"{low.removesuffix(' %')} to {high}"
    places = words.group([c.levels for c in bad], [c.levels for c in cells], factor)
    unavailable = sum(c.unavailable for c in bad)
    answered = f", {unavailable:,} of them answered 503" if unavailable else ""
    return words.sentence(
        f"{share} of requests failed in {len(bad)} of {words.count(len(cells), 'cell')} ({places}): "
        f"{sum(c.errors for c in bad):,} of {sum(c.requests for c in bad):,}{answered}; "
        "their latency is that of failing, and no level is preferred for it"
    )


def lower_bounds(cells: Sequence[CutShort]) -> tuple[str, ...]:
    """Return the clause on a p99 that the window's end cut short; nothing where there is none."""
    if not cells:
        return ()
    worst = max(cells, key=lambda c: (c.some / c.of, c.most))
    more = f" and in {words.count(len(cells) - 1, 'more cell')}" if len(cells) > 1 else ""
    said = (
        f"p99 is a lower bound in {worst.some} of {worst.of} at {words.cell(worst.levels)}{more}: "
        f"up to {worst.most} of its requests had waited longer when the window ended, which a longer window_s holds"
    )
    return (said,)


def advice(cells: Sequence[CellErrors], factor: str) -> str:
    """Return what to do about errors, without a full stop; empty where there are none."""
    bad = [c for c in cells if c.fails]
    if not bad:
        return ""
    everywhere = [c.levels for c in cells]
    free = [label for label in dict.fromkeys(dict(lv).get(factor, "") for lv in everywhere)
            if not any(c.fails for c in cells if dict(c.levels).get(factor, "") == label)]  # fmt: skip
    where = words.group([c.levels for c in bad], everywhere, factor)
    without = f"; none fails at {factor}={words.listing(free)}" if free and factor else ""
    return f"find out why requests fail at {where} before choosing a level{without}"
