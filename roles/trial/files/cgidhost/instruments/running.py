"""The instruments of one trial from their start to their stop; knows none of them by name."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Callable, Iterable, Optional

from ..ending import TrialEnd, Unavailable
from ..sampler import UNWRITTEN, Sampler
from ..wholefile import write_json
from . import INSTRUMENTS
from .base import Attached, Gauge, Scene, State

if TYPE_CHECKING:
    from ..waiting import Patience

_READY_S = 10.0


class Running:
    """All instruments that a trial wants. What becomes of each is told by its name, as result.json has it."""

    def __init__(
        self, scene: Scene, wanted: Iterable[str], tell: Callable[[str, State], None], *, watched: bool = True
    ) -> None:
        """Prepare the wanted ones, which the block file was checked to name from the registry.

        Of a trial that is not watched, what others read for nothing at the window's edges is read as well.
        """
        self._scene = scene
        self._wanted = [INSTRUMENTS[name] for name in wanted]
        self._counting = [k for k in INSTRUMENTS.values() if not watched and k.free_at_edges and k not in self._wanted]
        self._tell = tell
        self._attached: list[Attached] = []
        self._sampler: Optional[Sampler] = None
        self._at_begin: dict[str, dict[str, Any]] = {}

    def announce(self) -> None:
        """Tell of every instrument what is to be said of it should the trial end before its load."""
        for name, kind in INSTRUMENTS.items():
            if kind in self._wanted:
                self._unavailable(name, kind.why_not(self._scene) or "the trial ended before its load")
            else:
                self._tell(name, {"state": "edges" if kind in self._counting else "off", "reason": ""})

    def start(self, patience: Patience) -> None:
        """Return once each observes, or was told to be unavailable."""
        makers = {}
        for kind in self._wanted:
            if kind.why_not(self._scene):
                continue
            try:
                if issubclass(kind, Attached):
                    one = kind(self._scene)
                    one.wait_until_ready(patience, _READY_S)
                    self._attached.append(one)
                elif issubclass(kind, Gauge):
                    makers[kind.name] = kind.prepared(self._scene)
            except Unavailable as why:
                self._unavailable(kind.name, str(why))
        if makers:
            self._sampler = Sampler(makers)
            self._sampler.wait_until_ready(patience, _READY_S)

    def watch_load(self, pid: int) -> None:
        """Say which process is the driver."""
        self._scene = replace(self._scene, load_pid=pid)
        if self._sampler is not None:
            self._sampler.watch_load(pid)

    def window_begins(self) -> None:
        """Read what is read at the window's begin."""
        for kind in (*self._wanted, *self._counting):
            found = kind.at_edge(self._scene)
            if found is not None:
                self._at_begin[kind.name] = found

    def window_ends(self) -> None:
        """Read the same at its end, and write both down."""
        for kind in (*self._wanted, *self._counting):
            if kind.name in self._at_begin:
                document = kind.edges_document(self._at_begin[kind.name], kind.at_edge(self._scene) or {})
                write_json(os.path.join(self._scene.directory, f"{kind.name}.json"), document)

    def stop(self, patience: Patience) -> None:
        """Have everything written and tell how each did. Raise `TrialEnd` where a file could not be written.

        An instrument that cannot run says so, and the trial goes on without. One that ran, and whose rows the host did
        not keep, is a trouble of the host's: the trial may have them when it is run again.
        """
        unwritten = []
        if self._sampler is not None:
            for name, state in self._sampler.stop(patience, _READY_S).items():
                self._tell(name, state)
                if state["reason"].startswith(UNWRITTEN):
                    unwritten.append(f"{name}: {state['reason']}")
        for one in self._attached:
            self._tell(one.name, one.stop())
        if unwritten:
            raise TrialEnd("infra", "; ".join(unwritten))

    def _unavailable(self, name: str, why: str) -> None:
        self._tell(name, {"state": "unavailable", "reason": why})
