"""From two run directories to their comparison."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cgidlab import compare
from cgidlab.analysis.findings import Combination
from cgidlab.compare import differing
from cgidlab.errors import SpecError, StoreError
from cgidlab.gathered import answering
from cgidlab.model import TrialRecord
from cgidlab.runs import blockwise, changes, planless, records, store

_SEPARATE = (
    "these are two separate runs: whatever changed on the host between them is in every absolute value, and not in "
    "what a level lost or gained against the reference; one run with both as levels of a factor is better evidence"
)


@dataclass(frozen=True, slots=True)
class Compared:
    """What two runs say side by side."""

    a: str  # path of the run
    b: str
    cells: tuple[Combination, ...]  # that both runs have
    only_a: tuple[Combination, ...]
    only_b: tuple[Combination, ...]
    differences: tuple[compare.Difference, ...]
    ratios: tuple[compare.Ratio, ...]
    warnings: tuple[str, ...]
    suggestion: str  # part of an experiment file that makes it one run; may be empty

    @property
    def worse(self) -> tuple[compare.Ratio, ...]:
        """Return the responses that got worse by more than their threshold, with confidence."""
        return tuple(r for r in self.ratios if r.worse)


def compare_runs(
    a: store.RunDirectory, b: store.RunDirectory, *, threshold: float | None = None, across: Sequence[str] | None = ()
) -> Compared:
    """Compare run B with run A, the one that ratios refer to.

    `threshold` replaces the smallest effects of A's rule. Raises `SpecError` when the
    runs are one, have no cell in common, or differ in a checked field that `across` does not name;
    None names all, where the question is what changed with all that did.
    """
    if a.path == b.path:
        raise SpecError("both names are the same run", where=str(a.path), fix="name two runs")
    ours, theirs = changes.of(a), changes.of(b)
    cells_a, cells_b = _cells(ours), _cells(theirs)
    common = compare.common_cells(cells_a, cells_b)
    if not common:
        raise SpecError(
            "the runs have no cell in common",
            where=f"{_title(cells_a)}; {_title(cells_b)}",
            fix="compare runs whose factors have the same names and levels",
        )
    found = differing.overall(ours, theirs, common)
    if across is not None:
        _refuse(found, across, (ours, theirs))
    effects: Mapping[str, float] = ours.plan["rule"]["smallest_effects"]
    thresholds = {response: threshold or share for response, share in effects.items()}
    (rows_a, damaged_a), (rows_b, damaged_b) = _records(a), _records(b)
    both = {frozenset(c) for c in common}
    return Compared(
        a=str(a.path),
        b=str(b.path),
        cells=common,
        only_a=tuple(c for c in cells_a if frozenset(c) not in both),
        only_b=tuple(c for c in cells_b if frozenset(c) not in both),
        differences=found,
        ratios=compare.ratios(
            rows_a, rows_b, common, thresholds, reference=_reference(ours, theirs), earlier=_earlier(a, b)
        ),
        warnings=(_SEPARATE, *_unfinished(a), *damaged_a, *_unfinished(b), *damaged_b),
        suggestion=compare.suggestion(ours, theirs, common, found),
    )


def _refuse(
    found: Sequence[compare.Difference], across: Sequence[str], runs: tuple[compare.Recorded, compare.Recorded]
) -> None:
    """Raise `SpecError` for a field that decides, differs and is not named, and for a name that is none."""
    differing.check_words(across, runs, "--across")
    barred = differing.barred(found, across)
    if barred:
        what = "; ".join(f"{d.word}: {differing.short(d.before)} and {differing.short(d.now)}" for d in barred)
        words = " ".join(dict.fromkeys((*across, *(d.word for d in barred))))
        raise SpecError(
            f"the runs differ in more than what is asked for ({what}), so a ratio would not say what changed",
            where="RUN_A, RUN_B",
            fix=f"if that is what you compare, name it: --across {words}",
        )


def _cells(side: compare.Recorded) -> tuple[Combination, ...]:
    return tuple(tuple(cell["levels"].items()) for cell in side.plan["cells"])


def _records(run: store.RunDirectory) -> tuple[tuple[TrialRecord, ...], tuple[str, ...]]:
    loaded, trouble = records.load_all(run, keep=False)
    found, unfit = planless.fitting(store.planned(run), loaded)
    whole, torn = blockwise.Blockwise(run.path).of(found)
    damaged = (*trouble, *unfit, *(run.damage(err) for err in torn))
    return (*answering(found), *whole), tuple(f"{run.run_id}: {d.file} is left out: {d.why}" for d in damaged)


def _unfinished(run: store.RunDirectory) -> tuple[str, ...]:
    state = run.read("state.json")["state"]
    return () if state == store.FINISHED else (f"{run.run_id} is {state}: only the trials that were done are compared",)


def _reference(ours: compare.Recorded, theirs: compare.Recorded) -> tuple[str, str]:
    """Return the factor and label that both runs' ratios refer to; empty where they refer to different ones."""
    rules = [(str(side.plan["rule"]["factor"]), str(side.plan["rule"]["reference"])) for side in (ours, theirs)]
    return rules[0] if rules[0] == rules[1] else ("", "")


def _earlier(a: store.RunDirectory, b: store.RunDirectory) -> list[compare.Earlier]:
    """Return the medians of the finished runs beside these two, A's among them and B's not; damaged ones left out."""
    found: list[compare.Earlier] = []
    paths = {p.parent.resolve() for run in (a, b) for p in run.path.resolve().parent.glob("*/summary.json")}
    for path in sorted(paths - {b.path.resolve()}):
        run = store.RunDirectory(path)
        try:
            if run.read("state.json")["state"] != store.FINISHED:
                continue
            cells = run.read("summary.json")["cells"]
            found.append({frozenset(c["levels"].items()): c["medians"] for c in cells})
        except (StoreError, KeyError, TypeError, AttributeError):
            continue  # not a run, or one of another version
    return found


def _title(cells: Sequence[Combination]) -> str:
    shown = " | ".join(", ".join(f"{n}={label}" for n, label in c) for c in cells[:3])
    return shown + (" ..." if len(cells) > 3 else "")  # noqa: PLR2004 -- as many as are shown
