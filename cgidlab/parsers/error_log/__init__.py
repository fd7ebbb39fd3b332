"""error_log: what mod_cgid said, when, and how often, in any form people have it. The only parser of such lines.

Lines in httpd's own default forms and in the trial's (docs/results.md) are passed over at the
speed of memory; all others are looked at one by one (docs/logs.md). A message is counted under
its AH number; the texts of httpd 2.2, which has no numbers, under the number the same text got in 2.4.
"""

import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Protocol

from cgidlab.parsers.error_log.counts import MISSING, OTHER, REFUSED, LogCounts, Retries
from cgidlab.parsers.error_log.messages import LISTED, RETRY, TIMED_OUT
from cgidlab.parsers.error_log.scan import Scan
from cgidlab.parsers.error_log.streams import as_utf8
from cgidlab.parsers.error_log.times import NO_TIME, Calendar
from cgidlab.unpack import Stream

__all__ = [
    "LISTED",
    "MISSING",
    "OTHER",
    "REFUSED",
    "RETRY",
    "TIMED_OUT",
    "LogCounts",
    "Opener",
    "Retries",
    "Window",
    "parse_error_log",
]

_BEGINNING = 1 << 16  # of a file, in which its first time stands


@dataclass(frozen=True, slots=True)
class Window:
    """The stretch of time that counts as inside, in nanoseconds since 1970; `end_ns` is not part of it."""

    begin_ns: int | None = None  # None: from the beginning
    end_ns: int | None = None


class Opener(Protocol):
    """Opens a file as plain text."""

    def __call__(self, path: Path, /) -> AbstractContextManager[Stream]:
        """Return the stream; it is closed on leaving the context."""


def parse_error_log(
    source: Path | Sequence[Path],
    window: Window | None = None,
    *,
    zone: tzinfo = UTC,
    open_stream: Opener | None = None,
) -> LogCounts:
    """Return what a log of any size says, or several, which are read in order of time.

    Times in the log that name no zone are local to `zone`. Raise OSError if a file cannot be read.
    `open_stream` unpacks what is not plain text.
    """
    within = window or Window()
    paths = [source] if isinstance(source, Path) else list(source)
    scan = Scan(within.begin_ns, within.end_ns, zone)
    opener = open_stream or _plain
    if len(paths) > 1:
        paths = in_order_of_time(paths, zone, opener)
    for path in paths:
        with opener(path) as stream:
            scan.read(as_utf8(stream), str(path), _written_s(path))
    return scan.result()


def in_order_of_time(paths: Sequence[Path], zone: tzinfo, opener: Opener) -> list[Path]:
    """Return the files by the first time in each; those without one keep their places at the end."""
    begins = {}
    for path in paths:
        buffer = bytearray(_BEGINNING)
        with opener(path) as stream:
            count = stream.readinto(memoryview(buffer)) or 0
        calendar = Calendar(zone, _written_s(path))
        times = (calendar.find_ns(line) for line in bytes(buffer[:count]).split(b"\n"))
        begins[path] = next((t for t in times if t != NO_TIME), -NO_TIME)
    return sorted(paths, key=lambda p: begins[p])


def _written_s(path: Path) -> float:
    """Return when a file was written to last, now if that is not known."""
    try:
        found = path.stat()
    except OSError:
        return time.time()
    return found.st_mtime if stat.S_ISREG(found.st_mode) else time.time()


@contextmanager
def _plain(path: Path) -> Iterator[Stream]:
    with path.open("rb", buffering=0) as stream:
        yield stream
