"""uWSGI behind mod_proxy_uwsgi: Python processes that stay, each with one request at a time."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .proxied import Proxied

if TYPE_CHECKING:
    from ..blockfile import TrialOrder
    from ..server import Places


class Uwsgi(Proxied):
    """Its file and its application, gunicorn's, are templates of the role `systems`.

    It ends where the queue would be shorter than it asks for: what contradicts somaxconn is refused before a run.
    """

    name = "uwsgi"
    program = "uwsgi"
    why_no_daemon = "uWSGI has no single process that accepts"
    why_no_scripts = "uWSGI starts no program for a request: what answers stays"

    def arguments(self, order: TrialOrder, places: Places) -> list[str]:
        """Return where its file is."""
        del order
        return ["--ini", os.path.join(places.system, "uwsgi.ini")]

    def runs(self, pid: int) -> str:
        """Return which program a process runs, without what Debian puts behind the name of the one without plugins."""
        return super().runs(pid).removesuffix("-core")
