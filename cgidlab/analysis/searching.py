"""Where a limit lies, by trials that keep a goal or miss it: what is believed, and where to look next. Pure.

Levels are in the order in which the goal gets harder. The share of trials that miss it rises with the level as a normal
distribution's does with the logarithm, and the limit is where it passes the share that is allowed (the exceed ratio).
How steep it rises is not known, nor how far the host's mood moves the limit from one spell of a few blocks to the
next: both are averaged over, so that an interval is as wide as what was seen allows. That is the psychometric function
of QUEST and its kin (Watson and Pelli 1983, Perception and Psychophysics 33; Kontsevich and Tyler 1999,
Vision Research 39) with an effect of the spell.
A short trial is believed less: its window is another one than that of the question.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats  # type: ignore[import-untyped]  # scipy ships no types

from cgidlab.analysis.intervals import MIN_BLOCKS

Array = NDArray[np.float64]

_SPREADS = (0.005, 0.02, 0.06, 0.18)  # of a trial, in the logarithm of the level
_SPELL_SPREADS = (0.005, 0.025, 0.08)  # of a spell, in the same
SPELL = 3
"""Blocks that share one effect: a host that is slow in one is slow in the next."""

_SHORT_DOUBT = 0.15  # added to a short trial's spread: by so much its limit may be another one
_LAPSE = 0.02  # of trials that say the contrary of what they should, whatever the level
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(5)
_SURE = 0.02
"""The error of the interval by which a search stops. It stops where that happens to be narrow, which makes 2 % into the
5 % that are said (python -m benchmarks.searching)."""

_COARSE = 1.5
"""Short trials look until the limit is known within this ratio."""

_HALF = 0.5
_NEAR = 2  # steps: candidates are half of the precision apart, and whole numbers a little more
_COARSE_PROBES, _FINE_PROBES, _CONFIRMING = 3, 4, 2  # trials a block; of these two or, on each side, two


@dataclass(frozen=True, slots=True)
class Probe:
    """One trial of a search."""

    block: tuple[str, int]  # host and number
    level: int  # from 0, in the order in which the goal gets harder
    missed: bool
    short: bool = False


@dataclass(frozen=True, slots=True)
class Believed:
    """What the trials so far say of the limit."""

    low: int | None  # the hardest level that is shown to keep the goal; None: not even the first is
    high: int | None  # the easiest one that is shown to miss it; None: not even the last is
    blocks: int
    trials: int
    kept_at_low: tuple[int, int]  # of its trials with the whole window, those that kept the goal, and all
    missed_at_high: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Look:
    """Trials that a block makes of one search."""

    levels: tuple[int, ...]
    short: bool
    confirming: bool = False


class Search:
    """One search: levels, their coordinates, and what was tried."""

    def __init__(self, levels: Sequence[float], *, exceed: float, precision: float) -> None:
        """Begin. `levels` are positive, in the order in which the goal gets harder; `precision` is a share of them."""
        sign = 1.0 if levels[-1] >= levels[0] else -1.0
        self._levels, self._exceed, self._precision = tuple(levels), exceed, precision
        self._u: Array = sign * np.log(np.asarray(levels, dtype=float))
        step = float(np.median(np.diff(self._u))) if len(levels) > 1 else 1.0
        middles = (self._u[1:] + self._u[:-1]) / 2
        # The limit lies between two levels, or beyond the ends.
        self._limits: Array = np.concatenate([[self._u[0] - step], middles, [self._u[-1] + step]])
        self._shift = float(stats.norm.ppf(exceed))
        shape = (len(self._limits), len(_SPREADS), len(_SPELL_SPREADS))
        self._log: Array = np.zeros(shape)
        self._spells: dict[tuple[str, int], tuple[list[Probe], Array]] = {}
        self._probes: list[Probe] = []

    @property
    def probes(self) -> tuple[Probe, ...]:
        """Return what was tried, in its order."""
        return tuple(self._probes)

    def learn(self, probes: Sequence[Probe]) -> None:
        """Take in the trials of blocks."""
        spells: dict[tuple[str, int], list[Probe]] = {}
        for probe in probes:
            host, block = probe.block
            spells.setdefault((host, block // SPELL), []).append(probe)
        for spell, new in spells.items():
            known, before = self._spells.get(spell, ([], np.zeros(1)))
            now = self._likelihood([*known, *new])
            self._log = self._log - before + now
            self._spells[spell] = [*known, *new], now
        self._probes += probes

    def _likelihood(self, probes: Sequence[Probe]) -> Array:
        """Return the logarithm of how likely a spell's trials are: by limit, spread of a trial and of a spell."""
        u = self._u[[p.level for p in probes]]
        spread = np.asarray(_SPREADS)[:, None]
        doubt = np.asarray([_SHORT_DOUBT if p.short else 0.0 for p in probes])
        sd = np.sqrt(spread**2 + doubt**2)  # by spread and probe
        moved = np.asarray(_SPELL_SPREADS)[:, None] * _NODES  # by spread of a spell and node
        away = u[None, None, None, None, :] - self._limits[:, None, None, None, None] - moved[None, None, :, :, None]
        missed = _LAPSE + (1 - 2 * _LAPSE) * special.ndtr(away / sd[None, :, None, None, :] + self._shift)
        said = np.asarray([p.missed for p in probes])
        one = np.log(np.where(said, missed, 1 - missed)).sum(axis=-1)
        found = special.logsumexp(one, axis=-1, b=_WEIGHTS / _WEIGHTS.sum())
        return np.asarray(found, dtype=float)

    def _weights(self) -> Array:
        """Return how likely each place of the limit is."""
        whole = np.exp(self._log - self._log.max()).sum(axis=(1, 2))
        return np.asarray(whole / whole.sum(), dtype=float)

    def interval(self, alpha: float = _SURE) -> tuple[int | None, int | None]:
        """Return between which levels the limit lies with confidence 1 - alpha; None beyond an end."""
        below = np.cumsum(self._weights())[:-1]  # that the limit is below each level
        keeps, misses = np.flatnonzero(below <= alpha / 2), np.flatnonzero(below >= 1 - alpha / 2)
        return (int(keeps[-1]) if keeps.size else None), (int(misses[0]) if misses.size else None)

    def believed(self) -> Believed:
        """Return what is known by now."""
        low, high = self.interval()
        whole = [p for p in self._probes if not p.short]
        at_low = [p.missed for p in whole if p.level == low]
        at_high = [p.missed for p in whole if p.level == high]
        blocks = len({p.block for p in self._probes})
        kept, missed = (len(at_low) - sum(at_low), len(at_low)), (sum(at_high), len(at_high))
        return Believed(low, high, blocks, len(self._probes), kept, missed)

    def close(self, low: int | None, high: int | None) -> bool:
        """Say whether two levels are as near as was asked, or have no more than one candidate between them."""
        if low is None or high is None:
            return self._beyond(low, high)
        return high - low <= _NEAR or abs(float(self._u[high] - self._u[low])) <= math.log1p(self._precision) + 1e-9

    def _beyond(self, low: int | None, high: int | None) -> bool:
        """Say whether the limit is shown to lie beyond an end."""
        return (low is None and high == 0) or (high is None and low == len(self._levels) - 1)

    @property
    def over(self) -> bool:
        """Say whether the limit is known as well as was asked, and confirmed on both sides."""
        found = self.believed()
        return found.blocks >= MIN_BLOCKS and self.close(found.low, found.high) and self._confirmed(found)

    def _confirmed(self, found: Believed) -> bool:
        kept, missed = found.kept_at_low, found.missed_at_high
        low = found.low is None or (kept[1] >= _CONFIRMING and kept[1] - kept[0] <= self._exceed * kept[1])
        high = found.high is None or (missed[1] >= _CONFIRMING and missed[0] >= self._exceed * missed[1])
        return low and high

    def next(self) -> Look:
        """Return where to look next; what `over` says is not asked."""
        low, high = self.interval()
        if self.close(low, high):
            sides = [i for i in (low, high) if i is not None]
            return Look(tuple(i for i in sides for _ in range(_CONFIRMING)), short=False, confirming=True)
        wide = self._width(low, high) > math.log(_COARSE)
        probes = _COARSE_PROBES if wide else _FINE_PROBES
        below = np.cumsum(self._weights())
        shares = (np.arange(probes) + 0.5) / probes if wide else np.linspace(0.1, 0.9, probes)
        places = [int(np.searchsorted(below, share)) for share in shares]
        # A place lies between two levels: the easier one is asked for the lower half, the harder for the upper.
        levels = [
            max(0, k - 1) if share < _HALF else min(k, len(self._levels) - 1)
            for k, share in zip(places, shares, strict=True)
        ]
        return Look(tuple(levels), short=wide)

    def _width(self, low: int | None, high: int | None) -> float:
        first = self._u[0] if low is None else self._u[low]
        last = self._u[-1] if high is None else self._u[high]
        return float(last - first)
