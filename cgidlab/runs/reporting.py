"""From what a run concluded to what its report shows. Reads a trial's raw files only when the report asks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from cgidlab import measure, report
from cgidlab.analysis.findings import Analysis, Drift, SeriesCheck
from cgidlab.errors import StoreError
from cgidlab.figures import title
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
    """Return everything the report of a run says. `records` may hold a cell's windows of a block as one (pass 0)."""
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
        trials=tuple(r for r in records if r.pass_number),
        whole_blocks=tuple(r for r in records if not r.pass_number),
        effects=analysis.effects,
        noise_floor=analysis.noise_floor,
        drift=drift_words(analysis.drift),
        windows=windows(analysis.series, _smallest(experiment)),
        stopping=stopping(analysis),
        watching="" if watching.is_observation(run) else f"{watching_words(analysis)}{_control(run)}",
        timing=timing,
        provenance={k: v for k, v in provenance.of(run).items() if k != "schema_version"},
        detail=lambda record: _detail(run.path / record.directory, record.outcome.status),
        latency=lambda some: _latency(run.path, some),
        limits=verdict.limits,
        hosts=analysis.hosts,
        observed=watching.is_observation(run),
        damaged=tuple((d.file, d.why) for d in damaged),
        searched=analysis.limits_found,
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
    if analysis.limits_found:
        return (
            f"A search, of {analysis.repetitions.max} blocks at most: it ends when every limit is known as well as was "
            f"asked, and confirmed on both sides by trials with the whole window. {analysis.blocks} blocks were run."
        )
    wanted = analysis.repetitions
    counts = [e.blocks for e in analysis.effects if not e.pooled and e.smallest is not None]
    unit = "passes and blocks" if wanted.passes > 1 else "blocks"
    done = f"comparisons rest on {_span(counts)} complete {unit}" if counts else "no comparison could be made"
    if wanted.fixed:
        return f"{wanted.min} blocks were planned, with one look at the end; {done}."
    looks = ", ".join(str(n) for n in analysis.looks)
    widths = [f"{title(response)} to \N{PLUS-MINUS SIGN}{100 * share:g} %" for response, share in wanted.half_widths]
    until = f"known ({', '.join(widths)})" if widths else "decided"
    return (
        f"From {wanted.min} to {wanted.max} blocks, until a look finds every comparison {until}; looks come after "
        f"{looks} blocks; {done}. "
        "All looks share one error of 5 %, and intervals are as wide as that takes."
    )


def watching_words(analysis: Analysis) -> str:
    """Return which passes answer, which are watched, of what a percentile is, and what watching does to responses."""
    wanted = analysis.repetitions
    said = [f"A block is {wanted.passes} passes over its cells"] if wanted.passes > 1 else []
    if wanted.watch_every == 1:
        said.append("All passes are watched by all instruments, whose cost is in every figure")
    else:
        unit = "pass" if wanted.passes > 1 else "block"
        said.append(
            f"One {unit} in {wanted.watch_every} is watched by all instruments and says what happened inside the "
            "server; responses are from the others"
        )
    if wanted.passes > 1:
        said.append("A percentile is one of all requests of a cell in a block's windows together")
    for o in analysis.observer:
        span = (
            f"95 % interval {_signed(o.interval.low - 1)} to {_signed(o.interval.high - 1)}"
            if o.interval
            else "too few passes for an interval"
        )
        said.append(
            f"Where it is watched, {title(o.response)} of a window differs by {_signed(o.ratio - 1)} "
            f"({span}; {o.passes} watched passes against those next to them)"
        )
    return ". ".join(said) + "."


def _control(run: store.RunDirectory) -> str:
    """Return what this program took of the trials' machine; nothing where it ran on another one."""
    said = run.state().get(store.CONTROL_CPU)
    if not said or not said["trials"] or not said["windows_s"]:
        return ""
    share = 100 * said["in_windows_s"] / said["windows_s"] / said["cores"]
    return (
        f" The runner and Ansible, on the same machine, used {said['cpu_s'] / said['trials']:.2f} s of CPU a trial, "
        f"and {share:.2f} % of all cores within the windows."
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
