"""How the load came, and what a loop can show of a response."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from cgidlab.analysis.findings import Combination, Effect
from cgidlab.gathered import numeric_setting
from cgidlab.model import TrialRecord

CAME = {
    "poisson": "as a Poisson process",
    "bursts": "in bursts",
    "ramp": "at a rate that went from one to another",
    "stages": "in stages",
    "constant": "evenly",
}
"""How the requests of an open loop came."""
_OF_THE_RATE = ("rate", "rate_from", "stages")
RATE_SERVED = 0.98
"""From this share on of the rate that was asked for, an open loop was served what it asked."""


@dataclass(frozen=True, slots=True)
class Loop:
    """The load of a run's complete trials."""

    kinds: tuple[str, ...] = ()  # closed, open; both where the loop is a factor
    served: bool = False  # every cell of an open loop was served what was asked for
    under_way: dict[Combination, int] = field(default_factory=dict)  # requests that a closed loop always has, by cell
    served_share: dict[Combination, float] = field(default_factory=dict)  # of what an open loop asked for, by cell
    rates: bool = False  # cells ask for several rates
    came: tuple[str, ...] = ()  # how requests of an open loop came, where it was not evenly alone

    @property
    def named(self) -> str:
        """Return what stands before "loop": "a closed", "an open", or both."""
        return " and ".join(f"{'an' if kind == 'open' else 'a'} {kind}" for kind in self.kinds)

    def of(self, response: str) -> str:
        """Return the loop beside a latency: " in a closed loop"; empty for other responses."""
        if not response.startswith("latency_") or not self.kinds:
            return ""
        return f" in {self.named} loop"

    @property
    def in_bursts(self) -> bool:
        """Say whether nothing but bursts came."""
        return self.came == (CAME["bursts"],)

    def gives(self, response: str) -> bool:
        """Say whether the driver and not the server decided what it is: to compare it would compare requests."""
        return response == "throughput_rps" and self.kinds == ("open",) and (self.served or self.rates)

    def always(self, effects: Sequence[Effect]) -> tuple[int, int] | None:
        """Return the fewest and the most requests that were always under way where one of the effects was shown.

        None when one of them is of an open loop, which keeps no number of requests under way.
        """
        found = []
        for effect in effects:
            cell = {**dict(effect.at), effect.factor: effect.level}
            known = [n for levels, n in self.under_way.items() if cell.items() <= dict(levels).items()]
            if not known:
                return None
            found += known
        return (min(found), max(found)) if found else None


def loop_of(valid: Sequence[TrialRecord]) -> Loop:
    """Return how the load of these complete trials came."""
    kinds = tuple(sorted({str(r.settings.get("loop", "closed")) for r in valid}))
    under_way = {}
    served: dict[Combination, list[float]] = {}
    for r in valid:
        clients, workers, rate = (numeric_setting(r, name) for name in ("clients", "workers", "rate"))
        if str(r.settings.get("loop", "closed")) == "closed" and clients is not None:
            under_way[r.levels] = int(clients if workers is None else min(clients, workers))
        elif (asked := r.figures.offered_rps or rate) and r.figures.throughput_rps is not None:
            served.setdefault(r.levels, []).append(r.figures.throughput_rps / asked)
    share = {cell: median(shares) for cell, shares in served.items()}
    all_served = bool(share) and all(s >= RATE_SERVED for s in share.values())
    rates = {tuple(r.settings.get(name) for name in _OF_THE_RATE) for r in valid}
    kinds_of_arrival = {str(r.settings.get("arrivals", "constant")) for r in valid if r.settings.get("loop") == "open"}
    came = tuple(said for name, said in CAME.items() if name in kinds_of_arrival)
    return Loop(kinds, all_served, under_way, share, len(rates) > 1, came if kinds_of_arrival - {"constant"} else ())
