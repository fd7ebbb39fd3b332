"""Systems under test: the modules of this folder. `base.System` says how to add one."""

from __future__ import annotations

from typing import Mapping

from ..listing import one_a_module
from .base import System

_ALL = one_a_module(__name__, __path__, System, ("base", "faults", "proxied"))

SYSTEMS: Mapping[str, System] = {name: kind() for name, kind in _ALL.items()}
"""Every system by its name in the block file."""
