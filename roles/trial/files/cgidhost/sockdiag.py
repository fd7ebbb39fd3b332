"""Asks the kernel for the queue of a listening socket through raw NETLINK_SOCK_DIAG.

Message layouts: linux/unix_diag.h, linux/inet_diag.h, linux/sock_diag.h.
For a listener the receive queue is what is queued now, the send queue its
limit after the kernel's clamp.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import Iterator, NamedTuple, Optional

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_NLM_F_DUMP = 0x300
_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_UDIAG_SHOW_NAME = 0x01
_UDIAG_SHOW_RQLEN = 0x10
_UNIX_DIAG_NAME = 0
_UNIX_DIAG_RQLEN = 4
_STATE_LISTEN = 10
_ALL_STATES = 0xFFFFFFFF
_NO_COOKIE = 0xFFFFFFFF

_HEADER = struct.Struct("=LHHLL")  # nlmsghdr
_UNIX_REQUEST = struct.Struct("=BBHIIIII")  # unix_diag_req
_UNIX_ANSWER = struct.Struct("=BBBBIII")  # unix_diag_msg
_INET_REQUEST = struct.Struct("=BBBBI2s2s16s16sIII")  # inet_diag_req_v2 with its inet_diag_sockid
_INET_QUEUE = struct.Struct("=II")  # idiag_rqueue, idiag_wqueue
_INET_QUEUE_AT = 4 + 48 + 4  # family..retrans, sockid, expires
_ATTRIBUTE = struct.Struct("=HH")
_QUEUE = struct.Struct("=II")
_ANSWER_BYTES = 4096
_TIMEOUT = struct.pack("@ll", 2, 0)  # struct timeval


class Queue(NamedTuple):
    """A listening socket's queue: how many wait now, and the limit in force."""

    depth: int
    limit: int


class UnixListener(NamedTuple):
    """A listening unix socket as the kernel knows it."""

    path: str
    inode: int
    cookie: tuple[int, int]
    queue: Queue


def _unix_request(flags: int, states: int, inode: int, show: int, cookie: tuple[int, int]) -> bytes:
    body = _UNIX_REQUEST.pack(socket.AF_UNIX, 0, 0, states, inode, show, *cookie)
    return _HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST | flags, 1, 0) + body


def _inet_request(address: bytes, port: int) -> bytes:
    source = address.ljust(16, b"\0")
    body = _INET_REQUEST.pack(
        socket.AF_INET6 if len(address) == 16 else socket.AF_INET,  # noqa: PLR2004 -- bytes of an IPv6 address
        socket.IPPROTO_TCP,
        0,
        0,
        1 << _STATE_LISTEN,
        struct.pack("!H", port),
        bytes(2),
        source,
        bytes(16),
        0,
        _NO_COOKIE,
        _NO_COOKIE,
    )
    return _HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0) + body


def _attributes(data: bytes, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
    while begin + _ATTRIBUTE.size <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, begin)
        yield kind, data[begin + _ATTRIBUTE.size : begin + length]
        begin += (length + 3) & ~3


def _unix_answer(data: bytes, begin: int, end: int) -> UnixListener:
    _, _, _, _, inode, low, high = _UNIX_ANSWER.unpack_from(data, begin)
    path, queue = "", Queue(0, 0)
    for kind, value in _attributes(data, begin + _UNIX_ANSWER.size, end):
        if kind == _UNIX_DIAG_NAME:
            path = value.rstrip(b"\0").decode("utf-8", "surrogateescape")
        elif kind == _UNIX_DIAG_RQLEN:
            queue = Queue(*_QUEUE.unpack_from(value))
    return UnixListener(path, inode, (low, high), queue)


class SockDiag:
    """One netlink socket of the caller's network namespace. Not for use by two threads."""

    def __init__(self) -> None:
        """Open the socket; raise OSError where the kernel has no sock_diag."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG)
        # An answer is immediate; never hang a trial on a lost one. Python's own time limit would poll before each call.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEOUT)
        self._socket.connect((0, 0))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def unix_listeners(self) -> list[UnixListener]:
        """Return all listening unix sockets of the namespace. Costs time with the number of sockets."""
        show = _UDIAG_SHOW_NAME | _UDIAG_SHOW_RQLEN
        self._socket.send(_unix_request(_NLM_F_DUMP, 1 << _STATE_LISTEN, 0, show, (0, 0)))
        found: list[UnixListener] = []
        while True:
            data = self._socket.recv(1 << 18)
            at = 0
            while at + _HEADER.size <= len(data):
                length, kind, _, _, _ = _HEADER.unpack_from(data, at)
                if kind == _NLMSG_DONE:
                    return found
                if kind == _NLMSG_ERROR:
                    raise _error(data, at)
                found.append(_unix_answer(data, at + _HEADER.size, at + length))
                at += (length + 3) & ~3

    def find_unix(self, path: str) -> Optional[UnixListener]:
        """Return the listener bound to exactly `path`, or None."""
        return next((one for one in self.unix_listeners() if one.path == path), None)

    def unix_queue(self, request: bytes) -> Optional[Queue]:
        """Return the queue of the one socket that `request` (of `unix_query`) names, or None when it is gone."""
        return self.queues(request)[0]

    def queues(self, *requests: bytes) -> list[Optional[Queue]]:
        """Return the queue for each request (of `unix_query` or `tcp_query`), None for a socket that is not there.

        All requests go to the kernel in one message, which halves what a
        sample costs.
        """
        return [queue_in(answer) for answer in self.ask(b"".join(requests), len(requests))]

    def ask(self, requests: bytes, count: int) -> list[bytes]:
        """Return the kernel's answers to so many requests, for `queue_in` to read when there is time."""
        self._socket.send(requests)
        return [self._socket.recv(_ANSWER_BYTES) for _ in range(count)]


def is_error(answer: bytes) -> bool:
    """Say whether the kernel answered with an error, as it does for a socket that is gone."""
    return bool(_HEADER.unpack_from(answer)[1] == _NLMSG_ERROR)


def queue_in(answer: bytes) -> Optional[Queue]:
    """Return the queue in an answer to `unix_query` or `tcp_query`, None for a socket that is not there."""
    if is_error(answer):
        error = _error(answer, 0)
        if isinstance(error, FileNotFoundError):
            return None
        raise error
    if answer[_HEADER.size] == socket.AF_UNIX:
        return _unix_answer(answer, _HEADER.size, len(answer)).queue
    return Queue(*_INET_QUEUE.unpack_from(answer, _HEADER.size + _INET_QUEUE_AT))


def unix_query(listener: UnixListener) -> bytes:
    """Return a request for the queue of this one socket."""
    return _unix_request(0, _ALL_STATES, listener.inode, _UDIAG_SHOW_RQLEN, listener.cookie)


def tcp_query(address: str, port: int) -> bytes:
    """Return a request for the accept queue of the IPv4 listener at `address`."""
    return listener_query(socket.inet_aton(address), port)


def listener_query(address: bytes, port: int) -> bytes:
    """Return a request for the accept queue of the TCP listener at `address`, of IPv4 or IPv6."""
    return _inet_request(address, port)


def _error(data: bytes, at: int) -> OSError:
    code = -struct.unpack_from("=i", data, at + _HEADER.size)[0]
    return OSError(code, os.strerror(code), "sock_diag")
