"""The reloads of httpd in a trial's window, each proved on its host: reloads.json."""

from dataclasses import dataclass
from typing import Literal

from cgidlab.parsers.document import Count, DocumentKind, Positive

FILE = "reloads.json"


@dataclass(frozen=True, slots=True)
class ReloadMade:
    """One reload that happened: httpd wrote that it began and that it resumed, and the daemon is another one."""

    sent_ns: Count  # CLOCK_MONOTONIC of the host
    daemon_before: Positive | None  # pid in the trial's namespace; None: this system has no daemon
    daemon_after: Positive | None


@dataclass(frozen=True, slots=True)
class ReloadsDocument:
    """`reloads.json`."""

    action: Literal["graceful", "restart", "reload_conf"]
    reloads: tuple[ReloadMade, ...]


DOCUMENT = DocumentKind(FILE, ReloadsDocument)
