"""A trial's load that other machines make: agrees on its start with them and keeps the window by the server's clock."""

from __future__ import annotations

import os
from typing import Any, Callable, Optional

from . import waiting
from .blockfile import RemoteLoad, TrialOrder
from .drivers.base import GRACE_S
from .load import Timed
from .mailbox import DONE, READY, Mailbox
from .server import Server
from .waiting import Patience

AGREE_S = 90.0  # for all machines to be ready and told
_REPORT_S = 20.0  # for the news that the load has ended to come here
_NS = 1_000_000_000


class Remote:
    """One trial's load, as the server's host sees it."""

    def __init__(self, order: TrialOrder, remote: RemoteLoad, work_dir: str, port: int) -> None:
        self._order = order
        self._margin_ns = int(remote.margin_s * _NS)
        self._mail = Mailbox(work_dir, order.number)
        self._url = f"http://{order.address}:{port}{order.url_path}"
        self.started_ns = 0
        self.begin_ns: Optional[int] = None
        self.end_ns: Optional[int] = None
        self._timed_out = False

    def agree(self, patience: Patience, server: Server) -> None:
        """Say that the server is ready and return when a start was agreed on, before it; raise TrialEnd if none was."""
        self._mail.say(READY, url=self._url)
        go = self._mail.go(patience, AGREE_S, dict.fromkeys(server.pidfds, server.check_alive))
        self.started_ns = int(go["start_ns"])

    def run(
        self,
        patience: Patience,
        server: Server,
        on_begin: Callable[[], None],
        on_end: Callable[[], None],
        timed: list[Timed],
    ) -> None:
        """Return when the load has ended everywhere, calling `on_begin` and `on_end` at the window's edges.

        Raises TrialEnd (sut) when httpd ends. What the generators did is theirs to tell.
        """
        begin_ns = self.started_ns + int(self._order.seconds("warmup_s") * _NS) + self._margin_ns
        end_ns = begin_ns + int(self._order.seconds("window_s") * _NS)

        def begin() -> None:
            self.begin_ns = begin_ns
            on_begin()

        def end() -> None:
            self.end_ns = end_ns
            on_end()

        steps = [Timed(0, begin), *timed, Timed(end_ns - begin_ns, end)]
        for step in sorted(steps, key=lambda s: s.after_ns):
            self._wait_until(begin_ns + step.after_ns, patience, server)
            step.action()
        watched = dict.fromkeys(server.pidfds, server.check_alive)
        rest_s = (end_ns + self._margin_ns - waiting.now_ns()) / _NS + GRACE_S + _REPORT_S
        self._timed_out = self._mail.wait(DONE, patience, rest_s, watched) is None

    def _wait_until(self, due_ns: int, patience: Patience, server: Server) -> None:
        while (left_ns := due_ns - waiting.now_ns()) > 0:
            if patience.readable(server.pidfds, left_ns / _NS):
                server.check_alive()

    def described(self) -> dict[str, Any]:
        """Return what result.json says of the load: where it is made, the generators' own results say how."""
        return {"argv": [self._url], "pid": 0, "exit_code": None, "timed_out": self._timed_out, "remote": True}


def work_dir_of(trial_dir: str) -> str:
    """Return the block's directory, which holds the trial's."""
    return os.path.dirname(trial_dir)
