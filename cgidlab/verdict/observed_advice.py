"""What to do about a watched queue: a burst is not too few who accept."""

from collections.abc import Sequence

from cgidlab.model import TrialRecord
from cgidlab.verdict import words
from cgidlab.verdict.limits import Limit
from cgidlab.verdict.observed import Came, Seen, taken
from cgidlab.verdict.observed_words import OVERFLOWED
from cgidlab.verdict.overflow import CellOverflow, Overflow

LASTING = 0.1
"""Turned away this share of all connects, or full for this share of the window: no burst, but more than is taken."""


_OF_ANY_SOCKET = ("listen_queue", "connect_times")  # instruments that do not ask for an httpd
_BUSY = 0.9  # of a core, for each that accepts


def line(cell: CellOverflow, found: Sequence[Limit], record: TrialRecord, seen: Seen, came: Came) -> str:
    """Return what to do."""
    if seen.reason:
        return seen.reason
    if record.figures.connects_refused and cell.overflow not in OVERFLOWED:
        return (
            "find out why nobody listened for a time (its log, and what restarted it); the queue's length has no part"
        )
    if cell.overflow is Overflow.INCONCLUSIVE:
        return _find_out(seen, came)
    if cell.overflow is Overflow.NOT_OBSERVED:
        return "leave the queue as it is; to catch a rare overflow let --until-full wait for it"
    if cell.overflow is Overflow.MOMENT:
        return f"leave the queue as it is, unless such moments matter: for them {_raise(record, seen)}"
    return _longer_cgid(found, seen, record) if seen.httpd else _longer(cell, found, record, seen)


def _find_out(seen: Seen, came: Came) -> str:
    if came is Came.NOBODY:
        return "watch while requests come (--duration), or let --until-full wait for an overflow"
    reasons = list(dict.fromkeys(why for name, why in seen.unseen.items() if seen.httpd or name in _OF_ANY_SOCKET))
    return f"find out first: {'; '.join(reasons)}" if reasons else "watch for longer (--duration), under load"


def _longer_cgid(found: Sequence[Limit], seen: Seen, record: TrialRecord) -> str:
    saturated = [f.name for f in found if f.saturated and not f.behind]
    parts = []
    if "cgid daemon" in saturated or "host CPU" in saturated:
        what = words.listing([f.text for f in found if f.name in saturated])
        parts.append(
            f"{what}, which hints that fewer or cheaper forks would raise throughput (FastCGI, mod_proxy, a second "
            "instance): experiments/what-limits.yml shows what limits by holding it back"
        )
    parts.append(f"a longer queue takes bursts and spares workers the sleep: {_raise(record, seen)}")
    return "; ".join(parts)


def _longer(cell: CellOverflow, found: Sequence[Limit], record: TrialRecord, seen: Seen) -> str:
    """Return whether a longer queue helps: it takes bursts, and only hides it where more comes than is taken."""
    away = (cell.turned_away or 0) / cell.connects if cell.connects else float(bool(cell.turned_away))
    if away < LASTING and (cell.full_share or 0.0) < LASTING:
        return f"a longer queue takes such bursts: {_raise(record, seen)}"
    number, rate = taken(record), (cell.connects or 0) / max(seen.length_s, 1e-9)
    figures = ""
    if number is not None:
        figures = f" ({rate:,.0f} connects a second came, {number / seen.length_s:,.0f} were taken)"
    if number == 0:
        return f"find out why it takes nobody at all{figures}: it may hang; a longer queue would only hide that"
    return (
        f"a longer queue would only hide that requests are taken too slowly{figures}: {_faster(found, seen)}; "
        f"for bursts, {_raise(record, seen)}"
    )


def _faster(found: Sequence[Limit], seen: Seen) -> str:
    """Return how requests would be taken faster; who never sleeps wants a CPU, who sleeps waits for something else."""
    workers, number, cpu = seen.program.workers, seen.acceptors, seen.acceptors_cpu
    if not number or cpu is None:
        return f"raise {workers}, or make requests cheaper"
    each = (
        f"its {words.count(number, 'process', 'processes')} used {cpu / number:.2f} of a core{' each' * (number > 1)}"
    )
    if cpu + (seen.acceptors_runq or 0.0) < _BUSY * number:
        return f"{each} and waited for something else, so raise {workers} or find what they wait for"
    if any(f.name == "host CPU" and f.saturated for f in found):
        return f"{each} and the host's CPUs are at their limit, so cheaper requests or more cores would help"
    return f"{each}, so raise {workers} or make requests cheaper"


def _raise(record: TrialRecord, seen: Seen) -> str:
    """Return how to make the queue longer: the listener's own setting, and the kernel's bound on it."""
    limit, most, program = record.figures.queue_limit, seen.somaxconn, seen.program
    own = f"set {program.queue} above {limit}"
    if most is None or limit is None:
        return f"{own} and net.core.somaxconn too, then {program.restart}"
    if most > limit:
        return f"{own} (net.core.somaxconn allows {most:,}), then {program.restart}"
    cut = f"raise net.core.somaxconn above {most:,}, which cuts it now"
    return f"{cut}, and {own}, then {program.restart}"
