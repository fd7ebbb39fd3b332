"""What can be held back in a trial, or let go first: the modules of this folder. `base` says how to add one."""

from __future__ import annotations

from typing import Mapping

from ..listing import one_a_module
from .base import Intervention

INTERVENTIONS: Mapping[str, type[Intervention]] = one_a_module(
    __name__, __path__, Intervention, ("base", "performing", "stopping")
)
"""Every intervention by its name."""
