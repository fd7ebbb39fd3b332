"""Loads two small BPF programs that time connect() and hands out what they recorded: no compiler, no helper program.

Only system calls: bpf(2), perf_event_open(2), mmap(2). The instructions are
linux/bpf.h's; a record goes to a ring buffer without waking anybody, so a
connect costs about a microsecond and the reader comes when it likes. Needs
Linux 5.8 (ring buffer) and root outside of a user namespace.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import platform
import resource
import struct
from contextlib import suppress
from typing import NamedTuple

from . import libc
from .ending import Unavailable
from .process import read_text

TRACEFS = "/sys/kernel/tracing"
RING_BYTES = 1 << 22  # 130,000 connects
MOST_THREADS = 16384  # in connect() at once

_SYSTEM_CALLS = {"x86_64": (321, 298), "aarch64": (280, 241), "ppc64le": (361, 319), "s390x": (351, 331)}
_MAP_CREATE, _MAP_LOOKUP, _PROG_LOAD = 0, 1, 5
_HASH, _ARRAY, _RINGBUF = 1, 2, 27
_TRACEPOINT_PROGRAM = 5
_PERF_TYPE_TRACEPOINT = 2
_PERF_EVENT_IOC_ENABLE = 0x2400
_PERF_EVENT_IOC_SET_BPF = 0x40042408
_NO_WAKEUP = 1

_LOOKUP, _UPDATE, _DELETE, _KTIME_NS, _PID_TGID, _READ_USER, _RINGBUF_OUTPUT = 1, 2, 3, 5, 14, 112, 130
_R0, _R1, _R2, _R3, _R4, _R6, _R7, _FP = 0, 1, 2, 3, 4, 6, 7, 10

_RECORD = struct.Struct("=QQq")
_IN_RING = struct.Struct("=IIQQq")  # with the ring buffer's own header of length and page offset
_POSITION = struct.Struct("=Q")
_FAMILY_BYTES = 2  # of a sockaddr_un, before its path
_BUSY = 1 << 31  # in the header's length: still being written


class Connect(NamedTuple):
    """One connect(): when it ended (CLOCK_MONOTONIC), how long it took, and 0 or a negative errno."""

    end_ns: int
    took_ns: int
    result: int


class _Code:
    """BPF instructions, with forward jumps to the end."""

    def __init__(self) -> None:
        self._words: list[bytes] = []
        self._to_end: list[int] = []

    def put(self, op: int, dst: int = 0, src: int = 0, off: int = 0, imm: int = 0) -> None:
        self._words.append(struct.pack("=BBhi", op, src << 4 | dst, off, imm))

    def move(self, dst: int, src: int) -> None:
        self.put(0xBF, dst, src)

    def set(self, dst: int, value: int) -> None:
        self.put(0xB7, dst, imm=value)

    def set64(self, dst: int, value: int, pseudo: int = 0) -> None:
        low, high = struct.unpack("=ii", struct.pack("=Q", value))
        self.put(0x18, dst, pseudo, imm=low)
        self.put(0, imm=high)

    def set_map(self, dst: int, fd: int) -> None:
        self.set64(dst, fd, pseudo=1)

    def load(self, dst: int, src: int, off: int) -> None:
        self.put(0x79, dst, src, off)

    def store(self, dst: int, off: int, src: int) -> None:
        self.put(0x7B, dst, src, off)

    def address(self, dst: int, off: int) -> None:
        """Set `dst` to the stack at `off`."""
        self.move(dst, _FP)
        self.put(0x07, dst, imm=off)

    def call(self, helper: int) -> None:
        self.put(0x85, imm=helper)

    def end_if(self, op: int, dst: int, src: int = 0, imm: int = 0) -> None:
        self._to_end.append(len(self._words))
        self.put(op, dst, src, 0, imm)

    def finish(self) -> bytes:
        """Return the whole program; its end returns 0."""
        end = len(self._words)
        self.set(_R0, 0)
        self.put(0x95)
        for at in self._to_end:
            word = bytearray(self._words[at])
            struct.pack_into("=h", word, 2, end - at - 1)
            self._words[at] = bytes(word)
        return b"".join(self._words)


_IF_EQUAL, _IF_NOT_EQUAL, _IF_NOT_EQUAL_REGISTER = 0x15, 0x55, 0x5D


def enter_program(prefix: bytes, address_at: int, started_fd: int) -> bytes:
    """Return the program for a connect's begin: note the time if the address is a socket below `prefix`."""
    want = struct.pack("=H", 1) + prefix
    padded = want + bytes(-len(want) % 8)
    code = _Code()
    code.load(_R3, _R1, address_at)
    code.set(_R0, 0)
    for at in range(0, len(padded), 8):
        code.store(_FP, at - len(padded), _R0)
    code.address(_R1, -len(padded))
    code.set(_R2, len(want))
    code.call(_READ_USER)
    code.end_if(_IF_NOT_EQUAL, _R0)
    for at in range(0, len(padded), 8):
        code.load(_R1, _FP, at - len(padded))
        code.set64(_R2, int.from_bytes(padded[at : at + 8], "little" if _LITTLE else "big"))
        code.end_if(_IF_NOT_EQUAL_REGISTER, _R1, _R2)
    code.call(_PID_TGID)
    code.store(_FP, -8, _R0)
    code.call(_KTIME_NS)
    code.store(_FP, -16, _R0)
    code.set_map(_R1, started_fd)
    code.address(_R2, -8)
    code.address(_R3, -16)
    code.set(_R4, 0)
    code.call(_UPDATE)
    return code.finish()


