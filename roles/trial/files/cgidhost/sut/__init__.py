"""Systems under test: the registry of what may stand behind httpd. `base.System` says how to add one."""

from __future__ import annotations

from typing import Mapping

from .base import System
from .cgi import Cgi
from .cgid import Cgid

SYSTEMS: Mapping[str, System] = {one.name: one for one in (Cgid(), Cgi())}
"""Every system by its name in the block file."""
