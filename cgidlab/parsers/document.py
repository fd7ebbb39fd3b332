"""A JSON document, from untrusted bytes to the type that it is: alone knows JSON's traps and how types are checked.

A type is a frozen dataclass; its fields' types say what a document must hold, by type and by range. Fields that a
type does not name are passed over: a host of another version may say more.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar, cast

from pydantic import AfterValidator, Field, StringConstraints, TypeAdapter, ValidationError

from cgidlab.errors import StoreError
from cgidlab.files import SEAL, seal_of_plain
from cgidlab.parsers import versions
from cgidlab.rundir import read

T = TypeVar("T")
Raw = dict[str, Any]

_LARGEST = 2**63  # fs.file-max is one less where nobody set it
_YEAR_9999_S = 253_402_300_799
_DEEPEST = 32  # of objects and lists in each other; ours have 7
_LONGEST_NUMBER = 40  # characters
MAX_BYTES = 8 << 20
_MOST_LISTS, _MOST_VALUES = 500_000, 4_000_000  # a plan of as many trials as may be planned has half of that
_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)
_SURROGATES = re.compile("[\ud800-\udfff]")


SMALLEST_FIGURE, LARGEST_FIGURE = 1e-30, 1e15  # that is not 0: what is beyond is no measurement, and overflows later


def is_figure(value: float) -> bool:
    """Say whether a number can have been measured."""
    return value == 0 or SMALLEST_FIGURE <= abs(value) <= LARGEST_FIGURE


def _figure(value: float) -> float:
    if not is_figure(value):
        raise ValueError(f"is {value:.3g}, which nobody measured")
    return value


def _file_name(name: str) -> str:
    """Take the name of a host, which is part of the names of files."""
    if not name.isprintable() or "/" in name or name in {"", ".", ".."}:
        raise ValueError(f"is {name!r:.60}, which cannot be the name of a file")
    return name


Whole = Annotated[int, Field(ge=-_LARGEST, le=_LARGEST)]
Count = Annotated[int, Field(ge=0, le=_LARGEST)]
Positive = Annotated[int, Field(ge=1, le=_LARGEST)]
Number = Annotated[float, Field(ge=-_LARGEST, le=_LARGEST)]
Size = Annotated[float, Field(ge=0, le=_LARGEST)]
Figure = Annotated[float, AfterValidator(_figure)]
Share = Annotated[float, Field(gt=0, le=10)]  # as an experiment file may ask for
Single = bool | Whole | Number | str  # a setting
Fact = Single | None  # what somebody said of a host; null: not to be had
Moment = Annotated[float, Field(ge=0, le=_YEAR_9999_S)]  # seconds since 1970
Words = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_ ]{0,40}$")]  # what a host calls a thing
Reason = Annotated[str, StringConstraints(max_length=500)]
HostName = Annotated[str, StringConstraints(max_length=255), AfterValidator(_file_name)]


@dataclass(frozen=True)
class DocumentKind(Generic[T]):
    """One kind of document: its name in `versions`, its type, and how large a file of it may be."""

    name: str
    type: type[T]
    most_bytes: int = MAX_BYTES
    tidied: Callable[[Raw], Raw] = field(default=lambda raw: raw)  # brings forms that mean the same into one

    @cached_property
    def _adapter(self) -> TypeAdapter[T]:
        return TypeAdapter(self.type)

    def parse(self, data: bytes, *, where: str) -> T:
        """Return what the bytes hold. Raise `StoreError` naming the field that is missing or wrong."""
        return self.parse_both(data, where=where)[0]

    def read(self, path: Path) -> T:
        """Return what the file holds. Raise `StoreError` if it cannot be read or is not what it should be."""
        return self.parse(read(path, self.most_bytes), where=str(path))

    def read_raw(self, path: Path) -> Raw:
        """Return the document in the file, brought up to date and checked to be of the type; raises as `read` does."""
        return self.parse_both(read(path, self.most_bytes), where=str(path))[1]

    def parse_both(self, data: bytes, *, where: str) -> tuple[T, Raw]:
        """Return the value and the document that it was made from, without its seal; raises as `parse` does."""
        value = plain(data, where=where)
        seal = value.pop(SEAL, None)
        if seal is not None and seal != seal_of_plain(value):
            raise StoreError("the file was changed: it does not have the checksum in it", where=where)
        now = self.tidied(versions.up_to_date(self.name, value, where))
        if now is not value:
            data = json.dumps(now).encode()
        try:
            # Of JSON, also where it was read before: to Python's own lists and texts strictness means something else.
            return self._adapter.validate_json(data, strict=True), now
        except ValidationError as err:
            raise StoreError(_words(err), where=where) from err


@dataclass(frozen=True)
class ToldKind(Generic[T]):
    """One kind of thing that a host tells within an answer, without a file or a version of its own."""

    type: type[T]

    @cached_property
    def _adapter(self) -> TypeAdapter[T]:
        return TypeAdapter(self.type)

    def parse(self, said: Mapping[str, Any]) -> T:
        """Return it as its type. Raise `ValueError` naming the field that is missing or wrong."""
        try:
            # As JSON: to Python's own lists strictness means something else.
            return self._adapter.validate_json(json.dumps(dict(said)), strict=True)
        except ValidationError as err:
            raise ValueError(_words(err)) from err


def plain(data: bytes, *, where: str) -> Raw:
    """Return a JSON object of finite numbers, whole texts and keys named once. Raise `StoreError` otherwise."""
    try:
        _check_shape(data)
        value = _DECODER.decode(data.decode())
        if b"\\u" in data:
            _check_texts(value)
    except (ValueError, RecursionError) as err:
        raise StoreError(f"the file cannot be read, since it is not JSON: {err!s:.200}", where=where) from err
    if not isinstance(value, dict):
        raise StoreError("the document is not an object", where=where)
    return cast("Raw", value)


def _once(pairs: list[tuple[str, Any]]) -> Raw:
    value = dict(pairs)
    if len(value) != len(pairs):
        twice = next(name for i, (name, _) in enumerate(pairs) if name in dict(pairs[:i]))
        raise ValueError(f"{twice!r:.60} is there twice")
    return value


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text:.20} is no number that fits")
    return value


def _whole(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise ValueError(f"{text:.20}... is no number that fits")
    return int(text)


_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_number, parse_float=_finite, parse_int=_whole)


def _check_shape(data: bytes) -> None:
    """Refuse what would take a hundred times its size of memory, or be nested deeper than can be followed later."""
    lists = data.count(b"[") + data.count(b"{")
    if lists > _MOST_LISTS or data.count(b",") > _MOST_VALUES:
        raise ValueError("there are more values than any document has")
    if lists <= _DEEPEST:
        return
    depth = 0
    for found in _BRACKETS.finditer(data):
        first = found[0][:1]
        depth += (first in b"[{") - (first in b"]}")
        if depth > _DEEPEST:
            raise ValueError(f"lists and objects are nested deeper than {_DEEPEST}")


def _check_texts(value: object) -> None:
    if _SURROGATES.search(json.dumps(value, ensure_ascii=False)):
        raise ValueError("a text holds half of a character")


_WORDS: Mapping[str, str] = {
    "missing": "is missing",
    "int_type": "is not a whole number",
    "int_from_float": "is not a whole number",
    "int_parsing_size": "is larger than a clock or counter can be",
    "float_type": "is not a number",
    "finite_number": "is not a number",
    "string_type": "is not text",
    "bool_type": "is not true or false",
    "none_required": "is not null",
    "tuple_type": "is not a list",
    "list_type": "is not a list",
    "frozen_set_type": "is not a list",
    "dict_type": "is not an object",
    "mapping_type": "is not an object",
    "dataclass_type": "is not an object",
    "dataclass_exact_type": "is not an object",
    "single": "is not a single value",
    "too_large": "is larger than a clock or counter can be",
}
_RANGES = ("greater_than_equal", "less_than_equal")
_WITH_INPUT = ("enum", "literal_error")


def _words(err: ValidationError) -> str:
    """Return pydantic's first complaint in our words: the path of the field, and what is wrong with it."""
    errors = err.errors(include_url=False, include_context=False)
    first = errors[0]
    kind, given, loc = first["type"], first["input"], first["loc"]
    single = [e for e in errors if e["loc"][:-1] == loc[:-1] and e["loc"][-1:] != loc[-1:]]
    if loc[-1:] == ("bool",) and single:  # one complaint for each type that a single value may have
        too_large = any(e["type"] in _RANGES for e in single)
        kind, loc = "too_large" if too_large else "single", loc[:-1]
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).removeprefix(".")
    if kind in _WORDS:
        said = _WORDS[kind]
    elif kind in _WITH_INPUT:
        said = f"is {given!r:.60}"
    elif kind == "value_error":
        said = first["msg"].removeprefix("Value error, ")
    else:
        said = f"is {given!r:.60}: {first['msg'].lower().replace('input ', '')}"
    return f"{path or 'the document'} {said}"
