"""What is chosen where a file does not say, because some of its cells would lose trials by what is usual."""

import itertools
from collections.abc import Mapping, Sequence
from contextlib import suppress

from cgidlab.design import arriving, linking
from cgidlab.design.catalogue import Catalogue
from cgidlab.design.faults import is_reload
from cgidlab.errors import SpecError
from cgidlab.model import Factor, LoopKind, Plan, Scalar, Settings

_DECIDING = frozenset(
    {"mpm", "workers", "threads_per_child", "clients", "loop", "keep_alive", "fault", "requests", "arrivals"}
)
_FEW_PROCESSES = 2  # clients spread evenly over so many, and none of them has all threads busy


def driver(
    catalogue: Catalogue, factors: Sequence[Factor], settings: Settings, derived: Mapping[str, str]
) -> dict[str, Scalar]:
    """Return the driver for an experiment that names none: the usual one, unless it cannot make some cell's load.

    It loses connections that httpd closes, sends at a constant rate alone, and asks for one path. All cells get the
    same one, so that they can be compared. `derived` are the formulas of settings, by their names.
    """
    named = {f.name for f in factors} | settings.keys()
    if "driver" in named:
        return {}
    formulas = {
        name: linking.formula(name, text, catalogue, factors, name)
        for name, text in derived.items()
        if name in _DECIDING
    }
    matter = _DECIDING.union(*(formula.names for formula in formulas.values()))
    usual = {**catalogue.defaults(), **settings}
    found = []
    for levels in itertools.product(*(_values(f) for f in factors if f.name in matter)):
        own: dict[str, Scalar] = dict(levels)
        with suppress(SpecError):  # no cell can be like that: it is excluded, or refused as what it is
            found.append({**usual, **own, **linking.values(formulas, own, catalogue, "")})
    return {"driver": "steady"} if any(map(_needs_steady, found)) else {}


def _needs_steady(settings: Settings) -> bool:
    if settings["loop"] == LoopKind.OPEN:  # the usual driver has a connection for each request there
        return bool(settings["requests"]) or is_reload(settings) or arriving.kind_of(settings) != arriving.CONSTANT
    return bool(settings["requests"]) or loses_connections(settings)


def _values(factor: Factor) -> list[tuple[str, Scalar]]:
    return [(factor.name, level.value) for level in factor.levels]


def loses_connections(settings: Mapping[str, Scalar]) -> bool:
    """Say whether httpd will close kept-alive connections of a cell, after which h2load does not come back.

    A reload closes all of them. The event MPM closes those of a process whose threads are all busy. With many small
    processes some are, long before all are.
    """
    if is_reload(settings):
        return True
    threads = int(settings["threads_per_child"])
    processes = int(settings["workers"]) // max(1, threads)
    crowded = processes > _FEW_PROCESSES and int(settings["clients"]) >= threads
    return str(settings["mpm"]) == "event" and (crowded or not settings["keep_alive"])


def warnings(plan: Plan) -> tuple[str, ...]:
    """Return what a plan will not measure as its author may think, a sentence each."""
    found = []
    crowds = [
        s
        for s in (cell.settings for cell in plan.cells)
        if s["loop"] == "closed" and int(s["clients"]) > int(s["workers"])
    ]
    if crowds:
        worst = max(crowds, key=lambda s: int(s["clients"]) - int(s["workers"]))
        waiting = int(worst["clients"]) - int(worst["workers"])
        found.append(
            f"{int(worst['clients']):,} clients on {int(worst['workers']):,} workers: {waiting:,} always wait for one, "
            f"in httpd or its TCP queue ({worst['tcp_backlog']} places), and not in front of the cgid daemon"
        )
    lossy = [c for c in plan.cells if c.settings["driver"] == "h2load" and c.settings["loop"] == "closed"]
    if any(loses_connections(cell.settings) for cell in lossy):
        found.append(
            "httpd will close kept-alive connections here and h2load does not come back: trials will be lost; "
            "leave `driver` out, or use driver: steady"
        )
    if any(cell.settings["driver"] == "steady" for cell in plan.cells) and "driver" not in {
        f.name for f in plan.experiment.factors
    }:
        found.append(
            "driver: steady, which renews the connections that httpd closes, takes lists of requests,"
            " and sends by a schedule in an open loop"
        )
    return tuple(found)
