"""What makes the load: the modules of this folder. `base.Driver` says how to add one."""

from __future__ import annotations

from typing import Mapping

from ..listing import one_a_module
from .base import Driver

DRIVERS: Mapping[str, type[Driver]] = one_a_module(__name__, __path__, Driver, ("base",))
"""Every driver by its name, which is its program's."""
