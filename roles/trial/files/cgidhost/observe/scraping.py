"""A WSGI application for whoever reaches an address: a few connections at a time, none silent for long."""

from __future__ import annotations

import io
import socket
import threading
from collections import deque
from contextlib import suppress
from socketserver import ThreadingMixIn
from typing import Any, Callable
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

MOST_OPEN = 8  # two Prometheus, who looks by hand, and some
SILENT_S = 10.0
MOST_ASKED = 1 << 14  # bytes of a request


class ScrapedServer(ThreadingMixIn, WSGIServer):
    """Each connection has a thread. One too many ends the one that has been open for longest: all are answered."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 -- as the standard library has it
        self._open: deque[socket.socket] = deque()
        self._lock = threading.Lock()
        super().__init__(*args, **kwargs)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 -- as the standard library has it
        """Begin to answer a connection."""
        request.settimeout(SILENT_S)
        with self._lock:
            self._open.append(request)
            longest = self._open.popleft() if len(self._open) > MOST_OPEN else None
        if longest is not None:
            with suppress(OSError):
                longest.shutdown(socket.SHUT_RDWR)  # its thread closes it
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 -- as the standard library has it
        """End a connection."""
        with self._lock, suppress(ValueError):
            self._open.remove(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 -- as the standard library has it
        """Say nothing: whoever asks for nothing, or goes, would fill the log."""


class ScrapedServer6(ScrapedServer):
    """The same on an IPv6 address."""

    address_family = socket.AF_INET6


class _BoundedRequest(io.RawIOBase):
    """A request, to its end or to the last byte that is read of it."""

    def __init__(self, whole: io.BufferedIOBase) -> None:
        self._whole, self._left = whole, MOST_ASKED

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # as typeshed has it, a WriteableBuffer
        """Fill the buffer and return how many bytes, 0 at the end."""
        data = self._whole.readline(min(len(buffer), self._left))
        self._left -= len(data)
        buffer[: len(data)] = data
        return len(data)


class _ScrapeHandler(WSGIRequestHandler):
    """Logs no requests, and reads no more of one than Prometheus says."""

    def setup(self) -> None:
        """Begin to read."""
        super().setup()
        self.rfile = io.BufferedReader(_BoundedRequest(self.rfile))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 -- as the standard library has it
        """Log nothing."""


def start(host: str, port: int, application: Callable[..., Any]) -> WSGIServer:
    """Answer at an address, in a thread, until `shutdown` is called; raise OSError where it cannot be had."""
    kind = ScrapedServer6 if ":" in host else ScrapedServer
    server = make_server(host, port, application, kind, _ScrapeHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
