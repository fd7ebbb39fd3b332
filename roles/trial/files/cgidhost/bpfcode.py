"""The BPF programs that time or count connect(), as instructions: pure, bytes out. linux/bpf.h has the numbers."""

from __future__ import annotations

import struct
import sys

RECORD_BYTES = 24  # end, duration in ns, result
READ_USER, READ_KERNEL = 112, 113  # helpers that read the memory of a process, and the kernel's
PATH_BYTES = 112  # sun_path with zeros behind it
BEGUN_BYTES = 8 + PATH_BYTES  # of a connect that has not ended: when it began, and to where
COUNTS = ("connects", "turned_away", "refused", "failed_other", "took_ns")  # of one path, 8 bytes each

_LOOKUP, _UPDATE, _DELETE, _KTIME_NS, _PID_TGID, _RINGBUF_OUTPUT = 1, 2, 3, 5, 14, 130
_READ_KERNEL_TEXT = 115
_R0, _R1, _R2, _R3, _R4, _R6, _R7, _R8, _FP = 0, 1, 2, 3, 4, 6, 7, 8, 10
# r0 is a helper's answer, r1 to r4 its arguments, r6 to r8 outlive calls, fp is the stack's end.
_MOVE, _SET, _SET64, _ADD, _SUBTRACT = 0xBF, 0xB7, 0x18, 0x07, 0x1F
_SHIFT_LEFT, _SHIFT_RIGHT, _SHIFT_RIGHT_SIGNED = 0x67, 0x77, 0xC7
_LOAD, _STORE, _STORE32, _ATOMIC_ADD = 0x79, 0x7B, 0x63, 0xDB
_CALL, _EXIT = 0x85, 0x95
_IF_EQUAL, _IF_NOT_EQUAL, _IF_NOT_EQUAL_REGISTER = 0x15, 0x55, 0x5D
_IF_ABOVE, _IF_BELOW_SIGNED = 0x25, 0xC5
_EAGAIN, _ECONNREFUSED = -11, -111
_MAP_FD = 1  # the source register of _SET64 where its value is a map's descriptor
_NO_WAKEUP = _UNLESS_THERE = 1
_AF_UNIX = struct.pack("=H", 1)


class _Code:
    """BPF instructions, with forward jumps to the end."""

    def __init__(self) -> None:
        self._words: list[bytes] = []
        self._to_end: list[int] = []

    def put(self, op: int, dst: int = 0, src: int = 0, off: int = 0, imm: int = 0) -> None:
        self._words.append(struct.pack("=BBhi", op, src << 4 | dst, off, imm))

    def move(self, dst: int, src: int) -> None:
        self.put(_MOVE, dst, src)

    def set(self, dst: int, value: int) -> None:
        self.put(_SET, dst, imm=value)

    def set64(self, dst: int, value: int, pseudo: int = 0) -> None:
        low, high = struct.unpack("=ii", struct.pack("=Q", value))
        self.put(_SET64, dst, pseudo, imm=low)
        self.put(0, imm=high)

    def set_map(self, dst: int, fd: int) -> None:
        self.set64(dst, fd, pseudo=_MAP_FD)

    def load(self, dst: int, src: int, off: int) -> None:
        self.put(_LOAD, dst, src, off)

    def store(self, dst: int, off: int, src: int) -> None:
        self.put(_STORE, dst, src, off)

    def address(self, dst: int, off: int) -> None:
        """Set `dst` to the stack at `off`."""
        self.move(dst, _FP)
        self.put(_ADD, dst, imm=off)

    def call(self, helper: int) -> None:
        self.put(_CALL, imm=helper)

    def end_if(self, op: int, dst: int, src: int = 0, imm: int = 0) -> None:
        self._to_end.append(len(self._words))
        self.put(op, dst, src, 0, imm)

    def jump(self, op: int, dst: int, imm: int = 0) -> int:
        """Jump to where the returned number is given to `land`."""
        self.put(op, dst, imm=imm)
        return len(self._words) - 1

    def land(self, at: int) -> None:
        word = bytearray(self._words[at])
        struct.pack_into("=h", word, 2, len(self._words) - at - 1)
        self._words[at] = bytes(word)

    def zero(self, begin: int, length: int) -> None:
        """Set the stack from `begin` on to zeros."""
        self.set(_R0, 0)
        for at in range(begin, begin + length, 8):
            self.store(_FP, at, _R0)

    def finish(self) -> bytes:
        """Return the whole program; its end returns 0."""
        end = len(self._words)
        self.set(_R0, 0)
        self.put(_EXIT)
        for at in self._to_end:
            word = bytearray(self._words[at])
            struct.pack_into("=h", word, 2, end - at - 1)
            self._words[at] = bytes(word)
        return b"".join(self._words)


