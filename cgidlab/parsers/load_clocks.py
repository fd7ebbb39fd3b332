"""`load/clocks.json`: when a load from several machines was to start, by which clocks, and who came home from it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from cgidlab.errors import StoreError


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


def parse_load_clocks(data: bytes, *, where: str) -> LoadClocks:
    """Return the document. Raise `StoreError` if it is not one."""
    try:
        raw = json.loads(data)
        if raw["schema_version"] != 1:
            raise StoreError(f"schema_version {raw['schema_version']} is not known here", where=where)
        hosts = raw["hosts"]
        return LoadClocks(
            start_ns=None if raw["start_ns"] is None else int(raw["start_ns"]),
            server=next(name for name, host in hosts.items() if host["role"] == "server"),
            clocks={
                name: HostClock(int(host["offset_ns"]), int(host["uncertainty_ns"]), str(host["trouble"]))
                for name, host in hosts.items()
                if host["offset_ns"] is not None
            },
            generators={
                name: (str(host["state"]), str(host["reason"]))
                for name, host in hosts.items()
                if host["role"] == "generator"
            },
        )
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration, RecursionError) as err:
        raise StoreError(f"not what was agreed on for a load: {err!r}", where=where) from err
