"""How the first four answers on a watched socket are said: what was seen, and nothing of what to do."""

from collections.abc import Collection, Sequence

from cgidlab.model import TrialRecord
from cgidlab.verdict import limits, retrying, words
from cgidlab.verdict.limits import Limit
from cgidlab.verdict.observed import Came, Seen, queue_wait_ms, taken
from cgidlab.verdict.overflow import CellOverflow, Overflow
from cgidlab.verdict.retrying import RetriesSeen

OVERFLOWED = (Overflow.OBSERVED, Overflow.MOMENT)
_SHORT_S = 5.0
_SHOWN = 0.05  # waiting on average: less is 0.0 in print


def overflow_line(cell: CellOverflow, record: TrialRecord, seen: Seen, came: Came) -> str:
    """Return whether the queue overflowed, with the figures and the witnesses that say so."""
    if seen.reason:
        return f"whether the queue overflows is not known: {seen.reason}"
    parts = [_answer(cell, record, seen, came), *_details(cell, record, seen)]
    if cell.agree:
        said = (
            f"{words.listing(cell.agree)} agree" if len(cell.agree) > 1 else f"only the witness {cell.agree[0]} says so"
        )
        parts.append(said)
    unseen = [w for w in cell.silent if seen.httpd or w in ("queue", "connect times")]
    if unseen and came is not Came.NOBODY:
        parts.append(f"not seen: {words.listing(unseen)}")
    parts += seen.events
    if seen.stopped and seen.httpd:
        parts.append("the server was gone at the end, so this is what was seen until then")
    if seen.span:
        parts.append(f"watched {seen.span}")
    if seen.length_s < _SHORT_S:
        parts.append(f"{seen.length_s:.1f} s are little to judge by")
    return "; ".join(parts)


def _answer(cell: CellOverflow, record: TrialRecord, seen: Seen, came: Came) -> str:
    held = f"{cell.depth_max} of {cell.limit}" if cell.depth_max is not None else ""
    span = f"the {seen.length_s:,.0f} s watched"
    if cell.overflow in OVERFLOWED:
        return _overflowed(cell, record, span, held)
    if cell.overflow is Overflow.NOT_OBSERVED:
        return _held(cell, span, held)
    if came is Came.NOBODY:
        what = "CGI request" if seen.httpd else "connection"
        return f"no {what} came in these {seen.length_s:,.0f} s: nothing can be said"
    if cell.against:
        sides = ", but ".join(cell.against)
        return f"whether the queue overflows cannot be said: witnesses contradict each other ({sides})"
    if came is Came.UNKNOWN and held:
        return (
            f"whether the queue overflows cannot be said: no sample of {span} met anybody in it ({held}), "
            "and whether any request came cannot be seen"
        )
    return "whether the queue overflows cannot be said: no witness of it could be watched"


def _held(cell: CellOverflow, span: str, held: str) -> str:
    if cell.full_share:
        full = f"the queue was full ({held}) for {words.per_cent(cell.full_share)} of {span}, but kept nobody out"
        return f"{full}: none of {words.count(cell.connects or 0, 'connect')} was turned away or had to wait"
    return f"the queue did not overflow in {span}" + (f": it held at most {held}" if held else "")


def _overflowed(cell: CellOverflow, record: TrialRecord, span: str, held: str) -> str:
    full = f" ({held})" if held else ""
    longest = record.figures.queue_full_longest_ms
    run = f", {words.milliseconds(longest)} without a break at most" if longest else ""
    away = f"{words.turned_away(cell.turned_away, cell.connects)}" if cell.turned_away else ""
    moments = " for moments only" if cell.overflow is Overflow.MOMENT else ""
    if cell.full_share:
        share = f"it was full{full} for {words.per_cent(cell.full_share)} of {span}{run}"
        return f"the queue overflowed{moments}: {share}{f', and {away}' if away else ''}"
    missed = f", although no sample met the queue full{full}" if held else ""
    how = away or "workers had to sleep in connect()"
    return f"the queue overflowed{moments} in {span}: {how}{missed}"


def _details(cell: CellOverflow, record: TrialRecord, seen: Seen) -> list[str]:
    figures = record.figures
    parts = []
    if figures.queue_depth_mean and figures.queue_depth_mean >= _SHOWN:
        parts.append(f"on average {figures.queue_depth_mean:.1f} waited")
        wait_ms = queue_wait_ms(record, seen.length_s)
        if wait_ms is not None:
            parts[-1] += f", about {words.milliseconds(wait_ms)} each (by Little's law)"
    if cell.sleepers_max:
        longest_sleep = f" for up to {words.milliseconds(cell.connect_max_us / 1000)}" if cell.connect_max_us else ""
        parts.append(f"up to {words.count(cell.sleepers_max, 'worker')} slept in connect(){longest_sleep}")
    elif figures.connect_max_us is not None and not cell.turned_away:
        parts.append(f"connect() took at most {words.milliseconds(figures.connect_max_us / 1000)}")
    if figures.connects_failed_other:
        failed = words.count(figures.connects_failed_other, "connect")
        parts.append(f"{failed} failed with something else than a full queue (EAGAIN) or no listener (ECONNREFUSED)")
    return parts


def retries_line(retries: RetriesSeen, record: TrialRecord, seen: Seen, came: Came) -> str:
    """Return whether workers tried again: by the kernel's count of refused connects, beside the log."""
    refused, otherwise = record.figures.connects_refused, record.figures.connects_failed_other
    if not seen.httpd:
        return _refused(record)
    if came is Came.NOBODY and not refused and not retries.in_window:
        return "whether workers would retry is not known: no request came"
    if retrying.differ(retries):
        return f"{retrying.both(retries, seen.log)}; {retrying.REMINDER}"
    return f"{_retried(retries, otherwise, seen)}; {retrying.REMINDER}"


