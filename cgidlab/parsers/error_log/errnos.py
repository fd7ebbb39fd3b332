"""What a system's error numbers are called. The words beside a number decide: numbers differ between systems."""

import re
from collections.abc import Iterable
from typing import NamedTuple

_WORDS = {
    b"connection refused": "ECONNREFUSED",
    b"no such file or directory": "ENOENT",
    b"permission denied": "EACCES",
    b"resource temporarily unavailable": "EAGAIN",
    b"try again": "EAGAIN",  # as some lists of errno have it
    b"invalid argument": "EINVAL",
    b"interrupted system call": "EINTR",
    b"operation not permitted": "EPERM",
    b"connection reset by peer": "ECONNRESET",
    b"broken pipe": "EPIPE",
    b"too many open files": "EMFILE",
    b"too many open files in system": "ENFILE",
    b"cannot allocate memory": "ENOMEM",
    b"not enough space": "ENOMEM",  # Solaris
    b"out of memory": "ENOMEM",  # musl
    b"no buffer space available": "ENOBUFS",
    b"address already in use": "EADDRINUSE",
    b"address in use": "EADDRINUSE",  # musl
    b"no space left on device": "ENOSPC",
    b"read-only file system": "EROFS",
    b"exec format error": "ENOEXEC",
    b"end of file found": "EOF",
    b"the timeout specified has expired": "timeout",
}
_KNOWN = re.compile(b"|".join(re.escape(w) for w in sorted(_WORDS, key=len, reverse=True)), re.IGNORECASE)
_ONE = "Linux"
_BSD = "FreeBSD or macOS"
_SUN = "Solaris or illumos"
_NUMBERS = {  # of names whose numbers tell systems apart
    "ECONNREFUSED": {111: _ONE, 61: _BSD, 146: _SUN, 79: "AIX", 239: "HP-UX"},
    "EAGAIN": {35: _BSD},
    "ECONNRESET": {104: _ONE, 54: _BSD, 131: _SUN, 73: "AIX", 232: "HP-UX"},
    "EADDRINUSE": {98: _ONE, 48: _BSD, 125: _SUN, 67: "AIX", 226: "HP-UX"},
    "ENOBUFS": {105: _ONE, 55: _BSD, 132: _SUN},
}
_LINUX = {  # where a line has no words
    1: "EPERM",
    2: "ENOENT",
    4: "EINTR",
    8: "ENOEXEC",
    11: "EAGAIN",
    12: "ENOMEM",
    13: "EACCES",
    22: "EINVAL",
    23: "ENFILE",
    24: "EMFILE",
    28: "ENOSPC",
    30: "EROFS",
    32: "EPIPE",
    98: "EADDRINUSE",
    104: "ECONNRESET",
    105: "ENOBUFS",
    111: "ECONNREFUSED",
}
REFUSED, MISSING, FULL = "ECONNREFUSED", "ENOENT", "EAGAIN"


class Errno(NamedTuple):
    """An error as a line has it: its number, and the words beside it."""

    number: bytes
    words: bytes

    @property
    def name(self) -> str:
        """Return the symbol, by the words, else by Linux's or a foreign refusal's number; the number if unknown."""
        known = _KNOWN.match(self.words.lstrip())
        if known:
            return _WORDS[known[0].lower()]
        if len(self.number) > 5:  # noqa: PLR2004 -- no system counts so far
            return self.number[:9].decode()
        number = int(self.number)
        return _LINUX.get(number) or next((n for n, of in _NUMBERS.items() if number in of), str(number))


def system(errors: Iterable[Errno]) -> str:
    """Return whose numbers these look like, "" if they do not say."""
    for error in errors:
        found = _NUMBERS.get(error.name, {}).get(int(error.number)) if len(error.number) <= 5 else None  # noqa: PLR2004 -- same
        if found:
            return found
    return ""
