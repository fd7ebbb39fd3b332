"""Runs to judge, read from tests/data/verdict: trials.csv with the settings a verdict asks for as columns."""

import csv
from dataclasses import fields
from pathlib import Path

from cgidlab.model import (
    Experiment,
    Factor,
    FailureKind,
    Figures,
    Level,
    NoisePolicy,
    Outcome,
    Repetitions,
    Scalar,
    SmallestEffect,
    Status,
    TrialRecord,
    VerdictRule,
)

DATA = Path(__file__).parents[1] / "data" / "verdict"
FACTORS = ("listen_backlog", "clients")
RULE = VerdictRule(
    "listen_backlog", "100", (SmallestEffect("throughput_rps", 0.05), SmallestEffect("latency_p99_ms", 0.20))
)


def experiment(
    records: list[TrialRecord], rule: VerdictRule = RULE, repetitions: Repetitions | None = None
) -> Experiment:
    """Return an experiment that these trials are a run of."""
    names = [n for n, _ in records[0].levels]
    factors = []
    for name in names:
        found = {dict(r.levels)[name]: r.settings[name] for r in records}
        levels = tuple(Level(label, found[label]) for label in sorted(found, key=lambda lb: (float(found[lb]), lb)))
        factors.append(Factor(name, levels))
    blocks = max(r.block for r in records)
    return Experiment(
        name="backlog",
        question="Does the queue overflow?",
        target="local",
        factors=tuple(factors),
        settings={},
        exclude=(),
        repetitions=repetitions or Repetitions(blocks, blocks),
        seed=1,
        instruments=(),
        rule=rule,
        noise=NoisePolicy(None, None, 0),
        source="",
    )


def load(name: str) -> tuple[Experiment, list[TrialRecord]]:
    """Return the run of tests/data/verdict/NAME.csv; the reference is the largest backlog up to 512."""
    with (DATA / f"{name}.csv").open(newline="") as file:
        records = [_record(row) for row in csv.DictReader(file)]
    backlogs = {int(dict(r.levels)["listen_backlog"]) for r in records}
    reference = str(max(b for b in backlogs if b <= 512))
    return experiment(records, VerdictRule(RULE.factor, reference, RULE.smallest_effects)), records


def _record(row: dict[str, str]) -> TrialRecord:
    figures: dict[str, int | float | None] = {}
    for field in fields(Figures):
        text = row.get(field.name, "")
        number = int if field.type in (int, int | None) else float
        figures[field.name] = number(text) if text else None
    settings: dict[str, Scalar] = {k: int(row[k]) for k in ("listen_backlog", "clients", "workers", "somaxconn")}
    status = Status(row["status"])
    levels = tuple((name, row[name]) for name in FACTORS)
    key = ",".join(f"{n}={lb}" for n, lb in levels) + f" b{row['block']}"
    return TrialRecord(
        number=int(row["trial"]),
        block=int(row["block"]),
        key=key,
        directory=f"trials/{int(row['trial']):03d}",
        host=row["host"],
        levels=levels,
        settings={**settings, "script": row["script"], "loop": row["loop"]},
        outcome=Outcome(key, status, row["reason"], None if status is Status.COMPLETE else FailureKind.CLIENT),
        figures=Figures(**figures),  # type: ignore[arg-type]  # the types are those of the fields, looked up above
        overhead_s=float(row["overhead_s"]),
        started_s=float(row["started_s"]),
    )