def enter_program(prefix: bytes, address_at: int, read: int, started_fd: int) -> bytes:
    """Return the program for a connect's begin: note the time if the address is a socket below `prefix`.

    The pointer to the address is at `address_at` of the context; `read` is the helper that reads what it points to.
    """
    want = _AF_UNIX + prefix
    padded = want + bytes(-len(want) % 8)
    code = _Code()
    code.load(_R3, _R1, address_at)
    code.set(_R0, 0)
    for at in range(0, len(padded), 8):
        code.store(_FP, at - len(padded), _R0)
    code.address(_R1, -len(padded))
    code.set(_R2, len(want))
    code.call(read)
    code.end_if(_IF_NOT_EQUAL, _R0)
    for at in range(0, len(padded), 8):
        code.load(_R1, _FP, at - len(padded))
        code.set64(_R2, int.from_bytes(padded[at : at + 8], sys.byteorder))
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
    """Return the program for a connect's end: record it if its begin was noted, count it if there is no room.

    The result, an int, is in the lower half of the context's word at `result_at`.
    """
    code = _Code()
    code.load(_R6, _R1, result_at)
    code.put(_SHIFT_LEFT, _R6, imm=32)
    code.put(_SHIFT_RIGHT_SIGNED, _R6, imm=32)
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
    code.put(_SUBTRACT, _R0, _R7)  # took = now - begin
    code.store(_FP, -24, _R0)
    code.store(_FP, -16, _R6)
    code.set_map(_R1, ring_fd)
    code.address(_R2, -32)
    code.set(_R3, RECORD_BYTES)
    code.set(_R4, _NO_WAKEUP)
    code.call(_RINGBUF_OUTPUT)
    code.end_if(_IF_EQUAL, _R0)
    code.set(_R0, 0)
    code.put(_STORE32, _FP, _R0, -8)  # key 0
    code.set_map(_R1, lost_fd)
    code.address(_R2, -8)
    code.call(_LOOKUP)
    code.end_if(_IF_EQUAL, _R0)
    code.set(_R1, 1)
    code.put(_ATOMIC_ADD, _R0, _R1)  # atomic add
    return code.finish()


