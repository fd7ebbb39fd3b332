"""How long a plan will probably take to its answers on this host, by the spread that its last finished run had."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgidlab import rundir
from cgidlab.analysis.answers import Bounds
from cgidlab.analysis.looks import planned_looks
from cgidlab.analysis.power import chance_decided
from cgidlab.analysis.trimmed import standard_error
from cgidlab.design.plan import estimated_s
from cgidlab.errors import StoreError
from cgidlab.figures import OF_A_BLOCK
from cgidlab.model import Plan
from cgidlab.runs import store
from cgidlab.runs.store import RunDirectory

CHANCE = 0.8
"""From this chance on a comparison will "probably" be decided."""

_SAME = ("target", "settings", "factors", "exclude", "rule")
_RECENT = 3
_MOST_LOOKED_AT = 200


@dataclass(frozen=True, slots=True)
class Expected:
    """What is expected of a plan at one of its looks."""

    run_id: str  # whose spread it rests on
    blocks: int
    seconds: float
    comparisons: int
    decided: int  # probably

    @property
    def said(self) -> str:
        """Return one line about it."""
        minutes = max(1, round(self.seconds / 60))
        return (
            f"{self.decided} of {self.comparisons} comparisons probably decided after {minutes} min "
            f"(block {self.blocks}), by the spread of {self.run_id}"
        )


@dataclass(frozen=True, slots=True)
class MadeReady:
    """How long it will take until trials can begin."""

    hosts: int
    provisioned_s: float
    calibrated_s: float  # 0 or nearly so where the witnesses are proven


def expected(plan: Plan, results: Path) -> Expected | None:
    """Return at which look most comparisons will probably be decided; None without a finished run of the same cells.

    For each comparison the truth is taken to be what that run found, and the spread too. Nothing is said of responses
    that the run has no spread of.
    """
    found = _last(plan, results) if plan.experiment.search is None else None
    if found is None:
        return None
    run, effects, block_s = found
    repetitions = plan.experiment.repetitions
    looks = planned_looks(repetitions)
    at = {n: sum(_chance(plan, looks, e, n) >= CHANCE for e in effects) for n in looks}
    best = max(looks, key=lambda n: (at[n], -n))
    return Expected(run.run_id, best, best * block_s, len(effects), at[best])


def last_block_s(plan: Plan, results: Path) -> float | None:
    """Return how long a block took in the last finished run of the same cells, Ansible's start included; None: none."""
    found = _last(plan, results)
    return None if found is None else found[2]


def made_ready(plan: Plan, results: Path) -> MadeReady | None:
    """Return how long it will take until trials can begin on these hosts, by the last runs there; None: none says it.

    The shortest of a few: the first of them built httpd and proved the witnesses, which is done once.
    """
    wanted = {str(cell.settings["httpd"]) for cell in plan.cells}
    found: list[MadeReady] = []
    for run in _newest(results):
        said = run.state().get(store.MADE_READY)
        if said and said["target"] == plan.experiment.target and wanted <= set(said["builds"]):
            found.append(MadeReady(said["hosts"], said["provisioned_s"], said["calibrated_s"]))
        if len(found) == _RECENT:
            break
    if not found:
        return None
    shortest = min(r.provisioned_s for r in found), min(r.calibrated_s for r in found)
    return MadeReady(found[0].hosts, *shortest)


def _newest(results: Path) -> Iterator[RunDirectory]:
    """Return the newest runs of all experiments; their names begin with when they began."""
    try:
        below = [p for name in rundir.names(results.resolve()) if rundir.is_directory(p := results.resolve() / name)]
        runs = sorted((run, path) for path in below for run in rundir.names(path) if rundir.is_directory(path / run))
    except StoreError:
        return
    yield from (RunDirectory(path / run) for run, path in runs[: -_MOST_LOOKED_AT - 1 : -1])


def _last(plan: Plan, results: Path) -> tuple[RunDirectory, Sequence[Mapping[str, Any]], float] | None:
    wanted = store.plan_json(plan)
    runs = (results / plan.experiment.name).resolve()
    for name in reversed(rundir.names(runs)):
        run = RunDirectory(runs / name)
        if not rundir.is_directory(run.path):
            continue  # latest
        try:
            before, summary = run.read("plan.json"), run.read("summary.json")
            if run.read("state.json")["state"] != store.FINISHED or any(before[k] != wanted[k] for k in _SAME):
                continue
            effects = [e for e in summary["effects"] if e.get("smallest") and e.get("block_sd") and not e["pooled"]]
            usable = [e for e in effects if e["scale"] == "ratio" and e["estimate"] and e["blocks"] > 2 * e["trimmed"]]
            passes = {name: before["repetitions"][name] for name in ("passes", "watch_every")}
        except (StoreError, KeyError, TypeError):
            continue  # of another version, or damaged
        if usable:
            return run, usable, _block_s(plan, summary.get("block_s"), passes)
    return None


def _block_s(plan: Plan, measured_s: object, passes: Mapping[str, Any]) -> float:
    """Return how long a block takes: as that run's did where it had as many passes, else by the estimate."""
    same = passes["passes"] == plan.experiment.repetitions.passes
    return float(measured_s) if same and isinstance(measured_s, int | float) else estimated_s(plan, 1)


def _chance(plan: Plan, looks: tuple[int, ...], effect: Mapping[str, Any], blocks: int) -> float:
    rule, repetitions = plan.experiment.rule, plan.experiment.repetitions
    units = blocks * (1.0 if effect["response"] in OF_A_BLOCK else repetitions.passes)
    if repetitions.watch_every > 1 and (repetitions.passes == 1 or effect["response"] not in OF_A_BLOCK):
        units *= 1 - 1 / repetitions.watch_every
    labels = Counter(dict(level).get(rule.factor) for level in (c.levels for c in plan.cells))
    places = len({tuple(p for p in c.levels if p[0] != rule.factor) for c in plan.cells})
    bounds = Bounds(looks, max(1, len(rule.smallest_effects)), max(1, len(labels) - 1), places + (places > 1))
    _, equal, together = bounds.of(max(1.0, (len(labels) - 1) * (units - 1)), shared=True)
    had = standard_error(float(effect["block_sd"]), effect["blocks"], effect["trimmed"])
    error = had * math.sqrt(effect["blocks"] / units)
    return chance_decided(math.log(effect["estimate"]), error, float(effect["smallest"]), (equal, together))
