"""Recorded runs to judge, read from tests/data/verdict: rows of trials.csv, with the settings of the run's own plan."""

import csv
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

from cgidlab.model import Experiment, FailureKind, Figures, Outcome, Settings, SmallestEffect, Status, TrialRecord
from cgidlab.runs import proven, store

DATA = Path(__file__).parents[1] / "data" / "verdict"
RUNS = sorted(path.name for path in DATA.iterdir() if (path / "trials.csv").exists())


def load(name: str) -> tuple[Experiment, list[TrialRecord], tuple[str, ...]]:
    """Return a recorded run as a verdict gets it: unproven witnesses are not counted, and the notes say so."""
    run = store.RunDirectory(DATA / name)
    experiment = store.experiment_of(run)
    settings = {tuple(cell["levels"].items()): cell["settings"] for cell in run.read("plan.json")["cells"]}
    with (run.path / "trials.csv").open(newline="") as file:
        records = [_record(row, experiment, settings) for row in csv.DictReader(file)]
    counted, notes = proven.counted(records, run.read("provenance.json").get("calibration"))
    return experiment, list(counted), notes


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


def _record(
    row: dict[str, str], experiment: Experiment, settings: dict[tuple[tuple[str, str], ...], Settings]
) -> TrialRecord:
    figures: dict[str, int | float | None] = {}
    for field in fields(Figures):
        text = row.get(field.name, "")  # a run may be older than a column
        number = int if field.type == int | None else float
        figures[field.name] = number(text) if text else None
    levels = tuple((factor.name, row[factor.name]) for factor in experiment.factors)
    key = ",".join(f"{n}={lb}" for n, lb in levels) + f" b{row['block']}"
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
        overhead_s=float(row["overhead_s"]),
        started_s=float(row["started_s"]),
    )
