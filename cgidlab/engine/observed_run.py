"""From what hosts saw to the run directory of an observation, and to its JSON form.

It imports what analyses and reports, which takes seconds: only when there is something to keep.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cgidlab import files
from cgidlab.engine.observe_order import NAME, ObservationRequest
from cgidlab.engine.targets import LOCAL
from cgidlab.instruments import INSTRUMENTS
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
from cgidlab.parsers import versions
from cgidlab.parsers.observation import Observation, SeenTarget
from cgidlab.runs import harvest, provenance, records, store, watching
from cgidlab.runs.concluding import conclude

FACTOR = "socket"
QUESTION = "Does the listen queue overflow on this server?"


def conclude_all(
    order: ObservationRequest, run: store.RunDirectory, staging: Path, seen: Sequence[Observation]
) -> tuple[Path, tuple[Mapping[str, Any], ...]]:
    """Keep what was seen as a run, conclude from it, and return its report and every socket in its JSON form."""
    _keep(order, run, staging, seen)
    concluded = conclude(run)
    rows, _ = records.load_all(run)
    return concluded.report, tuple(instances(run, rows))


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
                "queue_wait_ms": watching.queue_wait_ms(run, row),
                "connects": f.connects,
                "connects_turned_away": f.connects_turned_away,
                "connects_refused": f.connects_refused,
                "connects_failed_other": f.connects_failed_other,
                "connect_p99_us": f.connect_p99_us,
                "connect_max_us": f.connect_max_us,
                "cgid_cpu_share": f.cgid_cpu_share,
                "retries": f.retries_in_window,
                "log_level": row.settings.get("log_level"),
                "httpd": target["httpd"],
                "program": "" if target["httpd"] else str(about.get("process") or ""),
                "acceptors": target["acceptors"],
                "requests": about.get("requests"),
                **watching.begin_and_end(run, row),
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


def _keep(order: ObservationRequest, run: store.RunDirectory, staging: Path, seen: Sequence[Observation]) -> None:
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


def _settings(order: ObservationRequest, host: Observation, target: SeenTarget) -> Settings:
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
    for instrument in INSTRUMENTS:
        instrument.unpack(directory)
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


def _experiment(order: ObservationRequest, cells: Sequence[Cell]) -> Experiment:
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
    source = "# An observation, not an experiment: what `./runner.py observe` was asked for.\n"
    return Experiment(
        name=NAME,
        question=QUESTION,
        target=order.target or LOCAL,
        factors=(Factor(FACTOR, levels),),
        settings={},
        exclude=(),
        repetitions=Repetitions(1, 1),
        seed=0,
        instruments=tuple(i.name for i in INSTRUMENTS if i.optional and i.observes),
        rule=VerdictRule(FACTOR, levels[0].label, ()),
        noise=NoisePolicy(None, None, 0),
        source=source + json.dumps(words, indent=1) + "\n",
    )
