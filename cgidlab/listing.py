"""A registry that is its folder: what each module of a package adds to it, and nothing that adds nothing."""

import pkgutil
from collections.abc import Collection, Iterable
from importlib import import_module
from inspect import isabstract
from typing import Any

from cgidlab.errors import LabError


def one_a_module(package: str, folder: Iterable[str], base: type, *, besides: Collection[str]) -> tuple[Any, ...]:
    """Return an object of the one subclass of `base` that each module of a package defines, by name.

    `besides` names the modules that serve all others. Raise `LabError` naming the module that defines none or
    several, or whose class has another `name` than the module: it would be left out, or not found by its name.
    """
    names = sorted(found.name for found in pkgutil.iter_modules(folder) if found.name not in besides)
    return tuple(_of(f"{package}.{name}", base) for name in names)


def _of(module: str, base: type) -> Any:  # noqa: ANN401 -- an object of `base`, which the caller names
    own = [
        value
        for value in vars(import_module(module)).values()
        if isinstance(value, type) and issubclass(value, base) and value.__module__ == module and not isabstract(value)
    ]
    name = module.rpartition(".")[2]
    if len(own) != 1 or getattr(own[0], "name", "") != name:
        found = ", ".join(f"{one.__name__} (name {getattr(one, 'name', '')!r})" for one in own) or "none"
        raise LabError(
            f"the module {module} has to define one {base.__name__} whose name is `{name}`; found: {found}",
            fix="name it so, or take the file away",
        )
    return own[0]()
