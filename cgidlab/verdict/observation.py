"""What watching a server says of it: the same witnesses and limits as a trial's, without an experiment to compare.

Watching shows whether the queue overflows and what else is at its limit. What an
overflow costs it cannot show: nothing was varied.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cgidlab.model import TrialRecord
from cgidlab.verdict import limits, overflow, words
from cgidlab.verdict.judge import Retries, Verdict
from cgidlab.verdict.limits import Limit
from cgidlab.verdict.overflow import CellOverflow, Overflow, Sight

_NOT_THERE = ("load generator",)  # candidates that only a trial has
_SHORT_S = 5.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of one watched socket beside its figures."""

    httpd: bool  # an httpd's cgid socket; False: another program's
    length_s: float
    events: tuple[str, ...]  # "the socket was replaced", with when
    stopped: bool  # the server was gone at the end
    unseen: Mapping[str, str]  # instrument and why it did not run
    log_level: str  # of mod_cgid's messages; "unknown"
    log: str  # path of the error_log that was read; empty: none
    reason: str  # why nothing was observed; empty when something was


@dataclass(frozen=True, slots=True)
class SocketVerdict:
    """The answer for one socket."""

    overflow: Overflow
    cell: CellOverflow
    limits: tuple[Limit, ...]
    retries: Retries
    lines: tuple[str, str, str, str, str]

    @property
    def text(self) -> str:
        """Return the whole answer as one paragraph."""
        return " ".join(self.lines)


def judge_socket(record: TrialRecord, seen: Seen) -> SocketVerdict:
    """Return the verdict on one watched socket."""
    cell = _weighed(overflow.of_cell([record]), record)
    found = tuple(f for f in limits.limits([record]) if f.name not in _NOT_THERE)
    retries = _retries(record)
    lines = (
        words.sentence(_overflow(cell, record, seen)),
        words.sentence(_retried(retries, seen)),
        words.sentence(_cost(record, cell)),
        words.sentence(_limit(found, seen)),
        words.sentence(_advice(cell, found, record, seen)),
    )
    return SocketVerdict(cell.overflow, cell, found, retries, lines)


def _weighed(cell: CellOverflow, record: TrialRecord) -> CellOverflow:
    """Return the cell with an overflow that sleepers and connect times both saw, although the queue's samples did not.

    A thread sleeps in connect() before a full queue only, and a sampled queue can miss it: while
    the woken wait for a busy CPU their places are empty. In a trial that is a fault to be found; a server is as it is.
    """
    _, sights = overflow.of_trial(record)
    both = all(sights[w] is Sight.YES for w in (overflow.SLEEPERS, overflow.CONNECT_TIMES))
    if not (both and cell.against):
        return cell
    return replace(
        cell, overflow=Overflow.OBSERVED, observed=1, agree=(overflow.SLEEPERS, overflow.CONNECT_TIMES), against=()
    )


def judge_all(sockets: Sequence[tuple[str, SocketVerdict]], notes: Sequence[str] = ()) -> Verdict:
    """Return the verdict on a whole observation: observed where any queue overflowed, then what is not known."""
    answers = [v.overflow for _, v in sockets]
    if Overflow.OBSERVED in answers:
        answer = Overflow.OBSERVED
    elif answers and all(a is Overflow.NOT_OBSERVED for a in answers):
        answer = Overflow.NOT_OBSERVED
    else:
        answer = Overflow.INCONCLUSIVE
    first = sorted(sockets, key=lambda s: s[1].overflow is not answer)
    if not first:
        unknown = "Nothing was observed, so this is not known."
        none = (unknown, unknown, unknown, unknown, unknown)
        return Verdict(answer, (), Retries(None, None, None, None, None, None, None), {}, (), tuple(notes), none)
    lines = first[0][1].lines if len(first) == 1 else _together(first)
    retries = first[0][1].retries
    return Verdict(answer, tuple(v.cell for _, v in sockets), retries, {}, first[0][1].limits, tuple(notes), lines)


