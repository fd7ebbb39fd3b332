"""Watching hosts as they are: from the command line's words to a run directory with a verdict."""

import json
import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgidlab import files
from cgidlab.engine import ansible, packing
from cgidlab.engine.loading import new_run_id
from cgidlab.engine.observe_order import NAME, ObservationRequest
from cgidlab.engine.targets import LOCAL, inventory
from cgidlab.errors import InterruptedRun, LabError, ProvisionError, SpecError, StoreError
from cgidlab.parsers import document, observation
from cgidlab.parsers.listeners import Listener
from cgidlab.parsers.observation import Observation, SeenTarget
from cgidlab.runs import store

__all__ = ["Listed", "ObservationRequest", "Observed", "observe", "observe_all"]

LISTENERS = "observe-all"

_FOREVER_S = 366 * 86400.0
_GRACE_S = 300.0  # for Ansible's start and for bringing the results home
_MOST_NAMED = 8
_SYSTEM_INVENTORY = Path("/etc/ansible/hosts")
_WITHOUT_ASKING = "run as root, or give the user sudo without a password for the time of the observation"

Live = Callable[[Mapping[str, Mapping[str, Any]]], None]  # host to what its helper saw last


@dataclass(frozen=True, slots=True)
class Observed:
    """An observation that ended, for the command line."""

    run: Path
    report: Path
    instances: tuple[Mapping[str, Any], ...]  # as `--format json` gives them
    hosts: tuple[Observation, ...]
    failures: tuple[str, ...]  # hosts that could not be watched, and why


def observe(order: ObservationRequest, results: Path, cancelled: Callable[[], bool], live: Live) -> Observed:
    """Watch, and leave a run directory. The first stop order ends the observation with what it has.

    Raises `ProvisionError` when nothing could be observed on any host; the run directory
    then holds what Ansible said; `InterruptedRun` when it was stopped before.
    """
    run, seen, failures = _seen(NAME, order, results, cancelled, live)
    if not any(_watched(t) for o in seen for t in o.targets):
        raise _nothing_found(order, seen, failures)
    # What analyses takes seconds to load on a busy host: not before the window, and not in it.
    from cgidlab.engine import observed_run  # noqa: PLC0415 -- see above

    report, instances = observed_run.conclude_all(order, run, run.ansible(NAME), seen)
    return Observed(run.path, report, instances, tuple(seen), failures)


@dataclass(frozen=True, slots=True)
class Listed:
    """What `--all` saw: no run to report on or to compare, a table."""

    document: Path  # listeners.json
    listeners: tuple[Listener, ...]
    hosts: tuple[Observation, ...]
    failures: tuple[str, ...]


def observe_all(order: ObservationRequest, results: Path, cancelled: Callable[[], bool], live: Live) -> Listed:
    """Watch every listening unix socket of every host. Leaves `listeners.json` in a directory of its own.

    Raises `ProvisionError` when no host could be watched.
    """
    run, seen, failures = _seen(LISTENERS, order, results, cancelled, live)
    rows, document = listing(seen, failures)
    run.write("listeners.json", document)
    return Listed(run.path / "listeners.json", rows, tuple(seen), failures)


def listing(seen: Sequence[Observation], failures: Sequence[str]) -> tuple[tuple[Listener, ...], dict[str, Any]]:
    """Return the rows of what hosts saw, the worst first, and what `listeners.json` holds of them."""
    rows = sorted((row for host in seen for row in host.every), key=lambda r: (*r.trouble, r.host, r.path))
    hosts = {h.host: {**h.window, **{k: h.raw[k] for k in ("ended", "facts", "notes", "cost")}} for h in seen}
    return tuple(rows), {"listeners": [r.document() for r in rows], "hosts": hosts, "failures": list(failures)}


def _seen(
    name: str, order: ObservationRequest, results: Path, cancelled: Callable[[], bool], live: Live
) -> tuple[store.RunDirectory, list[Observation], tuple[str, ...]]:
    """Watch, and return the new run, what hosts brought home, and which brought nothing and why; raise as `observe`."""
    run = store.begin(results, name, new_run_id())
    staging = run.ansible(NAME)
    files.make_directory(staging)
    played = _play(order, staging, cancelled, live)
    seen = [observation.read(p, p.parent.name) for p in sorted(staging.glob("hosts/*/observation.json"))]
    failures = tuple(f"{f.host}: {f.message}" for f in played.failures)
    if not seen and cancelled():
        raise InterruptedRun("stopped before anything was seen", where=str(run.path))
    if not seen:
        raise _nothing_came(played, failures, staging)
    return run, seen, failures


