"""YAML that does not guess: how an experiment file is read.

YAML 1.1 turns `on` into a boolean, `1.10` into 1.1 and `0027` into 23. A file
that says one thing and means another has no place in an experiment, so a plain
scalar is taken only when writing its value back gives the same text.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import yaml

from cgidlab import named_file
from cgidlab.errors import SpecError
from cgidlab.terminal import is_shown

MAX_BYTES = 1 << 17
MAX_DEPTH = 20
MAX_NODES = 20_000
MAX_NUMBER_CHARACTERS = 40  # a plain scalar that is not text: YAML reads some in time that grows with its square
_SHOWN_CHARACTERS = 60

# What stands there is a word, and YAML's other meaning of it is none there.
_WORDS: dict[tuple[str | int, ...], tuple[str, ...]] = {("limits",): ("off",)}

Value = bool | int | float | str | list["Value"] | dict[str, "Value"]
KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file: its value, and where each part of it was written."""

    name: str
    text: str
    value: dict[str, Value]
    lines: dict[KeyPath, int]  # line numbers from 1

    def where(self, path: KeyPath) -> str:
        """Return "file, line N, key a.b" for a path, or for its nearest written parent."""
        known = path
        while known and known not in self.lines:
            known = known[:-1]
        key = ".".join(str(part) for part in path)
        line = self.lines.get(known, 1)
        return f"{self.name}, line {line}" + (f", {key}" if key else "")


def read(path: Path) -> Document:
    """Read one YAML mapping from a plain file. Raise `SpecError` with file and line for anything it will not take."""
    try:
        raw = named_file.content(path, MAX_BYTES)
    except (OSError, ValueError) as err:
        why = err.strerror if isinstance(err, OSError) else err
        raise SpecError(f"cannot read the experiment file: {why}", where=str(path)) from err
    return parse(raw, str(path))


def parse(raw: bytes, name: str) -> Document:
    """Parse one YAML mapping from bytes; see `read`."""
    if len(raw) > MAX_BYTES:
        raise SpecError(f"the file has {len(raw)} bytes; at most {MAX_BYTES} are read", where=name)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as err:
        raise SpecError("the file is not UTF-8", where=f"{name}, byte {err.start}") from err
    try:
        _refuse_what_expands(text, name)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as err:
        line = err.problem_mark.line + 1 if err.problem_mark else 1
        raise SpecError(f"not YAML: {err.problem}", where=f"{name}, line {line}") from err
    except yaml.YAMLError as err:
        raise SpecError(f"not YAML: {' '.join(str(err).split())}", where=name) from err
    lines: dict[KeyPath, int] = {}
    if not isinstance(node, yaml.MappingNode):
        raise SpecError("an experiment file is a mapping of keys to values", where=f"{name}, line 1")
    value = _convert(node, (), lines, name)
    assert isinstance(value, dict)  # noqa: S101 -- tells mypy what the check above made sure of
    return Document(name, text, value, lines)


def _refuse_what_expands(text: str, name: str) -> None:
    """Bound depth and size before a tree is built, so that a hostile file costs nothing."""
    depth = 0
    for count, event in enumerate(_events(text)):
        where = f"{name}, line {event.start_mark.line + 1 if event.start_mark else 1}"
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise SpecError("anchors and aliases are not used in experiment files", where=where, fix="write it out")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise SpecError(f"nested deeper than {MAX_DEPTH} levels", where=where)
        if count > MAX_NODES:
            raise SpecError(f"more than {MAX_NODES} values", where=where)


def _events(text: str) -> Iterator[yaml.Event]:
    yield from yaml.parse(text, Loader=yaml.SafeLoader)


def _convert(node: yaml.Node, path: KeyPath, lines: dict[KeyPath, int], name: str) -> Value:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Value] = {}
        for key_node, value_node in node.value:
            where = f"{name}, line {key_node.start_mark.line + 1}"
            if not isinstance(key_node, yaml.ScalarNode):
                raise SpecError("a key is a plain word", where=where)
            key = _text(key_node.value, where)
            if key in found:
                raise SpecError(f"the key `{key}` is written twice", where=where, fix="keep one of them")
            lines[(*path, key)] = key_node.start_mark.line + 1
            found[key] = _convert(value_node, (*path, key), lines, name)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_convert(item, (*path, index), lines, name) for index, item in enumerate(node.value)]
    assert isinstance(node, yaml.ScalarNode)  # noqa: S101 -- YAML has no fourth kind of node
    if node.value in _WORDS.get(path, ()):
        return str(node.value)
    return _scalar(node, f"{name}, line {node.start_mark.line + 1}, {'.'.join(map(str, path))}")


def _scalar(node: yaml.ScalarNode, where: str) -> bool | int | float | str:
    text = _text(node.value, where)
    if node.style is not None or node.tag == "tag:yaml.org,2002:str":
        return text
    if len(text) > MAX_NUMBER_CHARACTERS:
        raise SpecError(f"`{_shown(text)}` is too long for a number", where=where, fix="write text in quotes")
    try:
        guess = yaml.SafeLoader("").construct_object(node)
        meaning = str(guess) if isinstance(guess, date) else repr(guess)
    except (yaml.YAMLError, ValueError, KeyError, OverflowError) as err:
        raise SpecError(f"`{text}` has no plain meaning", where=where, fix=f'write "{text}" in quotes') from err
    if guess is None:
        raise SpecError("the value is empty", where=where, fix="write a value, or remove the key")
    if isinstance(guess, bool) and text in ("true", "false"):
        return guess
    if isinstance(guess, int | float) and not isinstance(guess, bool) and repr(guess) == text:
        return guess
    raise SpecError(
        f"YAML would read `{text}` as {meaning}",
        where=where,
        fix=f'write "{text}" in quotes if the text is meant, or {str(guess).lower()} if the value is',
    )


def _text(value: object, where: str) -> str:
    """Return a scalar's text. Raise `SpecError` for characters that are not shown as themselves, or are none."""
    text = str(value)
    bad = next((c for c in text if not is_shown(c) and c not in "\n\t"), None)
    if bad is not None:
        raise SpecError(f"`{_shown(text)}` holds the control character {bad!r}", where=where, fix="remove it")
    return text


def _shown(text: str) -> str:
    short = text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
    return "".join(c if is_shown(c) else "\N{REPLACEMENT CHARACTER}" for c in short)
