"""What each witness must show in each control: the only module that knows what a fault causes.

Every bound follows from what was done to the daemon and not from how fast the host
is, so that a busy host does not fail it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cgidlab.calibrate.controls import FREEZE_S, FULL, IDLE, MISSING, REFUSED, Kind, Witness
from cgidlab.model import Figures, Settings
from cgidlab.verdict.overflow import CONNECT_P99_US

SEEN = 0.8  # of a freeze: a clock's edges and a sampler's period may hide the rest
SLOWEST_FREE_US = 100_000.0  # a preempted thread waits some slices of a scheduler; a freeze is 15 times longer


@dataclass(frozen=True, slots=True)
class Expectation:
    """One thing that one witness must show in one control."""

    control: str
    kind: Kind
    witness: Witness
    expected: str
    holds: Callable[[Figures, Settings], bool]
    figures: tuple[str, ...]  # none of them may be missing; they are what was found


def _places(settings: Settings) -> int:
    """Return how many connections fit into the queue: listen(N) holds N + 1."""
    return int(settings["listen_backlog"]) + 1


def _queue_was_full(f: Figures, s: Settings) -> bool:
    long_enough = (f.queue_full_share or 0.0) * float(s["window_s"]) >= SEEN * FREEZE_S
    return f.queue_limit == s["listen_backlog"] and f.queue_depth_max == _places(s) and long_enough


def _all_others_slept(f: Figures, s: Settings) -> bool:
    """Say whether all workers slept in connect() that had to.

    Each client keeps a worker. A worker that does not sleep has a connection in the queue, or the
    one that the daemon had accepted when it froze: so no fewer than clients - places - 1 sleep. It may
    also sleep with a connection in the queue, since a request makes two, so no more than all.
    """
    clients, fewest = int(s["clients"]), int(s["clients"]) - _places(s) - 1
    lasting = (f.workers_in_connect_mean or 0.0) * float(s["window_s"]) >= SEEN * FREEZE_S * fewest
    return fewest <= (f.workers_in_connect_max or 0) <= clients and lasting


def _agree(f: Figures, s: Settings) -> bool:
    """Say whether the log and the kernel count the same refusals; each worker may be caught between the two once."""
    refused, logged = f.connects_refused or 0, f.retries_refused_in_window or 0
    return refused > 0 and abs(refused - logged) <= int(s["clients"])


def _zero(*names: str) -> Callable[[Figures, Settings], bool]:
    return lambda f, _s: all(getattr(f, name) == 0 for name in names)


def _some(name: str) -> Callable[[Figures, Settings], bool]:
    return lambda f, _s: (getattr(f, name) or 0) > 0


def _without_overflow(control: str) -> tuple[Expectation, ...]:
    """Return what every control with room in the queue asks: no witness may claim that it overflowed."""
    return (
        Expectation(
            control,
            Kind.NEGATIVE,
            Witness.QUEUE,
            "never full",
            lambda f, s: f.queue_full_share == 0 and f.queue_depth_max is not None and f.queue_depth_max < _places(s),
            ("queue_full_share", "queue_depth_max"),
        ),
        Expectation(
            control,
            Kind.NEGATIVE,
            Witness.SLEEPERS,
            "nobody asleep in connect",
            _zero("workers_in_connect_max"),
            ("workers_in_connect_max",),
        ),
    )


_POS, _NEG = Kind.POSITIVE, Kind.NEGATIVE
_FAILED = ("connects_refused", "connects_failed_other")
EXPECTATIONS: tuple[Expectation, ...] = (
    Expectation(
        FULL,
        _POS,
        Witness.QUEUE,
        f"6 in a queue of 5 for {SEEN * FREEZE_S:.1f} s or more",
        _queue_was_full,
        ("queue_limit", "queue_depth_max", "queue_full_share"),
    ),
    Expectation(
        FULL,
        _POS,
        Witness.SLEEPERS,
        f"53 to 60 of 60 asleep in connect for {SEEN * FREEZE_S:.1f} s or more",
        _all_others_slept,
        ("workers_in_connect_max", "workers_in_connect_mean"),
    ),
    Expectation(
        FULL,
        _POS,
        Witness.CONNECTS,
        f"a connect of {SEEN * FREEZE_S:.1f} s or more",
        lambda f, _s: (f.connect_max_us or 0.0) >= SEEN * FREEZE_S * 1e6,
        ("connect_max_us",),
    ),
    Expectation(FULL, _NEG, Witness.CONNECTS, "no connect failed", _zero(*_FAILED), _FAILED),
    Expectation(FULL, _NEG, Witness.LOG, "no retry line", _zero("retries_in_window"), ("retries_in_window",)),
    Expectation(FULL, _NEG, Witness.DAEMON, "not replaced", _zero("cgid_restarts"), ("cgid_restarts",)),
    Expectation(
        FULL,
        _POS,
        Witness.CLIENT,
        "all requests answered",
        lambda f, s: f.errors == 0 and (f.requests or 0) >= int(s["clients"]),
        ("requests", "errors"),
    ),
    Expectation(
        REFUSED,
        _POS,
        Witness.LOG,
        "retry lines with ECONNREFUSED",
        _some("retries_refused_in_window"),
        ("retries_refused_in_window",),
    ),
    Expectation(
        REFUSED,
        _POS,
        Witness.CONNECTS,
        "refused connects, as many as logged",
        _agree,
        ("connects_refused", "retries_refused_in_window"),
    ),
    Expectation(REFUSED, _POS, Witness.DAEMON, "replaced", _some("cgid_restarts"), ("cgid_restarts",)),
    *_without_overflow(REFUSED),
    Expectation(
        MISSING,
        _POS,
        Witness.LOG,
        "retry lines with ENOENT",
        _some("retries_enoent_in_window"),
        ("retries_enoent_in_window",),
    ),
    Expectation(
        MISSING,
        _POS,
        Witness.CONNECTS,
        "connects failed, none refused",
        lambda f, _s: (f.connects_failed_other or 0) > 0 and f.connects_refused == 0,
        _FAILED,
    ),
    Expectation(MISSING, _NEG, Witness.DAEMON, "not replaced", _zero("cgid_restarts"), ("cgid_restarts",)),
    *_without_overflow(MISSING),
    *_without_overflow(IDLE),
    Expectation(
        IDLE,
        _NEG,
        Witness.CONNECTS,
        f"none failed, 99 % below {CONNECT_P99_US / 1000:.0f} ms, all below {SLOWEST_FREE_US / 1000:.0f} ms",
        lambda f, _s: (
            f.connects_refused == f.connects_failed_other == 0
            and (f.connect_p99_us or 0.0) < CONNECT_P99_US
            and (f.connect_max_us or 0.0) < SLOWEST_FREE_US
        ),
        (*_FAILED, "connect_p99_us", "connect_max_us"),
    ),
    Expectation(IDLE, _NEG, Witness.LOG, "no retry line", _zero("retries_in_window"), ("retries_in_window",)),
    Expectation(IDLE, _NEG, Witness.DAEMON, "not replaced", _zero("cgid_restarts"), ("cgid_restarts",)),
)
