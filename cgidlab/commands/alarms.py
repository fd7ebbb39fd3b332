"""What an observation is worth as an exit status: conditions of `--fail-on`, and Nagios' four states."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cgidlab.errors import SpecError
from cgidlab.terminal import cell

OK, WARNING, CRITICAL, UNKNOWN = range(4)
_NAMES = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
SEEN = 1  # exit status of --fail-on, as of a comparison that found a change
_NEARLY = 0.8  # of the limit: a warning


@dataclass(frozen=True, slots=True)
class Socket:
    """One watched socket, as far as an alarm asks for it. None: not known."""

    label: str
    overflow: bool | None
    turned_away: int | None
    refused: int | None
    depth_max: int | None
    limit: int | None
    full_share: float | None
    nobody: bool  # nobody came
    counted: bool = True  # all connects were: else those turned away are the fewest that there can have been


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that may be an alarm."""

    name: str
    holds: Callable[[Socket], bool]
    text: Callable[[Socket], str]


CONDITIONS = (
    Condition(
        "full",
        lambda s: s.overflow is True,
        lambda s: "the queue overflowed" + ("" if s.full_share is None else f", full for {100 * s.full_share:.0f} %"),
    ),
    Condition(
        "turned-away",
        lambda s: bool(s.turned_away),
        lambda s: f"{'' if s.counted else 'at least '}{s.turned_away:,} connects turned away",
    ),
    Condition("refused", lambda s: bool(s.refused), lambda s: f"{s.refused:,} connects refused"),
)
USUAL = ("full", "refused")


def conditions(text: str) -> tuple[str, ...]:
    """Return the conditions in "full,refused"; raise `SpecError` for a name that is none."""
    names = tuple(name.strip() for name in text.split(","))
    known = [c.name for c in CONDITIONS]
    wrong = [name for name in names if name not in known]
    if wrong:
        raise SpecError(f"`{wrong[0]}` is no condition", where="--fail-on", fix=f"one of {', '.join(known)}")
    return names


def of_instance(i: Mapping[str, Any]) -> Socket:
    """Return a socket from the JSON form of an observation."""
    overflow = {"observed": True, "moment": True, "not_observed": False}.get(i["verdict"]["overflow"])
    nobody = i["connects"] == 0 and not i["queue_depth_max"] and not i["workers_in_connect_max"]
    return Socket(
        i["socket"] or f"process {i['pid']}",
        overflow,
        i["connects_turned_away"],
        i["connects_refused"],
        i["queue_depth_max"],
        i["queue_limit"],
        i["queue_full_share"],
        nobody,
        counted=i["connects"] is not None,
    )


def of_listener(row: Mapping[str, Any]) -> Socket:
    """Return a socket from a row of `--all`: full is what kept somebody out, as far as that is counted."""
    counted = row["turned_away"] is not None
    kept_out = bool(row["turned_away"] or row["sleeping_max"]) if counted else row["full_share"] > 0
    connects = row["connects"]
    nobody = connects == 0 and not row["depth_max"]
    queue = row["depth_max"], row["limit"], row["full_share"]
    return Socket(row["path"], kept_out, row["turned_away"], row["refused"], *queue, nobody, connects is not None)


def status(sockets: Iterable[Socket], wanted: Sequence[str]) -> int:
    """Return the exit status of --fail-on: `SEEN` where a wanted condition holds anywhere, else 0."""
    chosen = [c for c in CONDITIONS if c.name in wanted]
    return SEEN if any(c.holds(s) for s in sockets for c in chosen) else 0


def nagios(sockets: Sequence[Socket], wanted: Sequence[str]) -> tuple[int, str]:
    """Return Nagios' state and the line of output with performance data.

    CRITICAL: a wanted condition. WARNING: another one, or a queue that held 80 % of its limit. UNKNOWN: nothing
    can be said of any socket. A window without a request is OK, and the line says that nobody came.
    """
    states = [(_state(s, wanted), s) for s in sockets]
    if not states:
        return UNKNOWN, "OBSERVE UNKNOWN - nothing was observed"
    rank = (OK, UNKNOWN, WARNING, CRITICAL)
    worst = max((state for state, _ in states), key=rank.index)
    said = "; ".join(f"{cell(s.label)}: {_text(s)}" for state, s in states if state == worst)
    data = " ".join(word for s in sockets for word in _performance(s))
    return worst, f"OBSERVE {_NAMES[worst]} - {said}".replace("|", "/") + (f" | {data}" if data else "")


def _state(s: Socket, wanted: Sequence[str]) -> int:
    holding = [c.name for c in CONDITIONS if c.holds(s)]
    if any(name in wanted for name in holding):
        return CRITICAL
    nearly = s.depth_max is not None and s.limit is not None and s.depth_max >= max(1.0, _NEARLY * s.limit)
    if holding or nearly:
        return WARNING
    return UNKNOWN if s.overflow is None and not s.nobody else OK


def _text(s: Socket) -> str:
    held = "" if s.depth_max is None else f"at most {s.depth_max} of {s.limit} waited"
    said = [c.text(s) for c in CONDITIONS if c.holds(s)]
    if s.nobody and not said:
        return "nobody came"
    return ", ".join([*said, *([held] if held else [])]) or "its queue could not be seen"


def _performance(s: Socket) -> list[str]:
    name = cell(s.label).replace("'", "").replace("=", "_").replace("|", "/")
    most = "" if s.limit is None else str(s.limit + 1)
    words = [
        f"'{name} depth'={s.depth_max};;;0;{most}" if s.depth_max is not None else "",
        f"'{name} full'={100 * s.full_share:.1f}%;;;0;100" if s.full_share is not None else "",
        f"'{name} turned away'={s.turned_away};;;0" if s.turned_away is not None else "",
        f"'{name} refused'={s.refused};;;0" if s.refused is not None else "",
    ]
    return [word for word in words if word]
