"""mod_cgi, which prefork pairs with: workers fork scripts themselves. The baseline without a queue."""

from __future__ import annotations

from .base import System


class Cgi(System):
    """No daemon, no socket and no variant of mod_cgid."""

    name = "cgi"
    why_no_queue = "mod_cgi has no daemon"
