"""One plain HTTP request to the trial's own server. It keeps no connection."""

from __future__ import annotations

import socket
from typing import NamedTuple

OK = 200


class HttpAnswer(NamedTuple):
    """What the server said."""

    status: int
    body: bytes


def get(address: str, port: int, path: str, timeout_s: float) -> HttpAnswer:
    """Return the answer of the server at an address of this host; raise OSError when there is none or it is no HTTP."""
    with socket.create_connection((address, port), timeout_s) as connection:
        connection.settimeout(timeout_s)
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
        parts = []
        while True:
            part = connection.recv(1 << 16)
            if not part:
                break
            parts.append(part)
    head, _, body = b"".join(parts).partition(b"\r\n\r\n")
    words = head.split(None, 2)
    if not head.startswith(b"HTTP/") or not words[1:2] or not words[1].isdigit():
        raise OSError(f"no HTTP answer to GET {path}: {head[:80]!r}")
    return HttpAnswer(int(words[1]), body)
