"""From what a run concluded to what its report shows. Reads a trial's raw files only when the report asks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from cgidlab import measure, report
from cgidlab.analysis.findings import Analysis, Drift, SeriesCheck
from cgidlab.errors import StoreError
from cgidlab.model import Experiment, Status, TrialRecord
from cgidlab.progress import duration
from cgidlab.report.say import IN_ENGLISH, Say
from cgidlab.report.words import title
from cgidlab.runs import provenance, store, watching
from cgidlab.verdict import Verdict

T = TypeVar("T")


def report_input(
    run: store.RunDirectory,
    experiment: Experiment,
    records: Sequence[TrialRecord],
    analysis: Analysis,
    verdict: Verdict,
    timing: Mapping[str, object],
    damaged: Sequence[store.Damage] = (),
    say: Say = IN_ENGLISH,
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
        answers=tuple(line.told_in(say.language) for line in verdict.answers),
        factors=experiment.factors,
        factor=experiment.rule.factor,
        reference=experiment.rule.reference,
        seed=experiment.seed,
        smallest_effects=experiment.rule.smallest_effects,
        trials=tuple(r for r in records if r.pass_number),
        whole_blocks=tuple(r for r in records if not r.pass_number),
        effects=analysis.effects,
        noise_floor=analysis.noise_floor,
        drift=drift_words(analysis.drift, say),
        windows=windows(analysis.series, _smallest(experiment), say),
        stopping=stopping(analysis, say),
        watching="" if watching.is_observation(run) else f"{watching_words(analysis, say)}{_control(run, say)}",
        timing=timing,
        provenance={k: v for k, v in provenance.of(run).items() if k != "schema_version"},
        detail=lambda record: _read(measure.detail, run.path / record.directory, record.outcome.status),
        requests=lambda record: _read(measure.answered, run.path / record.directory, record.outcome.status),
        limits=tuple(replace(f, text=f.text_in(say.language)) for f in verdict.limits),
        hosts=analysis.hosts,
        observed=watching.is_observation(run),
        damaged=tuple((d.file, d.why) for d in damaged),
        searched=analysis.limits_found,
        remedies=analysis.remedies,
        compares=analysis.compares,
        say=say,
    )


def drift_words(drift: Drift | None, say: Say = IN_ENGLISH) -> str:
    """Return between which paces the host moved over the run, and what that means."""
    if drift is None:
        return say("Too few blocks with a trial of the reference level to see a range.")
    meaning = (
        say("more than the smallest effect that matters; ratios within blocks bear that, medians do not")
        if drift.flagged
        else say("less than the smallest effect that matters")
    )
    return say(
        "Throughput of the reference level lay between {low} and {high} of its median, block by block, in {time}: "
        "{meaning}.",
        low=_signed(drift.low),
        high=_signed(drift.high),
        time=duration(drift.hours * 3600),
        meaning=meaning,
    )


def _signed(share: float) -> str:
    return f"{100 * share:+.1f} %".replace("-", "\N{MINUS SIGN}")


def _smallest(experiment: Experiment) -> float:
    shares = (e.share for e in experiment.rule.smallest_effects if e.response == "throughput_rps")
    return next(shares, 0.05)


def windows(series: SeriesCheck | None, smallest: float, say: Say = IN_ENGLISH) -> str:
    """Return what the series by the second say of the windows: their start, and their memory."""
    if series is None:
        return say("No throughput by the second is known.")
    said = []
    if series.start_ratio is not None:
        found = series.start_interval
        interval = (
            say("95 % interval {low} to {high}", low=f"{found.low:.3f}", high=f"{found.high:.3f}")
            if found
            else say("too few blocks for an interval")
        )
        if series.warm_up_short:
            meaning = say("the warm-up was too short")
        elif found is not None and found.inside(1 - smallest, 1 + smallest):
            meaning = say("the warm-up was long enough")
        else:
            meaning = say("that does not show whether the warm-up was long enough")
        said.append(
            say(
                "The first quarter of the windows ran at {ratio} of the rest ({interval}): {meaning}.",
                ratio=f"{series.start_ratio:.3f}",
                interval=interval,
                meaning=meaning,
            )
        )
    if series.autocorrelation is not None:
        said.append(
            say(
                "Throughput of one second and of the next correlate by {memory} (median of {n} trials); "
                "a window counts as one observation.",
                memory=f"{series.autocorrelation:.2f}".replace("-", "\N{MINUS SIGN}"),
                n=series.trials,
            )
        )
    return " ".join(said) if said else say("The windows are too short for series by the second.")


def stopping(analysis: Analysis, say: Say = IN_ENGLISH) -> str:
    """Return the stopping rule as it was planned, and what became of it."""
    if analysis.limits_found:
        return say(
            "A search, of {most} blocks at most: it ends when every limit is known as well as was asked, and confirmed "
            "on both sides by trials with the whole window. Blocks that were run: {n}.",
            most=analysis.repetitions.max,
            n=analysis.blocks,
        )
    wanted = analysis.repetitions
    counts = [e.blocks for e in analysis.effects if not e.pooled and e.smallest is not None]
    rest = (
        say("comparisons rest on {span} complete passes and blocks", span=_span(counts))
        if counts and wanted.passes > 1
        else say("comparisons rest on {span} complete blocks", span=_span(counts))
        if counts
        else say("no comparison could be made")
    )
    if wanted.fixed:
        return say("Blocks that were planned: {n}, with one look at the end; {rest}.", n=wanted.min, rest=rest)
    widths = [f"{title(response, say)} \N{PLUS-MINUS SIGN}{100 * share:g} %" for response, share in wanted.half_widths]
    return say(
        "From {min} to {max} blocks, until a look finds every comparison {until}; looks come after {looks} blocks; "
        "{rest}. All looks share one error of 5 %, and intervals are as wide as that takes.",
        min=wanted.min,
        max=wanted.max,
        until=say("known ({widths})", widths=", ".join(widths)) if widths else say("decided"),
        looks=", ".join(str(n) for n in analysis.looks),
        rest=rest,
    )


def watching_words(analysis: Analysis, say: Say = IN_ENGLISH) -> str:
    """Return which passes answer, which are watched, of what a percentile is, and what watching does to responses."""
    wanted = analysis.repetitions
    said = [say("A block is {n} passes over its cells.", n=wanted.passes)] if wanted.passes > 1 else []
    if wanted.watch_every == 1:
        said.append(say("All passes are watched by all instruments, whose cost is in every figure."))
    elif wanted.passes > 1:
        said.append(
            say(
                "One pass in {n} is watched by all instruments and says what happened inside the server; responses "
                "are from the others.",
                n=wanted.watch_every,
            )
        )
    else:
        said.append(
            say(
                "One block in {n} is watched by all instruments and says what happened inside the server; responses "
                "are from the others.",
                n=wanted.watch_every,
            )
        )
    if wanted.passes > 1:
        said.append(say("A percentile is one of all requests of a cell in a block's windows together."))
    for o in analysis.observer:
        span = (
            say("95 % interval {low} to {high}", low=_signed(o.interval.low - 1), high=_signed(o.interval.high - 1))
            if o.interval
            else say("too few passes for an interval")
        )
        said.append(
            say(
                "Where it is watched, {response} of a window differs by {change} ({span}; {n} watched passes against "
                "those next to them).",
                response=title(o.response, say),
                change=_signed(o.ratio - 1),
                span=span,
                n=o.passes,
            )
        )
    return " ".join(said)


def _control(run: store.RunDirectory, say: Say) -> str:
    """Return what this program took of the trials' machine; nothing where it ran on another one."""
    said = run.state().get(store.CONTROL_CPU)
    if not said or not said["trials"] or not said["windows_s"]:
        return ""
    share = 100 * said["in_windows_s"] / said["windows_s"] / said["cores"]
    return " " + say(
        "The runner and Ansible, on the same machine, used {cpu} s of CPU a trial, and {share} % of all cores within "
        "the windows.",
        cpu=f"{said['cpu_s'] / said['trials']:.2f}",
        share=f"{share:.2f}",
    )


def _span(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low}" if low == high else f"{low}\N{EN DASH}{high}"


def _read(what: Callable[[Path], T | None], directory: Path, status: Status) -> T | None:
    try:
        return what(directory)
    except StoreError:
        if status is Status.COMPLETE:
            raise
        return None  # missing or damaged files are why it is not complete, as its reason says


def noting(given: report.ReportInput, run: store.RunDirectory, unread: dict[str, store.Damage]) -> report.ReportInput:
    """Return a report that lacks what of a complete trial's raw files cannot be read, and then tells `unread` of it.

    `unread` has it by the trial's directory once the report was made.
    """

    def told(what: Callable[[TrialRecord], T | None]) -> Callable[[TrialRecord], T | None]:
        def read(record: TrialRecord) -> T | None:
            try:
                return what(record)
            except StoreError as err:
                unread[record.directory] = run.damage(err)
                return None

        return read

    return replace(given, detail=told(given.detail), requests=told(given.requests))
