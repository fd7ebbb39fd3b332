"""What limits throughput, by what was held back for a second at a time: elasticities.

Unit: the slot. Pairing: the two untouched slots around it. An elasticity is the share of throughput that is lost, by
the share of a component that was taken away, both as logarithms: 1 where it alone sets the pace, 0 where it does not
matter. docs/statistics.md has the simulation.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy import stats  # type: ignore[import-untyped]  # scipy ships no types

from cgidlab.analysis.intervals import ALPHA, MIN_BLOCKS, Interval
from cgidlab.analysis.trimmed import TRIM_SHARE, Middle, middle
from cgidlab.arrays import Ints
from cgidlab.model import Settings
from cgidlab.parsers.interventions import UNTOUCHED, InterventionKind, InterventionSlot

SETTLED_S = 0.25
"""From a slot's begin, left out at least: what was under way before it is answered then."""

ALONE = "one client is alone: on which CPUs it and its server run changes as much as what is held back"
"""Its processes take turns, and run faster or slower by where they were put: whatever stops one of them moves it."""

LIMITS_FROM, NOT_UP_TO = 0.7, 0.2
SMALLEST_DOSE = 0.02
"""Below it nothing was held back, whatever was asked for: an elasticity would be noise over nothing."""

CONTROL_ALPHA = 0.002
"""For a control to be known to have changed throughput: two of four slots each accuse a sound trial in one of 100."""

LARGEST_CONTROL = 0.03
"""A control's change that would be taken for a part of an effect."""


class LimitWord(StrEnum):
    """What a component does to throughput."""

    LIMITS = "limits"
    IN_PART = "in part"
    DOES_NOT = "does not"
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class SlotEffect:
    """What one dose of one intervention did to throughput: a ratio to the untouched slots around it."""

    name: str
    dose: float  # that it was, the mean over its slots
    slots: int
    ratio: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class HeldBack:
    """What is known of one component by holding it back."""

    component: str
    word: LimitWord
    elasticity: float | None
    interval: Interval | None
    effects: tuple[SlotEffect, ...]
    reason: str = ""  # why it is not known, where nothing could be done


