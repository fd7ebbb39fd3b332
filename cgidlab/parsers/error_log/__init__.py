"""httpd's error_log: what mod_cgid said, when, and how often. The only parser that knows the forms of its lines.

Read are the trial's own format (docs/results.md) and the default formats of httpd
2.2 and 2.4, with and without microseconds. A message is counted under its AH
number; the texts of httpd 2.2, which has no numbers, under the number the same
text got in 2.4. The texts were read in mod_cgid.c and log.c of 2.2 and 2.4.68.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Protocol

from cgidlab.parsers.error_log.counts import MISSING, OTHER, REFUSED, ErrorLog, Retries
from cgidlab.parsers.error_log.forms import LISTED, RETRY, TIMED_OUT
from cgidlab.parsers.error_log.scan import Scan, Stream

__all__ = [
    "LISTED",
    "MISSING",
    "OTHER",
    "REFUSED",
    "RETRY",
    "TIMED_OUT",
    "ErrorLog",
    "Opener",
    "Retries",
    "Window",
    "parse_error_log",
]


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
    path: Path, window: Window | None = None, *, zone: tzinfo = UTC, open_stream: Opener | None = None
) -> ErrorLog:
    """Return what mod_cgid said in a log, of any size. Times in the log are local to `zone`.

    Raise OSError if the file cannot be read. `open_stream` unpacks what is not plain text.
    """
    within = window or Window()
    scan = Scan(within.begin_ns, within.end_ns, zone)
    with open_stream(path) if open_stream else path.open("rb", buffering=0) as stream:
        scan.read(stream)
    return scan.result()
