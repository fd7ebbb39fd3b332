"""The bytes of a log in one buffer and where its lines are: the only work that is done for every byte.

What is as large as the buffer is allocated once: a page that is new to the process costs as much as a look at it.
"""

import numpy as np
from numpy.typing import NDArray

from cgidlab.parsers.error_log.forms import NEWLINE

HEAD = 40  # of a line: the longest time and what is told apart behind it
_KEPT_BYTES = 4 << 20
_ROOM = 64  # behind a chunk: the head of its last line may reach past it
_WORD, _MANTISSA_BITS, _LOG_2_BITS, _EXPONENT_BIAS = 8, 52, 3, 1023


def heads_of(data: bytes | bytearray, starts: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the first `HEAD` bytes of lines, one in a row; a shorter line's go on into the next one."""
    heads = np.ndarray(len(data) - HEAD + 1, f"V{HEAD}", data, 0, (1,))  # from each place on
    return heads[starts].view(np.uint8).reshape(-1, HEAD)


class Heads:
    """A buffer of `size` bytes, and some room behind it."""

    def __init__(self, size: int) -> None:
        self.data = bytearray(-(-size // _WORD) * _WORD + _ROOM)
        self.view = memoryview(self.data)
        self._text = np.frombuffer(self.data, np.uint8)
        self._is_end = np.zeros(len(self.data), np.bool_)
        self._has_end = np.zeros(len(self.data) // _WORD, np.bool_)
        # glibc keeps what is freed, up to twice the largest block ever freed: the small arrays find it again
        np.empty(_KEPT_BYTES, np.uint8)

    def is_zero(self, end: int) -> bool:
        """Say whether all bytes up to `end` are NUL."""
        return not self._text[:end].any()

    def find(self, begin: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return where the lines of data[begin:end] begin, and where the newline of each stands; the last byte is one.

        Words of eight bytes without a newline, nearly all of them, are passed over at
        once; twice as fast as a look at every byte.
        """
        words = -(-end // _WORD)
        stop = words * _WORD
        is_end = np.equal(self._text[:stop], NEWLINE, out=self._is_end[:stop])
        is_end[:begin] = False
        is_end[end:] = False
        ends_of_words = is_end.view("<u8")
        at = np.flatnonzero(np.not_equal(ends_of_words, 0, out=self._has_end[:words]))
        values = ends_of_words[at]
        if np.any(values & (values - np.uint64(1))):  # two in one word: lines this short are rare
            ends = np.flatnonzero(is_end)
        else:
            # a word is 2 to the power 8 x offset: its exponent as a float says where the one byte is
            ends = (values.astype(np.float64).view(np.int64) >> (_MANTISSA_BITS + _LOG_2_BITS)) + at * _WORD
            ends -= _EXPONENT_BIAS >> _LOG_2_BITS
        starts = np.empty_like(ends)
        starts[0] = begin
        np.add(ends[:-1], 1, out=starts[1:])
        return starts, ends

    def cut(self, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> list[bytes]:
        """Return lines as values of their own."""
        view = self.view
        return [view[start:stop].tobytes() for start, stop in zip(starts.tolist(), ends.tolist(), strict=True)]