@dataclass(frozen=True, slots=True)
class LimitsShown:
    """What one trial shows."""

    host: str
    levels: tuple[tuple[str, str], ...]
    slots: int
    held: tuple[HeldBack, ...] = ()
    first: tuple[SlotEffect, ...] = ()  # what letting the daemon go first does
    controls: tuple[SlotEffect, ...] = ()
    unavailable: tuple[tuple[str, str], ...] = ()  # intervention and reason
    reason: str = ""  # why it shows nothing

    def word_of(self, component: str) -> LimitWord:
        """Return what it shows of a component."""
        return next((h.word for h in self.held if h.component == component), LimitWord.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Performed:
    """What a trial's host did, and when its requests were answered, by one clock."""

    host: str
    levels: tuple[tuple[str, str], ...]
    settings: Settings
    kinds: tuple[InterventionKind, ...]
    slots: tuple[InterventionSlot, ...]
    answered_ns: Ints  # of good answers


@dataclass(frozen=True, slots=True)
class _OneDose:
    """The log ratios of one dose of one intervention."""

    kind: InterventionKind
    dose: float
    middle: Middle


def shown(performed: Performed) -> LimitsShown:
    """Return what a trial shows of each component that its host tried to hold back."""
    slots = performed.slots
    slot_s = float(np.median([s.end_ns - s.begin_ns for s in slots])) / 1e9 if slots else 0.0
    latency_s = _latency_s(performed)
    rates = _rates(slots, performed.answered_ns, max(SETTLED_S, min(latency_s, slot_s / 2)))
    unavailable = tuple((k.name, k.reason) for k in performed.kinds if k.reason)
    empty = LimitsShown(performed.host, performed.levels, len(slots), unavailable=unavailable)
    groups = _groups(performed.kinds, slots, rates)
    spread = _shared([g.middle for g in groups])
    if spread is None:
        return _nothing(empty, performed.kinds, "too few slots came to their end")
    if performed.settings.get("loop") == "closed" and performed.settings.get("clients") == 1:
        return _nothing(empty, performed.kinds, ALONE)
    if latency_s > slot_s / 2:
        why = f"an answer took {latency_s:.1f} s, too long for slots of {slot_s:.1f} s"
        return _nothing(empty, performed.kinds, why)
    controls = tuple(_effect(g, spread) for g in groups if g.kind.effect == "control")
    found = LimitsShown(
        performed.host,
        performed.levels,
        len(slots),
        first=tuple(_effect(g, spread) for g in groups if g.kind.effect == "precedes"),
        controls=controls,
        unavailable=unavailable,
        reason=_accused([g for g in groups if g.kind.effect == "control"], spread),
    )
    held = tuple(_held(k, [g for g in groups if g.kind is k], spread, found.reason) for k in _slowing(performed.kinds))
    return LimitsShown(found.host, found.levels, found.slots, held, found.first, controls, unavailable, found.reason)


def _nothing(empty: LimitsShown, kinds: Iterable[InterventionKind], why: str) -> LimitsShown:
    held = tuple(HeldBack(k.component, LimitWord.UNKNOWN, None, None, (), k.reason or why) for k in _slowing(kinds))
    return LimitsShown(empty.host, empty.levels, empty.slots, held, unavailable=empty.unavailable, reason=why)


def _slowing(kinds: Iterable[InterventionKind]) -> list[InterventionKind]:
    return [k for k in kinds if k.effect == "slows"]


def _latency_s(performed: Performed) -> float:
    """Return how long an answer takes in a closed loop that nobody holds back, by Little's law; 0 in an open one.

    What is held back there takes hold one such time after a slot's begin: what holds a worker waits for one like any
    other request, and before it come those that were there already.
    """
    clients = performed.settings.get("clients")
    rates = _rates(performed.slots, performed.answered_ns, SETTLED_S)
    untouched = [r for s, r in zip(performed.slots, rates, strict=True) if s.name == UNTOUCHED]
    if performed.settings.get("loop") != "closed" or not isinstance(clients, int) or not untouched:
        return 0.0
    return clients / float(np.median(untouched))


def _rates(slots: Sequence[InterventionSlot], answered_ns: Ints, settled_s: float) -> list[float]:
    """Return good answers a second in each slot but its begin; half an answer where there was none."""
    at = np.sort(answered_ns)
    rates = []
    for slot in slots:
        begin_ns = slot.begin_ns + round(settled_s * 1e9)
        count = np.searchsorted(at, slot.end_ns) - np.searchsorted(at, begin_ns)
        rates.append(max(float(count), 0.5) / max(1e-3, (slot.end_ns - begin_ns) / 1e9))
    return rates


def _groups(
    kinds: Iterable[InterventionKind], slots: Sequence[InterventionSlot], rates: Sequence[float]
) -> list[_OneDose]:
    by_name = {k.name: k for k in kinds}
    logs: dict[tuple[str, float], list[tuple[float, float]]] = {}
    for i in range(1, len(slots) - 1):
        around = (slots[i - 1].name, slots[i + 1].name)
        if slots[i].name in by_name and around == (UNTOUCHED, UNTOUCHED):
            d = math.log(rates[i]) - (math.log(rates[i - 1]) + math.log(rates[i + 1])) / 2
            logs.setdefault((slots[i].name, slots[i].asked), []).append((slots[i].dose, d))
    return [
        _OneDose(by_name[name], float(np.mean([dose for dose, _ in found])), _middle([d for _, d in found]))
        for (name, _), found in sorted(logs.items())
        if len(found) > 1
    ]


def _middle(values: Sequence[float]) -> Middle:
    """Return the middle of a dose's slots. One that others disturbed must not make it: from eight on, one a side."""
    return middle(values, cut=round(TRIM_SHARE * len(values)))


def _shared(middles: Sequence[Middle]) -> tuple[float, int] | None:
    """Return the spread of a slot, which all interventions have in common, and its degrees of freedom."""
    df = sum(m.df for m in middles)
    if df < MIN_BLOCKS - 1:
        return None
    return math.sqrt(sum(m.df * m.spread**2 for m in middles) / df), df


def _interval(value: float, error: float, df: int, alpha: float = ALPHA) -> Interval:
    half = float(stats.t.isf(alpha / 2, df)) * error
    return Interval(value - half, value + half)


def _effect(group: _OneDose, spread: tuple[float, int]) -> SlotEffect:
    value, error = group.middle.value, spread[0] / math.sqrt(group.middle.kept)
    interval = _interval(value, error, spread[1]).exp()
    return SlotEffect(group.kind.name, group.dose, group.middle.n, math.exp(value), interval)


def _accused(controls: Sequence[_OneDose], spread: tuple[float, int]) -> str:
    """Return which control changed throughput although nothing was held back, '' where none is known to."""
    for group in controls:
        value, error = group.middle.value, spread[0] / math.sqrt(group.middle.kept)
        known = not _interval(value, error, spread[1], CONTROL_ALPHA).holds(0.0)
        if known and abs(value) > LARGEST_CONTROL:
            return f"the control {group.kind.name} changed throughput by {100 * math.expm1(value):+.0f} %"
    return ""


def _held(kind: InterventionKind, groups: Sequence[_OneDose], spread: tuple[float, int], doubt: str) -> HeldBack:
    effects = tuple(_effect(g, spread) for g in groups)
    if kind.reason:
        return HeldBack(kind.component, LimitWord.UNKNOWN, None, None, (), kind.reason)
    able = [g for g in groups if SMALLEST_DOSE <= g.dose < 1]
    if sum(g.middle.n for g in able) < MIN_BLOCKS:
        enough = sum(g.middle.n for g in groups) >= MIN_BLOCKS
        why = "in truth hardly anything of it was held back" if enough else "too few slots came to their end"
        return HeldBack(kind.component, LimitWord.UNKNOWN, None, None, effects, why)
    weights = [(g.middle.kept, math.log1p(-g.dose), g.middle.value) for g in able]
    size = sum(n * x * x for n, x, _ in weights)
    elasticity = sum(n * x * d for n, x, d in weights) / size
    own = _shared([g.middle for g in able])
    # Some interventions scatter by themselves: their own spread counts where it is the larger one.
    scatter = max(spread[0], own[0]) if own is not None else spread[0]
    interval = _interval(elasticity, scatter / math.sqrt(size), spread[1])
    word = LimitWord.UNKNOWN if doubt else word_for(interval)
    return HeldBack(kind.component, word, elasticity, interval, effects, doubt)


def word_for(interval: Interval) -> LimitWord:
    """Return what an elasticity's interval says; one across a border says nothing."""
    if interval.low >= LIMITS_FROM:
        return LimitWord.LIMITS
    if interval.high <= NOT_UP_TO:
        return LimitWord.DOES_NOT
    return LimitWord.IN_PART if interval.inside(NOT_UP_TO, LIMITS_FROM) else LimitWord.UNKNOWN


def together(found: Sequence[LimitsShown]) -> Mapping[str, tuple[HeldBack, ...]]:
    """Return by component what all trials that show something show of it, in the order of the trials."""
    components = dict.fromkeys(h.component for one in found for h in one.held)
    return {c: tuple(h for one in found for h in one.held if h.component == c) for c in components}
