"""The load of a trial whose server is on another machine: this host's share of it, from the agreed start on."""

from __future__ import annotations

import os
from typing import Mapping, Optional

from . import load, process, waiting
from .blockfile import TrialOrder
from .ending import TrialEnd
from .instruments import INSTRUMENTS
from .instruments.base import Scene
from .instruments.running import Running
from .mailbox import Mailbox
from .record import Teller
from .remote import AGREE_S, work_dir_of
from .server import Places
from .waiting import Patience

_NS = 1_000_000_000


class Generation:
    """One trial's load on one generator."""

    def __init__(
        self, order: TrialOrder, tools: Mapping[str, Optional[str]], places: Places, patience: Patience, teller: Teller
    ) -> None:
        self._order = order
        self._tools = tools
        self._places = places
        self._patience = patience
        self._teller = teller
        scene = Scene(places.instruments, tools, {}, server=None)
        seen = [name for name in order.instruments if INSTRUMENTS[name].on_generators]
        self._instruments = Running(scene, seen, lambda name, state: teller.tell(instruments={name: state}))

    def run(self, trouble: str) -> None:
        """Make the load and tell how that ended; `trouble` is what went wrong before. Does not raise."""
        self._teller.judge(lambda: self._run(trouble), self._stop)

    def _run(self, trouble: str) -> None:
        if trouble:
            raise TrialEnd("infra", trouble)
        with self._teller.phase("start"):
            mail = Mailbox(work_dir_of(self._places.trial), self._order.number)
            os.makedirs(self._places.instruments, mode=0o755, exist_ok=True)
            program = load.program(self._order, self._tools)
            self._instruments.start(self._patience)
        with self._teller.phase("agree"):
            go = mail.go(self._patience, AGREE_S, {})
        url = str(go["url"])
        origin = url[: len(url) - len(self._order.url_path)]
        run = load.Load(load.plan(self._order, program, self._places.trial, origin), self._places.trial)
        start_ns = int(go["start_ns"])
        while (left_ns := start_ns - waiting.now_ns()) > 0:
            self._patience.pause(left_ns / _NS)
        pid = run.start()
        process.take_precedence()
        self._teller.tell(start={"agreed_ns": start_ns, "began_ns": run.started_ns})
        self._instruments.watch_load(pid)
        try:
            run.run(self._patience, None, lambda: None, lambda: None, [])
        finally:
            load.tell(self._teller, self._order, run)

    def _stop(self) -> None:
        self._teller.tell(stopping_ns=waiting.now_ns())
        self._instruments.stop(self._patience)
