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
from cgidlab.engine import ansible, execute
from cgidlab.engine.loading import new_run_id
from cgidlab.engine.targets import LOCAL, inventory
from cgidlab.errors import LabError, ProvisionError, SpecError
from cgidlab.instruments import connect_times
from cgidlab.model import (
    Cell,
    Experiment,
    Factor,
    Level,
    NoisePolicy,
    Plan,
    Repetitions,
    Settings,
    Trial,
    TrialRecord,
    VerdictRule,
)
from cgidlab.parsers import observation, versions
from cgidlab.parsers.observation import Observation, SeenTarget
from cgidlab.runs import harvest, provenance, records, store, watching
from cgidlab.runs.concluding import conclude

NAME = "observe"
FACTOR = "socket"
QUESTION = "Does the cgid queue overflow on this server?"
_FOREVER_S = 366 * 86400.0
_GRACE_S = 300.0  # for Ansible's start and for bringing the results home
_MOST_NAMED = 8
_SYSTEM_INVENTORY = Path("/etc/ansible/hosts")
_WITHOUT_ASKING = "run as root, or give the user sudo without a password for the time of the observation"

Live = Callable[[Mapping[str, Mapping[str, Any]]], None]  # host to what its helper saw last


@dataclass(frozen=True, slots=True)
class Order:
    """What to watch, where, and how."""

    root: Path
    target: str | None  # an inventory; None: this machine, or the system's inventory for `hosts`
    hosts: str | None  # Ansible's pattern; None: all of the inventory
    duration_s: float | None  # None: until stopped, or until the first overflow
    until_full: bool
    around_s: float
    cost_share: float
    sockets: tuple[str, ...]
    status_url: str
    error_logs: tuple[str, ...]  # on the observed host
    become: bool
    poll_s: float


@dataclass(frozen=True, slots=True)
class Observed:
    """An observation that ended, for the command line."""

    run: Path
    report: Path
    instances: tuple[Mapping[str, Any], ...]  # as `--format json` gives them
    hosts: tuple[Observation, ...]
    failures: tuple[str, ...]  # hosts that could not be watched, and why


def observe(order: Order, results: Path, cancelled: Callable[[], bool], live: Live) -> Observed:
    """Watch, and leave a run directory. The first stop order ends the observation with what it has.

    Raises `ProvisionError` when nothing could be observed on any host; the run directory
    then holds what Ansible said.
    """
    run = store.begin(results, NAME, new_run_id())
    staging = run.ansible(NAME)
    files.make_directory(staging)
    played = _play(order, staging, cancelled, live)
    seen = [observation.read(p, p.parent.name) for p in sorted(staging.glob("hosts/*/observation.json"))]
    failures = tuple(f"{f.host}: {f.message}" for f in played.failures)
    if not seen:
        raise _nothing_came(played, failures, staging)
    if not any(_watched(t) for o in seen for t in o.targets):
        raise _nothing_found(order, seen, failures)
    _keep(order, run, staging, seen)
    concluded = conclude(run)
    rows, _ = records.load_all(run)
    return Observed(run.path, concluded.report, tuple(instances(run, rows)), tuple(seen), failures)


