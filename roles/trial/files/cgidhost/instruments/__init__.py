"""What observes a trial: the modules of this folder. `base.Instrument` says how to add one."""

from __future__ import annotations

from typing import Mapping

from ..listing import one_a_module
from .base import Instrument

INSTRUMENTS: Mapping[str, type[Instrument]] = one_a_module(__name__, __path__, Instrument, ("base", "running"))
"""Every instrument by its name, in the order in which they are told of."""
