"""Which faults a trial may have: what is done to which system, how often, and what cannot stand it.

Their other half is on the host: `faults` of each system in cgidhost/sut.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cgidlab.design import hints
from cgidlab.design.strict_yaml import Document, KeyPath
from cgidlab.design.systems import CGI, CGID, FCGID, PROXIED, possible, system_of
from cgidlab.errors import SpecError
from cgidlab.model import Cell, Factor, Settings

NONE = "none"
RELOADS = ("graceful", "restart", "reload_conf")
"""Reloads of httpd, which stands before each system."""
FAULTS: Mapping[str, tuple[str, ...]] = {
    CGID: ("freeze_cgid", "kill_cgid", "hide_socket", *RELOADS),
    CGI: RELOADS,
    FCGID: RELOADS,
    **dict.fromkeys(PROXIED, ("freeze_children", "hide_socket", *RELOADS)),
}
"""By system, what may be done to it."""
_REPLACES_DAEMON = ("kill_cgid", *RELOADS)
_SHORTEST_S: Mapping[str, float] = {
    "graceful": 1.0,  # httpd looks once a second whether processes are to be started
    "reload_conf": 1.0,
    "restart": 11.0,  # it waits 9 s for processes that do not end, and then kills them
}
"""How long a reload may take at least."""
_FINISHING = 3  # generations of processes that may be finishing beside the present one


@dataclass(frozen=True, slots=True)
class FaultTimes:
    """When a trial's fault comes, counted from the window's begin."""

    action: str
    at_s: float
    for_s: float  # of a reload: the time in which it has to be over
    every_s: float  # from one to the next, each with all of it in the window; 0: it comes once

    def count(self, window_s: float) -> int:
        """Return how often it comes in a window."""
        if not self.every_s:
            return 1
        return (round(window_s * 1e9) - round(self.at_s * 1e9)) // max(1, round(self.every_s * 1e9))


def is_reload(settings: Settings) -> bool:
    """Say whether a trial's httpd is reloaded in the window."""
    return settings.get("fault", NONE) in RELOADS


def fault_of(settings: Settings) -> FaultTimes | None:
    """Return the fault of a trial, None where it has none."""
    action = str(settings["fault"])
    if action == NONE:
        return None
    at_s, for_s = float(settings["fault_at_s"]), float(settings["fault_for_s"])
    every_s = float(settings.get("fault_every_s", 0.0))  # a plan of before there was one comes once
    if action in RELOADS:
        for_s = every_s or float(settings["window_s"]) - at_s
    return FaultTimes(action, at_s, for_s, every_s)


def finishing(settings: Settings) -> int:
    """Return for how many generations of processes that are finishing httpd needs room, beside those that serve.

    Without any, the event MPM starts no process until an old one has ended.
    """
    return _FINISHING if is_reload(settings) else 0


def check_names(document: Document, factors: Sequence[Factor], settings: Settings, mpm: str) -> None:
    """Refuse a fault that no system of the file can have, with its line; `mpm` is the usual one."""
    values = {f.name: [level.value for level in f.levels] for f in factors}
    written: list[tuple[KeyPath, object]] = [
        (("factors", "fault", index), value) for index, value in enumerate(values.get("fault", []))
    ]
    if "fault" in settings:
        written.append((("settings", "fault"), settings["fault"]))
    systems = possible({"mpm": mpm, **settings}, factors)
    known = [NONE, *dict.fromkeys(name for system in systems for name in FAULTS[system])]
    for path, value in written:
        if value not in known:
            raise _cannot(set(systems), str(value), known, document.where(path))


def has_effect(option: str, settings: Settings) -> bool:
    """Say whether an option of a fault means something in a trial; true of every other option."""
    if option == "fault_for_s":  # how long a reload takes is up to httpd
        return settings["fault"] != NONE and not is_reload(settings)
    return option not in ("fault_at_s", "fault_every_s") or settings["fault"] != NONE


def check(cell: Cell) -> None:
    """Refuse a cell whose fault its system cannot have, or that cannot be as it is written."""
    s, where = cell.settings, f"cell {cell.id}"
    found = fault_of(s)
    if found is None:
        return
    system, action = system_of(s), found.action
    if action not in FAULTS[system]:
        raise _cannot({system}, action, [NONE, *FAULTS[system]], where)
    if found.every_s and found.for_s > found.every_s:
        raise SpecError(
            f"a fault of {found.for_s:g} s cannot come every {found.every_s:g} s",
            where=where,
            fix="lower fault_for_s, or raise fault_every_s",
        )
    if found.at_s + max(found.for_s, found.every_s) > float(s["window_s"]) + 1e-9:
        lasts = "raise window_s, or lower fault_at_s or "
        raise SpecError(
            f"the fault would last beyond the window of {s['window_s']} s",
            where=where,
            fix=lasts + ("fault_every_s" if found.every_s else "fault_for_s"),
        )
    if int(s["cgid_nice"]) and action in _REPLACES_DAEMON:
        raise SpecError(
            f"after {action} another daemon comes back without its cgid_nice",
            where=where,
            fix="use another fault, or none",
        )
    if action in RELOADS:
        _check_reload(s, found, where)


def _check_reload(s: Settings, found: FaultTimes, where: str) -> None:
    if found.for_s < _SHORTEST_S[found.action]:
        raise SpecError(
            f"{found.action} has {found.for_s:g} s to be over, and httpd may take {_SHORTEST_S[found.action]:g} s",
            where=where,
            fix="raise fault_every_s or window_s",
        )
    if s["driver"] == "h2load":
        raise SpecError(
            "h2load does not come back when a reload closes its connections",
            where=where,
            fix="use driver: steady",
        )


def _cannot(systems: set[str], name: str, known: Sequence[str], where: str) -> SpecError:
    named = " and ".join(sorted(systems))
    return hints.unknown(f"the handler {named} cannot have the fault", name, known, where)