def instances(run: store.RunDirectory, rows: Sequence[TrialRecord]) -> list[dict[str, Any]]:
    """Return every watched socket as the JSON form gives it. What was not observed is None."""
    found = []
    for row, target, verdict in watching.socket_verdicts(run, rows)[0]:
        f, about = row.figures, target["about"]
        found.append(
            {
                "host": row.host,
                "pid": target["pid"],
                "socket": target["socket"] or None,
                "queue_limit": f.queue_limit,
                "queue_depth_max": f.queue_depth_max,
                "queue_depth_mean": f.queue_depth_mean,
                "queue_full_share": f.queue_full_share,
                "queue_full_longest_ms": f.queue_full_longest_ms,
                "workers_in_connect_max": f.workers_in_connect_max,
                "workers_in_connect_mean": f.workers_in_connect_mean,
                "connects": f.connects,
                "connect_p99_us": f.connect_p99_us,
                "connect_max_us": f.connect_max_us,
                "cgid_cpu_share": f.cgid_cpu_share,
                "retries": f.retries_in_window,
                "log_level": row.settings.get("log_level"),
                "httpd": target["httpd"],
                "version": about.get("version"),
                "mpm": about.get("mpm"),
                "processes": about.get("processes"),
                "threads_per_child": about.get("threads_per_child"),
                "server_limit": about.get("server_limit"),
                "thread_limit": about.get("thread_limit"),
                "max_request_workers": about.get("max_request_workers"),
                "status": about.get("status"),
                "network": target["network"],
                "stopped": target["stopped"],
                "events": [event["what"] for event in target["events"]],
                "notes": list(target["notes"]),
                "verdict": {
                    "overflow": verdict.overflow.value,
                    "text": verdict.text,
                    "lines": list(verdict.lines),
                    "limits": [limit.name for limit in verdict.limits if limit.saturated],
                },
            }
        )
    return found


def _play(order: Order, staging: Path, cancelled: Callable[[], bool], live: Live) -> ansible.Played:
    helper = staging / "cgidhost.pyz"
    files.write_bytes(helper, execute.pack_helper(order.root / "roles" / "trial" / "files" / "cgidhost"))
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
            watch=ansible.Watch(cancelled=asked),
            environment={"ANSIBLE_HOME": home},
        )