def begin_program(address_at: int, length_at: int, read: int, begun_fd: int) -> bytes:
    """Return the program for the begin of a connect to any path: note its time and its path.

    The address may end without a zero, and may have anything behind one: its text alone names a path. An
    abstract name has none and is left out.
    """
    thread, begun, raw = -8, -8 - BEGUN_BYTES, -8 - BEGUN_BYTES - PATH_BYTES
    family = raw - 8
    code = _Code()
    code.load(_R6, _R1, address_at)
    code.load(_R7, _R1, length_at)
    code.put(_SHIFT_LEFT, _R7, imm=32)
    code.put(_SHIFT_RIGHT, _R7, imm=32)
    code.put(_ADD, _R7, imm=-len(_AF_UNIX))
    code.end_if(_IF_ABOVE, _R7, imm=PATH_BYTES - 4)  # longer is no address
    code.zero(family, thread - family)
    code.address(_R1, family)
    code.set(_R2, len(_AF_UNIX))
    code.move(_R3, _R6)
    code.call(read)
    code.end_if(_IF_NOT_EQUAL, _R0)
    code.load(_R1, _FP, family)
    code.set64(_R2, int.from_bytes(_AF_UNIX.ljust(8, b"\0"), sys.byteorder))
    code.end_if(_IF_NOT_EQUAL_REGISTER, _R1, _R2)
    code.address(_R1, raw)
    code.move(_R2, _R7)
    code.move(_R3, _R6)
    code.put(_ADD, _R3, imm=len(_AF_UNIX))
    code.call(read)
    code.end_if(_IF_NOT_EQUAL, _R0)
    code.address(_R1, begun + 8)
    code.set(_R2, PATH_BYTES - 3)
    code.address(_R3, raw)
    code.call(_READ_KERNEL_TEXT)
    code.end_if(_IF_BELOW_SIGNED, _R0, imm=2)  # no more than its zero
    code.call(_PID_TGID)
    code.store(_FP, thread, _R0)
    code.call(_KTIME_NS)
    code.store(_FP, begun, _R0)
    code.set_map(_R1, begun_fd)
    code.address(_R2, thread)
    code.address(_R3, begun)
    code.set(_R4, 0)
    code.call(_UPDATE)
    return code.finish()


def count_program(result_at: int, begun_fd: int, counts_fd: int) -> bytes:
    """Return the program for the end of a connect whose begin was noted: count it by path and result."""
    thread, path, fresh = -8, -8 - PATH_BYTES, -8 - PATH_BYTES - 8 * len(COUNTS)
    code = _Code()
    code.load(_R6, _R1, result_at)
    code.put(_SHIFT_LEFT, _R6, imm=32)
    code.put(_SHIFT_RIGHT_SIGNED, _R6, imm=32)
    code.call(_PID_TGID)
    code.store(_FP, thread, _R0)
    code.set_map(_R1, begun_fd)
    code.address(_R2, thread)
    code.call(_LOOKUP)
    code.end_if(_IF_EQUAL, _R0)
    code.load(_R7, _R0, 0)
    for at in range(0, PATH_BYTES, 8):
        code.load(_R1, _R0, 8 + at)
        code.store(_FP, path + at, _R1)
    code.set_map(_R1, begun_fd)
    code.address(_R2, thread)
    code.call(_DELETE)
    code.call(_KTIME_NS)
    code.move(_R8, _R0)
    code.put(_SUBTRACT, _R8, _R7)
    known = _look_up(code, counts_fd, path)
    code.zero(fresh, 8 * len(COUNTS))
    code.set_map(_R1, counts_fd)
    code.address(_R2, path)
    code.address(_R3, fresh)
    code.set(_R4, _UNLESS_THERE)
    code.call(_UPDATE)
    there = _look_up(code, counts_fd, path)
    code.set(_R0, 0)
    code.put(_EXIT)  # the map is full
    code.land(known)
    code.land(there)
    code.set(_R1, 1)
    code.put(_ATOMIC_ADD, _R0, _R1, 8 * COUNTS.index("connects"))
    code.put(_ATOMIC_ADD, _R0, _R8, 8 * COUNTS.index("took_ns"))
    code.end_if(_IF_EQUAL, _R6)
    for result, name in ((_EAGAIN, "turned_away"), (_ECONNREFUSED, "refused")):
        other = code.jump(_IF_NOT_EQUAL, _R6, result)
        code.put(_ATOMIC_ADD, _R0, _R1, 8 * COUNTS.index(name))
        code.set(_R0, 0)
        code.put(_EXIT)
        code.land(other)
    code.put(_ATOMIC_ADD, _R0, _R1, 8 * COUNTS.index("failed_other"))
    return code.finish()


def _look_up(code: _Code, counts_fd: int, path: int) -> int:
    """Look a path's counts up, and jump if they are there."""
    code.set_map(_R1, counts_fd)
    code.address(_R2, path)
    code.call(_LOOKUP)
    return code.jump(_IF_NOT_EQUAL, _R0)
