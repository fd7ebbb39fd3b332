"""From what a run concluded to what its report shows. Reads a trial's raw files only when the report asks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from cgidlab import measure, report
from cgidlab.analysis.findings import Analysis, Drift, SeriesCheck
from cgidlab.errors import StoreError
from cgidlab.model import Experiment, Status, TrialRecord
from cgidlab.progress import duration
from cgidlab.runs import provenance, store, watching
from cgidlab.verdict import Verdict


def report_input(
    run: store.RunDirectory,
    experiment: Experiment,
    records: Sequence[TrialRecord],
    analysis: Analysis,
    verdict: Verdict,
    timing: Mapping[str, object],
    damaged: Sequence[store.Damage] = (),
) -> report.ReportInput:
    """Return everything the report of a run says."""
    return report.ReportInput(
        experiment=experiment.name,
        question=experiment.question,
        run_id=run.run_id,
        state=str(run.state().get("state", "in a state that cannot be read")),
        overflow=verdict.overflow.value,
        verdict=verdict.text,
        verdict_lines=verdict.lines,
        answers=tuple((line.name, line.text) for line in verdict.answers),
        factors=experiment.factors,
        factor=experiment.rule.factor,
        reference=experiment.rule.reference,
        seed=experiment.seed,
        smallest_effects=experiment.rule.smallest_effects,
        trials=tuple(records),
        effects=analysis.effects,
        noise_floor=analysis.noise_floor,
        drift=drift_words(analysis.drift),
        windows=windows(analysis.series, _smallest(experiment)),
        stopping=stopping(analysis),
        timing=timing,
        provenance={k: v for k, v in provenance.of(run).items() if k != "schema_version"},
        detail=lambda record: _detail(run.path / record.directory, record.outcome.status),
        latency=lambda some: _latency(run.path, some),
        limits=verdict.limits,
        hosts=analysis.hosts,
        observed=watching.is_observation(run),
        damaged=tuple((d.file, d.why) for d in damaged),
    )


def drift_words(drift: Drift | None) -> str:
    """Return between which paces the host moved over the run, and what that means."""
    if drift is None:
        return "Too few blocks with a trial of the reference level to see a range."
    said = f"Throughput of the reference level lay between {_signed(drift.low)} and {_signed(drift.high)} of its median"
    meaning = (
        "more than the smallest effect that matters; ratios within blocks bear that, medians do not"
        if drift.flagged
        else "less than the smallest effect that matters"
    )
    return f"{said}, block by block, in {duration(drift.hours * 3600)}: {meaning}."


def _signed(share: float) -> str:
    return f"{100 * share:+.1f} %".replace("-", "\N{MINUS SIGN}")


def _smallest(experiment: Experiment) -> float:
    shares = (e.share for e in experiment.rule.smallest_effects if e.response == "throughput_rps")
    return next(shares, 0.05)


def windows(series: SeriesCheck | None, smallest: float) -> str:
    """Return what the series by the second say of the windows: their start, and their memory."""
    if series is None:
        return "No throughput by the second is known."
    said = []
    if series.start_ratio is not None:
        found = series.start_interval
        interval = f"95 % interval {found.low:.3f} to {found.high:.3f}" if found else "too few blocks for an interval"
        if series.warm_up_short:
            meaning = "the warm-up was too short"
        elif found is not None and found.inside(1 - smallest, 1 + smallest):
            meaning = "the warm-up was long enough"
        else:
            meaning = "that does not show whether the warm-up was long enough"
        said.append(
            f"The first quarter of the windows ran at {series.start_ratio:.3f} of the rest ({interval}): {meaning}"
        )
    if series.autocorrelation is not None:
        memory = f"{series.autocorrelation:.2f}".replace("-", "\N{MINUS SIGN}")
        said.append(
            f"Throughput of one second and of the next correlate by {memory} (median of {series.trials} trials); "
            "a window counts as one observation"
        )
    return ". ".join(said) + "." if said else "The windows are too short for series by the second."


def stopping(analysis: Analysis) -> str:
    """Return the stopping rule as it was planned, and what became of it."""
    wanted = analysis.repetitions
    counts = [e.blocks for e in analysis.effects if not e.pooled and e.smallest is not None]
    done = f"comparisons rest on {_span(counts)} complete blocks" if counts else "no comparison could be made"
    if wanted.fixed:
        return f"{wanted.min} blocks were planned, with one look at the end; {done}."
    looks = ", ".join(str(n) for n in analysis.looks)
    return (
        f"From {wanted.min} to {wanted.max} blocks, until a look finds every comparison decided; looks come after "
        f"{looks} blocks; {done}. "
        "All looks share one error of 5 %, and intervals are as wide as that takes."
    )


def _span(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low}" if low == high else f"{low} to {high}"


def _detail(directory: Path, status: Status) -> report.TrialDetail | None:
    try:
        return measure.detail(directory)
    except StoreError:
        if status is Status.COMPLETE:
            raise
        return None  # missing or damaged files are why it is not complete, as its reason says


def _latency(run: Path, records: Sequence[TrialRecord]) -> Sequence[float] | None:
    """Return the quantiles of all requests of some trials together, in milliseconds."""
    found = [measure.latencies_us(run / r.directory) for r in records]
    observed = [f for f in found if f is not None and f.size]
    if not observed:
        return None
    merged = np.concatenate(observed)
    quantiles: list[float] = np.quantile(merged / 1000.0, report.QUANTILE_SHARES).tolist()
    return quantiles
