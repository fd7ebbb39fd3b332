"""A trial's row: measured from its raw files once, kept in `figures.json`, judged valid or not."""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cgidlab import files, measure, rundir
from cgidlab.errors import StoreError
from cgidlab.measure.noise import disturbance
from cgidlab.model import FailureKind, Figures, NoisePolicy, Outcome, Status, TrialRecord
from cgidlab.parsers import documents, trial_documents, versions
from cgidlab.runs import harvest, store

_FIGURES = "figures.json"


@dataclass(frozen=True, slots=True)
class Kept:
    """What was measured of a trial beside its figures: all that `figures.json` holds."""

    figures: Figures
    overhead_s: float | None = None
    started_s: float | None = None
    throughput_rps: tuple[float, ...] = ()  # second by second of the window
    generators: tuple[Mapping[str, Any], ...] = ()  # a row each, where other machines than the server's made the load


def judge(
    directory: Path, key: str, noise: NoisePolicy, levels: Iterable[str] = (), *, observed_as: str | None = None
) -> Outcome:
    """Measure a trial that just came home and return the outcome it deserves.

    `levels` names its factors: one that is an instrument must have run where it was on.
    Leaves `figures.json` and `load/requests.parquet` in its directory.
    A trial whose raw files cannot be read is `failed`, one that contradicts
    itself is `invalid`; neither is an error of the run. `observed_as` is the key that the
    host knew a watched socket by.
    """
    try:
        result = _result(directory, key if observed_as is None else observed_as)
        if measure.has_rows(directory):
            measure.write_rows(directory)
        measured = measure.measure(directory)
        _keep(directory, measured)
    except StoreError as err:
        return Outcome(key, Status.FAILED, f"{err.what} ({err.where})", FailureKind.INFRA)
    if result.ended is not Status.COMPLETE:
        return Outcome(key, result.ended, result.reason, result.kind)
    absent = _absent_level(result, levels)
    if absent:
        return Outcome(key, Status.INVALID, absent, FailureKind.TREATMENT)
    failed = next((c for c in measured.checks if c.failed), None)
    if failed:
        return Outcome(key, Status.INVALID, failed.reason, failed.kind)
    disturbed = disturbance(measured.figures, noise)
    if disturbed:
        return Outcome(key, Status.INVALID, disturbed, FailureKind.NOISE)
    return Outcome(key, Status.COMPLETE, "", None)


def _absent_level(result: documents.Result, levels: Iterable[str]) -> str:
    """Return that an instrument which this trial was to be compared by did not run, '' if that is not so."""
    for name in levels:
        instrument = result.instruments.get(name)
        if instrument is not None and instrument.state == "unavailable":
            return f"{name} is a factor and did not run: {instrument.reason}"
    return ""


def _result(directory: Path, key: str) -> documents.Result:
    result = documents.read_result(directory / "result.json")
    if result.key != key:
        raise StoreError(f"the archive is of the trial {result.key}", where=str(directory))
    return result


def hooks_gone_wrong(directory: Path) -> tuple[tuple[str, str], ...]:
    """Return the programs of the user's that did not end as they should beside a trial, and how each did."""
    try:
        found = documents.read_result(directory / "result.json").hooks
    except StoreError:
        return ()  # which its outcome says
    return tuple((event, report.reason) for event, report in found.items() if report.reason)


def load(run: Path, stored: store.StoredTrial) -> TrialRecord:
    """Return a stored trial as a record, measuring it only if `figures.json` is not there, which is then written.

    Raises `StoreError` naming the file for a complete trial that has neither figures nor what they are made from.
    """
    return _load(run, stored, keep=True)[0]


def _load(run: Path, stored: store.StoredTrial, *, keep: bool) -> tuple[TrialRecord, Kept]:
    complete = stored.outcome.status is Status.COMPLETE
    there = complete or rundir.is_there(stored.directory / "result.json")
    kept = _kept(stored.directory, complete=complete, keep=keep) if there else Kept(Figures())
    record = TrialRecord(
        number=stored.number,
        block=stored.block,
        key=stored.key,
        directory=str(stored.directory.relative_to(run)),
        host=stored.host,
        levels=stored.levels,
        settings=stored.settings,
        outcome=stored.outcome,
        figures=kept.figures,
        overhead_s=kept.overhead_s,
        started_s=kept.started_s,
        pass_number=stored.pass_number,
        watched=stored.watched,
    )
    return record, kept


