"""The network namespaces of the host, and asking the kernel for sockets in any of them."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import Iterable, Iterator, Optional

from .. import libc
from ..process import read_text
from ..sockdiag import SockDiag, UnixListener, listener_query
from . import proctable

_LISTEN = "0A"  # TCP state in /proc/net/tcp
_OWN = "/proc/self/ns/net"


@contextmanager
def inside(pid: int) -> Iterator[None]:
    """Be in the network namespace of a process; raise OSError where that is not allowed."""
    there = proctable.link(pid, "ns/net")
    if not there or there == os.readlink(_OWN):
        yield
        return
    own = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        target = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            libc.setns(target, libc.CLONE_NEWNET)
        finally:
            os.close(target)
        try:
            yield
        finally:
            libc.setns(own, libc.CLONE_NEWNET)
    finally:
        os.close(own)


def open_diag(pid: int) -> SockDiag:
    """Return a sock_diag of the network namespace of a process; raise OSError."""
    with inside(pid):
        return SockDiag()


def unix_listeners(pid: int) -> list[UnixListener]:
    """Return the listening unix sockets of the network namespace of a process; raise OSError."""
    diag = open_diag(pid)
    try:
        return diag.unix_listeners()
    finally:
        diag.close()


def somaxconn(pid: int) -> Optional[int]:
    """Return what bounds every queue in the network namespace of a process, None where that may not be read."""
    try:
        with inside(pid):
            return int(read_text("/proc/sys/net/core/somaxconn"))
    except (OSError, ValueError):
        return None


def one_process_each(pids: Iterable[int]) -> dict[str, int]:
    """Return one process for each network namespace; those that may not be seen are left out, the caller's is there."""
    found = {os.readlink(_OWN): os.getpid()}
    for pid in pids:
        name = proctable.link(pid, "ns/net")
        if name:
            found.setdefault(name, pid)
    return found


def tcp_queries(pid: int, inodes: set[int]) -> list[bytes]:
    """Return a sock_diag request for each TCP listener among `inodes`, in the network namespace of a process."""
    found = []
    for name in ("tcp", "tcp6"):
        try:
            lines = read_text(f"/proc/{pid}/net/{name}", 1 << 22).splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTEN and int(fields[9]) in inodes:
                address, _, port = fields[1].partition(":")
                found.append(listener_query(_bytes(address), int(port, 16)))
    return found


def _bytes(address: str) -> bytes:
    """Return an address as it is on the wire: /proc shows each four bytes as a number of this machine."""
    raw = bytes.fromhex(address)
    return b"".join(raw[at : at + 4][::-1] if _LITTLE else raw[at : at + 4] for at in range(0, len(raw), 4))


_LITTLE = memoryview(b"\x01\x00").cast("H")[0] == 1
