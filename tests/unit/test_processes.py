"""A family of processes ends whole, and nobody else with it."""

import contextlib
import os
import secrets
import subprocess
import time
from pathlib import Path

from cgidlab import processes


def having(mark: str) -> set[int]:
    """Return the living processes with a mark in their command line."""
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (path / "cmdline").read_bytes():
                found.add(int(path.name))
        except OSError:  # gone
            continue
    return found


def until(mark: str, count: int) -> set[int]:
    deadline = time.monotonic() + 60
    while len(found := having(mark)) != count and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


def stopped(mark: str) -> bool:
    """Wait until one of them has stopped itself: while a shell starts something there are more of it for a moment."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for pid in having(mark):
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
                    return True
        time.sleep(0.01)
    return False


def test_a_session_of_its_own_saves_no_child_and_another_word_saves_a_sibling() -> None:
    mark, other = secrets.token_hex(8), secrets.token_hex(8)
    # A shell, one in a session of its own, and what that starts; what is stopped is ended as well.
    family = f": {mark}; setsid sh -c ': {mark}; sleep 60 & kill -STOP $$; :' & wait"
    sibling = f": {other}; read word"
    begun = [subprocess.Popen(["/bin/sh", "-c", text], stdin=subprocess.PIPE) for text in (family, sibling)]
    try:
        assert stopped(mark)
        assert len(until(mark, 2)) == 2  # what is started has the name of who starts it for a moment

        processes.end_family(os.getpid(), mark)

        begun[0].wait(60)
        assert until(mark, 0) == set()
        assert len(until(other, 1)) == 1
    finally:
        for child in begun:
            child.kill()
            child.communicate()
