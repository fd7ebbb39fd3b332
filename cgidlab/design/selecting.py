"""Which cells an entry of the file names: factors, each with one label or several, or a condition on them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, product

from cgidlab.design import arithmetic, hints
from cgidlab.design.specform import Raw
from cgidlab.design.strict_yaml import Document, KeyPath
from cgidlab.errors import SpecError
from cgidlab.model import CellPairs, Factor, Scalar

_MOST_COMBINATIONS = 2000


def label_of(value: Scalar) -> str:
    """Return how a value is written in files, tables and on the command line."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def pairs_of(
    document: Document, factors: Iterable[Factor], path: KeyPath, raw: Mapping[str, Raw | list[Raw]]
) -> CellPairs:
    """Return the factors and labels that an entry names. Raise `SpecError` for a word that is none, and for none."""
    known = {f.name: f for f in factors}
    pairs: list[tuple[str, str]] = []
    for name, values in raw.items():
        where = document.where((*path, name))
        if name not in known:
            raise hints.unknown("no factor is called", name, known, where)
        labels = [lv.label for lv in known[name].levels]
        for value in values if isinstance(values, list) else [values]:
            if label_of(value) not in labels:
                raise hints.unknown(f"`{name}` has no level", label_of(value), labels, where)
            pairs.append((name, label_of(value)))
    if not pairs:
        raise SpecError("no factor is named: that would mean every cell", where=document.where(path), fix="remove it")
    return tuple(pairs)


def check_pairs(entries: Iterable[CellPairs], factors: Iterable[Factor], where: str) -> None:
    """Raise `SpecError` for pairs that no file could have named."""
    labels = {factor.name: [level.label for level in factor.levels] for factor in factors}
    for name, label in chain.from_iterable(entries):
        if label not in labels.get(name, ()):
            raise hints.unknown(f"`{name}` has no level", label, labels.get(name, ()), where)


def pairs_where(document: Document, factors: Sequence[Factor], path: KeyPath, text: str) -> tuple[CellPairs, ...]:
    """Return the cells for which a condition on factors holds, a set of pairs for each combination of its own factors.

    Raise `SpecError` for what is no such condition, and for one that holds for no cell or cannot be told.
    """
    where = document.where(path)
    known = {f.name: f for f in factors}
    condition = arithmetic.read(text, known, where)
    named = [known[name] for name in condition.names]
    combinations = math.prod(len(f.levels) for f in named)
    if combinations > _MOST_COMBINATIONS:
        raise SpecError(
            f"`{text}` would be asked of {combinations} combinations of levels; at most {_MOST_COMBINATIONS} are",
            where=where,
            fix="name fewer factors in it",
        )
    found = []
    for levels in product(*(f.levels for f in named)):
        try:
            holds = condition.holds({f.name: level.value for f, level in zip(named, levels, strict=True)})
        except arithmetic.NoValue as err:
            at = ", ".join(f"{f.name}={level.label}" for f, level in zip(named, levels, strict=True))
            raise SpecError(f"whether `{text}` cannot be said at {at}: {err}", where=where) from err
        if holds:
            found.append(tuple((f.name, level.label) for f, level in zip(named, levels, strict=True)))
    if not found:
        raise SpecError(f"`{text}` holds for no cell", where=where, fix="correct it, or remove it")
    return tuple(found)


def kept(entries: Iterable[CellPairs], factors: Iterable[Factor]) -> tuple[CellPairs, ...]:
    """Return the entries as they are for fewer levels: without labels that are gone, and those that name no cell."""
    labels = {factor.name: {level.label for level in factor.levels} for factor in factors}
    left = []
    for pairs in entries:
        still = tuple((name, label) for name, label in pairs if label in labels[name])
        if {name for name, _ in still} == {name for name, _ in pairs}:
            left.append(still)
    return tuple(left)
