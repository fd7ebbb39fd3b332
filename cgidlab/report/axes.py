"""Where levels stand on an axis: linear where they are spread evenly so, else on a log scale, with a tick at each."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

Kind = Literal["linear", "log", "symlog"]

_MUCH_EVENER = 1.5  # by so much a log scale has to spread levels more evenly: a linear one is read without thinking
_STEPS = 32  # lines of one level stand so many-th of an axis apart,
_ROOM = 0.6  # and all together keep to this share of the gap to the next level


def _symlog(value: float) -> float:
    return math.copysign(math.log1p(abs(value)), value)


def _symexp(value: float) -> float:
    return math.copysign(math.expm1(abs(value)), value)


_TO: dict[Kind, Callable[[float], float]] = {"linear": float, "log": math.log, "symlog": _symlog}
_FROM: dict[Kind, Callable[[float], float]] = {"linear": float, "log": math.exp, "symlog": _symexp}


@dataclass(frozen=True, slots=True)
class LevelAxis:
    """The axis of a factor whose levels are numbers."""

    kind: Kind
    ticks: tuple[float, ...]  # its levels, rising

    @classmethod
    def of(cls, values: Sequence[float]) -> "LevelAxis":
        """Return the axis on which these levels (at least one) stand evenly."""
        ticks = tuple(sorted(set(values)))
        other: Kind = "log" if ticks[0] > 0 else "symlog"
        if len(ticks) > 2 and _evenness(ticks, other) > _MUCH_EVENER * _evenness(ticks, "linear"):  # noqa: PLR2004 -- two are even on any
            return cls(other, ticks)
        return cls("linear", ticks)

    def place(self, value: float, line: int, lines: int) -> float:
        """Return a level moved sideways a little, so that the dots of several lines do not hide each other."""
        shown = [_TO[self.kind](tick) for tick in self.ticks]
        span = shown[-1] - shown[0]
        if not span:
            return value
        near = min(b - a for a, b in pairwise(shown))
        step = min(span / _STEPS, _ROOM * near / max(1, lines))
        return float(f"{_FROM[self.kind](_TO[self.kind](value) + step * (line - (lines - 1) / 2)):.6g}")


def _evenness(ticks: Sequence[float], kind: Kind) -> float:
    """Return the smallest gap between two levels as a share of the axis."""
    shown = [_TO[kind](tick) for tick in ticks]
    return min(b - a for a, b in pairwise(shown)) / (shown[-1] - shown[0])
