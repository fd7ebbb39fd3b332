"""Whether the queue overflowed: what each witness proves of it.

An overflow is a connect() that found the queue full: it had to sleep, or was
turned away with EAGAIN where its caller does not wait. Linux lets listen(N) hold N + 1, so a
full queue is a depth of limit + 1. Three witnesses see it, none of them perfectly; the
tolerances below say by how much. The fourth, EAGAIN, has no other cause: it can say yes only, and then it is so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from cgidlab import gathered
from cgidlab.analysis.findings import Combination
from cgidlab.instruments.connect_times import CONNECT_P99_US
from cgidlab.model import Status, TrialRecord
from cgidlab.verdict.words import milliseconds

FULL_SHARE = 0.05
"""Full for this share of the window is an overflow seen for certain; less is a moment (`BRIEF`).

Sleepers are sampled more seldom than the queue: in 5 % of a ten-second window even ten samples
a second make five, so that the other witnesses must have noticed."""

ASLEEP_MEAN = 0.05
"""Workers asleep on average from which sleeping is lasting: one worker for 5 % of the window."""

ENOUGH_CONNECTS = 500
"""Of fewer, one in a hundred is less than five: a slow host's bad moment. Half of them must then have been so slow."""

CONNECT_FREE_US = 1_000.0
"""No connect took longer than this: what a queue with room showed on a busy two-core host."""


MOST_CONNECTS_PER_REQUEST = 2
"""Taken where calibration did not measure it: no httpd makes more, and one more than there are is safe."""


class Sight(StrEnum):
    """What one witness saw of an overflow in one trial."""

    YES = "yes"
    BRIEF = "brief"  # for a moment: not a contradiction to either side
    BRIM = "brim"  # up to the limit and not beyond: fits an overflow, proves none
    NO = "no"
    MOOT = "moot"  # it ran, and what it saw is the same with and without an overflow
    SILENT = "silent"  # the instrument did not run


class Overflow(StrEnum):
    """Whether the queue overflowed."""

    OBSERVED = "observed"
    MOMENT = "moment"  # full for moments, and never for longer
    NOT_OBSERVED = "not_observed"
    INCONCLUSIVE = "inconclusive"


QUEUE, SLEEPERS, CONNECT_TIMES, TURNED_AWAY = "queue", "sleepers", "connect times", "connects turned away"
WITNESSES = (QUEUE, SLEEPERS, CONNECT_TIMES, TURNED_AWAY)


@dataclass(frozen=True, slots=True)
class CellOverflow:
    """What the witnesses say of one cell, its complete watched trials together."""

    levels: Combination
    overflow: Overflow
    trials: int
    observed: int  # trials in which it overflowed
    agree: tuple[str, ...]  # witnesses that say the same as `overflow` in most trials
    silent: tuple[str, ...]  # witnesses that ran in no trial
    against: tuple[str, ...]  # two sides that contradict each other, "queue: never more than 40 of 100"
    limit: int | None
    depth_max: int | None
    full_share: float | None  # median
    sleepers_max: int | None
    connect_max_us: float | None
    connects: int | None = None  # in all trials together
    turned_away: int | None = None  # of these, by a full queue: EAGAIN
    full_share_max: float | None = None  # of the trial with most
    full_longest_ms: float | None = None  # at one time
    watched: bool = True  # False: no witness was asked, since no valid trial of it was watched


def trouble(cell: CellOverflow) -> tuple[float, int, float]:
    """Order cells by what an overflow did to workers: the longest wait, then how many waited, then for how long."""
    return cell.connect_max_us or 0.0, cell.sleepers_max or 0, cell.full_share or 0.0


def sight_of_queue(record: TrialRecord) -> Sight:
    """Return what the queue's samples say.

    `NO` only below the limit: while workers sleep, each accept frees a place until the one
    it woke has run, so that samples of an overflowing queue may read limit and not limit + 1.
    """
    figures = record.figures
    depth, limit, share = figures.queue_depth_max, figures.queue_limit, figures.queue_full_share
    if depth is None and share is None:
        return Sight.SILENT
    if share is not None and share >= FULL_SHARE and not _nobody_left(record):
        return Sight.YES
    beyond = depth - limit if depth is not None and limit is not None else -1
    if (not share and beyond < 0) or _nobody_left(record):
        return Sight.NO
    return Sight.BRIM if not share and beyond == 0 else Sight.BRIEF


