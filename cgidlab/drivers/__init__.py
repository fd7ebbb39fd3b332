"""The drivers there are, a module each: nothing else names them all. `base.Driver` says how to add one."""

from collections.abc import Mapping

from cgidlab.drivers.ab import Ab
from cgidlab.drivers.base import Driver
from cgidlab.drivers.h2load import H2load
from cgidlab.drivers.wrk import Wrk
from cgidlab.errors import StoreError

DRIVERS: Mapping[str, Driver] = {d.name: d for d in (H2load(), Ab(), Wrk())}


def named(name: str, where: str) -> Driver:
    """Return a driver. Raise `StoreError` for a name that is none's: its rows must not be read as another's."""
    if name not in DRIVERS:
        raise StoreError(f"no driver is called `{name}`", where=where, fix="report it with the version that wrote it")
    return DRIVERS[name]