def exit_program(result_at: int, started_fd: int, ring_fd: int, lost_fd: int) -> bytes:
    """Return the program for a connect's end: record it if its begin was noted, count it if there is no room."""
    code = _Code()
    code.load(_R6, _R1, result_at)
    code.call(_PID_TGID)
    code.store(_FP, -8, _R0)
    code.set_map(_R1, started_fd)
    code.address(_R2, -8)
    code.call(_LOOKUP)
    code.end_if(_IF_EQUAL, _R0)
    code.load(_R7, _R0, 0)
    code.set_map(_R1, started_fd)
    code.address(_R2, -8)
    code.call(_DELETE)
    code.call(_KTIME_NS)
    code.store(_FP, -32, _R0)
    code.put(0x1F, _R0, _R7)  # took = now - begin
    code.store(_FP, -24, _R0)
    code.store(_FP, -16, _R6)
    code.set_map(_R1, ring_fd)
    code.address(_R2, -32)
    code.set(_R3, _RECORD.size)
    code.set(_R4, _NO_WAKEUP)
    code.call(_RINGBUF_OUTPUT)
    code.end_if(_IF_EQUAL, _R0)
    code.set(_R0, 0)
    code.put(0x63, _FP, _R0, -8)  # key 0
    code.set_map(_R1, lost_fd)
    code.address(_R2, -8)
    code.call(_LOOKUP)
    code.end_if(_IF_EQUAL, _R0)
    code.set(_R1, 1)
    code.put(0xDB, _R0, _R1)  # atomic add
    return code.finish()


_LITTLE = struct.pack("=H", 1) == b"\1\0"
_libc = ctypes.CDLL(None, use_errno=True)