def _nobody_left(record: TrialRecord) -> bool:
    """Say whether all connections that can be open at once fit into the queue, so that a full one keeps nobody out.

    A worker may have as many waiting as a request of this httpd makes: one, or a second for the script's process id.
    """
    limit, workers = record.figures.queue_limit, gathered.numeric_setting(record, "workers")
    if limit is None or workers is None:
        return False
    clients = gathered.numeric_setting(record, "clients") if record.settings.get("loop", "closed") == "closed" else None
    able = workers if clients is None else min(workers, clients)
    measured = record.connects_per_request
    each = MOST_CONNECTS_PER_REQUEST if measured is None else max(1, round(measured))
    return each * able <= limit + 1


def sight_of_sleepers(record: TrialRecord) -> Sight:
    """Return what the worker threads' wait channels say: asleep in connect() is possible before a full queue only."""
    most, mean = record.figures.workers_in_connect_max, record.figures.workers_in_connect_mean
    if most is None:
        return Sight.SILENT
    if most == 0:
        return Sight.NO
    return Sight.BRIEF if mean is not None and mean < ASLEEP_MEAN else Sight.YES


def sight_of_connect_times(record: TrialRecord) -> Sight:
    """Return what the durations of connect() say; between the two bounds a busy host explains them as well."""
    figures = record.figures
    most = figures.connect_max_us
    few = figures.connects is not None and figures.connects < ENOUGH_CONNECTS
    slow = figures.connect_p50_us if few else figures.connect_p99_us
    if slow is not None and slow >= CONNECT_P99_US:
        return Sight.YES
    if most is None:
        return Sight.SILENT
    return Sight.NO if most < CONNECT_FREE_US else Sight.BRIEF


def sight_of_turned_away(record: TrialRecord) -> Sight:
    """Return what EAGAIN says: one is an overflow for certain, none is nothing, since who waits never gets it."""
    return Sight.YES if record.figures.connects_turned_away else Sight.MOOT


_SIGHTS = {
    QUEUE: sight_of_queue,
    SLEEPERS: sight_of_sleepers,
    CONNECT_TIMES: sight_of_connect_times,
    TURNED_AWAY: sight_of_turned_away,
}


_SAYING = {
    Overflow.OBSERVED: {Sight.YES, Sight.BRIEF},
    Overflow.MOMENT: {Sight.BRIEF},
    Overflow.NOT_OBSERVED: {Sight.NO, Sight.BRIM},
}


def of_trial(record: TrialRecord) -> tuple[Overflow, dict[str, Sight]]:
    """Return whether the queue overflowed in one trial, and what each witness saw.

    A yes and a no contradict each other. Two that saw a moment are a brief overflow; one is
    enough only when no other witness denies it. A queue at its brim proves neither by itself.
    Nobody can deny a connect that was turned away: its caller neither sleeps nor is slow, and samples miss moments.
    """
    sights = {name: see(record) for name, see in _SIGHTS.items()}
    if sights[TURNED_AWAY] is Sight.YES:
        return Overflow.OBSERVED, {name: Sight.MOOT if s is Sight.NO else s for name, s in sights.items()}
    seen = set(sights.values())
    brief = [name for name, s in sights.items() if s is Sight.BRIEF and name != CONNECT_TIMES]
    if Sight.YES in seen and Sight.NO in seen:
        return Overflow.INCONCLUSIVE, sights
    if Sight.YES in seen or len(brief) > 1 or (brief and Sight.NO not in seen):
        return Overflow.OBSERVED, sights
    return (Overflow.NOT_OBSERVED if Sight.NO in seen else Overflow.INCONCLUSIVE), sights


