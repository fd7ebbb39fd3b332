"""`load/clocks.json`: when a load from several machines was to start, by which clocks, and who came home from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cgidlab.parsers.document import DocumentKind, HostName, Whole


@dataclass(frozen=True, slots=True)
class HostClock:
    """One host's clock against the control machine's, over the whole trial."""

    offset_ns: int  # that it is ahead
    uncertainty_ns: int
    trouble: str  # why it cannot be relied on; empty if it can


@dataclass(frozen=True, slots=True)
class LoadClocks:
    """What the control machine wrote of one trial's load."""

    start_ns: int | None  # since 1970, on the control machine; None: no start was agreed on
    server: str
    clocks: Mapping[str, HostClock]  # hosts whose clock was read
    generators: Mapping[str, tuple[str, str]]  # state (ended, dead, lost, not started) and reason, by name

    def between(self, generator: str) -> HostClock | None:
        """Return how far a generator's clock is ahead of the server's; None where one of them was not read."""
        own, server = self.clocks.get(generator), self.clocks.get(self.server)
        if own is None or server is None:
            return None
        return HostClock(
            own.offset_ns - server.offset_ns,
            own.uncertainty_ns + server.uncertainty_ns,
            own.trouble or server.trouble,
        )


@dataclass(frozen=True, slots=True)
class _HostClocks:
    role: Literal["server", "generator"]
    offset_ns: Whole | None
    uncertainty_ns: Whole | None = None
    trouble: str | None = None
    state: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        if self.offset_ns is not None and (self.uncertainty_ns is None or self.trouble is None):
            raise ValueError("has an offset, and no uncertainty_ns or trouble")
        if self.role == "generator" and not self.state:
            raise ValueError("is a generator without a state")


@dataclass(frozen=True, slots=True)
class _ClocksFile:
    start_ns: Whole | None
    hosts: Mapping[HostName, _HostClocks]

    def __post_init__(self) -> None:
        if [h.role for h in self.hosts.values()].count("server") != 1:
            raise ValueError("does not name one server")


CLOCKS = DocumentKind("clocks.json", _ClocksFile)


def parse_load_clocks(data: bytes, *, where: str) -> LoadClocks:
    """Return the document. Raise `StoreError` if it is not one."""
    found = CLOCKS.parse(data, where=where)
    return LoadClocks(
        start_ns=found.start_ns,
        server=next(name for name, host in found.hosts.items() if host.role == "server"),
        clocks={
            name: HostClock(host.offset_ns, host.uncertainty_ns or 0, host.trouble or "")
            for name, host in found.hosts.items()
            if host.offset_ns is not None
        },
        generators={name: (h.state, h.reason) for name, h in found.hosts.items() if h.role == "generator"},
    )
