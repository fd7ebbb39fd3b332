"""How figures are written in a report: rounded, named, with their units."""

import math
from collections.abc import Mapping, Sequence

from cgidlab.analysis.findings import Answer, Effect, HostsApart
from cgidlab.analysis.intervals import Interval
from cgidlab.figures import COLUMNS, Column
from cgidlab.report.say import IN_ENGLISH, Say

NOT_KNOWN = "not known"
TOO_FEW_TO_COMPARE = "What it cost: there were not enough complete trials to compare levels."
NOTHING_COMPARED = "What it cost: nothing was compared, because the factor has one value."


RESPONSES: tuple[Column, ...] = tuple(COLUMNS[name] for name in ("throughput_rps", "latency_p50_ms", "latency_p99_ms"))
"""What is plotted against the factor."""

SHOWN: tuple[Column, ...] = tuple(
    COLUMNS[name]
    for name in (
        *("throughput_rps", "latency_p50_ms", "latency_p99_ms", "latency_max_ms", "errors"),
        *("queue_limit", "queue_depth_max", "queue_full_share", "workers_in_connect_max", "connect_p99_us"),
        *("retries_in_window", "cgid_cpu_share", "host_cpu_share", "driver_cpu_share"),
    )
)
"""The columns of the tables of cells and of trials, in their order."""

_PER_CENT = ("share", "cores")  # units that are read as per cent, of the whole or of one core


def known(value: object) -> bool:
    """Say whether a figure can be shown: neither None nor NaN nor infinite."""
    return value is not None and not (isinstance(value, float) and not math.isfinite(value))


def number(value: float | None, unit: str = "") -> str:
    """Return a figure rounded for reading, "not known" for one that is not there."""
    if value is None or not math.isfinite(value):
        return NOT_KNOWN
    if unit in _PER_CENT:
        return percent(value)
    size = abs(value)
    if isinstance(value, int) or value == round(value) or size >= 100:  # noqa: PLR2004 -- three digits are enough
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}"  # noqa: PLR2004 -- as above


def percent(share: float | None) -> str:
    """Return a share as per cent, with a digit after the point where it would otherwise read 0 or 1 %."""
    if share is None or not math.isfinite(share):
        return NOT_KNOWN
    per_cent = 100 * share
    return f"{per_cent:.1f} %" if 0 < abs(per_cent) < 10 and per_cent != round(per_cent) else f"{per_cent:.0f} %"  # noqa: PLR2004 -- one digit before the point


def change(ratio: float | None) -> str:
    """Return a ratio as a signed change: 0.95 is a minus of 5.0 %. From ten on the ratio itself is easier to read."""
    if ratio is None or not math.isfinite(ratio):
        return NOT_KNOWN
    if ratio >= 10:  # noqa: PLR2004 -- ten times as much
        return f"\N{MULTIPLICATION SIGN}{number(ratio)}"
    return f"{100 * (ratio - 1):+.1f} %".replace("-", "\N{MINUS SIGN}")


def interval(found: Interval | None, say: Say = IN_ENGLISH) -> str:
    """Return an interval of a ratio as changes, or say that no claim is made."""
    if found is None:
        return say("no claim")
    return say("{low} to {high}", low=change(found.low), high=change(found.high))


ANSWERS: dict[Answer, str] = {
    Answer.COSTS_AT_LEAST: "costs at least that much",
    Answer.EQUIVALENT: "equivalent: changes by less than that",
    Answer.GAINS_AT_LEAST: "gains at least that much",
    Answer.REAL_NEAR: "real, near what matters",
    Answer.INCONCLUSIVE: "not decided",
    Answer.DESCRIBED: "no smallest effect was named",
}


def answer(effect: Effect) -> str:
    """Return what an effect says; of one level of several that it may be decided for all of them together."""
    alone = effect.answer is Answer.INCONCLUSIVE and bool(effect.at)
    return "not decided alone" if alone else ANSWERS[effect.answer]


def effect_size(effect: Effect, say: Say = IN_ENGLISH) -> tuple[str, str]:
    """Return an effect and its interval: as changes for a ratio, in the response's unit for a difference."""
    if effect.scale == "ratio":
        return change(effect.estimate), interval(effect.interval, say)
    if effect.interval is None:
        return number(effect.estimate), say("no claim")
    return number(effect.estimate), _plain(effect.interval, say)


def checks(effect: Effect, say: Say = IN_ENGLISH) -> tuple[str, ...]:
    """Return what stands beside an effect's interval: what it can show, its family's interval, and the checks."""

    def told(found: Interval | None) -> str:
        if found is None:
            return ""
        return interval(found, say) if effect.scale == "ratio" else _plain(found, say)

    p = effect.wilcoxon_p
    return (
        "" if effect.mde is None else percent(effect.mde),
        told(effect.family_interval),
        told(effect.sign_interval),
        told(effect.bootstrap_interval),
        "" if p is None else f"{p:.3f}",
    )


def where(effect: Effect, say: Say = IN_ENGLISH) -> str:
    """Return at which levels of the other factors two levels were compared."""
    if effect.pooled:
        return say("all together")
    return ", ".join(f"{factor} {label}" for factor, label in effect.at)


def title(name: str, say: Say = IN_ENGLISH) -> str:
    """Return a figure's name in running text; what is no figure keeps its name."""
    return say(COLUMNS[name].title) if name in COLUMNS else name


def host_rows(found: Sequence[HostsApart], say: Say = IN_ENGLISH) -> list[tuple[str, ...]]:
    """Return a row for each host of each comparison: what it found by itself, and whether the hosts agree."""
    agree = {True: say("no"), False: say("as far as can be told")}
    return [
        (
            title(apart.response, say),
            apart.level,
            ", ".join(f"{factor} {label}" for factor, label in apart.at),
            e.host,
            change(e.estimate) if apart.scale == "ratio" else number(e.estimate),
            interval(e.interval, say) if apart.scale == "ratio" or e.interval is None else _plain(e.interval, say),
            str(e.blocks),
            number(level.median),
            agree[apart.differ] if apart.p is not None else say("too few blocks to ask"),
        )
        for apart in found
        for e, level in zip(apart.effects, apart.levels, strict=True)
    ]


def _plain(found: Interval, say: Say) -> str:
    return say("{low} to {high}", low=number(found.low), high=number(found.high))


def duration(seconds: float | None, say: Say = IN_ENGLISH) -> str:
    """Return a length of time as one reads it."""
    if seconds is None or not math.isfinite(seconds):
        return say(NOT_KNOWN)
    if seconds < 60:  # noqa: PLR2004 -- seconds in a minute
        return say("{s} s", s=f"{seconds:.2f}" if seconds < 10 else f"{seconds:.0f}")  # noqa: PLR2004 -- one digit before the point
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return say("{h} h {min} min", h=hours, min=f"{minutes:02d}")
    return say("{min} min {s} s", min=minutes, s=f"{rest:02d}")


_TIMES = {
    "wall_s": "From the first trial to the last",
    "measured_s": "In windows",
    "overhead_s_per_trial": "A trial beside warm-up and window, median",
}


def times(timing: Mapping[str, object], say: Say = IN_ENGLISH) -> list[tuple[str, str]]:
    """Return how long the run took as (name, duration)."""
    return [
        (say(_TIMES.get(name, name)), duration(float(value) if isinstance(value, int | float) else None, say))
        for name, value in timing.items()
    ]
