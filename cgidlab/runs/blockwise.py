"""The windows of a cell in one block, taken as one: records of pass 0.

A percentile is one of all requests of a cell in a block: the mean of short windows' percentiles is another figure.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cgidlab import measure
from cgidlab.errors import StoreError
from cgidlab.gathered import answering
from cgidlab.model import Figures, Status, TrialRecord

_Windows = tuple[str, ...]  # their directories


@dataclass(slots=True)
class Blockwise:
    """Makes such records of one run, and remembers them: each window is read once."""

    run: Path
    _known: dict[_Windows, Figures | StoreError] = field(default_factory=dict)

    def of(self, records: Sequence[TrialRecord]) -> tuple[tuple[TrialRecord, ...], tuple[StoreError, ...]]:
        """Return a record of each cell and block with several passes, from its complete windows that answer.

        And what of them cannot be read; that block then says nothing of that cell's percentiles.
        """
        several = {(r.host, r.block) for r in records if r.pass_number > 1}
        groups: dict[tuple[object, ...], list[TrialRecord]] = {}
        for r in answering(records):
            if r.outcome.status is Status.COMPLETE and r.pass_number and (r.host, r.block) in several:
                groups.setdefault((r.host, r.block, r.levels), []).append(r)
        found, damaged = [], []
        for windows in groups.values():
            figures = self._figures(tuple(r.directory for r in windows))
            if isinstance(figures, StoreError):
                damaged.append(figures)
            else:
                worst = [v for r in windows if (v := r.figures.worst_second_p99_ms) is not None]
                waiting = [v for r in windows if (v := r.figures.waiting_beyond_p99) is not None]
                whole = replace(
                    figures,
                    worst_second_p99_ms=max(worst, default=None),
                    waiting_beyond_p99=sum(waiting) if waiting else None,
                )
                found.append(replace(windows[0], pass_number=0, figures=whole, overhead_s=None))
        return tuple(found), tuple(damaged)

    def _figures(self, windows: _Windows) -> Figures | StoreError:
        if windows not in self._known:
            try:
                self._known[windows] = measure.whole([self.run / w for w in windows])
            except StoreError as err:
                self._known[windows] = err
        return self._known[windows]
