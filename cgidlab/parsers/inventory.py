"""Whether an Ansible inventory may be handed to Ansible: its size, and whether it is data or a program.

Ansible starts an inventory that is executable, and evaluates the templates in it. One that the
user names on the command line may do that; one that an experiment file names may not, since
experiment files are data.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from cgidlab import named_file
from cgidlab.errors import SpecError

MAX_BYTES = 1 << 20
MAX_DEPTH = 50
MAX_EXPANDED_NODES = 200_000  # counting what an alias stands for every time it is written
_PROGRAM = re.compile(r"\{\{|\{%|\{#")
_YAML = {".yml", ".yaml", ".json"}
_BESIDE = ("group_vars", "host_vars")  # which Ansible reads with it
_FIX = "name it with --target if you trust it"
_ADDRESS = r"\w[\w.:%-]*"  # nothing that SSH takes for an option
# What an inventory may set that nobody has named, and to what: other variables start programs, here or there.
_HARMLESS = {
    "ansible_host": _ADDRESS,
    "ansible_port": r"\d{1,5}",
    "ansible_user": r"\w[\w.@-]*",
    "ansible_connection": "ssh|local|smart",
    "ansible_become": r"(?i:true|false|yes|no)",
    "ansible_python_interpreter": r"/usr/(local/)?bin/python3[\d.]*|auto(_legacy)?(_silent)?",
    "host_work_dir": r"/[\w./-]+",
    "host_cache_dir": r"/[\w./-]+",
}


def check(path: Path, *, named_by_user: bool) -> None:
    """Raise `SpecError` for an inventory that is too large, too deep or, unless the user named it, more than data."""
    if not named_by_user:
        _refuse_what_is_no_file(path)
    if path.is_dir() or (named_by_user and os.access(path, os.X_OK)):
        return
    try:
        raw = named_file.content(path, MAX_BYTES)
    except OSError as err:
        raise SpecError(f"cannot read the inventory: {err.strerror}", where=str(path)) from err
    try:
        text = raw.decode()
    except UnicodeDecodeError as err:
        raise SpecError("the inventory is not UTF-8", where=f"{path}, byte {err.start}") from err
    if path.suffix in _YAML:
        _refuse_what_expands(text, str(path))
    if not named_by_user:
        _refuse_what_is_no_data(text, path)


def _refuse_what_is_no_file(path: Path) -> None:
    if not path.is_file():
        raise SpecError(f"the target is {'a directory' if path.is_dir() else 'no file'}", where=str(path), fix=_FIX)
    if os.access(path, os.X_OK):
        raise SpecError("the target is a program", where=str(path), fix=_FIX)


def _refuse_what_is_no_data(text: str, path: Path) -> None:
    """Refuse what Ansible would evaluate or start, however it is written: the values count, not the text."""
    where = str(path)
    beside = next((name for name in _BESIDE if os.path.lexists(path.parent / name)), None)
    if beside:
        raise SpecError(f"beside the target lies `{beside}`, which Ansible evaluates", where=where, fix=_FIX)
    if path.suffix not in _YAML:  # other forms have their own ways to write a character
        raise SpecError("the target is no YAML", where=where, fix=_FIX)
    try:
        _refuse_what_starts(yaml.safe_load(text), where)
    # A tag that is Ansible's own, such as a vault; a whole number with more digits than Python writes.
    except (yaml.YAMLError, ValueError, RecursionError) as err:
        raise SpecError("the target holds more than plain values", where=where, fix=_FIX) from err


def _refuse_what_starts(whole: Any, where: str) -> None:  # noqa: ANN401 -- YAML of any shape
    for key, value in _pairs({"all": whole}):
        if key == "plugin" or any(_PROGRAM.search(str(part)) for part in (key, value)):
            raise SpecError(
                "the target holds what Ansible would evaluate (a template, a plugin)", where=where, fix=_FIX
            )
    for name, value in _variables(whole if isinstance(whole, dict) else {}):
        if not re.fullmatch(_HARMLESS.get(name, ""), str(value), re.ASCII):
            raise SpecError(f"the target sets `{name:.60}`, which may start programs", where=where, fix=_FIX)


def _pairs(value: Any) -> Iterator[tuple[str, object]]:  # noqa: ANN401 -- YAML of any shape
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield str(key), "" if isinstance(inner, dict | list) else inner
        yield from _pairs(inner)


def _variables(groups: dict[Any, Any]) -> Iterator[tuple[str, object]]:
    """Return every variable of every group and host; what is no group by its shape counts as one."""
    for group in groups.values():
        for part, held in group.items() if isinstance(group, dict) else ():
            if part == "children" and isinstance(held, dict):
                yield from _variables(held)
            elif part == "vars" and isinstance(held, dict):
                yield from ((str(name), value) for name, value in held.items())
            elif part == "hosts":
                for host, own in held.items() if isinstance(held, dict) else ((held, None),):
                    yield "ansible_host", host
                    yield from ((str(name), value) for name, value in own.items()) if isinstance(own, dict) else ()
            elif held is not None:
                yield str(part), held


def _refuse_loop(alias: str, anchors: list[str | None], name: str) -> None:
    if alias in anchors:
        raise SpecError(f"the inventory holds itself, by the alias `{alias:.60}`", where=name)


def _refuse_what_expands(text: str, name: str) -> None:
    """Count what the file stands for, event by event: nothing is built."""
    sizes: dict[str, int] = {}
    open_: list[tuple[str | None, int]] = []  # anchor of each open collection, and nodes before it
    nodes = 0
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                _refuse_loop(event.anchor or "", [anchor for anchor, _ in open_], name)
                nodes += sizes.get(event.anchor or "", 1)
            elif isinstance(event, yaml.CollectionStartEvent):
                open_.append((event.anchor, nodes))
                nodes += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                anchor, before = open_.pop()
                if anchor:
                    sizes[anchor] = nodes - before
            elif isinstance(event, yaml.ScalarEvent):
                nodes += 1
            if nodes > MAX_EXPANDED_NODES or len(open_) > MAX_DEPTH:
                raise SpecError(
                    f"the inventory stands for more than {MAX_EXPANDED_NODES} values, or is deeper than {MAX_DEPTH}",
                    where=name,
                )
    except yaml.YAMLError as err:
        raise SpecError(f"the inventory is not YAML: {' '.join(str(err).split())[:300]}", where=name) from err
    except (ValueError, RecursionError) as err:
        raise SpecError(f"the inventory is not YAML: {err}", where=name) from err
