"""Hosts given back after their run could not do it: what is held, by which run, and undoing it."""

import os
import shlex
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from cgidlab import processes, rundir
from cgidlab.engine import hoststate, journal
from cgidlab.engine.execute import Site
from cgidlab.engine.hoststate import Recovered
from cgidlab.engine.locking import exclusive
from cgidlab.engine.targets import LOCAL, NAMED, inventory
from cgidlab.errors import LabError, SpecError, StoreError
from cgidlab.progress import Display
from cgidlab.runs import headroom, store
from cgidlab.runs.store import RunDirectory

__all__ = ["Recovered", "recover"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """One inventory, and which of its hosts to recover; none: all its servers."""

    inventory: Path
    hosts: tuple[str, ...]
    runs: tuple[tuple[RunDirectory, tuple[journal.BlockHolds, ...]], ...]
    refused: str = ""  # why they are not recovered through it


def recover(root: Path, results: Path, what: str | None, target: str | None, display: Display) -> tuple[Recovered, ...]:
    """Undo what runs that are over still hold of their hosts, and return what that came to.

    `what` is a run directory, the name of a host, or None for all. Where a journal of this machine names hosts
    they are recovered through the inventory it names, if that is the project's own; through another only if it is the
    `target`, whose servers are recovered whatever the journals say. Raises `SpecError` for what is neither a run
    nor a host, and for a run whose inventory has to be named; `ProvisionError` while a run has the target.
    """
    found: dict[str, Recovered] = {}
    for one in wanted(root, results, what, target):
        if one.refused:
            found |= {host: Recovered(host, (), (one.refused,)) for host in one.hosts}
            continue
        site = Site(root, one.inventory)
        with ExitStack() as stack:
            stack.enter_context(exclusive(site))
            work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cgidlab-recover-")))
            journals = journals_of(one)
            for came_to in hoststate.recover(site, one.hosts, journals, work, display.step):
                found[came_to.host] = came_to
        clean = [host for host, came_to in found.items() if not came_to.problems]
        for run, _ in one.runs:
            journal.forgotten(run, clean)
    return tuple(found.values())


def wanted(root: Path, results: Path, what: str | None, target: str | None) -> Iterator[Wanted]:
    """Return what to recover, inventory by inventory. Touches no host; raises what `recover` says of its words."""
    run = store.open_run(Path(what)) if what and (Path(what) / "plan.json").is_file() else None
    if run is not None:
        _refuse_if_running(run)
        run.check_owned()
    runs = _parts(run) if run is not None else [p for r in _runs(results) if not _lives(r) for p in _parts(r)]
    host = what if run is None else None
    held = {r: tuple(h for h in journal.held(r) if host in (None, h.host)) for r in runs}
    for r, some in held.items():
        _refuse_foreign_blocks(r, some)
    inventories = {h.inventory for entries in held.values() for h in entries}
    if target is not None:
        inventories = {str(inventory(target, root))}
    for path in sorted(inventories):
        # with a target of the user's own, whatever journals say of its hosts helps
        ours = {r: tuple(h for h in some if target or h.inventory == path) for r, some in held.items()}
        hosts = {h.host for some in ours.values() for h in some}
        everything = target is not None and host is None
        names = () if everything else tuple(sorted(hosts | ({host} if host else set())))
        if target is None and (error := _foreign(path, root)):
            if what is not None:
                raise error
            yield Wanted(Path(path), names, (), f"{error.what}; {error.fix}")
            continue
        _must_exist(Path(path), host or "", target)
        yield Wanted(Path(path), names, tuple((r, some) for r, some in ours.items() if some))
    if not inventories and run is None:  # no journal knows of anything: the hosts themselves may
        local = inventory(LOCAL, root)
        yield Wanted(local, (host,) if host else (), ())


def _foreign(path: str, root: Path) -> SpecError | None:
    """Refuse an inventory that only a journal names: a run's directory is data, and an inventory can be a program.

    The project's own lie where it puts them, and belong to whoever may change the project.
    """
    own = {str(place) for name in NAMED for place in (NAMED[name](root), NAMED[name](root).resolve())}
    if path in own and _is_users(Path(path)):
        return None
    return SpecError(
        "the inventory through which the run reached its hosts is named by its journal alone",
        where=path,
        fix=f"if it is yours, name it: --target {shlex.quote(path)}",
    )


def _refuse_foreign_blocks(run: RunDirectory, held: tuple[journal.BlockHolds, ...]) -> None:
    """Raise `StoreError` for a block that no run of this name makes: what is undone there is removed, as root."""
    for entry in held:
        block = PurePosixPath(entry.block)
        if not block.is_absolute() or ".." in block.parts or str(block.parent) != entry.work_dir:
            raise StoreError(
                f"its block `{entry.block}` on {entry.host} is none below {entry.work_dir}",
                where=str(run.path / journal.FILE),
            )


def _is_users(path: Path) -> bool:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return True  # said elsewhere
    return stat.S_ISREG(found.st_mode) and found.st_uid in (0, os.geteuid()) and not found.st_mode & stat.S_IWOTH


def _must_exist(path: Path, host: str, target: str | None) -> None:
    if not path.exists():
        raise SpecError(
            f"the inventory through which the run reached its hosts is gone{f' ({host})' if host else ''}",
            where=str(path),
            fix="name another with --target" if target is None else "",
        )


def _refuse_if_running(run: RunDirectory) -> None:
    if _lives(run):
        raise LabError("the run is still running", where=str(run.path), fix="stop it first: it cleans up itself")


def _lives(run: RunDirectory) -> bool:
    try:
        state = run.read("state.json")
        return bool(
            state["state"] == store.RUNNING
            and state.get("pid")
            and processes.lives(state["pid"], state.get("started_ticks"), state.get("boot_id"))
        )
    except StoreError:
        return False  # torn, or of another version: nobody who wrote it can be asked


def _parts(run: RunDirectory) -> list[RunDirectory]:
    """Return a run and what it keeps journals of its own for: trials that are not of its plan."""
    kept = run.path / headroom.DIRECTORY
    own = (RunDirectory(kept / host) for host in rundir.names(kept))
    return [run, *(part for part in own if rundir.is_there(part.path / journal.FILE))]


def _runs(results: Path) -> Iterator[RunDirectory]:
    """Return every run that has a journal with something in it and can be read."""
    for path in sorted(results.resolve().glob("*/*/plan.json")):
        run = RunDirectory(path.parent)
        if path.parent.resolve() != path.parent:
            continue  # latest, or what is no run of these results
        try:
            if any(journal.held(part) for part in _parts(run)):
                run.check_owned()
                yield run
        except StoreError:
            continue


def journals_of(wanted: Wanted) -> Mapping[str, Mapping[str, Any]]:
    """Return what the journals say, host by host, for the helper.

    Of several runs that set a sysctl the oldest knows what it was before all of them.
    """
    found: dict[str, dict[str, Any]] = {}
    for h in sorted((h for _, entries in wanted.runs for h in entries), key=lambda h: h.opened_at):
        entry = found.setdefault(h.host, {"work_dir": h.work_dir, "blocks": [], "sysctls": []})
        entry["blocks"].append(h.block)
        for sysctl in map(asdict, h.sysctls):
            known = next((s for s in entry["sysctls"] if s["setting"] == sysctl["setting"]), None)
            if known is None or known["boot_id"] != sysctl["boot_id"]:
                entry["sysctls"].append({**sysctl, "new": list(sysctl["new"])})
            else:
                known["new"] = sorted({*known["new"], *sysctl["new"]} - {known["old"]})
    return found
