"""The drivers there are, which are the modules of this folder. `base.Driver` says how to add one."""

from collections.abc import Mapping

from cgidlab.drivers.base import Driver
from cgidlab.errors import StoreError
from cgidlab.listing import one_a_module

DRIVERS: Mapping[str, Driver] = {d.name: d for d in one_a_module(__name__, __path__, Driver, besides=("base",))}


def named(name: str, where: str) -> Driver:
    """Return a driver. Raise `StoreError` for a name that is none's: its rows must not be read as another's."""
    if name not in DRIVERS:
        raise StoreError(f"no driver is called `{name}`", where=where, fix="report it with the version that wrote it")
    return DRIVERS[name]