def _retried(retries: RetriesSeen, otherwise: int | None, seen: Seen) -> str:
    level = f"LogLevel is {seen.log_level} for mod_cgid"
    if seen.log_level == "unknown":
        level = "at which LogLevel it runs is not known"
    shows = "a retry line (AH01256) is written at LogLevel debug (LogLevel cgid:debug)"
    silent = f"no error_log was read (--error-log PATH); {shows}"
    if seen.log:
        silent = f"{seen.log} has no retry line, but {level}, and {shows}"
    refused = retries.connects_refused
    if retries.in_window is None:
        known = "whether workers retried is not known" if refused is None else retrying.by_kernel(refused, otherwise)
        return f"{known}{': ' if refused is None else '; '}{silent}"
    if not retries.in_window:
        kernel = "the kernel refused no connect; " if refused == 0 else ""
        return f"no worker retried ({kernel}{seen.log}; {level})"
    kernel = f", the kernel refused {words.count(refused, 'connect')}" if refused else ""
    retried = words.count(retries.in_window, "time")
    return f"workers retried {retried}{retrying.kinds(retries)} ({seen.log}{kernel})"


def _refused(record: TrialRecord) -> str:
    refused, connects = record.figures.connects_refused, record.figures.connects
    if refused is None or connects is None:
        return "this is no cgid socket, so there is no error_log to ask, and refused connects could not be counted"
    if not refused:
        return "no connect was refused; what is turned away or refused is for the server in front to try again"
    return (
        f"{refused:,} of {words.count(connects, 'connect')} {words.were(refused)} refused "
        "(ECONNREFUSED: nobody listened); whether each is tried again is for the server in front to decide"
    )


def cost_line(cell: CellOverflow, record: TrialRecord, seen: Seen, came: Came) -> str:
    """Return what it cost those who came, as far as watching can tell."""
    figures = record.figures
    mean = figures.workers_in_connect_mean
    tail = "what it costs in throughput cannot be told by watching: an experiment (experiments/backlog-sweep.yml) can"
    parts = []
    if cell.turned_away:
        least, of = "at least ", ""
        if cell.connects:
            least, of = "", f" of {cell.connects:,} connects ({words.per_cent(cell.turned_away / cell.connects)})"
        parts.append(
            f"{least}{cell.turned_away:,}{of} {words.were(cell.turned_away)} turned away: each is a request that the "
            "server in front answered with 502 or 503, or tried again"
        )
    if figures.connects_refused:
        what = "a worker slept and tried again, or answered 503" if seen.httpd else "502 or 503, or tried again"
        parts.append(f"{words.count(figures.connects_refused, 'connect')} refused: for each, {what}")
    if cell.overflow not in OVERFLOWED:
        if parts:
            return "; ".join(parts)
        if came is Came.NOBODY:
            return "nothing, for nobody came"
        nobody = mean == 0 or (not seen.httpd and figures.connects_turned_away == 0)
        known = cell.overflow is Overflow.NOT_OBSERVED
        return "nobody had to wait for a place in the queue" if nobody and known else tail
    if mean:
        parts.append(f"on average {mean:.1f} workers were asleep in connect()")
    if not cell.turned_away and figures.connect_p50_us is not None and figures.connect_p99_us is not None:
        p50, p99 = (words.milliseconds(v / 1000) for v in (figures.connect_p50_us, figures.connect_p99_us))
        parts.append(f"half of all connects took longer than {p50}, one in a hundred longer than {p99}")
    return "; ".join([*parts, *([tail] if mean or not cell.turned_away else [])])


def limit_line(found: Sequence[Limit], record: TrialRecord, seen: Seen, not_there: Collection[str]) -> str:
    """Return what else is at its limit; that it limits throughput only holding it back shows (docs/adr/0017)."""
    own = [] if seen.httpd else _acceptors(record, seen)
    full = [f for f in found if f.saturated]
    missing = [n for n in limits.unobserved(found) if n not in not_there and (seen.httpd or n == "host CPU")]
    unseen = f"; not observed: {words.listing(missing)}" if missing else ""
    if not full:
        near = "; ".join([*own, *(f.text for f in found[:3])])
        return f"nothing that was observed is at its limit{f' ({near})' if near else ''}{unseen}"
    first = [f for f in full if not f.behind] or full
    behind = [f for f in full if f.behind and f not in first]
    parts = [f"watching cannot tell what limits throughput; a hint: {' and '.join(f.text for f in first)}", *own]
    if behind:
        parts.append(f"{' and '.join(f.text for f in behind)}, which may be a consequence")
    return "; ".join(parts) + unseen


def _acceptors(record: TrialRecord, seen: Seen) -> list[str]:
    """Return how many processes took how many connects, and the CPU they used."""
    number = taken(record)
    if not seen.acceptors:  # not known, or all of them are gone
        return []
    rate = f" took {number / seen.length_s:,.0f} connects a second" if number is not None and seen.length_s else ""
    cpu = "" if seen.acceptors_cpu is None else f"{' and' if rate else ''} used {seen.acceptors_cpu:.2f} of a core"
    together = " together" if cpu and seen.acceptors > 1 else ""
    return [f"{words.count(seen.acceptors, 'process', 'processes')} of it{rate}{cpu}{together}"] if rate or cpu else []
