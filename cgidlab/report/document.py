"""The report as JSON: the summary with every trial's record, for other tools."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from cgidlab.model import SCHEMA_VERSION, TrialRecord
from cgidlab.report.data import ReportInput
from cgidlab.report.facts import status_counts


def as_json(report: ReportInput, summary: Mapping[str, Any] | None = None) -> str:
    """Return `summary` (the content of summary.json, unchanged) and the trials as one JSON object.

    Without a summary the verdict and the counts are given alone. A figure that
    is not known is null, NaN and infinity too.
    """
    head = dict(summary) if summary is not None else _own_summary(report)
    value = {"schema_version": SCHEMA_VERSION, "summary": head, "trials": [_trial(t) for t in report.trials]}
    return json.dumps(_finite(value), indent=1, allow_nan=False) + "\n"


def _own_summary(report: ReportInput) -> dict[str, Any]:
    return {
        "experiment": report.experiment,
        "run_id": report.run_id,
        "state": report.state,
        "trials": status_counts(report.trials),
        "verdict": {"overflow": report.overflow, "text": report.verdict, "lines": list(report.verdict_lines)},
        "effects": [asdict(e) for e in report.effects],
        "timing": dict(report.timing),
    }


def _trial(trial: TrialRecord) -> dict[str, Any]:
    return {
        "trial": trial.number,
        "block": trial.block,
        "pass": trial.pass_number,
        "watched": trial.watched,
        "key": trial.key,
        "host": trial.host,
        "status": trial.outcome.status.value,
        "reason": trial.outcome.reason,
        "kind": trial.outcome.kind.value if trial.outcome.kind else None,
        "levels": dict(trial.levels),
        "figures": asdict(trial.figures),
        "overhead_s": trial.overhead_s,
        "started_s": trial.started_s,
        "directory": trial.directory,
    }


def _finite(value: Any) -> Any:  # noqa: ANN401 -- walks whatever JSON can hold
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return value
