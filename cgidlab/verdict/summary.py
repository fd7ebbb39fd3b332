"""The derived parts of summary.json, as docs/results.md describes them: how they are made."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from cgidlab.analysis.findings import (
    Analysis,
    BoundAnswer,
    CellSummary,
    Combination,
    Drift,
    Effect,
    HostsApart,
    NoiseFloor,
    ObserverEffect,
    PerBlock,
    Remedy,
    SeriesCheck,
)
from cgidlab.analysis.intervals import Interval
from cgidlab.analysis.reload_cost import ReloadCost
from cgidlab.parsers import versions
from cgidlab.verdict import reloading, shown
from cgidlab.verdict.judge import Verdict
from cgidlab.verdict.limits import Limit
from cgidlab.verdict.overflow import CellOverflow
from cgidlab.verdict.sentences import ShortAnswer
from cgidlab.verdict.validity import CellErrors

Json = dict[str, Any]


def summary_json(
    analysis: Analysis,
    verdict: Verdict,
    *,
    experiment: str,
    run_id: str,
    timing: Mapping[str, float | None],
    failures: Mapping[str, int],
    damaged: Sequence[Mapping[str, str]] = (),
) -> Json:
    """Return the whole of summary.json.

    `timing` holds wall_s, measured_s and overhead_s_per_trial, `failures` the number of trials by their kind,
    `damaged` the files that are left out.
    """
    return {
        "schema_version": versions.CURRENT["summary.json"],
        "experiment": experiment,
        "run_id": run_id,
        "trials": {status.value: number for status, number in analysis.trials.items()},
        "reasons": [{"reason": reason, "trials": number} for reason, number in analysis.reasons],
        "failures": dict(failures),
        "damaged": [dict(d) for d in damaged],
        "blocks": analysis.blocks,
        "block_s": analysis.block_s,
        "passes": _passes(analysis.per_block),
        "observer": [_observer(o) for o in analysis.observer],
        "lost_cells": [_levels(c) for c in analysis.lost],
        "looks": list(analysis.looks),
        "cells": [_cell(c) for c in analysis.cells],
        "verdict": _verdict(verdict),
        "limits_found": [{**asdict(f), "at": _levels(f.at)} for f in analysis.limits_found],
        "required": [{**asdict(f), "levels": _levels(f.levels), "state": f.state.value} for f in verdict.required],
        "effects": [_effect(e) for e in analysis.effects],
        "remedies": [_remedy(r) for r in analysis.remedies],
        "bounds": [_bound(b) for b in analysis.bounds],
        "reloads": [_reload(r) for r in reloading.ordered(analysis.reloads)],
        "noise_floor": [_noise(f) for f in analysis.noise_floor],
        "hosts": [_hosts(h) for h in analysis.hosts],
        "drift": _drift(analysis.drift),
        "pace": None if analysis.pace is None else {"range": analysis.pace.range, **asdict(analysis.pace)},
        "series": _series(analysis.series),
        "timing": dict(timing),
    }


def _levels(levels: Combination) -> dict[str, str]:
    return dict(levels)


def _remedy(found: Remedy) -> Json:
    return {
        "changes": _levels(found.changes),
        "at": _levels(found.at),
        "effects": [_effect(e) for e in found.effects],
        "failed_share": found.failed_share,
        "failed_as_it_is": found.failed_as_it_is,
    }


def _interval(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def _cell(cell: CellSummary) -> Json:
    return {
        "levels": _levels(cell.levels),
        "n": cell.n,
        "planned": cell.planned,
        "medians": {name: s.median for name, s in cell.figures.items()},
        "spreads": {
            name: {"n": s.n, "quartiles": _interval(s.quartiles), "range": _interval(s.range)}
            for name, s in cell.figures.items()
        },
    }


def _verdict(verdict: Verdict) -> Json:
    retries = verdict.retries
    return {
        "overflow": verdict.overflow.value,
        "text": verdict.text,
        "lines": list(verdict.lines),
        "answers": [_answer(line) for line in verdict.answers],
        "warnings": list(verdict.warnings),
        "cost": {response: answer.value for response, answer in verdict.cost.items()},
        "retries": {
            "in_window": retries.in_window,
            "refused": retries.refused,
            "enoent": retries.enoent,
            "outside_window": retries.outside_window,
            "connects_refused": retries.connects_refused,
            "gave_up_503": retries.gave_up_503,
            "restarts": retries.restarts,
        },
        "cells": [_overflow(c) for c in verdict.cells],
        "limits": [_limit(f) for f in verdict.limits],
        "shown": shown.summary(verdict.shown),
        "errors": [_errors(c) for c in verdict.errors],
    }


def _answer(line: ShortAnswer) -> Json:
    sentences = [{"template": s.template, "values": dict(s.values)} for s in line.sentences]
    return {"topic": line.topic, "name": line.name, "text": line.text, "sentences": sentences}


def _overflow(cell: CellOverflow) -> Json:
    return {
        "levels": _levels(cell.levels),
        "overflow": cell.overflow.value,
        "trials": cell.trials,
        "observed": cell.observed,
        "agree": list(cell.agree),
        "silent": list(cell.silent),
        "against": list(cell.against),
        "full_longest_ms": cell.full_longest_ms,
    }


def _errors(cell: CellErrors) -> Json:
    return {
        "levels": _levels(cell.levels),
        "requests": cell.requests,
        "errors": cell.errors,
        "unavailable_503": cell.unavailable,
        "share": cell.share,
        "fails": cell.fails,
    }


def _limit(limit: Limit) -> Json:
    return {
        "name": limit.name,
        "saturated": limit.saturated,
        "cells": limit.cells,
        "cells_known": limit.cells_known,
        "text": limit.text,
    }


def _effect(effect: Effect) -> Json:
    return {
        "response": effect.response,
        "factor": effect.factor,
        "level": effect.level,
        "reference": effect.reference,
        "at": _levels(effect.at),
        "pooled": effect.pooled,
        "scale": effect.scale,
        "smallest": effect.smallest,
        "blocks": effect.blocks,
        "estimate": effect.estimate,
        "block_sd": effect.block_sd,
        "interval": _interval(effect.interval),
        "family_interval": _interval(effect.family_interval),
        "sign_interval": _interval(effect.sign_interval),
        "bootstrap_interval": _interval(effect.bootstrap_interval),
        "wilcoxon_p": effect.wilcoxon_p,
        "minimum_detectable_effect": effect.mde,
        "answer": effect.answer.value,
        "more_blocks": effect.more_blocks,
        "note": effect.note,
        "equivalence_interval": _interval(effect.equivalence_interval),
        "trimmed": effect.trimmed,
        "mean": effect.mean,
        "mean_apart": effect.mean_apart,
        "spread": effect.sharing,
        "degrees_of_freedom": effect.df,
        "interaction_p": effect.interaction_p,
        "interaction": effect.interaction,
    }


def _bound(found: BoundAnswer) -> Json:
    return {
        "response": found.response,
        "bound": found.bound,
        "level": found.level,
        "at": _levels(found.at),
        "blocks": found.blocks,
        "value": found.value,
        "interval": _interval(found.interval),
        "side": found.side.value,
    }


def _reload(found: ReloadCost) -> Json:
    return {**asdict(found), "levels": _levels(found.levels), "interval": _interval(found.interval)}


def _noise(floor: NoiseFloor) -> Json:
    return {
        "response": floor.response,
        "factor": floor.factor,
        "labels": list(floor.labels),
        "at": _levels(floor.at),
        "pooled": floor.pooled,
        "blocks": floor.blocks,
        "ratio": floor.ratio,
        "interval": _interval(floor.interval),
        "block_sd": floor.block_sd,
        "too_high": floor.too_high,
    }


def _hosts(apart: HostsApart) -> Json:
    return {
        "response": apart.response,
        "level": apart.level,
        "reference": apart.reference,
        "at": _levels(apart.at),
        "scale": apart.scale,
        "effects": [
            {"host": e.host, "blocks": e.blocks, "estimate": e.estimate, "interval": _interval(e.interval)}
            for e in apart.effects
        ],
        "at_reference": [{"host": v.host, "trials": v.trials, "median": v.median} for v in apart.levels],
        "p": apart.p,
        "differ": apart.differ,
    }


def _drift(drift: Drift | None) -> Json | None:
    if drift is None:
        return None
    return {
        "low": drift.low,
        "high": drift.high,
        "range": drift.range,
        "hours": drift.hours,
        "trials": drift.trials,
        "flagged": drift.flagged,
    }


def _passes(per_block: PerBlock | None) -> Json | None:
    if per_block is None:
        return None
    return {
        "of_a_block": per_block.passes,
        "answering": per_block.answering_passes,
        "answering_blocks_share": per_block.answering_blocks,
    }


def _observer(effect: ObserverEffect) -> Json:
    return {
        "response": effect.response,
        "watched_passes": effect.passes,
        "ratio": effect.ratio,
        "interval": _interval(effect.interval),
        "matters": effect.matters,
    }


def _series(series: SeriesCheck | None) -> Json | None:
    if series is None:
        return None
    return {
        "trials": series.trials,
        "autocorrelation": series.autocorrelation,
        "start_ratio": series.start_ratio,
        "start_interval": _interval(series.start_interval),
        "warm_up_short": series.warm_up_short,
    }
