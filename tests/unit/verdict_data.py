"""Recorded runs to judge, read from tests/data/verdict: rows of trials.csv, with the settings of the run's own plan."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from cgidlab.analysis.analyse import Analysis, analyse
from cgidlab.analysis.intervals import Interval
from cgidlab.analysis.interventions import HeldBack, LimitsShown, LimitWord, SlotEffect
from cgidlab.model import Experiment, FailureKind, Figures, Outcome, Settings, SmallestEffect, Status, TrialRecord
from cgidlab.runs import proven, store
from cgidlab.verdict import Verdict, judge

DATA = Path(__file__).parents[1] / "data" / "verdict"
FILES = ("trials.csv", "whole_blocks.csv")  # both with the columns of the first
RUNS = sorted(path.name for path in DATA.iterdir() if (path / "trials.csv").exists())


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recorded run as a verdict gets it."""

    experiment: Experiment
    records: list[TrialRecord]  # figures of unproven witnesses are not counted
    notes: tuple[str, ...]  # which those are
    whole_blocks: tuple[TrialRecord, ...]  # a cell's windows of a block as one; none where blocks have one pass
    limits: tuple[LimitsShown, ...]  # what holding back showed; none where it was not tried

    @property
    def analysis(self) -> Analysis:
        """Return what the run's own analysis found."""
        return analyse((*self.records, *self.whole_blocks), self.experiment)

    @property
    def verdict(self) -> Verdict:
        """Return the verdict."""
        return judge(self.analysis, self.records, self.notes, self.limits, whole=self.whole_blocks)


def recorded(name: str) -> Recorded:
    """Return all that is kept of a run."""
    run = store.RunDirectory(DATA / name)
    experiment = store.experiment_of(run)
    settings = {tuple(cell["levels"].items()): cell["settings"] for cell in run.read("plan.json")["cells"]}
    rows = [_record(row, experiment, settings) for file in FILES for row in _rows(run.path / file)]
    counted, notes = proven.counted(rows, run.read("provenance.json").get("calibration"))
    windows, whole = ([r for r in counted if bool(r.pass_number) is one_window] for one_window in (True, False))
    shown = summary(name).get("verdict", {}).get("shown", ())
    return Recorded(experiment, windows, notes, tuple(whole), tuple(map(_shown, shown)))


def load(name: str) -> tuple[Experiment, list[TrialRecord], tuple[str, ...]]:
    """Return a recorded run's trials alone: unproven witnesses are not counted, and the notes say so."""
    run = recorded(name)
    return run.experiment, run.records, run.notes


def summary(name: str) -> dict[str, Any]:
    """Return what is kept of the run's own summary.json; nothing where it is older than that."""
    path = DATA / name / "summary.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def part(
    name: str, kept: Mapping[str, tuple[str, ...]], smallest: Mapping[str, float]
) -> tuple[Experiment, list[TrialRecord], tuple[str, ...]]:
    """Return the trials of a recorded run that have the `kept` levels, judged by other smallest effects."""
    experiment, records, notes = load(name)
    rule = replace(experiment.rule, smallest_effects=tuple(SmallestEffect(r, s) for r, s in smallest.items()))
    factors = tuple(
        replace(f, levels=tuple(lv for lv in f.levels if lv.label in kept.get(f.name, (lv.label,))))
        for f in experiment.factors
    )
    some = [r for r in records if all(dict(r.levels)[factor] in labels for factor, labels in kept.items())]
    return replace(experiment, rule=rule, factors=factors), some, notes


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _shown(one: Mapping[str, Any]) -> LimitsShown:
    """Return what one trial showed of what limits, from how summary.json says it."""
    held = [
        HeldBack(
            h["name"],
            LimitWord(h["word"]),
            h["elasticity"],
            h["interval"] and Interval(*h["interval"]),
            tuple(map(_effect, h["effects"])),
            h["reason"],
        )
        for h in one["components"]
    ]
    return LimitsShown(
        one["host"],
        tuple(one["levels"].items()),
        one["slots"],
        tuple(held),
        tuple(map(_effect, one["precedence"])),
        tuple(map(_effect, one["controls"])),
        tuple(one["unavailable"].items()),
        one["reason"],
    )


def _effect(one: Mapping[str, Any]) -> SlotEffect:
    return SlotEffect(one["name"], one["dose"], one["slots"], one["ratio"], Interval(*one["interval"]))


def _record(
    row: dict[str, str], experiment: Experiment, settings: dict[tuple[tuple[str, str], ...], Settings]
) -> TrialRecord:
    figures: dict[str, int | float | None] = {}
    for field in fields(Figures):
        text = row.get(field.name, "")  # a run may be older than a column
        number = int if field.type == int | None else float
        figures[field.name] = number(text) if text else None
    levels = tuple((factor.name, row[factor.name]) for factor in experiment.factors)
    pass_number = int(row.get("pass") or 1)  # a run may be from before there were any
    key = ",".join(f"{n}={lb}" for n, lb in levels) + f" b{row['block']} p{pass_number}"
    return TrialRecord(
        number=int(row["trial"]),
        block=int(row["block"]),
        key=key,
        directory=row["directory"],
        host=row["host"],
        levels=levels,
        settings=settings[levels],
        outcome=Outcome(key, Status(row["status"]), row["reason"], FailureKind(row["kind"]) if row["kind"] else None),
        figures=Figures(**figures),  # type: ignore[arg-type]  # the types are those of the fields, looked up above
        overhead_s=float(row["overhead_s"]) if row["overhead_s"] else None,
        started_s=float(row["started_s"]),
        pass_number=pass_number,
        watched=row.get("watched") != "no",
    )
