"""Puts BPF instructions together, as linux/bpf.h has them: pure, bytes out."""

from __future__ import annotations

import struct

LOOKUP, UPDATE, DELETE, KTIME_NS, PID_TGID, RINGBUF_OUTPUT = 1, 2, 3, 5, 14, 130
READ_KERNEL_TEXT = 115
R0, R1, R2, R3, R4, R6, R7, R8, R9, FP = 0, 1, 2, 3, 4, 6, 7, 8, 9, 10
# r0 is a helper's answer, r1 to r4 its arguments, r6 to r9 outlive calls, fp is the stack's end.
MOVE, SET, SET64, ADD, ADD_REGISTER, SUBTRACT = 0xBF, 0xB7, 0x18, 0x07, 0x0F, 0x1F
SHIFT_LEFT, SHIFT_RIGHT, SHIFT_RIGHT_SIGNED = 0x67, 0x77, 0xC7
LOAD, STORE, STORE32, ATOMIC_ADD = 0x79, 0x7B, 0x63, 0xDB
CALL, EXIT = 0x85, 0x95
IF_EQUAL, IF_NOT_EQUAL, IF_NOT_EQUAL_REGISTER = 0x15, 0x55, 0x5D
IF_ABOVE, IF_BELOW_SIGNED = 0x25, 0xC5
IF_ABOVE_REGISTER, IF_BELOW_REGISTER = 0x2D, 0xAD
EAGAIN, ECONNREFUSED = -11, -111
MAP_FD = 1  # the source register of SET64 where its value is a map's descriptor
NO_WAKEUP = UNLESS_THERE = 1
AF_UNIX = struct.pack("=H", 1)


class Code:
    """BPF instructions, with forward jumps to the end."""

    def __init__(self) -> None:
        self._words: list[bytes] = []
        self._to_end: list[int] = []

    def put(self, op: int, dst: int = 0, src: int = 0, off: int = 0, imm: int = 0) -> None:
        """Add one instruction."""
        self._words.append(struct.pack("=BBhi", op, src << 4 | dst, off, imm))

    def move(self, dst: int, src: int) -> None:
        """Set a register to another one."""
        self.put(MOVE, dst, src)

    def set(self, dst: int, value: int) -> None:
        """Set a register to a number."""
        self.put(SET, dst, imm=value)

    def set64(self, dst: int, value: int, pseudo: int = 0) -> None:
        """Set a register to a number of 64 bits."""
        low, high = struct.unpack("=ii", struct.pack("=Q", value))
        self.put(SET64, dst, pseudo, imm=low)
        self.put(0, imm=high)

    def set_map(self, dst: int, fd: int) -> None:
        """Set a register to a map."""
        self.set64(dst, fd, pseudo=MAP_FD)

    def load(self, dst: int, src: int, off: int) -> None:
        """Load 8 bytes from where `src` leads."""
        self.put(LOAD, dst, src, off)

    def store(self, dst: int, off: int, src: int) -> None:
        """Store 8 bytes where `dst` leads."""
        self.put(STORE, dst, src, off)

    def address(self, dst: int, off: int) -> None:
        """Set `dst` to the stack at `off`."""
        self.move(dst, FP)
        self.put(ADD, dst, imm=off)

    def call(self, helper: int) -> None:
        """Call a helper of the kernel's."""
        self.put(CALL, imm=helper)

    def end_if(self, op: int, dst: int, src: int = 0, imm: int = 0) -> None:
        """End the program if a comparison holds."""
        self._to_end.append(len(self._words))
        self.put(op, dst, src, 0, imm)

    def jump(self, op: int, dst: int, imm: int = 0) -> int:
        """Jump to where the returned number is given to `land`."""
        self.put(op, dst, imm=imm)
        return len(self._words) - 1

    def jump_register(self, op: int, dst: int, src: int) -> int:
        """Do the same by comparing two registers."""
        self.put(op, dst, src)
        return len(self._words) - 1

    def stop(self) -> None:
        """End here, with 0."""
        self.set(R0, 0)
        self.put(EXIT)

    def land(self, at: int) -> None:
        """Have a jump arrive here."""
        word = bytearray(self._words[at])
        struct.pack_into("=h", word, 2, len(self._words) - at - 1)
        self._words[at] = bytes(word)

    def zero(self, begin: int, length: int) -> None:
        """Set the stack from `begin` on to zeros."""
        self.set(R0, 0)
        for at in range(begin, begin + length, 8):
            self.store(FP, at, R0)

    def finish(self) -> bytes:
        """Return the whole program; its end returns 0."""
        end = len(self._words)
        self.set(R0, 0)
        self.put(EXIT)
        for at in self._to_end:
            word = bytearray(self._words[at])
            struct.pack_into("=h", word, 2, end - at - 1)
            self._words[at] = bytes(word)
        return b"".join(self._words)