def _play(order: ObservationRequest, staging: Path, cancelled: Callable[[], bool], live: Live) -> ansible.Played:
    helper = staging / "cgidhost.pyz"
    files.write_bytes(helper, packing.pack_helper(order.root / "roles" / "trial" / "files" / "cgidhost"))
    files.make_directory(staging / "hosts")
    stop_file = staging / "stop"
    chosen, hosts = _where(order, staging)
    variables: dict[str, Any] = {
        "cgidlab_observe_hosts": hosts,
        "cgidlab_helper_archive": str(helper.resolve()),
        "cgidlab_observe_dir": str((staging / "hosts").resolve()),
        "cgidlab_observe_stop_file": str(stop_file.resolve()),
        "cgidlab_observe_poll_s": order.poll_s,
        "cgidlab_observe_order": {
            "duration_s": order.duration_s,
            "until_full": order.until_full,
            "around_s": order.around_s,
            "cost_share": order.cost_share,
            "sockets": list(order.sockets),
            "status_url": order.status_url,
            "error_logs": list(order.error_logs),
            "every": order.every,
            "whole_requests": order.whole_requests,
        },
    }
    if order.become:
        variables["ansible_become"] = True

    def asked() -> bool:
        if cancelled() and not stop_file.exists():
            files.write_text(stop_file, "")
        live({p.name.removesuffix(".live.json"): v for p in staging.glob("hosts/*.live.json") if (v := _live(p))})
        return False

    limit_s = _FOREVER_S if order.duration_s is None else order.duration_s + order.around_s + _GRACE_S
    # Ansible's home would be made on this machine, which may be the one that is watched.
    with tempfile.TemporaryDirectory(prefix="cgidlab-") as home:
        return ansible.play(
            order.root / "playbooks" / "observe.yml",
            chosen,
            variables,
            staging / "play",
            timeout_s=limit_s,
            callbacks=ansible.Callbacks(cancelled=asked),
            environment={"ANSIBLE_HOME": home},
        )


def _where(order: ObservationRequest, staging: Path) -> tuple[Path, str]:
    """Return the inventory and the pattern of hosts."""
    if order.target is not None:
        return inventory(order.target, order.root), order.hosts or ("local" if order.target == LOCAL else "all")
    if order.hosts is None:
        return inventory(LOCAL, order.root), "local"
    for path in (os.environ.get("ANSIBLE_INVENTORY", ""), str(_SYSTEM_INVENTORY)):
        if path and Path(path).exists():
            return Path(path), order.hosts
    if re.search(r"[\s,:*!&\[\]/]", order.hosts):
        raise SpecError(
            f"`{order.hosts}` is no single host, and there is no inventory to look it up in",
            where="--host",
            fix="name an inventory with --target",
        )
    # A host that only ssh's own configuration knows.
    made = staging / "inventory.yml"
    files.write_text(made, json.dumps({"all": {"hosts": {order.hosts: {}}}}))
    return made, order.hosts


def _live(path: Path) -> Mapping[str, Any]:
    try:
        return document.plain(path.read_bytes(), where=str(path))
    except (OSError, StoreError):
        return {}


def _watched(target: SeenTarget) -> bool:
    return bool(target.raw["socket"])


def _nothing_came(played: ansible.Played, failures: Sequence[str], staging: Path) -> LabError:
    what = "; ".join(failures) or played.why or "the inventory has no such host"
    fix = _WITHOUT_ASKING if "password" in what else "read the log"
    return ProvisionError(f"nothing could be observed: {what}", where=str(staging / "play" / "stdout"), fix=fix)


def _nothing_found(order: ObservationRequest, seen: Sequence[Observation], failures: Sequence[str]) -> LabError:
    parts = [f"{o.host}: {_why_nothing(order, o)}" for o in seen]
    # The likeliest first: a desktop has dozens of others.
    listeners = sorted((p for o in seen for p in o.listeners), key=lambda p: ("cgi" not in p, p))[:_MOST_NAMED]
    fix = f"name one of the listening sockets with --socket: {', '.join(listeners)}" if listeners else "start httpd"
    if any(o.raw["facts"]["uid"] != 0 for o in seen):
        fix = f"look as root (--become), or {fix}"
    return ProvisionError("; ".join(["nothing could be observed", *parts, *failures]), where="observe", fix=fix)


def _why_nothing(order: ObservationRequest, seen: Observation) -> str:
    reasons = [f"httpd {t.pid}: {'; '.join(t.raw['notes'])}" for t in seen.targets]
    if order.sockets:
        reasons.append(f"nobody listens at {', '.join(order.sockets)}")
    elif not seen.targets:
        reasons.append("no httpd runs")
    return "; ".join([*reasons, *seen.notes])
