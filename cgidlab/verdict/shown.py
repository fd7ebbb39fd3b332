"""What limits throughput, as shown by holding things back, in words. Utilisation is a hint: `limits` says it."""

from collections import Counter
from collections.abc import Mapping, Sequence

from cgidlab.analysis.intervals import Interval
from cgidlab.analysis.interventions import HeldBack, LimitsShown, LimitWord, SlotEffect, together
from cgidlab.verdict import words

NAMES = {
    "cgid daemon": "the cgid daemon",
    "host CPU": "the host's CPUs",
    "driver": "the driver",
    "MaxRequestWorkers": "the number of workers",
    "scripts": "the scripts' own work",
}
FIRST = {"daemon_nice": "the daemon at nice -10", "daemon_fifo": "the daemon in real time"}
_SAID = {
    LimitWord.LIMITS: "limits",
    LimitWord.IN_PART: "limits in part",
    LimitWord.DOES_NOT: "does not limit",
    LimitWord.UNKNOWN: "not known of",
}


def name_of(component: str) -> str:
    """Return a component as it is said: "the host's CPUs"."""
    return NAMES.get(component, component)


def limiting(found: Sequence[LimitsShown]) -> dict[str, LimitWord]:
    """Return by component what most trials that decide it show of it; a component that none decides is left out."""
    said: dict[str, LimitWord] = {}
    for component, held in together(found).items():
        counts = Counter(h.word for h in held if h.word is not LimitWord.UNKNOWN)
        if counts:
            said[component] = counts.most_common(1)[0][0]
    return said


def where(found: Sequence[LimitsShown]) -> str:
    """Return where it was tried: the one cell, or how many."""
    hosts = dict.fromkeys(one.host for one in found)
    cells = dict.fromkeys(one.levels for one in found)
    place = words.cell(found[0].levels) if len(cells) == 1 else words.count(len(cells), "cell")
    return f"{place} of {len(hosts)} hosts" if len(hosts) > 1 else place


def parts(found: Sequence[LimitsShown]) -> list[str]:
    """Return a clause for each word that trials have for components; of several trials it says of how many."""
    trials = [one for one in found if one.held]
    clauses = []
    for word, said in _SAID.items():
        if len(trials) == 1:
            named = [f"{name_of(h.component)}{figures(h)}" for h in trials[0].held if h.word is word]
        else:
            named = [
                f"{name_of(component)} in {len(alike)} of {len(held)}{_span(alike)}"
                for component, held in together(trials).items()
                if (alike := [h for h in held if h.word is word])
            ]
        if named:
            clauses.append(f"{said}: {words.listing(named)}")
    return clauses


def figures(held: HeldBack) -> str:
    """Return " 0.93 (0.80 to 1.06)", or why there are none."""
    if held.elasticity is None or held.interval is None:
        return f" ({held.reason})" if held.reason else ""
    return f" {held.elasticity:.2f} ({held.interval.low:.2f} to {held.interval.high:.2f})"


def _span(held: Sequence[HeldBack]) -> str:
    """Return " (0.32 to 0.59)", from the least elasticity to the greatest; "" where none is known."""
    known = sorted(h.elasticity for h in held if h.elasticity is not None)
    ends = dict.fromkeys(f"{value:.2f}" for value in (*known[:1], *known[-1:]))
    return f" ({' to '.join(ends)})" if ends else ""


def gains(found: Sequence[LimitsShown]) -> list[tuple[str, SlotEffect]]:
    """Return what letting the daemon go first is known to change, the largest gain first, where one trial was made."""
    if len(found) != 1 or found[0].reason:
        return []
    known = [e for e in found[0].first if not e.interval.holds(1.0)]
    return [(FIRST.get(e.name, e.name), e) for e in sorted(known, key=lambda e: -e.ratio)]


def change(effect: SlotEffect) -> str:
    """Return "+6.4 % (+4.5 to +8.4)"."""
    return f"{_signed(effect.ratio)} % ({_signed(effect.interval.low)} to {_signed(effect.interval.high)})"


def _signed(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.1f}"


def reason(found: Sequence[LimitsShown]) -> str:
    """Return why nothing is shown; "" where nothing was tried, or something is known."""
    if any(h.word is not LimitWord.UNKNOWN for one in found for h in one.held):
        return ""
    return next((one.reason for one in found if one.reason), "")


def clause(found: Sequence[LimitsShown]) -> str:
    """Return all of it as one clause for the line of details; "" where nothing was tried."""
    if not found:
        return ""
    why = reason(found)
    if why:
        return f"what limits was tried by holding things back and is not shown: {why}"
    said = "; ".join([*parts(found), *(f"{name}: {change(e)}" for name, e in gains(found))])
    return f"shown by holding back at {where(found)} (elasticities): {said}"


def summary(found: Sequence[LimitsShown]) -> list[dict[str, object]]:
    """Return what summary.json says of it."""
    return [
        {
            "host": one.host,
            "levels": dict(one.levels),
            "slots": one.slots,
            "components": [
                {
                    "name": h.component,
                    "word": h.word.value,
                    "elasticity": h.elasticity,
                    "interval": _ends(h.interval),
                    "reason": h.reason,
                    "effects": [_effect(e) for e in h.effects],
                }
                for h in one.held
            ],
            "precedence": [_effect(e) for e in one.first],
            "controls": [_effect(e) for e in one.controls],
            "unavailable": dict(one.unavailable),
            "reason": one.reason,
        }
        for one in found
    ]


def _effect(effect: SlotEffect) -> Mapping[str, object]:
    return {
        "name": effect.name,
        "dose": effect.dose,
        "slots": effect.slots,
        "ratio": effect.ratio,
        "interval": _ends(effect.interval),
    }


def _ends(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]
