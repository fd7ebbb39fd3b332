"""Whether an Ansible inventory may be handed to Ansible: its size, and whether it is data or a program.

Ansible starts an inventory that is executable, and evaluates the templates in it. One that the
user names on the command line may do that; one that an experiment file names may not, since
experiment files are data.
"""

import os
import re
from pathlib import Path

import yaml

from cgidlab.errors import SpecError

MAX_BYTES = 1 << 20
MAX_DEPTH = 50
MAX_EXPANDED_NODES = 200_000  # counting what an alias stands for every time it is written
_PROGRAM = re.compile(r"\{\{|\{%|\{#|!vault|^\s*plugin\s*:", re.MULTILINE)


def check(path: Path, *, named_by_user: bool) -> None:
    """Raise `SpecError` for an inventory that is too large, too deep or, unless the user named it, a program."""
    if path.is_dir():
        if not named_by_user:
            raise SpecError("the target is a directory", where=str(path), fix="name it with --target")
        return
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as err:
        raise SpecError(f"cannot read the inventory: {err.strerror}", where=str(path)) from err
    if os.access(path, os.X_OK):
        if not named_by_user:
            raise SpecError("the target is a program", where=str(path), fix="name it with --target if you trust it")
        return
    if len(raw) > MAX_BYTES:
        raise SpecError(f"the inventory has more than {MAX_BYTES} bytes", where=str(path))
    try:
        text = raw.decode()
    except UnicodeDecodeError as err:
        raise SpecError("the inventory is not UTF-8", where=f"{path}, byte {err.start}") from err
    if not named_by_user and _PROGRAM.search(text):
        raise SpecError(
            "the target holds what Ansible would evaluate (a template, a plugin or a vault)",
            where=str(path),
            fix="name it with --target if you trust it",
        )
    if path.suffix in {".yml", ".yaml", ".json"}:
        _refuse_what_expands(text, str(path))


def _refuse_what_expands(text: str, name: str) -> None:
    """Count what the file stands for, event by event: nothing is built."""
    sizes: dict[str, int] = {}
    open_: list[tuple[str | None, int]] = []  # anchor of each open collection, and nodes before it
    nodes = 0
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
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