def _where(order: Order, staging: Path) -> tuple[Path, str]:
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
        value: Mapping[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return value


def _watched(target: SeenTarget) -> bool:
    return bool(target.raw["socket"])


def _nothing_came(played: ansible.Played, failures: Sequence[str], staging: Path) -> LabError:
    what = "; ".join(failures) or played.why or "the inventory has no such host"
    fix = _WITHOUT_ASKING if "password" in what else "read the log"
    return ProvisionError(f"nothing could be observed: {what}", where=str(staging / "play" / "stdout"), fix=fix)


def _nothing_found(order: Order, seen: Sequence[Observation], failures: Sequence[str]) -> LabError:
    parts = [f"{o.host}: {_why_nothing(order, o)}" for o in seen]
    # The likeliest first: a desktop has dozens of others.
    listeners = sorted((p for o in seen for p in o.listeners), key=lambda p: ("cgi" not in p, p))[:_MOST_NAMED]
    fix = f"name one of the listening sockets with --socket: {', '.join(listeners)}" if listeners else "start httpd"
    if any(o.raw["facts"]["uid"] != 0 for o in seen):
        fix = f"look as root (--become), or {fix}"
    return ProvisionError("; ".join(["nothing could be observed", *parts, *failures]), where="observe", fix=fix)


def _why_nothing(order: Order, seen: Observation) -> str:
    reasons = [f"httpd {t.pid}: {'; '.join(t.raw['notes'])}" for t in seen.targets]
    if order.sockets:
        reasons.append(f"nobody listens at {', '.join(order.sockets)}")
    elif not seen.targets:
        reasons.append("no httpd runs")
    return "; ".join([*reasons, *seen.notes])


def _keep(order: Order, run: store.RunDirectory, staging: Path, seen: Sequence[Observation]) -> None:
    """Make the run directory of an observation: one trial a socket, each its own cell."""
    several = len(seen) > 1
    cells, homes = [], []
    for host in seen:
        for target in host.targets:
            label = f"{host.host}:{target.label}" if several else target.label
            slug = re.sub(r"[^\w.-]+", "-", label).strip("-.")[:80]
            cells.append(Cell(f"{FACTOR}={slug}", ((FACTOR, Level(label, label)),), _settings(order, host, target)))
            homes.append((host, target))
    trials = [Trial(n, 1, cell, dict(cell.levels)[FACTOR].label) for n, cell in enumerate(cells, start=1)]
    plan = Plan(_experiment(order, cells), tuple(cells), tuple(trials))
    files.write_text(run.path / "experiment.yml", plan.experiment.source)
    run.write("plan.json", {**store.plan_json(plan), "kind": watching.KIND})
    run.write("provenance.json", {**provenance.code(order.root), "hosts": {h.host: _facts(h) for h in seen}})
    run.write(
        "observation.json",
        {
            "hosts": {h.host: {k: h.raw[k] for k in ("ended", "facts", "notes", "listeners", "cost")} for h in seen},
            "notes": [f"{h.host}: {note}" for h in seen for note in h.notes],
        },
    )
    for trial, (host, target) in zip(trials, homes, strict=True):
        _keep_one(run, staging, trial, host, target)
    run.set_state(store.FINISHED, expected_trials=len(trials), estimated_s=0)
    store.point_latest_to(run)


def _settings(order: Order, host: Observation, target: SeenTarget) -> Settings:
    """Return what is set of a watched server, as far as it is known. A trial's words where they mean the same."""
    about = target.raw["about"]
    known = {
        "window_s": order.duration_s or 0.0,
        "warmup_s": 0.0,
        "loop": "observed",
        "log_level": about.get("log_level") or "unknown",
        "log_utc_offset_s": host.raw["facts"]["utc_offset_s"],
        "workers": about.get("max_request_workers"),
        "threads_per_child": about.get("threads_per_child"),
        "mpm": about.get("mpm"),
    }
    return {name: value for name, value in known.items() if value is not None}


def _keep_one(run: store.RunDirectory, staging: Path, trial: Trial, host: Observation, target: SeenTarget) -> None:
    directory = run.trials / trial.directory
    harvest.unpack(staging / "hosts" / host.host / target.archive, directory, store.trial_json(trial, host.host))
    raw = directory / "instruments" / "connect_times.raw"
    if raw.exists():
        files.write_bytes(directory / "instruments" / "connect_times.csv", connect_times.from_ring(raw.read_bytes()))
    elif (directory / "instruments" / "connect_times.stderr").exists():
        files.write_bytes(directory / "instruments" / "connect_times.csv", b"")
    name = watching.OBSERVED_FILE
    files.write_json(directory / name, versions.stamped(name, target.raw))
    outcome = records.judge(directory, trial.key, NoisePolicy(None, None, 0), observed_as=target.label)
    store.write_outcome(directory, outcome)


def _facts(host: Observation) -> dict[str, Any]:
    httpds = {
        t.label: {"version": t.raw["about"].get("version"), "source": t.raw["about"].get("binary")}
        for t in host.targets
        if t.raw["httpd"]
    }
    return {"facts": host.raw["facts"], "httpd": httpds, "scripts": {}, "tools": {}}


def _experiment(order: Order, cells: Sequence[Cell]) -> Experiment:
    levels = tuple(level for cell in cells for _, level in cell.levels)
    words = {
        "target": order.target or LOCAL,
        "hosts": order.hosts,
        "duration_s": order.duration_s,
        "until_full": order.until_full,
        "cost": order.cost_share,
        "sockets": list(order.sockets),
        "error_logs": list(order.error_logs),
    }
    source = "# An observation, not an experiment: what `runner.py observe` was asked for.\n"
    return Experiment(
        name=NAME,
        question=QUESTION,
        target=order.target or LOCAL,
        factors=(Factor(FACTOR, levels),),
        settings={},
        exclude=(),
        repetitions=Repetitions(1, 1),
        seed=0,
        instruments=("listen_queue", "worker_states", "connect_times", "cgid_daemon", "host"),
        rule=VerdictRule(FACTOR, levels[0].label, ()),
        noise=NoisePolicy(None, None, 0),
        source=source + json.dumps(words, indent=1) + "\n",
    )
