"""Blocks to servers: which one runs where and when. Knows neither Ansible nor trials.

A block runs whole on one server, since comparisons are made within blocks; several servers run at once. Blocks
start in their order, and none beyond `limit`, so that a planned look sees the blocks it was planned for.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from cgidlab.errors import LabError

Result = TypeVar("Result")


class HostLost(LabError):  # noqa: N818 -- what happened to a host, not a fault of the run
    """A server is no more to be had; what it did not finish is for the others."""


class Board:
    """Which blocks are to come, run and are done. Pure: no thread, no clock."""

    def __init__(self, blocks: Sequence[int], hosts: Sequence[str], pinned: Mapping[int, str] | None = None) -> None:
        """Put up the blocks in their order; a `pinned` one waits for the host that has begun it."""
        self._pending = list(blocks)
        self._pinned = dict(pinned or {})
        self._running: dict[str, int] = {}
        self._done: set[int] = set()
        self.hosts = list(hosts)
        self.limit = max(blocks, default=0)

    def take(self, host: str) -> int | None:
        """Give a host its next block; None when there is none for it now."""
        for block in self._pending:
            if block <= self.limit and self._pinned.get(block, host) == host:
                self._pending.remove(block)
                self._running[host] = block
                return block
        return None

    def finished(self, host: str) -> None:
        """Note that a host has finished its block."""
        self._done.add(self._running.pop(host))

    def lost(self, host: str) -> int | None:
        """Take a host off and give back what it had begun. Return the block that it ran, if any."""
        self.hosts.remove(host)
        self._pinned = {block: at for block, at in self._pinned.items() if at != host}
        block = self._running.pop(host, None)
        if block is not None:
            self._pending = sorted([*self._pending, block])
        return block

    def close(self) -> None:
        """Have no further block begin; those that run may end."""
        self.limit = 0

    @property
    def whole(self) -> int:
        """Return the number of the last block up to which all are done."""
        number = 0
        while number + 1 in self._done:
            number += 1
        return number

    @property
    def over(self) -> bool:
        """Say whether nothing runs and nothing more may begin."""
        return not self._running and not any(block <= self.limit for block in self._pending)


@dataclass(frozen=True, slots=True)
class Work(Generic[Result]):
    """What is done with a block. `finished` and `lost` are called one at a time, and may change the board."""

    run: Callable[[str, int], Result]
    finished: Callable[[str, int, Result], None]
    lost: Callable[[str, int, HostLost], None]


def drive(board: Board, work: Work[Result], stop: threading.Event) -> None:
    """Run the board's blocks on its hosts, one thread a host, until nothing is left to begin.

    What `work.run` raises but `HostLost` sets `stop`, which it has to heed, and is raised when all threads have
    ended; the loss of the last host is raised too.
    """
    team = _Team(board, work, stop)
    hosts = tuple(board.hosts)
    if len(hosts) == 1:
        team.serve(hosts[0])
    else:
        threads = [threading.Thread(target=team.serve, args=(host,), name=host, daemon=True) for host in hosts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if team.faults:
        raise team.faults[0]


class _Team(Generic[Result]):
    """What the threads share: the board, behind one lock."""

    def __init__(self, board: Board, work: Work[Result], stop: threading.Event) -> None:
        self._board, self._work, self._stop = board, work, stop
        self._changed = threading.Condition()
        self.faults: list[BaseException] = []

    def serve(self, host: str) -> None:
        """Run block after block on one host, until there is none or the host is lost."""
        while (block := self._take(host)) is not None:
            try:
                result = self._work.run(host, block)
                with self._changed:
                    self._board.finished(host)
                    self._work.finished(host, block, result)
                    self._changed.notify_all()
            except HostLost as err:
                self._lose(host, block, err)
                return
            except BaseException as err:  # noqa: BLE001 -- raised again by the thread that waits
                self._fail(err)
                return

    def _take(self, host: str) -> int | None:
        with self._changed:
            while not self._stop.is_set() and not self._board.over:
                block = self._board.take(host)
                if block is not None:
                    return block
                self._changed.wait()
            self._changed.notify_all()
            return None

    def _lose(self, host: str, block: int, err: HostLost) -> None:
        with self._changed:
            self._board.lost(host)
            if not self._board.hosts:
                self.faults.append(err)
            self._work.lost(host, block, err)
            self._changed.notify_all()

    def _fail(self, err: BaseException) -> None:
        with self._changed:
            self.faults.append(err)
            self._stop.set()
            self._changed.notify_all()
