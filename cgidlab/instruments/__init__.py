"""The instruments there are, which are the modules of this folder. `base.Instrument` says how to add one."""

from collections.abc import Iterable

from cgidlab.errors import StoreError
from cgidlab.instruments.base import Instrument
from cgidlab.listing import one_a_module

INSTRUMENTS: tuple[Instrument, ...] = one_a_module(
    __name__, __path__, Instrument, besides=("base", "controls", "gauges")
)

WITNESSES: tuple[Instrument, ...] = tuple(i for i in INSTRUMENTS if i.expectations)
"""Those that a verdict on the mechanism rests on: each has to be proven by controls."""


def check_known(names: Iterable[str], where: str) -> None:
    """Raise `StoreError` for a name that is no instrument's: what it saw would be left out without a word."""
    known = {i.name for i in INSTRUMENTS}
    for name in names:
        if name not in known:
            raise StoreError(
                f"no instrument is called `{name}`", where=where, fix="report it with the version that wrote it"
            )
