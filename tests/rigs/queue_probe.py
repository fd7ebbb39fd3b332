"""What a kernel does with a unix stream socket whose queue is full, as one JSON line. Root, standard library alone.

It needs a network namespace of its own (`unshare -n python3 queue_probe.py`), because it changes sysctls.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

SOMAXCONN = "/proc/sys/net/core/somaxconn"
MAX_DGRAM_QLEN = "/proc/sys/net/unix/max_dgram_qlen"
BACKLOG, CLAMP = 5, 3
MOST = 10000  # connections, so that a queue without an end is noticed


def name_of(error: OSError) -> str:
    """Return an error's name, such as EAGAIN."""
    return errno.errorcode.get(error.errno or 0, str(error.errno))


def read(path: str) -> str:
    """Return a small file's text, or the name of the error."""
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        return name_of(error)


def write(path: str, value: int) -> str:
    """Set a sysctl; return an empty string, or the name of the error."""
    try:
        Path(path).write_text(str(value))
    except OSError as error:
        return name_of(error)
    return ""


class Listener:
    """A listening socket that accepts only when told to."""

    def __init__(self, directory: Path, backlog: int) -> None:
        self.path = str(directory / f"s{time.monotonic_ns()}")
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(self.path)
        self.socket.listen(backlog)
        self.held: list[socket.socket] = []

    def fill(self) -> tuple[int, str]:
        """Connect without blocking until that fails; return how many are queued by now, and the error's name."""
        while len(self.held) < MOST:
            one = socket.socket(socket.AF_UNIX)
            one.settimeout(0)
            try:
                one.connect(self.path)
            except OSError as error:
                one.close()
                return len(self.held), name_of(error)
            self.held.append(one)
        return len(self.held), "none"


def connect_error(path: str) -> str:
    """Return the name of the error that a blocking connect ends with."""
    with socket.socket(socket.AF_UNIX) as one:
        try:
            one.connect(path)
        except OSError as error:
            return name_of(error)
    return "none"


def sleeping_connect(listener: Listener) -> dict[str, object]:
    """Connect to a full queue with a thread; return where it sleeps, whether for long, and what one accept does."""
    seen: dict[str, object] = {}

    def work() -> None:
        seen["tid"] = threading.get_native_id()
        seen["error"] = connect_error(listener.path)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    where = ""
    while time.monotonic() < deadline and where in ("", "0"):
        if "tid" in seen:
            where = read(f"/proc/self/task/{seen['tid']}/wchan")
        time.sleep(0.01)
    thread.join(1.0)
    slept = thread.is_alive()
    listener.socket.accept()[0].close()
    thread.join(10.0)
    return {
        "wchan": where,
        "still_asleep_after_1_s": slept,
        "woken_by_one_accept": not thread.is_alive(),
        "error": seen.get("error", ""),
    }


def probe(directory: Path) -> dict[str, object]:
    """Return all answers."""
    found: dict[str, object] = {
        "kernel": os.uname().release,
        "somaxconn_default": read(SOMAXCONN),
        "max_dgram_qlen": read(MAX_DGRAM_QLEN),
    }
    one = Listener(directory, BACKLOG)
    found[f"listen_{BACKLOG}_holds"], found["full_nonblocking"] = one.fill()
    found["full_blocking"] = sleeping_connect(one)

    found["max_dgram_qlen_1"] = write(MAX_DGRAM_QLEN, 1)
    found["with_max_dgram_qlen_1_holds"] = Listener(directory, BACKLOG).fill()[0]

    found[f"somaxconn_{CLAMP}"] = write(SOMAXCONN, CLAMP)
    clamped = Listener(directory, 100)
    found[f"listen_100_clamped_to_{CLAMP}_holds"] = clamped.fill()[0]
    write(SOMAXCONN, 50)
    found["after_raising_to_50_holds"] = clamped.fill()[0]
    clamped.socket.listen(100)
    found["after_another_listen_holds"] = clamped.fill()[0]

    gone = Listener(directory, BACKLOG)
    gone.socket.close()
    found["nobody_listens"] = connect_error(gone.path)
    found["no_such_socket"] = connect_error(str(directory / "absent"))
    return found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        json.dump(probe(Path(place)), sys.stdout)
        print()
