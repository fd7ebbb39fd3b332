"""`plan.json` and what it stands for: how a plan is written down, and the experiment that was."""

from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any

from cgidlab.model import (
    Experiment,
    Factor,
    Level,
    LimitSearch,
    NoisePolicy,
    OwnFile,
    Plan,
    Repetitions,
    Required,
    SmallestEffect,
    Threshold,
    VerdictRule,
)
from cgidlab.parsers import plan_document


def written(plan: Plan) -> dict[str, Any]:
    """Return the plan as it is kept: cells once, trials by their number."""
    e = plan.experiment
    return {
        "kind": "experiment",
        "experiment": e.name,
        "question": e.question,
        "target": e.target,
        "seed": e.seed,
        "repetitions": _repetitions_json(e.repetitions),
        "extended": _extended_json(e.repetitions),
        "instruments": list(e.instruments),
        "settings": dict(e.settings),
        "derived": dict(e.derived),
        "files": {f.name: f.sha256 for f in e.files},
        "hooks": {event: list(words) for event, words in e.hooks},
        "search": None if e.search is None else _read_again(asdict(e.search)),
        "exclude": [[list(pair) for pair in exclusion] for exclusion in e.exclude],
        "factors": {f.name: [{"label": lv.label, "value": lv.value} for lv in f.levels] for f in e.factors},
        "rule": {
            "factor": e.rule.factor,
            "reference": e.rule.reference,
            "bounds": dict(e.rule.bounds),
            "smallest_effects": {s.response: s.share for s in e.rule.smallest_effects},
            "required": _read_again(asdict(e.rule.required)),
            "error": e.rule.error,
        },
        "noise": {
            "max_outsider_cpu": e.noise.max_outsider_cpu,
            "max_steal_share": e.noise.max_steal_share,
            "reruns": e.noise.reruns,
            "max_slowdown_share": e.noise.max_slowdown_share,
        },
        "limits": e.limits,
        "cells": [
            {"id": c.id, "levels": {n: lv.label for n, lv in c.levels}, "settings": dict(c.settings)}
            for c in plan.cells
        ],
        "trials": [
            {
                "number": t.number,
                "block": t.block,
                "pass_number": t.pass_number,
                "watched": t.watched,
                "cell": t.cell.id,
                "key": t.key,
            }
            for t in plan.trials
        ],
    }


def _read_again(value: Any) -> Any:  # noqa: ANN401 -- JSON of any shape
    """Return a value as a file gives it back: plans are compared with those of earlier runs."""
    if isinstance(value, dict):
        return {name: _read_again(inner) for name, inner in value.items()}
    return [_read_again(inner) for inner in value] if isinstance(value, list | tuple) else value


def _repetitions_json(repetitions: Repetitions) -> dict[str, Any]:
    """Return how often the experiment was asked to be repeated: an extension is beside it."""
    least, most = repetitions.asked or (repetitions.min, repetitions.max)
    return {
        "min": least,
        "max": most,
        "passes": repetitions.passes,
        "watch_every": repetitions.watch_every,
        "half_widths": dict(repetitions.half_widths),
    }


def _extended_json(repetitions: Repetitions) -> dict[str, Any] | None:
    if not repetitions.looked:
        return None
    return {"min": repetitions.min, "max": repetitions.max, "looked": list(repetitions.looked)}


def experiment(plan: plan_document.PlanDocument) -> Experiment:
    """Return the experiment that a plan is of, without its source."""
    return Experiment(
        name=plan.experiment,
        question=plan.question,
        target=plan.target,
        factors=tuple(
            Factor(name, tuple(Level(lv.label, lv.value) for lv in levels)) for name, levels in plan.factors.items()
        ),
        settings=plan.settings,
        exclude=plan.exclude,
        repetitions=_repetitions(plan),
        seed=plan.seed,
        instruments=plan.instruments,
        rule=VerdictRule(
            plan.rule.factor,
            plan.rule.reference,
            tuple(SmallestEffect(response, share) for response, share in plan.rule.smallest_effects.items()),
            bounds=tuple(plan.rule.bounds.items()),
            required=Required(
                _thresholds(plan.rule.required.thresholds), plan.rule.required.overflow, plan.rule.required.at
            ),
            error=plan.rule.error,
        ),
        noise=NoisePolicy(
            plan.noise.max_outsider_cpu, plan.noise.max_steal_share, plan.noise.reruns, plan.noise.max_slowdown_share
        ),
        source="",
        limits=plan.limits,
        derived=tuple(plan.derived.items()),
        search=_search(plan.search),
        hooks=tuple(plan.hooks.items()),
        files=tuple(OwnFile(name, sha256) for name, sha256 in plan.files.items()),
    )


def _repetitions(plan: plan_document.PlanDocument) -> Repetitions:
    asked = plan.repetitions
    found = Repetitions(asked.min, asked.max, asked.passes, asked.watch_every, tuple(asked.half_widths.items()))
    if plan.extended is None:
        return found
    more = plan.extended
    return replace(found, min=more.min, max=more.max, looked=more.looked, asked=(asked.min, asked.max))


def _thresholds(found: Iterable[plan_document.PlannedThreshold]) -> tuple[Threshold, ...]:
    return tuple(Threshold(t.figure, t.sense, t.bound) for t in found)


def _search(found: plan_document.PlannedSearch | None) -> LimitSearch | None:
    if found is None:
        return None
    whole = (found.exceed, found.precision, found.short_s, found.blocks, found.window_s)
    return LimitSearch(found.factor, _thresholds(found.goals), found.rising, *whole)
