"""Trials that come home while a block runs, told by the files that an action plugin leaves.

The role's action (cgidlab_blocks) leaves `NNN.arrival.json` beside each archive, under its name once it is whole.
A file and not an event of Ansible: an event a trial means a worker of Ansible's a trial, the dearest thing of all.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from cgidlab import rundir
from cgidlab.errors import StoreError
from cgidlab.parsers import document

_LOOK_S = 0.5  # a look is one listing of a small directory
_SOON_S = 0.05  # once the last one should be over: from then to the next block nothing is measured
_BESIDE_S = 0.2  # what a trial takes at least beside warm-up and window, up to the window's end
_BEGIN_S = 1.0  # the same for a block, before its first trial
OVER = "over.json"
_ENDING = ".arrival.json"
_MOST_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Arrival:
    """A trial that came home, or the news that it never will."""

    number: int
    host: str
    archive: Path | None
    reason: str
    load: Path | None = None  # what its generators left; None where the server's host made the load
    complete: bool = False  # by the host's own word; it is judged from its files


def read(path: Path) -> Arrival:
    """Return what an arrival's file says. Raise `StoreError` for one that says nothing an arrival can say."""
    said = document.plain(rundir.read(path, _MOST_BYTES), where=str(path))
    number, host, complete = said.get("number"), said.get("host"), said.get("ended") == "complete"
    archive, load, reason = (said.get(name) or "" for name in ("archive", "load", "reason"))
    texts = all(isinstance(text, str) for text in (host, archive, load, reason))
    if type(number) is not int or not texts:
        raise StoreError("this is no arrival of a trial", where=str(path))
    return Arrival(
        number,
        str(host),
        path.parent / Path(archive).name if archive else None,
        reason,
        path.parent / Path(load).name if load else None,
        complete,
    )


def left(incoming: Path) -> tuple[Arrival, ...]:
    """Return what came home and was not taken, of a run that was killed; what cannot be read is left out."""
    found = []
    for name in rundir.names(incoming) if rundir.is_directory(incoming) else ():
        with suppress(StoreError):
            if name.endswith(_ENDING):
                found.append(read(incoming / name))
    return tuple(a for a in found if a.archive is not None and rundir.is_there(a.archive))


class WatchedArrivals(AbstractContextManager["WatchedArrivals"]):
    """A directory whose arrivals are reported one after the other, in a thread; all of them are when it is left."""

    def __init__(
        self, incoming: Path, on_arrival: Callable[[Arrival], None], over: threading.Event, expected_s: Sequence[float]
    ) -> None:
        """Look in a directory; set `over` once the block is, and all of it was reported.

        `expected_s` is how long each of its trials takes at least, in their order.
        """
        self._incoming = incoming
        self._expected_s = expected_s
        self._last_s = time.monotonic() + _BEGIN_S  # when the last one that was seen came home
        self._over = over
        self._on_arrival = on_arrival
        self._seen: set[str] = set()
        self._left = threading.Event()
        self._fault: Exception | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Self:
        """Begin to look."""
        self._thread.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Report the rest; raise what reporting one of them raised."""
        self._left.set()
        self._thread.join()
        if self._fault is not None and exc is None:
            raise self._fault

    def _work(self) -> None:
        while not self._left.wait(self._pause_s()):
            self._report()
        self._report()

    def _pause_s(self) -> float:
        """Return how long to wait for the next look: seldom while there is a window, the last trial's as well."""
        missing = len(self._expected_s) - len(self._seen)
        if missing > 1:
            return _LOOK_S
        left_s = self._last_s + self._expected_s[-1] + _BESIDE_S - time.monotonic() if missing == 1 else 0.0
        return max(_SOON_S, min(_LOOK_S, left_s))

    def _report(self) -> None:
        try:
            there = os.listdir(self._incoming)  # noqa: PTH208 -- a tenth of the time
            for name in sorted({name for name in there if name.endswith(_ENDING)} - self._seen):
                if self._fault is None:
                    self._seen.add(name)
                    self._last_s = time.monotonic() - max(0.0, time.time() - (self._incoming / name).stat().st_mtime)
                    self._on_arrival(read(self._incoming / name))
            if OVER in there:
                self._over.set()
        except OSError as err:
            where = str(err.filename or self._incoming)
            self._ends_for(StoreError(f"what comes home cannot be taken: {err.strerror}", where=where))
        except Exception as err:  # noqa: BLE001 -- raised again by whoever waits for the block
            self._ends_for(err)

    def _ends_for(self, fault: Exception) -> None:
        """Have nobody wait any longer for a block of which nothing more will be told."""
        self._fault = self._fault or fault
        self._over.set()
