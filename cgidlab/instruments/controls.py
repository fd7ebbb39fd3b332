"""What is done to a server on purpose, so that a witness must show it, or must show nothing.

Every bound of an expectation follows from what was done to the daemon and not from how fast the host
is, so that a busy host does not fail it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from cgidlab.model import Figures, Scalar, Settings

FULL, REFUSED, MISSING, IDLE = "full queue", "refused", "missing socket", "light load"
FREEZE_S, OUTAGE_S = 1.5, 1.0
SEEN = 0.8  # of a freeze: a clock's edges and a sampler's period may hide the rest
_ROOMY = 1024

_FAULT: Mapping[str, Scalar] = {"fault_at_s": 0.3, "window_s": 3.0}
CONTROLS: Mapping[str, Mapping[str, Scalar]] = {
    FULL: {**_FAULT, "listen_backlog": 5, "fault": "freeze_cgid", "fault_for_s": FREEZE_S},
    REFUSED: {**_FAULT, "listen_backlog": _ROOMY, "fault": "kill_cgid", "fault_for_s": OUTAGE_S},
    MISSING: {**_FAULT, "listen_backlog": _ROOMY, "fault": "hide_socket", "fault_for_s": OUTAGE_S},
    IDLE: {"listen_backlog": _ROOMY, "window_s": 1.5, "clients": 2},
}
"""The settings of each control, beside those that all of them share."""


class Kind(StrEnum):
    """What a row of a calibration asks of its witness."""

    POSITIVE = "positive"  # to see what was done
    NEGATIVE = "negative"  # to see nothing where nothing was done
    COST = "cost"


@dataclass(frozen=True, slots=True)
class Expectation:
    """One thing that a witness must show in one control."""

    control: str
    kind: Kind
    expected: str
    holds: Callable[[Figures, Settings], bool]
    figures: tuple[str, ...]  # none of them may be missing; they are what was found
    excuse: Callable[[Figures], str] = lambda _: ""  # why it cannot hold on this httpd; "": it should


def places(settings: Settings) -> int:
    """Return how many connections fit into the queue: listen(N) holds N + 1."""
    return int(settings["listen_backlog"]) + 1


def zero(*names: str) -> Callable[[Figures, Settings], bool]:
    """Return a condition: all of these figures are 0."""
    return lambda f, _s: all(getattr(f, name) == 0 for name in names)


def some(name: str) -> Callable[[Figures, Settings], bool]:
    """Return a condition: this figure is above 0."""
    return lambda f, _s: (getattr(f, name) or 0) > 0


def quiet(control: str, expected: str, *names: str) -> Expectation:
    """Return the expectation that all of these figures are 0 in a control."""
    return Expectation(control, Kind.NEGATIVE, expected, zero(*names), names)