def _together(sockets: Sequence[tuple[str, SocketVerdict]]) -> tuple[str, str, str, str, str]:
    """Return the five lines with every socket's own answer."""

    def of(number: int) -> str:
        return " ".join(f"{label}: {v.lines[number][:1].lower()}{v.lines[number][1:]}" for label, v in sockets)

    return of(0), of(1), of(2), of(3), of(4)


def _retries(record: TrialRecord) -> Retries:
    f = record.figures
    return Retries(
        f.retries_in_window,
        f.retries_refused_in_window,
        f.retries_enoent_in_window,
        f.retries_outside_window,
        f.connects_refused,
        f.gave_up_503,
        f.cgid_restarts,
    )


def _overflow(cell: CellOverflow, record: TrialRecord, seen: Seen) -> str:
    if seen.reason:
        return f"whether the queue overflows is not known: {seen.reason}"
    parts = [_answer(cell, record, seen), *_details(cell, record, seen)]
    if cell.agree:
        said = (
            f"{words.listing(cell.agree)} agree" if len(cell.agree) > 1 else f"only the witness {cell.agree[0]} says so"
        )
        parts.append(said)
    if cell.silent:
        parts.append(f"not seen: {words.listing(cell.silent)}")
    parts += seen.events
    if seen.stopped:
        parts.append("the server was gone at the end, so this is what was seen until then")
    if seen.length_s < _SHORT_S:
        parts.append(f"{seen.length_s:.1f} s are little to judge by")
    return "; ".join(parts)


def _answer(cell: CellOverflow, record: TrialRecord, seen: Seen) -> str:
    held = f"{cell.depth_max} of {cell.limit}" if cell.depth_max is not None else ""
    span = f"the {seen.length_s:,.0f} s watched"
    if cell.overflow is Overflow.OBSERVED:
        full = f" ({held})" if held else ""
        share = words.per_cent(cell.full_share) if cell.full_share is not None else "part"
        longest = record.figures.queue_full_longest_ms
        run = f", {words.milliseconds(longest)} without a break at most" if longest else ""
        if not cell.full_share:
            seen_at = f", although no sample met the queue full{full}" if held else ""
            return f"the queue overflowed in {span}: workers had to sleep in connect(){seen_at}"
        return f"the queue overflowed: it was full{full} for {share} of {span}{run}"
    if cell.overflow is Overflow.NOT_OBSERVED:
        return f"the queue did not overflow in {span}" + (f": it held at most {held}" if held else "")
    if cell.against:
        sides = ", but ".join(cell.against)
        return f"whether the queue overflows cannot be said: witnesses contradict each other ({sides})"
    return "whether the queue overflows cannot be said: no witness of it could be watched"


def _details(cell: CellOverflow, record: TrialRecord, seen: Seen) -> list[str]:
    figures = record.figures
    parts = []
    if figures.queue_depth_mean is not None:
        parts.append(f"on average {figures.queue_depth_mean:.1f} waited")
    if cell.sleepers_max:
        longest_sleep = f" for up to {words.milliseconds(cell.connect_max_us / 1000)}" if cell.connect_max_us else ""
        parts.append(f"up to {words.count(cell.sleepers_max, 'worker')} slept in connect(){longest_sleep}")
    elif figures.connect_max_us is not None:
        parts.append(f"connect() took at most {words.milliseconds(figures.connect_max_us / 1000)}")
    if figures.connects_failed_other:
        why = "" if seen.httpd else ": a client that does not wait (EAGAIN) is turned away by a full queue"
        failed = words.count(figures.connects_failed_other, "connect")
        parts.append(f"{failed} failed with something else than ECONNREFUSED{why}")
    return parts


