"""`require:`, what a run has to show: from the file's words to bounds of figures."""

import math
import re
from collections.abc import Collection, Mapping, Sequence

from cgidlab import figures
from cgidlab.design import hints
from cgidlab.design.selecting import check_pairs, pairs_of
from cgidlab.design.specform import Raw
from cgidlab.design.strict_yaml import Document, KeyPath
from cgidlab.errors import SpecError
from cgidlab.instruments import INSTRUMENTS
from cgidlab.model import MIN_BLOCKS, CellPairs, Factor, Repetitions, Required, Threshold

OVERFLOW = "overflow"
AT = "at"
_OVERFLOW = ("not_observed", "moment")
_BOUND = re.compile(r"(<=|>=) *(-?[0-9]{1,15}(?:\.[0-9]{1,9})?) *(%?)")
_ALWAYS_ON = frozenset(one.name for one in INSTRUMENTS if not one.optional)


def required(
    document: Document,
    raw: Mapping[str, Raw | dict[str, Raw | list[Raw]]],
    factors: Sequence[Factor],
    running: Collection[str],
    repetitions: Repetitions,
) -> Required:
    """Return what the file requires. `running` are the instruments that are on in some trial.

    Raise `SpecError` for a figure that there is none, that nothing would measure, a bound that is none, and for what so
    many blocks cannot show.
    """
    thresholds: list[Threshold] = []
    overflow = ""
    at: CellPairs = ()
    for name, value in raw.items():
        path: KeyPath = ("require", name)
        where = document.where(path)
        if name == AT:
            if not isinstance(value, dict):
                raise SpecError(
                    "`at` names cells", where=where, fix="write {FACTOR: LEVEL} or {FACTOR: [LEVEL, LEVEL]}"
                )
            at = pairs_of(document, factors, path, value)
        elif isinstance(value, dict):
            raise SpecError(f"`{name}` takes a bound", where=where, fix='write "<= 300"')
        elif name == OVERFLOW:
            overflow = _overflow(value, where)
            check_measured("queue_full_share", running, where)
            _check_enough(name, repetitions, where)
        else:
            check_measured(name, running, where, also=(OVERFLOW, AT))
            _check_enough(name, repetitions, where)
            thresholds.append(threshold(name, value, where))
    if raw and not thresholds and not overflow:
        raise SpecError(
            "nothing is required", where=document.where(("require",)), fix='name a figure: {errors: "<= 0"}'
        )
    return Required(tuple(thresholds), overflow, at)  # type: ignore[arg-type]  # `_overflow` took no other word


def check(found: Required, factors: Sequence[Factor], running: Collection[str], where: str) -> None:
    """Raise `SpecError` for what no file could have required: it may come out of a stranger's directory."""
    check_pairs([found.at], factors, where)
    for threshold in found.thresholds:
        check_measured(threshold.figure, running, where)


def check_measured(name: str, running: Collection[str], where: str, also: Collection[str] = ()) -> None:
    """Raise `SpecError` for what is no figure of a trial's own, or one that no trial would have."""
    measured = [c.name for c in figures.COLUMNS.values() if c.source != figures.HEADROOM]
    if name not in measured:
        raise hints.unknown("no figure is called", name, [*measured, *also], where)
    source = figures.COLUMNS[name].source
    if source not in {figures.LOAD, *_ALWAYS_ON, *running}:
        raise SpecError(
            f"`{name}` would not be known: the instrument {source} is off",
            where=where,
            fix=f"add {source} to instruments",
        )


def _check_enough(name: str, repetitions: Repetitions, where: str) -> None:
    """Refuse what the run could not show however it comes out."""
    of_load = name != OVERFLOW and figures.COLUMNS[name].source == figures.LOAD
    blocks = repetitions.answering_blocks if of_load else repetitions.watched_blocks
    if blocks < MIN_BLOCKS:
        kind = "answers" if of_load else "is watched"
        raise SpecError(
            f"`{name}` could not be shown: only {blocks} of {repetitions.max} blocks have a pass that {kind}, "
            f"and a claim needs {MIN_BLOCKS}",
            where=where,
            fix="raise `repetitions`"
            + ("" if of_load or repetitions.watch_every == 1 else ", or write watch_every: 1"),
        )


def _overflow(value: Raw, where: str) -> str:
    if value not in _OVERFLOW:
        raise hints.unknown("`overflow` does not take", str(value), _OVERFLOW, where)
    return str(value)


def threshold(name: str, value: Raw, where: str) -> Threshold:
    """Return the bound of a figure, written as "<= 300". Raise `SpecError` for what is none."""
    found = _BOUND.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise SpecError(
            f"`{name}` takes a bound, not {value!r}", where=where, fix=f'write {name}: "<= NUMBER" or ">= NUMBER"'
        )
    if found[3] and figures.COLUMNS[name].unit != "share":
        raise SpecError(f"`{name}` is no share and takes no %", where=where, fix=f'write "{found[1]} {found[2]}"')
    bound = float(found[2]) / (100 if found[3] else 1)
    return Threshold(name, "<=" if found[1] == "<=" else ">=", bound)


def share(value: float | str, where: str) -> float:
    """Return a share, written as 5% or 0.05. Raise `SpecError` for what is none."""
    try:
        found = float(value.removesuffix("%")) / 100 if isinstance(value, str) and value.endswith("%") else float(value)
    except ValueError:
        found = math.nan
    if not 0 < found <= 10:  # noqa: PLR2004 -- false for NaN too; ten times is beyond any effect that needs a test
        raise SpecError(f"this is a share such as 5% or 0.05, not {value!r}", where=where)
    return found
