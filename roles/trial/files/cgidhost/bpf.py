"""Loads two small BPF programs that time connect() and hands out what they recorded: no compiler, no helper program.

Only system calls: bpf(2), perf_event_open(2), mmap(2). A record goes to a ring
buffer without waking anybody: the reader comes when it likes. Needs Linux 5.8
(ring buffer) and root outside of a user namespace.

The programs are at the begin and the end of the kernel's own function for connect(), and nobody else pays for
them. Where the kernel does not describe its functions, or cannot attach there (BTF, and a trampoline of this
machine's kind), they are at the system call's tracepoints. While these are on, every system call of the host takes the
slow way through the kernel, and a server that starts programs makes many.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import platform
import resource
import struct
from contextlib import ExitStack, suppress
from typing import Callable, Iterator, NamedTuple, Optional

from . import btf, libc
from .bpfcode import READ_KERNEL, READ_USER, enter_program, exit_program
from .ending import Unavailable
from .process import read_text

TRACEFS = "/sys/kernel/tracing"
RING_BYTES = 1 << 22  # 130,000 connects
MOST_THREADS = 16384  # in connect() at once

_SYSTEM_CALLS = {"x86_64": (321, 298), "aarch64": (280, 241)}  # bpf, perf_event_open
_MAP_CREATE, _MAP_LOOKUP, _MAP_DELETE, _MAP_NEXT, _PROG_LOAD = 0, 1, 3, 4, 5
_PROG_NEXT, _PROG_OPEN, _INFO, _ATTACH = 11, 13, 15, 17  # the last was made for raw tracepoints
HASH, _ARRAY, LRU_HASH, _RINGBUF = 1, 2, 9, 27
_TRACEPOINT_PROGRAM, _FUNCTION_PROGRAM = 5, 26
_AT_BEGIN, _AT_END = 24, 25  # of a function
# (socket, address, its length, flags): int; net/unix/af_unix.c, called by pointer only
_FUNCTION, _ARGUMENTS = "unix_stream_connect", (4,)
# (socket, new socket, flags and, before Linux 6.10, whether the kernel itself calls): int
_ACCEPT, _ACCEPT_ARGUMENTS = "unix_accept", (3, 4)
_WORD = 8  # of each argument in a function program's context; the result stands behind them
_PERF_TYPE_TRACEPOINT = 2
_PERF_EVENT_IOC_ENABLE = 0x2400
_PERF_EVENT_IOC_SET_BPF = 0x40042408

NAME = "cgidlab"  # of the programs, for those who look at what the kernel holds; 15 characters at most

_IN_RING = struct.Struct("=IIQQq")  # with the ring buffer's own header of length and page offset
_POSITION = struct.Struct("=Q")
_BUSY = 1 << 31  # in the header's length: still being written


class Connect(NamedTuple):
    """One connect(): when it ended (CLOCK_MONOTONIC), how long it took, and 0 or a negative errno."""

    end_ns: int
    took_ns: int
    result: int


def connects_in(raw: bytes) -> list[Connect]:
    """Return the connects in what `ConnectTracer.take_raw` returned, in their order."""
    return [Connect(end_ns, took_ns, result) for _, _, end_ns, took_ns, result in _IN_RING.iter_unpack(raw)]


def turned_away_in(raw: bytes) -> int:
    """Return how many of these connects failed with EAGAIN: quicker than making a `Connect` of each."""
    return memoryview(raw).cast("q")[3::4].tolist().count(-errno.EAGAIN)


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


def make_map(kind: int, key: int, value: int, entries: int) -> int:
    """Return the descriptor of a new map of `entries` keys and values of so many bytes; raise Unavailable."""
    return _bpf(_MAP_CREATE, struct.pack("=IIII", kind, key, value, entries), "bpf map")


def look_up(map_fd: int, key: bytes, value_bytes: int) -> Optional[bytes]:
    """Return the value of a key, None where it is not there."""
    at, value = ctypes.create_string_buffer(key, len(key)), ctypes.create_string_buffer(value_bytes)
    try:
        addresses = ctypes.addressof(at), ctypes.addressof(value)
        _bpf(_MAP_LOOKUP, struct.pack("=I4xQQQ", map_fd, *addresses, 0), "bpf map")
    except Unavailable:
        return None
    return value.raw


def delete(map_fd: int, key: bytes) -> None:
    """Take a key and its value out of a map, if they are there."""
    at = ctypes.create_string_buffer(key, len(key))
    with suppress(Unavailable):
        _bpf(_MAP_DELETE, struct.pack("=I4xQQQ", map_fd, ctypes.addressof(at), 0, 0), "bpf map")


def keys(map_fd: int, key_bytes: int, most: int) -> Iterator[bytes]:
    """Yield the keys of a map, no more than `most`: while others come and go one may be seen twice."""
    key, following = None, ctypes.create_string_buffer(key_bytes)
    for _ in range(most):
        at = 0 if key is None else ctypes.addressof(key)
        try:
            _bpf(_MAP_NEXT, struct.pack("=I4xQQQ", map_fd, at, ctypes.addressof(following), 0), "bpf map")
        except Unavailable:
            return
        yield following.raw
        key = ctypes.create_string_buffer(following.raw, key_bytes)


def _load(program: bytes, name: str, kind: int = _TRACEPOINT_PROGRAM, where: int = 0, function: int = 0) -> int:
    code = ctypes.create_string_buffer(program, len(program))
    license_text = ctypes.create_string_buffer(b"GPL")
    attributes = struct.pack(
        "=IIQQIIQII16sII36xI4x",
        kind,
        len(program) // 8,
        ctypes.addressof(code),
        ctypes.addressof(license_text),
        0,
        0,
        0,
        0,
        0,
        name.encode(),
        0,
        where,
        function,
    )
    return _bpf(_PROG_LOAD, attributes, "bpf program")


def open_tracepoint(tracepoint: str) -> int:
    """Switch a system call's tracepoint on until the returned descriptor is closed; raise Unavailable or OSError."""
    number = int(read_text(f"{TRACEFS}/events/syscalls/{tracepoint}/id"))
    attributes = struct.pack("=IIQQQQQ", _PERF_TYPE_TRACEPOINT, 64, number, 1, 0, 0, 0).ljust(64, b"\0")
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    arguments = (buffer, ctypes.c_int(-1), ctypes.c_int(0), ctypes.c_int(-1), ctypes.c_ulong(8))
    return _system_call(1, "perf event", *arguments)


