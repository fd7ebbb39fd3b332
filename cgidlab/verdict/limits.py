"""What limits throughput if the backlog does not: when something counts as saturated.

A candidate is named with its figure or not at all. What is at its own limit (a
thread, the CPUs, the disk, the load) comes before what fills up behind it
(workers, the TCP accept queue); among equals, the one saturated in more cells and by
more comes first. Nothing saturated means "not known".
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from cgidlab.gathered import by_cell, median_of, numeric_setting
from cgidlab.model import TrialRecord
from cgidlab.verdict import japanese
from cgidlab.verdict.loops import RATE_SERVED

DAEMON_CPU = 0.9  # of a core: the thread cannot do much more
DAEMON_WANTS = 0.95  # on a core or waiting for one: it never sleeps
HOST_CPU = 0.95
DRIVER_CPU = 0.9  # of a core: it has one thread
DRIVER_RATE = 0.9  # of the answers a second that it got for a static file
DISK_WAIT = 0.2  # of the host's time idle with a disk request open
SCRIPT_SHARE = 0.8  # of the median latency is the script's own time


@dataclass(frozen=True, slots=True)
class Limit:
    """One candidate for what limits throughput."""

    name: str
    saturated: bool  # in half of the cells looked at, or more
    behind: bool  # fills up behind another limit: a consequence where something else is saturated
    cells: int  # saturated
    cells_known: int  # in which it was observed
    strength: float  # figure over its threshold, median over the cells where saturated (else over all)
    text: str  # with its figure, "the cgid daemon's one thread used 0.97 of a core"
    figures: tuple[float, ...] = ()  # that the text is made of

    def text_in(self, language: str) -> str:
        """Return the text in one of `sentences.LANGUAGES`."""
        return japanese.said(self.text) if language == "ja" else self.text

    @property
    def starved(self) -> bool:
        """Say whether this is the daemon kept from a core by others, rather than by its own work."""
        return self.name == "cgid daemon" and self.saturated and self.figures[0] < DAEMON_CPU


@dataclass(frozen=True, slots=True)
class _Sign:
    """What one cell says of one candidate."""

    strength: float  # 1 or more: saturated
    figures: tuple[float, ...]  # that the text is made of


@dataclass(frozen=True, slots=True)
class _Candidate:
    name: str
    behind: bool
    sign: Callable[[Sequence[TrialRecord]], _Sign | None]
    text: Callable[[tuple[float, ...]], str]


def limits(records: Sequence[TrialRecord], searched: Collection[str] = ()) -> tuple[Limit, ...]:
    """Return every candidate that was observed in these complete trials, best evidence first.

    Of `searched` factors how far each can go is what was asked: what was asked for there is no limit of its own.
    """
    cells = by_cell(records)
    found = []
    for candidate in _CANDIDATES:
        if _ASKED.get(candidate.name) in searched:
            continue
        signs = [s for trials in cells.values() if (s := candidate.sign(trials)) is not None]
        if not signs:
            continue
        hit = [s for s in signs if s.strength >= 1]
        shown = sorted(hit or signs, key=lambda s: s.strength)
        middle = shown[len(shown) // 2]
        found.append(
            Limit(
                name=candidate.name,
                saturated=2 * len(hit) >= len(signs),
                behind=candidate.behind,
                cells=len(hit),
                cells_known=len(signs),
                strength=middle.strength,
                text=candidate.text(middle.figures),
                figures=middle.figures,
            )
        )
    return tuple(sorted(found, key=lambda f: (not f.saturated, f.behind, -f.cells / f.cells_known, -f.strength)))


def unobserved(found: Sequence[Limit]) -> tuple[str, ...]:
    """Return the names of the candidates about which nothing is known, those that need the right setting left out."""
    names = {f.name for f in found}
    always = ("cgid daemon", "host CPU", "disk", "driver", "MaxRequestWorkers", "TCP accept queue")
    return tuple(n for n in always if n not in names)


def _closed(trials: Sequence[TrialRecord]) -> bool:
    return str(trials[0].settings.get("loop", "closed")) == "closed"


def _daemon(trials: Sequence[TrialRecord]) -> _Sign | None:
    cpu = median_of(trials, "cgid_cpu_share")
    if cpu is None:
        return None
    wait = median_of(trials, "cgid_runq_share") or 0.0
    return _Sign(max(cpu / DAEMON_CPU, (cpu + wait) / DAEMON_WANTS), (cpu, wait))


def _daemon_text(figures: tuple[float, ...]) -> str:
    cpu, wait = figures
    if cpu < DAEMON_CPU and cpu + wait >= DAEMON_WANTS:
        return (
            f"the cgid daemon's one thread never slept: it used {cpu:.2f} of a core "
            f"and waited for a core {100 * wait:.0f} % of the time"
        )
    return f"the cgid daemon's fork loop used {cpu:.2f} of a core"


def _driver(trials: Sequence[TrialRecord]) -> _Sign | None:
    """Ask for its CPU, and for its headroom: a generator that is held back is saturated without using its core."""
    cpu, rate = median_of(trials, "driver_cpu_share"), median_of(trials, "driver_headroom_share")
    if cpu is None and rate is None:
        return None
    strength = max((cpu or 0.0) / DRIVER_CPU, (rate or 0.0) / DRIVER_RATE)
    return _Sign(strength, (-1.0 if cpu is None else cpu, -1.0 if rate is None else rate))


def _driver_text(figures: tuple[float, ...]) -> str:
    cpu, rate = figures
    parts = [f"used {cpu:.2f} of a core"] if cpu >= 0 else []
    if rate >= DRIVER_RATE or not parts:
        parts.append(f"got {100 * rate:.0f} % of the answers a second that it gets for a static file")
    return f"the driver {' and '.join(parts)}"


def _share(name: str, threshold: float) -> Callable[[Sequence[TrialRecord]], _Sign | None]:
    def sign(trials: Sequence[TrialRecord]) -> _Sign | None:
        value = median_of(trials, name)
        return None if value is None else _Sign(value / threshold, (value,))

    return sign


def _workers(trials: Sequence[TrialRecord]) -> _Sign | None:
    """Compare busy workers with their number; where every client has a worker, busy workers keep nobody waiting."""
    workers, clients = numeric_setting(trials[0], "workers"), numeric_setting(trials[0], "clients")
    if not workers:
        return None
    busy = median_of(trials, "workers_busy_max")
    busy = median_of(trials, "scoreboard_busy_max") if busy is None else busy
    if busy is None:  # a setting is no observation
        return None
    if _closed(trials) and clients is not None and clients <= workers:
        return _Sign(min(0.99, busy / workers), (busy, workers))
    return _Sign(busy / workers, (busy, workers))


def _tcp(trials: Sequence[TrialRecord]) -> _Sign | None:
    overflows, depth = median_of(trials, "tcp_overflows"), median_of(trials, "tcp_queue_depth_max")
    limit = median_of(trials, "tcp_queue_limit")
    if overflows is None and (depth is None or not limit):
        return None
    filled = depth / limit if depth is not None and limit else 0.0
    return _Sign(max(1.0 if overflows else 0.0, filled), (overflows or 0.0, depth or 0.0, limit or 0.0))


def _tcp_text(figures: tuple[float, ...]) -> str:
    overflows, depth, limit = figures
    queue = f"the TCP accept queue held up to {depth:.0f} of {limit:.0f}" if limit else "the TCP accept queue"
    return f"{queue}{' and' if limit else ''} overflowed {overflows:.0f} times" if overflows else queue


def _script(trials: Sequence[TrialRecord]) -> _Sign | None:
    kind = str(trials[0].settings.get("script", ""))
    own_ms = numeric_setting(trials[0], {"sleep": "sleep_ms", "burn": "burn_ms"}.get(kind, ""))
    p50_ms = median_of(trials, "latency_p50_ms")
    return _Sign(own_ms / p50_ms / SCRIPT_SHARE, (own_ms, p50_ms)) if own_ms and p50_ms else None


def _rate(trials: Sequence[TrialRecord]) -> _Sign | None:
    rate = median_of(trials, "offered_rps") or numeric_setting(trials[0], "rate")
    got = median_of(trials, "throughput_rps")
    if _closed(trials) or not rate or got is None:
        return None
    return _Sign(got / rate / RATE_SERVED, (got, rate))


_ASKED = {"offered rate": "rate", "MaxRequestWorkers": "workers"}  # candidates that are a factor's level
_CANDIDATES = (
    _Candidate("cgid daemon", behind=False, sign=_daemon, text=_daemon_text),
    _Candidate("host CPU", behind=False, sign=_share("host_cpu_share", HOST_CPU),
               text=lambda f: f"the host's CPUs were {100 * f[0]:.0f} % busy"),
    _Candidate("disk", behind=False, sign=_share("host_iowait_share", DISK_WAIT),
               text=lambda f: f"the CPUs were idle and waiting for a disk {100 * f[0]:.0f} % of the time"),
    _Candidate("driver", behind=False, sign=_driver, text=_driver_text),
    _Candidate("offered rate", behind=False, sign=_rate,
               text=lambda f: f"{f[0]:,.0f} of the {f[1]:,.0f} requests a second that were asked for were served"),
    _Candidate("script time", behind=False, sign=_script,
               text=lambda f: f"the script itself took {f[0]:.0f} ms of a median latency of {f[1]:.0f} ms"),
    _Candidate("MaxRequestWorkers", behind=True, sign=_workers,
               text=lambda f: f"{f[0]:.0f} of {f[1]:.0f} workers were busy"),
    _Candidate("TCP accept queue", behind=True, sign=_tcp, text=_tcp_text),
)  # fmt: skip
