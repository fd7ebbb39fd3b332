"""The BPF programs that record connects to one socket, as instructions: pure, bytes out."""

from __future__ import annotations

import sys

from .bpfasm import (
    AF_UNIX,
    ATOMIC_ADD,
    DELETE,
    FP,
    IF_EQUAL,
    IF_NOT_EQUAL,
    IF_NOT_EQUAL_REGISTER,
    KTIME_NS,
    LOOKUP,
    NO_WAKEUP,
    PID_TGID,
    R0,
    R1,
    R2,
    R3,
    R4,
    R6,
    R7,
    RINGBUF_OUTPUT,
    SHIFT_LEFT,
    SHIFT_RIGHT_SIGNED,
    STORE32,
    SUBTRACT,
    UPDATE,
    Code,
)

RECORD_BYTES = 24  # end, duration in ns, result
READ_USER, READ_KERNEL = 112, 113  # helpers that read the memory of a process, and the kernel's


def enter_program(prefix: bytes, address_at: int, read: int, started_fd: int) -> bytes:
    """Return the program for a connect's begin: note the time if the address is a socket below `prefix`.

    The pointer to the address is at `address_at` of the context; `read` is the helper that reads what it points to.
    """
    want = AF_UNIX + prefix
    padded = want + bytes(-len(want) % 8)
    code = Code()
    code.load(R3, R1, address_at)
    code.set(R0, 0)
    for at in range(0, len(padded), 8):
        code.store(FP, at - len(padded), R0)
    code.address(R1, -len(padded))
    code.set(R2, len(want))
    code.call(read)
    code.end_if(IF_NOT_EQUAL, R0)
    for at in range(0, len(padded), 8):
        code.load(R1, FP, at - len(padded))
        code.set64(R2, int.from_bytes(padded[at : at + 8], sys.byteorder))
        code.end_if(IF_NOT_EQUAL_REGISTER, R1, R2)
    code.call(PID_TGID)
    code.store(FP, -8, R0)
    code.call(KTIME_NS)
    code.store(FP, -16, R0)
    code.set_map(R1, started_fd)
    code.address(R2, -8)
    code.address(R3, -16)
    code.set(R4, 0)
    code.call(UPDATE)
    return code.finish()


def exit_program(result_at: int, started_fd: int, ring_fd: int, lost_fd: int) -> bytes:
    """Return the program for a connect's end: record it if its begin was noted, count it if there is no room.

    The result, an int, is in the lower half of the context's word at `result_at`.
    """
    code = Code()
    code.load(R6, R1, result_at)
    code.put(SHIFT_LEFT, R6, imm=32)
    code.put(SHIFT_RIGHT_SIGNED, R6, imm=32)
    code.call(PID_TGID)
    code.store(FP, -8, R0)
    code.set_map(R1, started_fd)
    code.address(R2, -8)
    code.call(LOOKUP)
    code.end_if(IF_EQUAL, R0)
    code.load(R7, R0, 0)
    code.set_map(R1, started_fd)
    code.address(R2, -8)
    code.call(DELETE)
    code.call(KTIME_NS)
    code.store(FP, -32, R0)
    code.put(SUBTRACT, R0, R7)  # took = now - begin
    code.store(FP, -24, R0)
    code.store(FP, -16, R6)
    code.set_map(R1, ring_fd)
    code.address(R2, -32)
    code.set(R3, RECORD_BYTES)
    code.set(R4, NO_WAKEUP)
    code.call(RINGBUF_OUTPUT)
    code.end_if(IF_EQUAL, R0)
    code.set(R0, 0)
    code.put(STORE32, FP, R0, -8)  # key 0
    code.set_map(R1, lost_fd)
    code.address(R2, -8)
    code.call(LOOKUP)
    code.end_if(IF_EQUAL, R0)
    code.set(R1, 1)
    code.put(ATOMIC_ADD, R0, R1)  # atomic add
    return code.finish()
