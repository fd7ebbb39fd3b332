"""A registry that is its folder: what each module of a package adds to it, and nothing that adds nothing."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import Collection, Iterable, TypeVar

T = TypeVar("T")


def one_a_module(package: str, folder: Iterable[str], base: type[T], besides: Collection[str]) -> dict[str, type[T]]:
    """Return by its name the one class that each module of a package adds to `base`; from a zip archive as well.

    `besides` names the modules that serve all others. Raises ImportError naming the module that adds none or
    several, or one whose `name` is not the module's.
    """
    found = {}
    for name in sorted(entry.name for entry in pkgutil.iter_modules(folder)):
        if name in besides:
            continue
        module = import_module(f"{package}.{name}")
        own = [
            value
            for value in vars(module).values()
            if isinstance(value, type) and issubclass(value, base) and value.__module__ == module.__name__
        ]
        if len(own) != 1 or getattr(own[0], "name", "") != name:
            raise ImportError(f"{module.__name__} has to define one {base.__name__} whose name is {name}")
        found[name] = own[0]
    return found