def _attach(tracepoint: str, program_fd: int) -> int:
    fd = open_tracepoint(tracepoint)
    fcntl.ioctl(fd, _PERF_EVENT_IOC_SET_BPF, program_fd)
    fcntl.ioctl(fd, _PERF_EVENT_IOC_ENABLE, 0)
    return fd


def _attach_to_function(program_fd: int) -> int:
    return _bpf(_ATTACH, struct.pack("=QI4x", 0, program_fd), "bpf at a function")


def described() -> bytes:
    """Return the kernel's description of its types; raise OSError where it has none."""
    with open(btf.KERNEL, "rb") as file:
        return file.read()


def _the_function(name: str, arguments: tuple[int, ...]) -> btf.Function:
    """Return a function that has so many arguments; raise Unavailable or OSError."""
    try:
        found = btf.find_function(described(), name)
    except ValueError as error:
        raise Unavailable(f"{btf.KERNEL}: {error}") from error
    if found is None or found.arguments not in arguments:
        raise Unavailable(f"{btf.KERNEL} describes no {name} of {' or '.join(map(str, arguments))} arguments")
    return found


def programs() -> list[dict[str, object]]:
    """Return id and name of every BPF program the kernel holds; empty where that may not be asked."""
    found: list[dict[str, object]] = []
    number = 0
    with suppress(Unavailable):
        while True:
            attributes = ctypes.create_string_buffer(struct.pack("=III", number, 0, 0), 12)
            _system_call(0, "bpf", ctypes.c_int(_PROG_NEXT), attributes, ctypes.c_uint(12))
            number = struct.unpack_from("=I", attributes, 4)[0]
            with suppress(Unavailable):  # it went between the two calls
                found.append({"id": number, "name": _name_of(number)})
    return found


