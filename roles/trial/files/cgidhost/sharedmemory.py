"""The shared memory that a killed httpd leaves to the host: APR names it by the path that a module asks for."""

from __future__ import annotations

import os
from contextlib import suppress

PLACE = "/dev/shm"  # noqa: S108 -- of POSIX shared memory, whoever made it
# What httpd.conf names in a trial's directory of sockets: mod_fcgid's table of processes.
_FILES = ("fcgid_shm",)
_WORD = (1 << 32) - 1


def name_of(path: str) -> str:
    """Return the name that APR gives the shared memory of a path: two hashes of it (make_shm_open_safe_name)."""
    times_33, robert_sedgewick, factor = 0, 0, 63689
    for byte in os.fsencode(path):
        times_33 = (times_33 * 33 + byte) & _WORD
        robert_sedgewick = (robert_sedgewick * factor + byte) & _WORD
        factor = (factor * 378551) & _WORD
    return f"ShM.{times_33:x}H{robert_sedgewick:x}"


def discard(run_dir: str) -> None:
    """Remove what modules of a trial's httpd made for its directory of sockets; what is not there is passed over."""
    for name in _FILES:
        with suppress(OSError):
            os.unlink(os.path.join(PLACE, name_of(os.path.join(run_dir, name))))
