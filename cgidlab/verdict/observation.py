"""What watching a server says of it: the same witnesses and limits as a trial's, without an experiment to compare.

Watching shows whether the queue overflows, whom it turned away and what else is at
its limit. What waiting costs it cannot show: nothing was varied.
"""

from collections.abc import Sequence
from dataclasses import replace

from cgidlab.model import TrialRecord
from cgidlab.verdict import limits, observed_advice, observed_words, overflow, words
from cgidlab.verdict.judge import Verdict
from cgidlab.verdict.observed import Came, Seen, SocketVerdict
from cgidlab.verdict.overflow import CellOverflow, Overflow, Sight
from cgidlab.verdict.retrying import RetriesSeen

__all__ = ["Came", "Seen", "SocketVerdict", "judge_all", "judge_socket"]

_NOT_THERE = ("driver",)  # candidates that only a trial has


def judge_socket(record: TrialRecord, seen: Seen) -> SocketVerdict:
    """Return the verdict on one watched socket."""
    came = _came(record)
    cell = _weighed(overflow.of_cell([record]), record, seen)
    if came is not Came.SOME and cell.overflow is Overflow.NOT_OBSERVED:
        cell = replace(cell, overflow=Overflow.INCONCLUSIVE, agree=())  # a queue that nobody used proves nothing
    found = tuple(f for f in limits.limits([record]) if f.name not in _NOT_THERE)
    retries = _retries(record)
    lines = (
        words.sentence(observed_words.overflow_line(cell, record, seen, came)),
        words.sentence(observed_words.retries_line(retries, record, seen, came)),
        words.sentence(observed_words.cost_line(cell, record, seen, came)),
        words.sentence(observed_words.limit_line(found, record, seen, _NOT_THERE)),
        words.sentence(observed_advice.line(cell, found, record, seen, came)),
    )
    return SocketVerdict(cell.overflow, cell, found, retries, came, lines)


def _came(record: TrialRecord) -> Came:
    """Return whether anybody came to the queue: by the count of connects, or because somebody was seen waiting."""
    f = record.figures
    if f.connects or f.queue_depth_max or f.workers_in_connect_max:
        return Came.SOME
    return Came.UNKNOWN if f.connects is None else Came.NOBODY


def _weighed(cell: CellOverflow, record: TrialRecord, seen: Seen) -> CellOverflow:
    """Return the cell as the witnesses of a server are weighed, which is as it is; in a trial a fault would be found.

    A thread sleeps in connect() before a full queue only, and a sampled queue can miss it: while the woken wait for
    a busy CPU their places are empty. And a queue of another program may be full of those that fit into it: where
    every connect was counted, none was turned away and none was slow, it kept nobody out.
    """
    _, sights = overflow.of_trial(record)
    both = all(sights[w] is Sight.YES for w in (overflow.SLEEPERS, overflow.CONNECT_TIMES))
    if both and cell.against:
        agree = (overflow.SLEEPERS, overflow.CONNECT_TIMES)
        return replace(cell, overflow=Overflow.OBSERVED, observed=1, agree=agree, against=())
    f = record.figures
    quick = sights[overflow.CONNECT_TIMES] is Sight.NO or f.connects == 0
    if cell.overflow is Overflow.NOT_OBSERVED:
        return cell
    if not seen.httpd and quick and f.connects_turned_away == 0 and not f.workers_in_connect_max:
        said = (overflow.CONNECT_TIMES,) if f.connects else ()
        return replace(cell, overflow=Overflow.NOT_OBSERVED, observed=0, agree=said, against=())
    return cell


def judge_all(sockets: Sequence[tuple[str, SocketVerdict]], notes: Sequence[str] = ()) -> Verdict:
    """Return the verdict on a whole observation: observed where any queue overflowed, then what is not known.

    A socket to which nobody came says nothing and takes nothing away from what others say.
    """
    used = [v.overflow for _, v in sockets if v.came is not Came.NOBODY]
    if Overflow.OBSERVED in used:
        answer = Overflow.OBSERVED
    elif used and set(used) <= {Overflow.MOMENT, Overflow.NOT_OBSERVED}:
        answer = Overflow.MOMENT if Overflow.MOMENT in used else Overflow.NOT_OBSERVED
    else:
        answer = Overflow.INCONCLUSIVE
    first = sorted(sockets, key=lambda s: s[1].overflow is not answer)
    if not first:
        unknown = "Nothing was observed, so this is not known."
        none = (unknown, unknown, unknown, unknown, unknown)
        return Verdict(answer, (), RetriesSeen(None, None, None, None, None, None, None), {}, (), tuple(notes), none)
    lines = first[0][1].lines if len(first) == 1 else _together(first)
    retries = first[0][1].retries
    return Verdict(answer, tuple(v.cell for _, v in sockets), retries, {}, first[0][1].limits, tuple(notes), lines)


def _together(sockets: Sequence[tuple[str, SocketVerdict]]) -> tuple[str, str, str, str, str]:
    """Return the five lines with every socket's own answer."""

    def of(number: int) -> str:
        return " ".join(f"{label}: {v.lines[number][:1].lower()}{v.lines[number][1:]}" for label, v in sockets)

    return of(0), of(1), of(2), of(3), of(4)


def _retries(record: TrialRecord) -> RetriesSeen:
    f = record.figures
    return RetriesSeen(
        f.retries_in_window,
        f.retries_refused_in_window,
        f.retries_enoent_in_window,
        f.retries_outside_window,
        f.connects_refused,
        f.gave_up_503,
        f.cgid_restarts,
    )
