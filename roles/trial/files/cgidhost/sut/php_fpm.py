"""php-fpm behind mod_proxy_fcgi: processes that stay, each with one request at a time."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .proxied import Proxied

if TYPE_CHECKING:
    from ..blockfile import TrialOrder
    from ..server import Places


class PhpFpm(Proxied):
    """Its pool's file and its script are templates of the role `systems`; no php.ini of the host is read."""

    name = "php_fpm"
    program = "php-fpm"
    why_no_daemon = "php-fpm has no single process that accepts"
    why_no_scripts = "php-fpm starts no program for a request: what answers stays"

    def arguments(self, order: TrialOrder, places: Places) -> list[str]:
        """Return where its file is, and what a distribution turns on beside it."""
        del order
        conf = os.path.join(places.system, "php-fpm.conf")
        return ["--nodaemonize", "--no-php-ini", "--fpm-config", conf, "-d", "zend_extension=opcache"]
