"""The BPF programs that count connects by path and time how long they wait for accept(): pure, bytes out."""

from __future__ import annotations

import sys
from typing import NamedTuple, Optional

from .bpfasm import (
    ADD,
    ADD_REGISTER,
    AF_UNIX,
    ATOMIC_ADD,
    DELETE,
    EAGAIN,
    ECONNREFUSED,
    FP,
    IF_ABOVE,
    IF_ABOVE_REGISTER,
    IF_BELOW_REGISTER,
    IF_BELOW_SIGNED,
    IF_EQUAL,
    IF_NOT_EQUAL,
    IF_NOT_EQUAL_REGISTER,
    KTIME_NS,
    LOOKUP,
    PID_TGID,
    R0,
    R1,
    R2,
    R3,
    R4,
    R6,
    R7,
    R8,
    R9,
    READ_KERNEL_TEXT,
    SHIFT_LEFT,
    SHIFT_RIGHT,
    SHIFT_RIGHT_SIGNED,
    SUBTRACT,
    UNLESS_THERE,
    UPDATE,
    Code,
)
from .bpfcode import READ_KERNEL

PATH_BYTES = 112  # sun_path with zeros behind it
BEGUN_BYTES = 8 + PATH_BYTES + 8  # of a connect that has not ended: when it began, to where, and its socket
QUEUED_BYTES = (
    8 + PATH_BYTES
)  # of a connection that waits: since when, and where; of one taken before that is known: no path
# Upper ends of what a connection has waited, in ns; one more bucket is above the last.
WAITS_NS = tuple(
    int(s * 1e9) for s in (1e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
)
COUNTS = (
    "connects", "turned_away", "refused", "failed_other", "took_ns", "waited_ns",
    *(f"waited_{n}" for n in range(len(WAITS_NS) + 1)),
)  # of one path, 8 bytes each  # fmt: skip

_CURRENT_TASK = 35
_THREAD, _PATH = -8, -8 - PATH_BYTES  # on the stack, of the programs for an end
_SINCE = _PATH - 8  # in front of the path: together what is known of a connection that waits
_FRESH = _SINCE - 8 * len(COUNTS)


class Fields(NamedTuple):
    """Where the kernel keeps what leads from a call to the socket that accept() gives out, in bytes (from BTF)."""

    task_files: int
    files_table: int
    table_files: int
    file_socket: int
    socket_sock: int
    sock_family: int
    sock_peer: int


# Names of structures and members, in the order of `Fields`.
MEMBERS = (
    ("task_struct", "files"), ("files_struct", "fdt"), ("fdtable", "fd"), ("file", "private_data"), ("socket", "sk"),
    ("sock_common", "skc_family"), ("unix_sock", "peer"),
)  # fmt: skip


class SocketPlace(NamedTuple):
    """How a program comes to the socket of its call: it is in the context, or its descriptor is."""

    at: int
    by_descriptor: bool
    fields: Fields


def _follow(code: Code, pointer: int, off: int, length: int = 8) -> None:
    """Read what lies at `off` of what the pointer on the stack leads to over it: zero where nothing does."""
    code.load(R3, FP, pointer)
    code.put(ADD, R3, imm=off)
    code.address(R1, pointer)
    code.set(R2, length)
    code.call(READ_KERNEL)


def _socket_of_descriptor(code: Code, descriptor: int, fields: Fields, to: int) -> None:
    """Set the stack at `to` to the socket behind a register's descriptor, or to zero."""
    code.call(_CURRENT_TASK)
    code.store(FP, to, R0)
    _follow(code, to, fields.task_files)
    _follow(code, to, fields.files_table)
    _follow(code, to, fields.table_files)
    code.put(SHIFT_LEFT, descriptor, imm=3)
    code.load(R1, FP, to)
    code.put(ADD_REGISTER, R1, descriptor)
    code.store(FP, to, R1)
    _follow(code, to, 0)
    _follow(code, to, fields.file_socket)


def begin_program(address_at: int, length_at: int, read: int, begun_fd: int, sock: Optional[SocketPlace]) -> bytes:
    """Return the program for the begin of a connect to any path: note its time, its path and, by `sock`, its socket.

    The address may end without a zero, and may have anything behind one: its text alone names a path. An
    abstract name has none and is left out.
    """
    thread, begun, raw = -8, -8 - BEGUN_BYTES, -8 - BEGUN_BYTES - PATH_BYTES
    family = raw - 8
    code = Code()
    code.load(R6, R1, address_at)
    code.load(R7, R1, length_at)
    code.load(R8, R1, sock.at if sock is not None else address_at)
    code.put(SHIFT_LEFT, R7, imm=32)
    code.put(SHIFT_RIGHT, R7, imm=32)
    code.put(ADD, R7, imm=-len(AF_UNIX))
    code.end_if(IF_ABOVE, R7, imm=PATH_BYTES - 4)  # longer is no address
    code.zero(family, thread - family)
    code.address(R1, family)
    code.set(R2, len(AF_UNIX))
    code.move(R3, R6)
    code.call(read)
    code.end_if(IF_NOT_EQUAL, R0)
    code.load(R1, FP, family)
    code.set64(R2, int.from_bytes(AF_UNIX.ljust(8, b"\0"), sys.byteorder))
    code.end_if(IF_NOT_EQUAL_REGISTER, R1, R2)
    code.address(R1, raw)
    code.move(R2, R7)
    code.move(R3, R6)
    code.put(ADD, R3, imm=len(AF_UNIX))
    code.call(read)
    code.end_if(IF_NOT_EQUAL, R0)
    code.address(R1, begun + 8)
    code.set(R2, PATH_BYTES - 3)
    code.address(R3, raw)
    code.call(READ_KERNEL_TEXT)
    code.end_if(IF_BELOW_SIGNED, R0, imm=2)  # no more than its zero
    if sock is not None:
        own = begun + 8 + PATH_BYTES
        if sock.by_descriptor:
            _socket_of_descriptor(code, R8, sock.fields, own)
        else:
            code.store(FP, own, R8)
        _follow(code, own, sock.fields.socket_sock)
    code.call(PID_TGID)
    code.store(FP, thread, R0)
    code.call(KTIME_NS)
    code.store(FP, begun, R0)
    code.set_map(R1, begun_fd)
    code.address(R2, thread)
    code.address(R3, begun)
    code.set(R4, 0)
    code.call(UPDATE)
    return code.finish()


def count_program(result_at: int, begun_fd: int, counts_fd: int, queued: Optional[tuple[int, Fields]]) -> bytes:
    """Return the program for the end of a connect whose begin was noted: count it by path and result.

    `queued` is the map of connections that wait: there it notes from when on one does.
    """
    code = Code()
    code.load(R6, R1, result_at)
    code.put(SHIFT_LEFT, R6, imm=32)
    code.put(SHIFT_RIGHT_SIGNED, R6, imm=32)
    code.call(PID_TGID)
    code.store(FP, _THREAD, R0)
    code.set_map(R1, begun_fd)
    code.address(R2, _THREAD)
    code.call(LOOKUP)
    code.end_if(IF_EQUAL, R0)
    code.load(R7, R0, 0)
    code.load(R9, R0, 8 + PATH_BYTES)
    _copy_path(code)
    code.set_map(R1, begun_fd)
    code.address(R2, _THREAD)
    code.call(DELETE)
    code.call(KTIME_NS)
    code.move(R8, R0)
    code.put(SUBTRACT, R8, R7)
    known = _look_up(code, counts_fd, _PATH)
    code.zero(_FRESH, 8 * len(COUNTS))
    code.set_map(R1, counts_fd)
    code.address(R2, _PATH)
    code.address(R3, _FRESH)
    code.set(R4, UNLESS_THERE)
    code.call(UPDATE)
    there = _look_up(code, counts_fd, _PATH)
    code.stop()  # the map is full
    code.land(known)
    code.land(there)
    code.set(R1, 1)
    code.put(ATOMIC_ADD, R0, R1, 8 * COUNTS.index("connects"))
    code.put(ATOMIC_ADD, R0, R8, 8 * COUNTS.index("took_ns"))
    done = code.jump(IF_EQUAL, R6)
    for result, name in ((EAGAIN, "turned_away"), (ECONNREFUSED, "refused")):
        other = code.jump(IF_NOT_EQUAL, R6, result)
        code.put(ATOMIC_ADD, R0, R1, 8 * COUNTS.index(name))
        code.stop()
        code.land(other)
    code.put(ATOMIC_ADD, R0, R1, 8 * COUNTS.index("failed_other"))
    code.stop()
    code.land(done)
    if queued is not None:
        _note_queued(code, counts_fd, *queued)
    return code.finish()


def _note_queued(code: Code, counts_fd: int, queued_fd: int, fields: Fields) -> None:
    """Note that a connection waits from now on, by the socket that accept() will give out (its own one's peer).

    It may have been taken before its connect() has ended: then it waited for no time that could be told.
    """
    code.end_if(IF_EQUAL, R9)
    code.store(FP, _THREAD, R9)
    _follow(code, _THREAD, fields.sock_peer)
    code.load(R1, FP, _THREAD)
    code.end_if(IF_EQUAL, R1)
    code.set_map(R1, queued_fd)
    code.address(R2, _THREAD)
    code.call(LOOKUP)
    fresh = code.jump(IF_EQUAL, R0)
    code.load(R1, R0, 8)
    stale = code.jump(IF_NOT_EQUAL, R1)  # has a path: of a socket that was never taken, and is no more
    code.load(R1, R0, 0)
    earlier = code.jump_register(IF_BELOW_REGISTER, R1, R7)
    code.set_map(R1, queued_fd)
    code.address(R2, _THREAD)
    code.call(DELETE)
    known = _look_up(code, counts_fd, _PATH)
    code.stop()
    code.land(known)
    code.set(R1, 1)
    code.put(ATOMIC_ADD, R0, R1, 8 * COUNTS.index("waited_0"))
    code.stop()
    for jump in (fresh, stale, earlier):
        code.land(jump)
    code.call(KTIME_NS)
    code.store(FP, _SINCE, R0)
    _put_queued(code, queued_fd, 0)


def accept_program(result_at: int, sock: SocketPlace, queued_fd: int, counts_fd: int) -> bytes:
    """Return the program for the end of an accept: count how long the connection it gives out has waited.

    With `by_descriptor` the result is that descriptor, else 0 and the socket is in the context.
    """
    code = Code()
    code.load(R8, R1, sock.at)
    code.load(R6, R1, result_at)
    code.put(SHIFT_LEFT, R6, imm=32)
    code.put(SHIFT_RIGHT_SIGNED, R6, imm=32)
    if sock.by_descriptor:
        code.end_if(IF_BELOW_SIGNED, R6)
        _socket_of_descriptor(code, R6, sock.fields, _THREAD)
    else:
        code.end_if(IF_NOT_EQUAL, R6)
        code.store(FP, _THREAD, R8)
    _follow(code, _THREAD, sock.fields.socket_sock)
    code.load(R1, FP, _THREAD)
    code.end_if(IF_EQUAL, R1)
    _end_unless_unix(code, sock.fields)
    code.call(KTIME_NS)
    code.move(R7, R0)
    waits = _look_up(code, queued_fd, _THREAD)
    code.zero(_PATH, PATH_BYTES)
    code.store(FP, _SINCE, R7)
    _put_queued(code, queued_fd, UNLESS_THERE)
    code.end_if(IF_EQUAL, R0)
    came = _look_up(code, queued_fd, _THREAD)
    code.stop()
    code.land(waits)
    code.land(came)
    code.load(R6, R0, 0)
    _copy_path(code)
    code.load(R1, FP, _PATH)
    known = code.jump(IF_NOT_EQUAL, R1)
    code.store(FP, _SINCE, R7)  # taken before its connect has ended; what was there is of an earlier socket
    _put_queued(code, queued_fd, 0)
    code.stop()
    code.land(known)
    code.set_map(R1, queued_fd)
    code.address(R2, _THREAD)
    code.call(DELETE)
    code.put(SUBTRACT, R7, R6)
    _count_wait(code, counts_fd)
    return code.finish()


def _end_unless_unix(code: Code, fields: Fields) -> None:
    code.load(R3, FP, _THREAD)
    code.put(ADD, R3, imm=fields.sock_family)
    code.zero(_PATH, 8)
    code.address(R1, _PATH)
    code.set(R2, len(AF_UNIX))
    code.call(READ_KERNEL)
    code.load(R1, FP, _PATH)
    code.set64(R2, int.from_bytes(AF_UNIX.ljust(8, b"\0"), sys.byteorder))
    code.end_if(IF_NOT_EQUAL_REGISTER, R1, R2)


def _count_wait(code: Code, counts_fd: int) -> None:
    """Add what is in r7, in ns, to the times that connections waited at the path on the stack."""
    counted = _look_up(code, counts_fd, _PATH)
    code.stop()
    code.land(counted)
    code.put(ATOMIC_ADD, R0, R7, 8 * COUNTS.index("waited_ns"))
    code.set(R1, 1)
    for number, most_ns in enumerate(WAITS_NS):
        code.set64(R2, most_ns)
        longer = code.jump_register(IF_ABOVE_REGISTER, R7, R2)
        code.put(ATOMIC_ADD, R0, R1, 8 * COUNTS.index(f"waited_{number}"))
        code.stop()
        code.land(longer)
    code.put(ATOMIC_ADD, R0, R1, 8 * COUNTS.index(f"waited_{len(WAITS_NS)}"))


def _copy_path(code: Code) -> None:
    """Copy the path behind the first word of what a map gave to the stack."""
    for at in range(0, PATH_BYTES, 8):
        code.load(R1, R0, 8 + at)
        code.store(FP, _PATH + at, R1)


def _put_queued(code: Code, queued_fd: int, how: int) -> None:
    code.set_map(R1, queued_fd)
    code.address(R2, _THREAD)
    code.address(R3, _SINCE)
    code.set(R4, how)
    code.call(UPDATE)


def _look_up(code: Code, map_fd: int, key: int) -> int:
    """Look a key on the stack up, and jump if it is there."""
    code.set_map(R1, map_fd)
    code.address(R2, key)
    code.call(LOOKUP)
    return code.jump(IF_NOT_EQUAL, R0)