def _name_of(number: int) -> str:
    fd = _bpf(_PROG_OPEN, struct.pack("=III", number, 0, 0), "bpf program")
    try:
        info = ctypes.create_string_buffer(80)
        _bpf(_INFO, struct.pack("=IIQ", fd, len(info), ctypes.addressof(info)), "bpf program")
        return info.raw[64:80].split(b"\0", 1)[0].decode(errors="replace")
    finally:
        os.close(fd)


def field_at(form: str, name: str) -> int:
    """Return where a field is in a tracepoint's record, from the text of its `format` file."""
    for line in form.splitlines():
        parts = [part.strip() for part in line.split(";")]
        if parts[0].startswith("field:") and parts[0].split()[-1].lstrip("*") == name:
            return int(parts[1].rpartition(":")[2])
    raise Unavailable(f"the tracepoint has no field {name}")


def _provide_tracefs() -> None:
    """Mount tracefs in a mount namespace of the caller's own, where it is missing."""
    with suppress(FileNotFoundError):  # not mounted; any other error is the kernel's reason
        os.stat(f"{TRACEFS}/events/syscalls")
        return
    try:
        libc.unshare(libc.CLONE_NEWNS)
        libc.mount("none", "/", "none", libc.MS_REC | libc.MS_PRIVATE)
        libc.mount("tracefs", TRACEFS, "tracefs")
    except OSError as error:
        raise Unavailable(f"tracefs is not mounted at {TRACEFS}, and mounting it: {error.strerror}") from error


def _explained(reason: str) -> str:
    """Return the kernel's reason, and what is behind it where that is known."""
    if os.geteuid() != 0:
        return f"bpf: {reason} (tracing needs root: run with become)"
    if os.strerror(errno.EPERM) in reason or os.strerror(errno.EACCES) in reason:
        return f"bpf: {reason} (needs the capabilities CAP_BPF, CAP_PERFMON and CAP_SYS_ADMIN, which containers drop)"
    return f"bpf: {reason}"


class At(NamedTuple):
    """Where a program finds what it needs in its context, and the helper that reads what the address points to."""

    address: int
    length: int
    result: int
    read: int
    sock: int  # the kernel's socket, or its descriptor
    by_descriptor: bool


Code = Callable[[At], tuple[bytes, bytes]]  # the programs for a connect's begin and end


def attach(code: Code, opened: ExitStack) -> tuple[str, str]:
    """Load and attach two programs; return where, "function" or "system call", and why not at the cheaper one.

    Raises Unavailable or OSError.
    """
    try:
        with ExitStack() as attached:
            found = _the_function(_FUNCTION, _ARGUMENTS)
            at = At(1 * _WORD, 2 * _WORD, found.arguments * _WORD, READ_KERNEL, 0, by_descriptor=False)
            enter, leave = code(at)
            for text, where in ((leave, _AT_END), (enter, _AT_BEGIN)):
                program = own(attached, _load(text, NAME, _FUNCTION_PROGRAM, where, found.number))
                own(attached, _attach_to_function(program))
            opened.push(attached.pop_all())
    except (Unavailable, OSError) as why:
        _attach_to_system_call(code, opened)
        return "system call", str(why)
    return "function", ""


def _attach_to_system_call(code: Code, opened: ExitStack) -> None:
    _provide_tracefs()
    forms = {name: read_text(f"{TRACEFS}/events/syscalls/sys_{name}_connect/format") for name in ("enter", "exit")}
    sock, address, length = (field_at(forms["enter"], name) for name in ("fd", "uservaddr", "addrlen"))
    enter, leave = code(At(address, length, field_at(forms["exit"], "ret"), READ_USER, sock, by_descriptor=True))
    for text, name in ((leave, "exit"), (enter, "enter")):
        program = own(opened, _load(text, NAME))
        own(opened, _attach(f"sys_{name}_connect", program))