def load_all(
    run: store.RunDirectory, *, verify: bool = False, keep: bool = True
) -> tuple[tuple[TrialRecord, ...], tuple[store.Damage, ...]]:
    """Return all records of a run in its order, and what cannot be read; see `load_whole`."""
    found, damaged = load_whole(run, verify=verify, keep=keep)
    return tuple(record for record, _ in found), damaged


def load_whole(
    run: store.RunDirectory, *, verify: bool = False, keep: bool = True
) -> tuple[tuple[tuple[TrialRecord, Kept], ...], tuple[store.Damage, ...]]:
    """Return all records of a run in its order with all that was measured, and what cannot be read: no record.

    With `verify` every file a host wrote has to have its checksum. Figures that had to be measured are written into
    the trial's directory if `keep` is set.
    """
    stored, damaged = run.stored_trials()
    found: list[tuple[TrialRecord, Kept]] = []
    broken = list(damaged)
    # One after the other: threads, which wait for each other at each of many small files, took twice as long.
    for trial in stored:
        try:
            if verify:
                _verify(trial)
            found.append(_load(run.path, trial, keep=keep))
        except StoreError as err:
            broken.append(run.damage(err))
    return tuple(found), tuple(broken)


def check_files(stored: store.StoredTrial) -> None:
    """Raise `StoreError` where a file that a host wrote of a trial has not its checksum, or says nothing of a trial.

    A checksum says that a document is whole, and not that it is one: it can be of another version, or a stranger's.
    """
    harvest.verify(stored.directory)
    if stored.outcome.status is Status.COMPLETE:
        documents.read_result(stored.directory / "result.json")


def _verify(stored: store.StoredTrial) -> None:
    """Raise `StoreError` as `check_files` does; a trial that never came home has no files."""
    if stored.outcome.status is Status.COMPLETE or rundir.is_there(stored.directory / "SHA256SUMS"):
        check_files(stored)


def _keep(directory: Path, measured: measure.Measured, *, spare: bool = False, write: bool = True) -> Kept:
    """Write `figures.json` and return what it says. Raise `StoreError` for figures that nobody would read again."""
    value = versions.stamped(
        _FIGURES,
        {
            "figures": asdict(measured.figures),
            "overhead_s": measured.overhead_s,
            "started_s": measured.started_s,
            "throughput_rps": list(measured.throughput_rps),
            "checks": [asdict(c) for c in measured.checks],
            "generators": [dict(row) for row in measured.generators],
        },
    )
    try:
        document = json.dumps(value, allow_nan=False).encode()
    except ValueError as err:
        raise StoreError(f"a figure is no number: {err}", where=str(directory)) from err
    found = trial_documents.FIGURES.parse(document, where=str(directory))
    if write:
        files.write_sealed(directory / _FIGURES, value, spare=spare)
    return _of(found)


def _measured(directory: Path) -> measure.Measured:
    try:
        return measure.measure(directory)
    except OSError as err:  # a directory that may not be looked into
        raise StoreError(f"the file cannot be read: {err.strerror}", where=str(err.filename or directory)) from err


def _of(found: trial_documents.FiguresDocument) -> Kept:
    values: dict[str, Any] = dict(found.figures)
    return Kept(Figures(**values), found.overhead_s, found.started_s, found.throughput_rps, found.generators)


def _kept(directory: Path, *, complete: bool, keep: bool) -> Kept:
    with suppress(StoreError):  # missing or torn: the raw files have them all
        found = trial_documents.FIGURES.read(directory / _FIGURES)
        if found.of_today:
            return _of(found)
    try:
        measured = _measured(directory)
        # The raw files have it all: two waits for the disk for each of thousands of trials would be for nothing.
        return _keep(directory, measured, spare=True, write=keep)
    except StoreError:
        if complete:
            raise
        return Kept(Figures())  # its outcome says why it has none
