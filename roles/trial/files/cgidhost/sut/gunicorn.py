"""gunicorn behind mod_proxy_http: Python processes that stay, each with one request at a time."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .. import process
from .proxied import Proxied

if TYPE_CHECKING:
    from ..blockfile import TrialOrder
    from ..server import Places


class Gunicorn(Proxied):
    """Its file and its application are templates of the role `systems`."""

    name = "gunicorn"
    program = "gunicorn"
    why_no_daemon = "gunicorn has no single process that accepts"
    why_no_scripts = "gunicorn starts no program for a request: what answers stays"

    def arguments(self, order: TrialOrder, places: Places) -> list[str]:
        """Return where its file is and what it serves."""
        del order
        return ["--config", os.path.join(places.system, "gunicorn.conf.py"), "app:answer"]

    def runs(self, pid: int) -> str:
        """Return its name where it is the script that Python runs, or what the process calls itself."""
        words = process.read_text(f"/proc/{pid}/cmdline").replace(":", "\0").split("\0")
        return self.program if self.program in map(os.path.basename, words) else super().runs(pid)
