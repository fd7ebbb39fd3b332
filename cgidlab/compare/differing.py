"""What two runs differ in, by the fields of `fields`, and whether a verb goes on in spite of it."""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cgidlab.compare.fields import (
    BY_NAME,
    FETCHING,
    FIELDS,
    NAMES,
    NOT_RECORDED,
    About,
    Field,
    Key,
    Recorded,
    Verb,
    Weight,
)
from cgidlab.design import hints
from cgidlab.errors import StoreError

_SETTINGS = BY_NAME["settings"]
_SHORT = 60
_SHORT_HASH = 12


@dataclass(frozen=True, slots=True)
class Difference:
    """A field whose value is not the same in both runs."""

    field: str  # one of NAMES
    key: Key  # what it is of
    before: str
    now: str
    weight: Weight  # for the verb that asked

    @property
    def decides(self) -> bool:
        """Say whether the verb does not go on, or has its reason to run, because of it."""
        return self.weight is Weight.DECIDES

    @property
    def word(self) -> str:
        """Return what names it on the command line: a setting goes by its own name, or with all others."""
        return self.key[0] if self.field == _SETTINGS.name else self.field

    @property
    def what(self) -> str:
        """Return what differs, in words."""
        return BY_NAME[self.field].words.format(*self.key)

    def __str__(self) -> str:
        """Return the difference in words."""
        return self.what if BY_NAME[self.field].opaque else f"{self.what}: {short(self.before)} -> {short(self.now)}"


def recorded(plan: Mapping[str, Any], provenance: Mapping[str, Any], where: str) -> Recorded:
    """Return what was read of a run. Raise `StoreError` for documents that are not of a run's shape."""
    run = Recorded(plan, provenance)
    try:
        overall(run, run, [])
        _by_levels(run)
    except (AttributeError, KeyError, TypeError) as err:
        raise StoreError(f"plan.json or provenance.json lacks what a run writes: {err}", where=where) from err
    return run


def between(before: Recorded, now: Recorded, verb: Verb, fields: Collection[str] = NAMES) -> tuple[Difference, ...]:
    """Return what differs that the verb does something about, value by value, settings of common cells first.

    What only one run has, a host or a version of httpd, has nothing to differ from. What one did not record differs.
    """
    found = list(_settings(before, now, verb)) if _SETTINGS.name in fields else []
    for field in FIELDS:
        if field.name not in fields or field.weight(verb) is Weight.NOTHING:
            continue
        one, other = field.read(before), field.read(now)
        found += [
            Difference(field.name, key, _text(value), _text(other[key]), field.weight(verb))
            for key, value in one.items()
            if key in other and value != other[key]
        ]
    return tuple(found)


def overall(before: Recorded, now: Recorded, cells: Sequence[Collection[tuple[str, str]]]) -> tuple[Difference, ...]:
    """Return the same for `compare`, whose runs may be of other hosts: all values of a field together."""
    found = list(_settings(before, now, Verb.COMPARE, cells))
    for field in FIELDS:
        weight = field.compare
        if weight is Weight.NOTHING or field is _SETTINGS:
            continue
        one, other = joined(field.read(before).values()), joined(field.read(now).values())
        if one != other:
            found.append(Difference(field.name, (), one, other, weight))
    return tuple(found)


def worth_telling(found: Sequence[Difference]) -> tuple[Difference, ...]:
    """Return the differences without those that another one of them says enough about."""

    def is_told(difference: Difference) -> bool:
        return any(
            d.field in BY_NAME[difference.field].told_by
            and (d.key == difference.key[: len(d.key)] or BY_NAME[d.field].about is About.DESIGN)
            for d in found
        )

    return tuple(d for d in found if not is_told(d))


def barred(found: Iterable[Difference], named: Collection[str]) -> tuple[Difference, ...]:
    """Return the differences that decide and are not named, by their own word or by one that implies it."""
    return tuple(d for d in found if d.decides and not {d.word, d.field, *BY_NAME[d.field].implied_by} & {*named})


def check_words(named: Iterable[str], runs: Iterable[Recorded], option: str) -> None:
    """Raise `SpecError` for a word that is neither a field nor a setting of a run."""
    known = {*NAMES, *(name for run in runs for cell in run.plan.get("cells", ()) for name in cell["settings"])}
    for word in named:
        if word not in known:
            raise hints.unknown("no field is called", word, known, f"{option} {word}")


def identity(run: Recorded, host: str) -> str:
    """Return a short name of what trials on a host rest on beside their settings.

    It is equal exactly when a resume there would find nothing that bars it.
    """
    deciding = (f for f in FIELDS if f.resume is Weight.DECIDES and f.about is not About.DESIGN)
    values = [[f.name, *_of(f, run, host)] for f in deciding]
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]


def _of(field: Field, run: Recorded, host: str) -> list[Any]:
    return sorted([*key[1:], str(value)] for key, value in field.read(run).items() if key[:1] in ((), (host,)))


def joined(values: Iterable[Any]) -> str:
    """Return several values of a field as one text, each once."""
    return ", ".join(dict.fromkeys(_text(v) for v in values)) or NOT_RECORDED


def short(value: str, length: int = _SHORT) -> str:
    """Return a value in no more than so many characters; of a checksum its begin."""
    is_hash = len(value) == hashlib.sha256().digest_size * 2 and all(c in "0123456789abcdef" for c in value)
    if is_hash:
        return value[:_SHORT_HASH]
    return value if len(value) <= length else f"{value[: length - 3]}..."


def _text(value: Any) -> str:  # noqa: ANN401 -- whatever JSON can hold
    return NOT_RECORDED if value is None else str(value)


def _settings(
    before: Recorded, now: Recorded, verb: Verb, cells: Sequence[Collection[tuple[str, str]]] | None = None
) -> Iterator[Difference]:
    """Return each setting that a cell of both has with another value, once."""
    if _SETTINGS.weight(verb) is Weight.NOTHING:
        return
    ours, theirs = _by_levels(before), _by_levels(now)
    if verb is Verb.RESUME and ours.keys() != theirs.keys():
        one, other = (joined(", ".join(f"{n}={lb}" for n, lb in sorted(c)) for c in some) for some in (ours, theirs))
        yield Difference(_SETTINGS.name, ("cells",), one, other, _SETTINGS.weight(verb))
    common = [frozenset(c) for c in cells] if cells is not None else [c for c in ours if c in theirs]
    pairs = [(ours[c], theirs[c]) for c in common]
    for name in dict.fromkeys(n for pair in pairs for settings in pair for n in settings):
        differing = [(a.get(name), b.get(name)) for a, b in pairs if a.get(name) != b.get(name)]
        if differing:
            weight = Weight.TOLD if name in FETCHING else _SETTINGS.weight(verb)
            one, other = (joined(values) for values in zip(*differing, strict=True))
            yield Difference(_SETTINGS.name, (name,), one, other, weight)


def _by_levels(run: Recorded) -> dict[frozenset[tuple[str, str]], Mapping[str, Any]]:
    return {frozenset(cell["levels"].items()): cell["settings"] for cell in run.plan.get("cells", ())}