def of_cell(records: Sequence[TrialRecord]) -> CellOverflow:
    """Return what the witnesses say of one cell's complete trials (at least one).

    Observed in one trial is observed, unless the witnesses contradict each other in as many; where no witness saw more
    than a moment in any trial, it is a moment.
    """
    seen = [of_trial(r) for r in records]
    observed = sum(o is Overflow.OBSERVED for o, _ in seen)
    torn = [s for o, s in seen if o is Overflow.INCONCLUSIVE and Sight.YES in s.values()]
    denied = any(o is Overflow.NOT_OBSERVED for o, _ in seen)
    contradicted = len(torn) > 0 and (len(torn) >= observed if observed else 2 * len(torn) >= len(seen))
    if contradicted:
        overflow = Overflow.INCONCLUSIVE
    elif observed:
        lasting = any(o is Overflow.OBSERVED and Sight.YES in s.values() for o, s in seen)
        overflow = Overflow.OBSERVED if lasting else Overflow.MOMENT
    else:
        overflow = Overflow.NOT_OBSERVED if denied else Overflow.INCONCLUSIVE
    said = _SAYING.get(overflow, set())
    # A moment in few trials is not what a witness says of most of them.
    asked = [s for o, s in seen if overflow is not Overflow.MOMENT or o is Overflow.OBSERVED]
    agree = tuple(w for w in WITNESSES if said and 2 * sum(s[w] in said for s in asked) > len(asked))
    return CellOverflow(
        levels=records[0].levels,
        overflow=overflow,
        trials=len(records),
        observed=observed,
        agree=agree,
        silent=tuple(w for w in WITNESSES if all(s[w] is Sight.SILENT for _, s in seen)),
        against=_sides(records, torn[0]) if contradicted else (),
        limit=_largest(records, "queue_limit"),
        depth_max=_largest(records, "queue_depth_max"),
        full_share=gathered.median_of(records, "queue_full_share"),
        sleepers_max=_largest(records, "workers_in_connect_max"),
        connect_max_us=gathered.largest_of(records, "connect_max_us"),
        # Of a trial that lost too many there is the least that was turned away, and nothing that it is a part of.
        connects=_total(records, "connects") if _counted(records) else None,
        turned_away=_total(records, "connects_turned_away"),
        full_share_max=gathered.largest_of(records, "queue_full_share"),
        full_longest_ms=gathered.largest_of(records, "queue_full_longest_ms"),
        watched=any(r.watched for r in records),
    )


def of_run(cells: Sequence[CellOverflow]) -> Overflow:
    """Return the answer for all cells.

    Observed when cells say so, more of them than contradict themselves; a moment when they say no more than that, or
    nothing; not observed only when every cell says so; otherwise inconclusive.
    """
    observed = sum(c.overflow is Overflow.OBSERVED for c in cells)
    if observed > sum(bool(c.against) for c in cells):
        return Overflow.OBSERVED
    said = {c.overflow for c in cells}
    if said == {Overflow.NOT_OBSERVED}:
        return Overflow.NOT_OBSERVED
    return Overflow.MOMENT if said and said <= {Overflow.MOMENT, Overflow.NOT_OBSERVED} else Overflow.INCONCLUSIVE


def only_unwatched(cells: Sequence[CellOverflow]) -> bool:
    """Say whether nothing was watched where no answer is known, so that no witness is to blame for that."""
    return not any(c.watched for c in cells if c.overflow is Overflow.INCONCLUSIVE)


def by_cell(records: Sequence[TrialRecord]) -> tuple[CellOverflow, ...]:
    """Return every cell that has a complete trial, in the order of the records.

    Its watched trials are asked: one in which nothing watches neither says nor denies anything. A cell without one has
    no witness.
    """
    complete = (r for r in records if r.outcome.status is Status.COMPLETE)
    return tuple(of_cell(gathered.witnessing(found)) for found in gathered.by_cell(complete).values())


def _sides(records: Sequence[TrialRecord], sights: dict[str, Sight]) -> tuple[str, ...]:
    """Return both sides of a contradiction, witnesses with their figures over the cell: those that say yes first."""
    share = gathered.median_of(records, "queue_full_share")
    connect_ms = (gathered.largest_of(records, "connect_max_us") or 0) / 1000
    words = {
        QUEUE: f"queue: at most {_largest(records, 'queue_depth_max')} of a limit of {_largest(records, 'queue_limit')}"
        + (f", full for {100 * share:.0f} % of the window" if share is not None else ""),
        SLEEPERS: f"sleepers: up to {_largest(records, 'workers_in_connect_max')} workers asleep in connect()",
        CONNECT_TIMES: f"connect times: up to {milliseconds(connect_ms)}",
    }
    return tuple(" and ".join(words[w] for w, s in sights.items() if s is side) for side in (Sight.YES, Sight.NO))


def _counted(records: Sequence[TrialRecord]) -> bool:
    return all(r.figures.connects is not None for r in records if r.figures.connects_turned_away is not None)


def _largest(records: Sequence[TrialRecord], figure: str) -> int | None:
    value = gathered.largest_of(records, figure)
    return None if value is None else int(value)


def _total(records: Sequence[TrialRecord], figure: str) -> int | None:
    values = gathered.known(records, figure)
    return int(sum(values)) if values else None
