"""Whether a run shows what its file requires: its thresholds, and what was seen of the queue."""

from collections.abc import Mapping, Sequence

from cgidlab.analysis.findings import Analysis, Combination
from cgidlab.analysis.intervals import MIN_BLOCKS
from cgidlab.analysis.thresholds import Fulfilment, Shown, thresholds_shown
from cgidlab.junit import CaseResult
from cgidlab.model import TrialRecord, covered
from cgidlab.verdict import words
from cgidlab.verdict.overflow import CellOverflow, Overflow
from cgidlab.verdict.sentences import Sentence, say

_MOST_TOLD = 2  # of each kind one by one: the others are counted

_ALLOWED: Mapping[str, frozenset[Overflow]] = {
    "not_observed": frozenset({Overflow.NOT_OBSERVED}),
    "moment": frozenset({Overflow.NOT_OBSERVED, Overflow.MOMENT}),
}
_ASKED = {"not_observed": "overflow not_observed", "moment": "overflow for moments at most"}
_TOLD = {Shown.MISSED: "not met", Shown.UNDECIDED: "not decided, which is no pass"}
_SEEN = {Overflow.OBSERVED: "overflowed", Overflow.MOMENT: "was full for moments"}


def fulfilments(
    analysis: Analysis, records: Sequence[TrialRecord], cells: Sequence[CellOverflow]
) -> tuple[Fulfilment, ...]:
    """Return what is shown of each requirement in each cell that is asked; nothing where nothing is required.

    `records` are those that `analysis` was made of, `cells` what was seen of their queues.
    """
    required = analysis.rule.required
    planned = tuple(dict.fromkeys((*(c.levels for c in analysis.cells), *analysis.lost)))
    found = thresholds_shown(required, records, analysis.looks, planned)
    if not required.overflow:
        return found
    seen = {frozenset(c.levels): c for c in cells}
    asked = {frozenset(levels): levels for levels in planned if covered(required.at, levels)}
    return (*found, *(_of_overflow(required.overflow, levels, seen.get(key)) for key, levels in asked.items()))


def passes(found: Sequence[Fulfilment]) -> bool:
    """Say whether everything that is required is shown."""
    return all(f.state is Shown.MET for f in found)


def cases(found: Sequence[Fulfilment]) -> list[CaseResult]:
    """Return a case a requirement and cell. What is undecided fails, and its kind says so."""
    return [_case(f) for f in found]


def _case(one: Fulfilment) -> CaseResult:
    title = f"{one.required} at {', '.join(f'{name}={label}' for name, label in one.levels)}"
    if one.state is Shown.MET:
        return CaseResult(title, said=one.why)
    return CaseResult(title, failed=f"{_TOLD[one.state]}: {one.why}", kind=one.state.value)


def _of_overflow(wanted: str, levels: Combination, cell: CellOverflow | None) -> Fulfilment:
    said = _ASKED[wanted]
    if cell is None or not cell.trials or cell.overflow is Overflow.INCONCLUSIVE:
        why = ", but ".join(cell.against) if cell is not None and cell.against else "no witness of the queue tells"
        return Fulfilment(said, levels, Shown.UNDECIDED, why)
    watched = words.count(cell.trials, "watched trial")
    if cell.overflow not in _ALLOWED[wanted]:
        return Fulfilment(said, levels, Shown.MISSED, f"it {_SEEN[cell.overflow]} in {cell.observed} of {watched}")
    if cell.trials < MIN_BLOCKS:
        return Fulfilment(said, levels, Shown.UNDECIDED, f"only {watched}, and a claim needs {MIN_BLOCKS}")
    how = (
        f"in {cell.observed} of {watched}, for moments" if cell.overflow is Overflow.MOMENT else f"in none of {watched}"
    )
    return Fulfilment(said, levels, Shown.MET, how)


def sentences(found: Sequence[Fulfilment]) -> list[Sentence]:
    """Return whether all is met, and of what is not the first: what is missed before what is undecided."""
    missed, undecided, met = (
        [f for f in found if f.state is state] for state in (Shown.MISSED, Shown.UNDECIDED, Shown.MET)
    )
    if not missed and not undecided:
        if len(met) > 1:
            return [say("required_all_met", number=str(len(met)))]
        return [say("required_met", what=met[0].required, why=met[0].why)]
    said = [
        say(template, what=f.required, where=words.cell(f.levels), why=f.why)
        for template, some in (("required_missed", missed), ("required_undecided", undecided))
        for f in some[:_MOST_TOLD]
    ]
    if len(found) > len(said):
        counts = {"missed": len(missed), "undecided": len(undecided), "met": len(met)}
        said.append(say("required_counts", all=str(len(found)), **{name: str(n) for name, n in counts.items()}))
    return said
