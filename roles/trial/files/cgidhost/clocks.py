"""What one machine's clock says of another's: the offset between two, from round trips. Pure; used on both sides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Optional

# A clock that is slewed on purpose moves by 0.5 ms a second; what moved more between two readings was set.
MOST_DRIFT_NS = 20_000_000
# How long before the agreed moment every machine has to be told of it, beside what telling it takes.
LEAST_LEAD_NS = 300_000_000
_ROUND_TRIPS = 4  # that telling may take on a busy machine, by the slowest that was seen


@dataclass(frozen=True)
class RoundTrip:
    """A question for the time: asked and answered by the own clock, and what the other clock said between."""

    sent_ns: int
    there_ns: int
    back_ns: int

    @property
    def delay_ns(self) -> int:
        """Return how long it took."""
        return self.back_ns - self.sent_ns


@dataclass(frozen=True)
class Offset:
    """How far another clock is ahead of the own one; it is truly within `uncertainty_ns` of that."""

    offset_ns: int
    uncertainty_ns: int


def estimate(trips: Iterable[RoundTrip]) -> Offset:
    """Return the offset by the quickest round trip: the other clock was read at an unknown moment of it.

    Half of its time is the uncertainty, whatever the two ways took. Raises
    ValueError when there is no round trip.
    """
    best = min(trips, key=lambda trip: trip.delay_ns)
    middle_ns = best.sent_ns + best.delay_ns // 2
    return Offset(best.there_ns - middle_ns, -(-best.delay_ns // 2))


def lead_ns(trips: Iterable[RoundTrip]) -> int:
    """Return how long before a start the machines that answered so have to be told of it."""
    return LEAST_LEAD_NS + _ROUND_TRIPS * max((trip.delay_ns for trip in trips), default=0)


def too_far(name: str, found: Offset, bound_s: float) -> str:
    """Return why a clock is refused, or ''. What cannot be ruled out counts as being so."""
    apart_s = (abs(found.offset_ns) + found.uncertainty_ns) / 1e9
    if apart_s <= bound_s:
        return ""
    return (
        f"the clock of {name} is {found.offset_ns / 1e9:+.3f} s off the control machine's, within "
        f"{found.uncertainty_ns / 1e9:.3f} s; {bound_s:g} s are allowed (max_clock_offset_s)"
    )


def moved(name: str, before: Offset, after: Optional[Offset]) -> str:
    """Return why a clock cannot have run evenly between two readings, or ''."""
    if after is None:
        return ""
    apart_ns = abs(after.offset_ns - before.offset_ns)
    if apart_ns <= before.uncertainty_ns + after.uncertainty_ns + MOST_DRIFT_NS:
        return ""
    return f"the clock of {name} moved by {apart_ns / 1e6:.0f} ms against the control machine's during the trial"


def over(before: Offset, after: Optional[Offset]) -> Offset:
    """Return the offset that held between two readings: their mean, as uncertain as the worse and half of the drift."""
    if after is None:
        return before
    drift_ns = abs(after.offset_ns - before.offset_ns)
    return Offset(
        (before.offset_ns + after.offset_ns) // 2, max(before.uncertainty_ns, after.uncertainty_ns) + drift_ns // 2
    )
