"""How the requests of an open loop may arrive: what each way needs, what contradicts it, and what the host is told.

The other half is on the host: cgidhost.arrivals makes the schedule.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cgidlab.design.strict_yaml import Document, KeyPath
from cgidlab.drivers import DRIVERS
from cgidlab.errors import SpecError
from cgidlab.model import Cell, Factor, LoopKind, Settings, Trial

CONSTANT = "constant"
_ONLY_WITH: Mapping[str, tuple[str, ...]] = {
    "burst_requests": ("bursts",),
    "rate_from": ("ramp",),
    "stages": ("stages",),
    "rate": (CONSTANT, "poisson", "bursts", "ramp"),
}
"""Options that mean something with some arrivals alone."""
_STAGE = re.compile(r"(\d{1,6})/s (\d{1,5}(?:\.\d{1,3})?)s")
_HOW = 'write the rate and the length of each: stages: "100/s 2s, 600/s 1s"'
_MOST_RATE = 100_000
_ROUNDED = 1e-3  # share of a burst, or of a second, that is no fault of the file's


@dataclass(frozen=True, slots=True)
class OfferedLoad:
    """What an open loop sends, as its settings say it."""

    kind: str
    rate: int
    burst_requests: int
    rate_from: int
    stages: tuple[tuple[float, float], ...]  # rate and seconds of each


def kind_of(settings: Settings) -> str:
    """Return how requests arrive; plans of older versions know an even rate alone."""
    return str(settings.get("arrivals", CONSTANT))


def stages_of(text: str, where: str) -> tuple[tuple[float, float], ...]:
    """Return the rate and the seconds of each stage. Raise `SpecError` for a text that names none."""
    found = [_STAGE.fullmatch(part.strip()) for part in text.split(",")]
    stages = tuple((float(one[1]), float(one[2])) for one in found if one)
    if len(stages) < len(found) or any(not 1 <= rate <= _MOST_RATE or not length for rate, length in stages):
        raise SpecError(f"`stages` does not take {text!r}", where=where, fix=_HOW)
    return stages


def offered(settings: Settings) -> OfferedLoad | None:
    """Return what a trial's driver makes a schedule of, None where it follows none."""
    driver = DRIVERS.get(str(settings["driver"]))
    if settings["loop"] != LoopKind.OPEN or driver is None or not driver.schedules:
        return None
    kind = kind_of(settings)
    stages = stages_of(str(settings["stages"]), "stages") if kind == "stages" else ()
    return OfferedLoad(
        kind,
        int(settings["rate"]),
        int(settings.get("burst_requests", 1)),
        int(settings.get("rate_from", settings["rate"])),
        stages,
    )


def order_of(trial: Trial, seed: int, **part: float) -> dict[str, Any] | None:
    """Return what the helper on the host makes a trial's schedule of, None where its driver follows none.

    All cells of a pass have one seed, so that they differ in nothing by chance. `part` says of several machines which
    of them it is.
    """
    found = offered(trial.cell.settings)
    if found is None:
        return None
    return {**asdict(found), "seed": f"{seed}:{trial.block}:{trial.pass_number}", **part}


def idle(option: str, settings: Settings) -> bool:
    """Say whether an option says how requests arrive and means nothing as they arrive in a cell."""
    closed = settings["loop"] != LoopKind.OPEN
    if option == "arrivals":
        return closed
    return option in _ONLY_WITH and (closed or kind_of(settings) not in _ONLY_WITH[option])


def told(settings: Settings) -> str:
    """Return how requests arrive in a cell, as its author may have written it."""
    return f"arrivals: {kind_of(settings)}" if settings["loop"] == LoopKind.OPEN else "a closed loop"


def check_names(document: Document, factors: Sequence[Factor], settings: Settings, usual: Settings) -> None:
    """Refuse what means nothing with any arrivals of the file, with its line."""
    there = {f.name: tuple(level.value for level in f.levels) for f in factors}
    loops, kinds = (there.get(name, (settings.get(name, usual[name]),)) for name in ("loop", "arrivals"))
    for name in ("arrivals", *_ONLY_WITH):
        where = document.where(_path(document, name, there))
        if name not in settings and name not in there:
            continue
        if LoopKind.OPEN not in loops:
            if name != "rate" and (name != "arrivals" or set(kinds) != {CONSTANT}):
                raise SpecError(
                    f"`{name}` means nothing in a closed loop, whose clients ask when they have their answer",
                    where=where,
                    fix="use loop: open, or remove it",
                )
            continue  # a rate beside a closed loop is refused where it is a factor
        needs = _ONLY_WITH.get(name, kinds)
        if not set(needs) & set(kinds):
            raise SpecError(
                f"`{name}` means nothing with arrivals: {' or '.join(map(str, kinds))}",
                where=where,
                fix="remove it: each stage says its rate"
                if name == "rate"
                else f"use arrivals: {needs[0]}, or remove it",
            )


def _path(document: Document, name: str, there: Mapping[str, object]) -> KeyPath:
    """Return where a name is written: among factors, under `settings` or under `load`."""
    key = "factors" if name in there else "settings" if ("settings", name) in document.lines else "load"
    return (key, name)


def check(cell: Cell) -> None:
    """Refuse a cell whose arrivals contradict its loop, its driver or its window."""
    s, where = cell.settings, f"cell {cell.id}"
    kind = kind_of(s)
    if s["loop"] != LoopKind.OPEN:
        if kind != CONSTANT:
            raise SpecError(
                f"arrivals={kind} in a closed loop, whose clients ask when they have their answer",
                where=where,
                fix="use loop: open, or exclude the cell",
            )
        return
    if kind != CONSTANT and not DRIVERS[str(s["driver"])].schedules:
        able = " or ".join(d.name for d in DRIVERS.values() if d.schedules)
        raise SpecError(f"{s['driver']} cannot send {_words(kind)}", where=where, fix=f"use driver: {able}")
    window_s = float(s["window_s"])
    if kind == "bursts":
        every_s = int(s["burst_requests"]) / int(s["rate"])
        count = window_s / every_s
        if abs(count - round(count)) > _ROUNDED or round(count) < 1:
            raise SpecError(
                f"bursts of {s['burst_requests']} at a mean of {s['rate']} a second come every {every_s:g} s, "
                f"and the window of {window_s:g} s holds {count:.2f} of them",
                where=where,
                fix=f"use window_s: {max(1, math.ceil(count)) * every_s:g}, or another rate or burst_requests",
            )
    if kind == "stages":
        length_s = sum(length for _, length in stages_of(str(s["stages"]), where))
        if abs(length_s - window_s) > _ROUNDED:
            raise SpecError(
                f"the stages last {length_s:g} s, and the window {window_s:g} s",
                where=where,
                fix=f"use window_s: {length_s:g}, or other stages",
            )


def _words(kind: str) -> str:
    return {
        "poisson": "by a Poisson process",
        "bursts": "bursts",
        "ramp": "at a rate that rises",
        "stages": "at a rate that changes by stages",
    }.get(kind, "evenly")
