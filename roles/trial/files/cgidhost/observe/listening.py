"""The queues of all listening unix stream sockets in every network namespace: one dump a namespace and sample."""

from __future__ import annotations

from typing import Optional

from ..sockdiag import SockDiag, UnixListener
from . import networks

_NS = 1_000_000_000
_MOST_NAMESPACES = 256
_GONE_NS = 3600 * _NS  # for so long a socket that is gone is remembered
_MOST_GONE = 1000


class ListenerRow:
    """What is known of one listener so far."""

    def __init__(self, network: str, listener: UnixListener, now_ns: int) -> None:
        self.network = network
        self.listener = listener
        self.path = listener.path
        self.first_ns = self.last_ns = now_ns
        self.depth = self.depth_max = self.limit = 0
        self.full_ns = self.depth_ns = 0
        self.there = True
        self.named = False
        self.program = ""
        self.pid: Optional[int] = None
        self.family: set[int] = set()  # numbers that a path may have from whoever made it

    def begin(self, now_ns: int) -> None:
        """Forget what was before the window; what waits now waits from its begin on."""
        self.first_ns = self.last_ns = now_ns
        self.full_ns = self.depth_ns = 0
        self.depth_max = self.depth

    @property
    def fill(self) -> float:
        """Return how full it was at most: 1 is its limit."""
        return self.depth_max / max(1, self.limit)

    def see(self, listener: UnixListener, now_ns: int) -> None:
        """Take a sample; what was seen last time lasted until now."""
        passed_ns = now_ns - self.last_ns
        self.depth_ns += passed_ns * self.depth
        self.full_ns += passed_ns if self.depth > self.limit and self.there else 0
        self.listener, self.there, self.last_ns = listener, True, now_ns
        self.depth, self.limit = listener.queue
        self.depth_max = max(self.depth_max, self.depth)

    def miss(self, now_ns: int) -> None:
        """Take note that it was not there."""
        self.depth, self.there, self.last_ns = 0, False, now_ns


class Listening:
    """The queues of every listener in every namespace that could be entered."""

    name = "listeners"
    keep_ns: Optional[int] = None

    def __init__(self, spaces: dict[str, int]) -> None:
        self.rows: list[ListenerRow] = []
        self.notes: list[str] = []
        self.cpu_ns = self.samples = self.missed = 0
        self._by_inode: dict[tuple[str, int], ListenerRow] = {}
        self._diags: dict[str, SockDiag] = {}
        self._shut: set[str] = set()  # namespaces that could not be entered
        self.follow(spaces)
        if len(spaces) > _MOST_NAMESPACES:
            self.notes.append(f"{len(spaces) - _MOST_NAMESPACES} of {len(spaces)} network namespaces are left out")

    def follow(self, spaces: dict[str, int]) -> None:
        """Enter namespaces that came, and let go of those that no process is in: our socket would keep one alive."""
        for name in self._diags.keys() - spaces.keys():
            self._diags.pop(name).close()
        self._shut &= spaces.keys()
        for name, pid in spaces.items():
            if name in self._diags or name in self._shut or len(self._diags) >= _MOST_NAMESPACES:
                continue
            try:
                self._diags[name] = networks.open_diag(pid)
            except OSError as error:
                self._shut.add(name)
                self.notes.append(
                    f"the network namespace of process {pid} cannot be entered: {error.strerror} (--become)"
                )
        del self.notes[_MOST_NAMESPACES:]

    def sample(self, now_ns: int) -> None:
        """Look at all of them once."""
        seen, answered = set(), set()
        for network, diag in self._diags.items():
            try:
                found = diag.unix_listeners()
            except OSError:  # no answer in time: what was seen last lasts until the next one
                self.missed += 1
                continue
            answered.add(network)
            for listener in found:
                row = self._by_inode.get((network, listener.inode)) or self._new(network, listener, now_ns)
                row.see(listener, now_ns)
                seen.add(id(row))
        for row in self.rows:
            if row.there and id(row) not in seen and (row.network in answered or row.network not in self._diags):
                row.miss(now_ns)
                self._by_inode.pop((row.network, row.listener.inode), None)
        self.samples += 1

    def forget(self, now_ns: int) -> None:
        """Forget sockets that are gone for long, and of many that are gone those that went first."""
        gone = sorted((row for row in self.rows if not row.there), key=lambda row: row.last_ns)
        old = [row for row in gone if now_ns - row.last_ns > _GONE_NS] or gone[: max(0, len(gone) - _MOST_GONE)]
        if old:
            left_out = {id(row) for row in old}
            self.rows = [row for row in self.rows if id(row) not in left_out]

    def _new(self, network: str, listener: UnixListener, now_ns: int) -> ListenerRow:
        """Return a row for a socket that was not there before: the one whose place it took, if that one is gone."""
        former = (r for r in self.rows if not r.there and r.path and (r.network, r.path) == (network, listener.path))
        row = next(former, None)
        if row is None:
            row = ListenerRow(network, listener, now_ns)
            self.rows.append(row)
        row.named = False
        self._by_inode[network, listener.inode] = row
        return row

    def trim(self, now_ns: int) -> None:
        """Nothing is kept but sums."""

    def flush(self) -> None:
        """Nothing is written before the end."""

    def finish(self) -> None:
        """Close the sockets."""
        for diag in self._diags.values():
            diag.close()
