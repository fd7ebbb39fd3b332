"""Finds functions, and members of structures, in the kernel's own description of its types (BTF, linux/btf.h): pure."""

from __future__ import annotations

import struct
from typing import Iterator, NamedTuple, Optional, Sequence

KERNEL = "/sys/kernel/btf/vmlinux"
_MAGIC = 0xEB9F
_HEADER = struct.Struct("=HBBIIIII")  # magic, version, flags, header length; offset and length of types, of strings
_STRUCTURE, _FUNCTION = 4, 12
_HAS_BIT_FIELDS, _OFFSET_BITS, _ALL_BITS = 1 << 31, 0xFFFFFF, 0xFFFFFFFF
_WORDS = 3  # of every record: name, what it is, and a size or type
# What some kinds have besides, in words: INT, ARRAY, VAR and DECL_TAG once; STRUCT, UNION, ENUM, FUNC_PROTO, DATASEC
# and ENUM64 for each member.
_ONCE = {1: 1, 3: 3, 14: 1, 17: 1}
_EACH = {4: 3, 5: 3, 6: 2, 13: 2, 15: 3, 19: 3}
_ONCE_OF = tuple(_WORDS + _ONCE.get(kind, 0) for kind in range(32))
_EACH_OF = tuple(_EACH.get(kind, 0) for kind in range(32))


class Function(NamedTuple):
    """A function of the kernel, as BPF programs name it."""

    number: int  # of its type
    arguments: int


class _Types:
    """The records of all types, one behind the other, and where a name stands among the names."""

    def __init__(self, btf: bytes) -> None:
        """Take BTF apart; raise ValueError for what is none."""
        try:
            magic, _, _, header, types_at, types_length, names_at, names_length = _HEADER.unpack_from(btf)
        except struct.error as error:
            raise ValueError(f"BTF of {len(btf)} bytes") from error
        if magic != _MAGIC:
            raise ValueError("BTF with another magic number")
        self._btf = btf
        self._names = header + names_at, header + names_at + names_length
        self.words = memoryview(btf)[header + types_at : header + types_at + types_length].cast("I")

    def name_at(self, name: str) -> Optional[int]:
        """Return the number by which records mean a name, None where it is none of theirs."""
        found = self._btf.find(b"\0" + name.encode() + b"\0", *self._names)
        return None if found < 0 else found + 1 - self._names[0]

    def starts(self) -> Iterator[int]:
        """Yield where each record begins, by type number from 1 on.

        Types have no index: all are walked over, 0.05 s for the 120,000 of a distribution's kernel.
        """
        words, at, end = self.words, 0, len(self.words)
        while at < end:
            yield at
            at += _ONCE_OF[words[at + 1] >> 24 & 31] + _EACH_OF[words[at + 1] >> 24 & 31] * (words[at + 1] & 0xFFFF)


def find_function(btf: bytes, name: str) -> Optional[Function]:
    """Return the function called `name`, None where none is described; raise ValueError for what is no BTF."""
    types = _Types(btf)
    name_at, words = types.name_at(name), types.words
    if name_at is None:
        return None
    starts = [0]  # 0 is void, which has no record
    for at in types.starts():
        starts.append(at)
        if words[at + 1] >> 24 & 31 == _FUNCTION and words[at] == name_at:
            prototype = words[at + 2]
            return Function(len(starts) - 1, words[starts[prototype] + 1] & 0xFFFF) if prototype < len(starts) else None
    return None


def find_members(btf: bytes, wanted: Sequence[tuple[str, str]]) -> Optional[list[int]]:
    """Return where members of structures are, in bytes, None where one is not described or begins within a byte.

    Members of unnamed structures inside are not found. Raise ValueError for what is no BTF.
    """
    types = _Types(btf)
    words = types.words
    pairs = [(types.name_at(structure), types.name_at(member)) for structure, member in wanted]
    structures = {structure for structure, _ in pairs}
    found: dict[tuple[Optional[int], Optional[int]], int] = {}
    for at in types.starts():
        if words[at] not in structures or words[at + 1] >> 24 & 31 != _STRUCTURE:
            continue
        bits = _OFFSET_BITS if words[at + 1] & _HAS_BIT_FIELDS else _ALL_BITS
        for one in range(at + _WORDS, at + _WORDS + 3 * (words[at + 1] & 0xFFFF), 3):
            found.setdefault((words[at], words[one]), words[one + 2] & bits)
    offsets = [found.get(pair) for pair in pairs]
    whole = [bits // 8 for bits in offsets if bits is not None and bits % 8 == 0]
    return whole if len(whole) == len(wanted) else None
