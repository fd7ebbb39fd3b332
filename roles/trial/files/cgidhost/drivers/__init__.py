"""What makes the load: the registry of all drivers. `base.Driver` says how to add one."""

from __future__ import annotations

from typing import Mapping

from .ab import Ab
from .base import Driver
from .h2load import H2load
from .wrk import Wrk

_ALL: tuple[type[Driver], ...] = (H2load, Ab, Wrk)

DRIVERS: Mapping[str, type[Driver]] = {one.name: one for one in _ALL}
"""Every driver by its name, which is its program's."""