def _retried(retries: Retries, seen: Seen) -> str:
    reminder = "on Linux an overflow writes no retry line, a worker sleeps instead"
    if not seen.httpd:
        return "this is no cgid socket, so there is no error_log to ask"
    level = (
        f"LogLevel is {seen.log_level} for mod_cgid"
        if seen.log_level != "unknown"
        else "at which LogLevel it runs is not known"
    )
    shows = "a retry line (AH01256) is written at LogLevel debug (LogLevel cgid:debug)"
    if not seen.log:
        return f"whether workers retried is not known: no error_log was read (--error-log PATH); {shows}; {reminder}"
    if retries.in_window is None:
        return (
            f"whether workers retried is not known: {seen.log} has no retry line, but {level}, and {shows}; {reminder}"
        )
    if not retries.in_window:
        return f"no worker retried ({seen.log}; {level}); {reminder}"
    kinds = [
        f"{number:,} {what}"
        for number, what in (
            (retries.refused, "refused (ECONNREFUSED: nobody listened)"),
            (retries.enoent, "without a socket file (ENOENT)"),
        )
        if number
    ]
    split = f": {words.listing(kinds)}" if kinds else ""
    return f"workers retried {words.count(retries.in_window, 'time')}{split} ({seen.log}); {reminder}"


def _cost(record: TrialRecord, cell: CellOverflow) -> str:
    figures = record.figures
    mean = figures.workers_in_connect_mean
    tail = "what it costs in throughput cannot be told by watching: an experiment (experiments/backlog-sweep.yml) can"
    if cell.overflow is not Overflow.OBSERVED:
        return "nobody had to wait for a place in the queue" if mean == 0 else tail
    parts = []
    if mean is not None:
        parts.append(f"on average {mean:.1f} workers were asleep in connect()")
    if figures.connect_p50_us is not None and figures.connect_p99_us is not None:
        p50, p99 = (words.milliseconds(v / 1000) for v in (figures.connect_p50_us, figures.connect_p99_us))
        parts.append(f"half of all connects took longer than {p50}, one in a hundred longer than {p99}")
    return "; ".join([*parts, tail])


def _limit(found: Sequence[Limit], seen: Seen) -> str:
    full = [f for f in found if f.saturated]
    missing = [n for n in limits.unobserved(found) if n not in _NOT_THERE and (seen.httpd or n == "host CPU")]
    unseen = f"; not observed: {words.listing(missing)}" if missing else ""
    if not full:
        near = "; ".join(f.text for f in found[:3])
        return f"nothing that was observed is at its limit{f' ({near})' if near else ''}{unseen}"
    first = [f for f in full if not f.behind] or full
    behind = [f for f in full if f.behind and f not in first]
    parts = [" and ".join(f.text for f in first)]
    if behind:
        parts.append(f"{' and '.join(f.text for f in behind)}, which may be a consequence")
    return "; ".join(parts) + unseen


def _advice(cell: CellOverflow, found: Sequence[Limit], record: TrialRecord, seen: Seen) -> str:
    if seen.reason:
        return seen.reason
    if cell.overflow is Overflow.INCONCLUSIVE:
        reasons = list(dict.fromkeys(seen.unseen.values()))
        return f"find out first: {'; '.join(reasons)}" if reasons else "watch for longer (--duration), under load"
    if cell.overflow is Overflow.NOT_OBSERVED:
        return "leave the queue as it is; to catch a rare overflow let --until-full wait for it"
    saturated = [f.name for f in found if f.saturated and not f.behind]
    limit = record.figures.queue_limit
    parts = []
    if "cgid daemon" in saturated or "host CPU" in saturated:
        what = words.listing([f.text for f in found if f.name in saturated])
        parts.append(
            f"a longer queue would not raise throughput, since {what}: fewer or cheaper forks would "
            "(FastCGI, mod_proxy, a second instance)"
        )
    if seen.httpd:
        parts.append(
            "a longer queue takes bursts and spares workers the sleep: build mod_cgid with "
            f"-DDEFAULT_CGID_LISTENBACKLOG and raise net.core.somaxconn above {limit}, both, then restart httpd"
        )
    else:
        parts.append(
            f"raise the program's own listen backlog and net.core.somaxconn above {limit}, both, then restart it; "
            "or accept faster (more processes)"
        )
    return "; ".join(parts)
