"""A unix listener of this machine whose queue can be made to overflow: real sockets, clients that do not wait."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

QUEUE = 5
_SERVER = """
import os, socket, sys, time
one = socket.socket(socket.AF_UNIX)
one.bind(sys.argv[1])
one.listen(int(sys.argv[2]))
print("listens", flush=True)
while True:
    accepted, _ = one.accept()
    time.sleep(float(sys.argv[3]))
    accepted.close()
"""
_CLIENTS = """
import errno, socket, sys, time
held, counts = [], {}
end = time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    client = socket.socket(socket.AF_UNIX)
    client.setblocking(False)
    result = client.connect_ex(sys.argv[1])
    counts[result] = counts.get(result, 0) + 1
    held = [*held[-100:], client]
    time.sleep(0.001)
print(counts.get(errno.EAGAIN, 0), sum(counts.values()), flush=True)
"""


@contextmanager
def server(path: Path, each_s: float = 0.02) -> Iterator["subprocess.Popen[str]"]:
    """Listen with a queue of `QUEUE` and take one connection each so many seconds."""
    words = [sys.executable, "-c", _SERVER, str(path), str(QUEUE), str(each_s)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "listens\n"
        try:
            yield process
        finally:
            process.kill()


def clients(path: Path, seconds: float) -> "subprocess.Popen[str]":
    """Start to connect a thousand times a second at most; prints how many were turned away, and how many came."""
    return subprocess.Popen(
        [sys.executable, "-c", _CLIENTS, str(path), str(seconds)], stdout=subprocess.PIPE, text=True
    )