def attach_to_accept(code: Callable[[At], bytes], opened: ExitStack, *, at_function: bool) -> None:
    """Load and attach a program at the end of accept() in the way that connect()'s are; raise as `attach` does."""
    if at_function:
        found = _the_function(_ACCEPT, _ACCEPT_ARGUMENTS)
        text = code(At(0, 0, found.arguments * _WORD, READ_KERNEL, 1 * _WORD, by_descriptor=False))
        program = own(opened, _load(text, NAME, _FUNCTION_PROGRAM, _AT_END, found.number))
        own(opened, _attach_to_function(program))
        return
    for name in ("accept4", "accept"):
        result = field_at(read_text(f"{TRACEFS}/events/syscalls/sys_exit_{name}/format"), "ret")
        program = own(opened, _load(code(At(0, 0, result, READ_KERNEL, result, by_descriptor=True)), NAME))
        own(opened, _attach(f"sys_exit_{name}", program))


def begin(open_: Callable[[ExitStack], None]) -> ExitStack:
    """Return what `open_` opened; raise Unavailable with the kernel's reason."""
    with suppress(OSError, ValueError):  # before Linux 5.11 maps count as locked memory
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    with ExitStack() as opened:
        try:
            open_(opened)
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            raise Unavailable(_explained(f"{place}{error.strerror}")) from error
        except Unavailable as why:
            raise Unavailable(_explained(str(why))) from why
        return opened.pop_all()


class ConnectTracer:
    """Times every connect() of the machine to a unix stream socket whose path begins with `prefix`.

    `place` is where in the kernel it does so, `why_not_function` why that is not the cheaper one of the two, or ''.
    It ends with the last process that holds it: a forked one may read from it.
    """

    def __init__(self, prefix: str) -> None:
        """Load and attach; raise Unavailable with the kernel's reason."""
        self.prefix = prefix
        self._opened = begin(lambda opened: self._open(prefix, opened))

    def _open(self, prefix: str, opened: ExitStack) -> None:
        started = own(opened, make_map(HASH, 8, 8, MOST_THREADS))
        ring = own(opened, make_map(_RINGBUF, 0, 0, RING_BYTES))
        self._lost = own(opened, make_map(_ARRAY, 4, 8, 1))
        page = mmap.PAGESIZE
        self._consumer = opened.enter_context(mmap.mmap(ring, page))
        self._producer = opened.enter_context(
            mmap.mmap(ring, page + 2 * RING_BYTES, mmap.MAP_SHARED, mmap.PROT_READ, offset=page)
        )

        def code(at: At) -> tuple[bytes, bytes]:
            enter = enter_program(prefix.encode(), at.address, at.read, started)
            return enter, exit_program(at.result, started, ring, self._lost)

        self.place, self.why_not_function = attach(code, opened)

    def take(self) -> list[Connect]:
        """Return the connects that ended since the last call, in their order."""
        return connects_in(self.take_raw())

    @property
    def record_bytes(self) -> int:
        """Return the length of a record of `take_raw`."""
        return _IN_RING.size

    def take_raw(self) -> bytes:
        """Return the same as `take`, as it lies in the ring: records of `record_bytes`, to be read by `connects_in`."""
        (begin,) = _POSITION.unpack_from(self._consumer)
        (end,) = _POSITION.unpack_from(self._producer)
        at = mmap.PAGESIZE + begin % RING_BYTES  # the ring is mapped twice in a row: no record is cut
        data = self._producer[at : at + end - begin]
        lengths = memoryview(data).cast("I")[:: _IN_RING.size // 4]
        if data and max(lengths) >= _BUSY:
            whole = next(i for i, length in enumerate(lengths) if length & _BUSY)
            data = data[: whole * _IN_RING.size]
        _POSITION.pack_into(self._consumer, 0, begin + len(data))
        return data

    def lost(self) -> int:
        """Return how many connects found no room in the ring buffer since the begin."""
        (lost,) = struct.unpack("=Q", look_up(self._lost, bytes(4), 8) or bytes(8))
        return int(lost)

    def close(self) -> None:
        """Detach; this waits for the kernel, which ends no trace while it may be running."""
        self._opened.close()


def own(opened: ExitStack, fd: int) -> int:
    """Have a descriptor closed with the others, the latest first."""
    opened.callback(os.close, fd)
    return fd
