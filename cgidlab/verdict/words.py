"""How the parts of a verdict are said: sentences for somebody who runs a web server."""

from collections.abc import Sequence

from cgidlab.analysis.findings import Combination, Effect
from cgidlab.analysis.intervals import Interval

_MANY_TIMES = 3.0  # from here on a change in per cent is no longer read: 1,375 % more


def per_cent(share: float) -> str:
    """Return a share in per cent with as many digits as are worth reading: "5 %", "0.4 %"."""
    value = 100 * share
    return f"{value:.0f} %" if abs(value) >= 1 or value == 0 else f"{value:.1f} %"


def milliseconds(value: float) -> str:
    """Return a duration with as many digits as are worth reading."""
    return f"{value:,.0f} ms" if value >= 10 else f"{value:.2g} ms"  # noqa: PLR2004 -- two digits are enough


def cell(levels: Combination) -> str:
    """Return a cell's name: "listen_backlog=100, clients=400"."""
    return ", ".join(f"{n}={lb}" for n, lb in levels) or "the only cell"


def listing(items: Sequence[str]) -> str:
    """Return "a", "a and b" or "a, b and c"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def count(number: int, one: str, many: str = "") -> str:
    """Return "1 trial" or "2 trials"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def turned_away(number: int, connects: int | None) -> str:
    """Return "12 of 300 connects were turned away (EAGAIN)", "at least 12 connects ..." where not all were counted."""
    least, of = ("at least ", "") if connects is None else ("", f" of {connects:,}")
    what = "connect" if number == 1 and not of else "connects"
    return f"{least}{number:,}{of} {what} {were(number)} turned away (EAGAIN)"


def were(number: int) -> str:
    """Return the verb of so many: "1 of 3 connects was refused"."""
    return "was" if number == 1 else "were"


def where(effect: Effect) -> str:
    """Return the place of an effect: "listen_backlog=1 (clients=400)"."""
    level = f"{effect.factor}={effect.level}"
    if effect.pooled:
        return f"{level} (all cells together)"
    return f"{level} ({cell(effect.at)})" if effect.at else level


def ratio(effect: Effect) -> str:
    """Return "ratio 1.01, 95 % interval 0.98 to 1.04"."""
    if effect.estimate is None:
        return "ratio not known"
    name = "ratio" if effect.scale == "ratio" else "difference"
    return f"{name} {effect.estimate:.2f}{_interval(effect.interval)}"


def equivalence(effect: Effect) -> str:
    """Return "ratio 1.01, 90 % interval 0.98 to 1.04": the interval that shows a change to be small."""
    found = effect.equivalence_interval
    if effect.estimate is None or found is None:
        return ratio(effect)
    return f"ratio {effect.estimate:.2f}, 90 % interval {found.low:.2f} to {found.high:.2f}"


def change(effect: Effect) -> str:
    """Return "4.3 % more (3.2 to 5.4)", "14.7 times as much (13.8 to 15.7)", or a difference without a ratio.

    The interval is that of all comparisons together; where there is none, the comparison's own.
    """
    estimate, interval = effect.estimate, effect.family_interval or effect.interval
    if estimate is None:
        return ratio(effect)
    if effect.scale != "ratio":
        return f"{estimate:+,.1f}" + (f" ({interval.low:,.1f} to {interval.high:,.1f})" if interval else "")
    if estimate >= _MANY_TIMES:
        return f"{estimate:.1f} times as much" + (f" ({interval.low:.1f} to {interval.high:.1f})" if interval else "")
    word, sign = ("more", 1) if estimate >= 1 else ("less", -1)
    size = f"{100 * sign * (estimate - 1):.1f} % {word}"
    if interval is None:
        return size
    low, high = sorted(100 * sign * (end - 1) for end in (interval.low, interval.high))
    return f"{size} ({low:.1f} to {high:.1f})"


def minutes(value: float) -> str:
    """Return "about 12 minutes", in hours from two on."""
    if value >= 120:  # noqa: PLR2004 -- two hours
        return f"about {value / 60:.0f} hours"
    return f"about {count(max(1, round(value)), 'minute')}"


def _interval(interval: Interval | None) -> str:
    return "" if interval is None else f", 95 % interval {interval.low:.2f} to {interval.high:.2f}"


def group(cells: Sequence[Combination], everywhere: Sequence[Combination], factor: str) -> str:
    """Return the cells by their level of `factor`; "listen_backlog=1" alone where all its cells are meant."""
    parts = []
    for label in dict.fromkeys(dict(c).get(factor, "") for c in everywhere):
        meant = [c for c in cells if dict(c).get(factor, "") == label]
        if not meant:
            continue
        whole = [c for c in everywhere if dict(c).get(factor, "") == label]
        others = [cell(tuple(p for p in c if p[0] != factor)) for c in meant]
        partial = len(meant) < len(whole)
        parts.append(f"{factor}={label}" + (f" with {' or '.join(others)}" if partial else ""))
    return "; ".join(parts)


def sentence(text: str) -> str:
    """Return a clause as a sentence: capital first, full stop last."""
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
