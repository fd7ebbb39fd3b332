"""Which hosts a target names: `local`, `vagrant`, or an inventory with its two groups."""

from collections.abc import Callable, Mapping
from pathlib import Path

from cgidlab.engine import ansible, vagrant
from cgidlab.engine.execute import Site
from cgidlab.errors import LabError, SpecError
from cgidlab.parsers import inventory as inventories

LOCAL = "local"
SERVERS = "servers"
GENERATORS = "generators"
EXAMPLE = "inventories/example.yml"


def _local(root: Path) -> Path:
    return root / "inventories" / "local.yml"


NAMED: Mapping[str, Callable[[Path], Path]] = {LOCAL: _local, vagrant.TARGET: vagrant.inventory_path}
"""Targets that are no path: from the project's root to where the inventory is, or will be."""


def inventory(target: str, root: Path, *, named_by_user: bool = True) -> Path:
    """Return the inventory that a target names: one of `NAMED`, or a path.

    Raise `SpecError` if it is none, or is not fit to be handed to Ansible (`parsers.inventory`).
    """
    path = NAMED[target](root) if target in NAMED else Path(target)
    if target not in NAMED and _exists(path):
        inventories.check(path, named_by_user=named_by_user)
    elif target not in NAMED:
        names = ", ".join(NAMED)
        raise SpecError(
            f"the target `{target}` is no inventory",
            where="target",
            fix=f"use {names}, or the path of an Ansible inventory; {EXAMPLE} is one",
        )
    return path


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that no file can have
        return False


def site(target: str, root: Path, *, named_by_user: bool = True) -> Site:
    """Return the hosts that a target names. Touches none of them.

    Vagrant's are not known before it was asked for them. Raises `SpecError` for what is no inventory, and for one
    without a host in each of the groups `servers` and `generators` (one host may be in both).
    """
    path = inventory(target, root, named_by_user=named_by_user)
    if target == LOCAL:  # the project's own: known, and half a second faster
        return Site(root, path, (LOCAL,), (LOCAL,))
    if target == vagrant.TARGET and not path.exists():
        return Site(root, path)
    try:
        groups = ansible.groups(path, root)
    except LabError as err:
        raise SpecError(err.what, where=str(path), fix=f"compare it with {EXAMPLE}") from err
    missing = [name for name in (SERVERS, GENERATORS) if not groups.get(name)]
    if missing:
        known = ", ".join(sorted(name for name, hosts in groups.items() if hosts and name not in {"all", "ungrouped"}))
        raise SpecError(
            f"the inventory has no host in the group{'s' if len(missing) > 1 else ''} {' and '.join(missing)}"
            f" (it has {known or 'no group with a host'})",
            where=str(path),
            fix=f"put hosts into `{SERVERS}` and `{GENERATORS}` (one host may be in both); {EXAMPLE} shows how",
        )
    _check_names(path, [*groups[SERVERS], *groups[GENERATORS]])
    return Site(root, path, groups[SERVERS], groups[GENERATORS])


def found(target: str, root: Path) -> Site:
    """Return the same as `site`, and ask Vagrant first where the hosts are its: raises `ProvisionError` for it."""
    if target == vagrant.TARGET:
        vagrant.write_inventory(root)
    return site(target, root)


def _check_names(inventory: Path, hosts: list[str]) -> None:
    """Refuse names that SSH takes for an option, or that cannot be a file's: a run keeps one about each host."""
    for host in hosts:
        if "/" in host or host in {".", ".."} or host.startswith("-") or not host.isprintable():
            raise SpecError(
                f"the host name {host!r} cannot be used",
                where=str(inventory),
                fix="give the host a plain name, and its address as ansible_host",
            )
