"""What limits throughput, shown by holding things back: read from the trials that a run keeps of it."""

from cgidlab import measure, rundir
from cgidlab.analysis import interventions
from cgidlab.analysis.interventions import LimitsShown, Performed
from cgidlab.errors import StoreError
from cgidlab.model import FailureKind, Status, TrialRecord
from cgidlab.parsers.interventions import DOCUMENT, FILES, read_slots
from cgidlab.runs import records
from cgidlab.runs.store import Damage, RunDirectory

DIRECTORY = "limits"
_PASSING = (FailureKind.INFRA, FailureKind.INTERRUPTED)


def directory(run: RunDirectory, host: str) -> RunDirectory:
    """Return where the trials on a host are kept."""
    return RunDirectory(run.path / DIRECTORY / host)


def done(run: RunDirectory, host: str) -> frozenset[str]:
    """Return the keys of the trials that a host need not make again: what it is to blame for would end so again."""
    stored, _damaged = directory(run, host).stored_trials()
    return frozenset(trial.key for trial in stored if trial.outcome.kind not in _PASSING)


def shown(
    run: RunDirectory, *, verify: bool = False, keep: bool = True
) -> tuple[tuple[LimitsShown, ...], tuple[Damage, ...]]:
    """Return what each trial shows, host by host in the order of their numbers, and what cannot be read.

    `verify` and `keep` are those of `records.load_whole`.
    """
    found, damaged = [], []
    try:
        hosts = rundir.names(run.path / DIRECTORY)
    except StoreError as err:
        return (), (run.damage(err),)
    for host in hosts:
        own = directory(run, host)
        loaded, broken = records.load_all(own, verify=verify, keep=keep)
        damaged += [Damage(f"{DIRECTORY}/{host}/{d.file}", d.why) for d in broken]
        for record in loaded:
            try:
                found.append(of_trial(own, record))
            except StoreError as err:
                damaged.append(run.damage(err))
    return tuple(found), tuple(damaged)


def of_trial(run: RunDirectory, record: TrialRecord) -> LimitsShown:
    """Return what one trial shows; a reason where it did not come to its end. Raise `StoreError` for damage."""
    outcome = record.outcome
    # A driver that is saturated is what is to be found out here.
    usable = outcome.status is Status.COMPLETE or outcome.kind is FailureKind.CLIENT
    place = run.path / record.directory
    answered = measure.answered_ns(place) if usable else None
    if answered is None:
        return LimitsShown(record.host, record.levels, 0, reason=outcome.reason or "it gave no figure")
    document, slots = (place / "instruments" / name for name in FILES)
    return interventions.shown(
        Performed(
            record.host,
            record.levels,
            record.settings,
            DOCUMENT.read(document).interventions,
            read_slots(slots),
            answered,
        )
    )