def _system_call(which: int, doing: str, *arguments: object) -> int:
    numbers = _SYSTEM_CALLS.get(platform.machine())
    if numbers is None:
        raise Unavailable(f"bpf on {platform.machine()} is not known")
    result = int(_libc.syscall(ctypes.c_long(numbers[which]), *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise Unavailable(f"{doing}: {os.strerror(code)}")
    return result


def _bpf(command: int, attributes: bytes, doing: str) -> int:
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    return _system_call(0, doing, ctypes.c_int(command), buffer, ctypes.c_uint(len(attributes)))


def _map(kind: int, key: int, value: int, entries: int) -> int:
    return _bpf(_MAP_CREATE, struct.pack("=IIII", kind, key, value, entries), "bpf map")


def _load(program: bytes) -> int:
    code = ctypes.create_string_buffer(program, len(program))
    license_text = ctypes.create_string_buffer(b"GPL")
    attributes = struct.pack(
        "=IIQQIIQII",
        _TRACEPOINT_PROGRAM,
        len(program) // 8,
        ctypes.addressof(code),
        ctypes.addressof(license_text),
        0,
        0,
        0,
        0,
        0,
    )
    return _bpf(_PROG_LOAD, attributes, "bpf program")


def _attach(tracepoint: str, program_fd: int) -> int:
    number = int(read_text(f"{TRACEFS}/events/syscalls/{tracepoint}/id"))
    attributes = struct.pack("=IIQQQQQ", _PERF_TYPE_TRACEPOINT, 64, number, 1, 0, 0, 0).ljust(64, b"\0")
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    arguments = (buffer, ctypes.c_int(-1), ctypes.c_int(0), ctypes.c_int(-1), ctypes.c_ulong(8))
    fd = _system_call(1, "perf event", *arguments)
    fcntl.ioctl(fd, _PERF_EVENT_IOC_SET_BPF, program_fd)
    fcntl.ioctl(fd, _PERF_EVENT_IOC_ENABLE, 0)
    return fd


def field_at(form: str, name: str) -> int:
    """Return where a field is in a tracepoint's record, from the text of its `format` file."""
    for line in form.splitlines():
        parts = [part.strip() for part in line.split(";")]
        if parts[0].startswith("field:") and parts[0].split()[-1].lstrip("*") == name:
            return int(parts[1].rpartition(":")[2])
    raise Unavailable(f"the tracepoint has no field {name}")


def _provide_tracefs() -> None:
    """Mount tracefs in a mount namespace of the caller's own, where it is missing."""
    if os.path.exists(f"{TRACEFS}/events/syscalls"):
        return
    libc.unshare(libc.CLONE_NEWNS)
    libc.mount("none", "/", "none", libc.MS_REC | libc.MS_PRIVATE)
    libc.mount("tracefs", TRACEFS, "tracefs")


class ConnectTracer:
    """Times every connect() of the machine to a unix socket below a directory; ends with the process that made it."""

    def __init__(self, prefix: str) -> None:
        """Load and attach; raise Unavailable with the kernel's reason."""
        with suppress(OSError, ValueError):  # before Linux 5.11 maps count as locked memory
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        try:
            _provide_tracefs()
            self._started = _map(_HASH, 8, 8, MOST_THREADS)
            self._ring = _map(_RINGBUF, 0, 0, RING_BYTES)
            self._lost = _map(_ARRAY, 4, 8, 1)
            self._open(prefix)
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            raise Unavailable(f"{place}{error.strerror}") from error
        page = mmap.PAGESIZE
        self._consumer = mmap.mmap(self._ring, page)
        self._producer = mmap.mmap(self._ring, page + 2 * RING_BYTES, mmap.MAP_SHARED, mmap.PROT_READ, offset=page)

    def _open(self, prefix: str) -> None:
        forms = {name: read_text(f"{TRACEFS}/events/syscalls/sys_{name}_connect/format") for name in ("enter", "exit")}
        enter = _load(enter_program(prefix.encode(), field_at(forms["enter"], "uservaddr"), self._started))
        leave = _load(exit_program(field_at(forms["exit"], "ret"), self._started, self._ring, self._lost))
        self._fds = [enter, leave, _attach("sys_exit_connect", leave), _attach("sys_enter_connect", enter)]

    def take(self) -> list[Connect]:
        """Return the connects that ended since the last call, in their order."""
        (begin,) = _POSITION.unpack_from(self._consumer)
        (end,) = _POSITION.unpack_from(self._producer)
        at = mmap.PAGESIZE + begin % RING_BYTES  # the ring is mapped twice in a row: no record is cut
        found: list[Connect] = []
        for length, _, end_ns, took_ns, result in _IN_RING.iter_unpack(self._producer[at : at + end - begin]):
            if length & _BUSY:
                break
            found.append(Connect(end_ns, took_ns, result))
        _POSITION.pack_into(self._consumer, 0, begin + len(found) * _IN_RING.size)
        return found

    def lost(self) -> int:
        """Return how many connects found no room in the ring buffer since the begin."""
        key, value = ctypes.c_uint(0), ctypes.c_ulonglong(0)
        attributes = struct.pack("=IIQQQ", self._lost, 0, ctypes.addressof(key), ctypes.addressof(value), 0)
        _bpf(_MAP_LOOKUP, attributes, "bpf map")
        return int(value.value)

    def close(self) -> None:
        """Detach."""
        for fd in [*reversed(self._fds), self._started, self._ring, self._lost]:
            os.close(fd)
