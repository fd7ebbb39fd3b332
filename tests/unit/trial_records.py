"""Trials made of arrays: for tests that ask what an analysis finds in numbers whose truth is known."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

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

Array = NDArray[np.float64]
THROUGHPUT = SmallestEffect("throughput_rps", 0.05)
TAIL = SmallestEffect("latency_p99_ms", 0.20)
RULE = VerdictRule("listen_backlog", "100", (THROUGHPUT,))
SIX_BLOCKS = Repetitions(6, 6)

DEFAULTS: Mapping[str, Scalar] = {"workers": 400, "clients": 400, "loop": "closed", "script": "hello"}


def trial(  # a trial has that many sides, and each test sets the one it is about
    block: int,
    figures: Figures,
    levels: Mapping[str, str],
    *,
    settings: Mapping[str, Scalar] | None = None,
    status: Status = Status.COMPLETE,
    reason: str = "",
    started_s: float | None = None,
) -> TrialRecord:
    """Return one trial; a level's value is its label up to a letter, so that "100" and "100b" are an A/A pair."""
    values = {n: int("".join(c for c in lb if c.isdigit()) or 0) for n, lb in levels.items()}
    key = ",".join(f"{n}={lb}" for n, lb in levels.items()) + f" b{block}"
    return TrialRecord(
        number=block,
        block=block,
        key=key,
        directory=f"trials/{key}",
        host="local",
        levels=tuple(levels.items()),
        settings={**DEFAULTS, **values, **(settings or {})},
        outcome=Outcome(key, status, reason, None if status is Status.COMPLETE else FailureKind.INFRA),
        figures=figures,
        overhead_s=0.5,
        started_s=started_s,
    )


def run(logs: Mapping[tuple[str, str], Array], *, response: str = "throughput_rps") -> list[TrialRecord]:
    """Return trials of backlog x clients from each cell's log responses, block by block."""
    return [
        trial(b + 1, _figure(response, float(np.exp(value))), {"listen_backlog": backlog, "clients": clients})
        for (backlog, clients), values in logs.items()
        for b, value in enumerate(values)
    ]


def _figure(response: str, value: float) -> Figures:
    if response == "latency_p99_ms":
        return Figures(latency_p99_ms=value)
    return Figures(throughput_rps=value)


def experiment(
    records: Sequence[TrialRecord], rule: VerdictRule = RULE, repetitions: Repetitions = SIX_BLOCKS
) -> Experiment:
    """Return an experiment that these trials are a run of, its levels in the order of the records."""
    names = [n for n, _ in records[0].levels]
    levels = {n: {dict(r.levels)[n]: r.settings[n] for r in records} for n in names}
    factors = tuple(Factor(n, tuple(Level(lb, v) for lb, v in levels[n].items())) for n in names)
    return Experiment("x", "?", "local", factors, {}, (), repetitions, 1, (), rule, NoisePolicy(None, None, 0), "")
