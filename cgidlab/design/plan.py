"""From an `Experiment` to the trials in their order. Pure: the same file and seed give the same plan."""

import hashlib
import itertools
import json
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from cgidlab.design import arriving, faults, hooks, linking, systems
from cgidlab.design.catalogue import Catalogue, instruments
from cgidlab.design.systems import CGID, OWN_SCRIPTS, RUNNING_SCRIPTS, system_of
from cgidlab.drivers import DRIVERS
from cgidlab.errors import SpecError
from cgidlab.model import Cell, Experiment, Level, LoopKind, Plan, Settings, Trial

# What a trial costs beside warm-up and window, for the estimate of `plan` and the first
# minutes of the progress display; a run prints what it really was.
ESTIMATED_OVERHEAD_S = 0.3
ESTIMATED_BLOCK_S = 3.0
_SLUG_LENGTH = 40


# A factor that means something only beside another setting: without it all its cells are the same.
_NEEDS = {
    "rate": ("loop", "open"),
    "clients": ("loop", "closed"),
    "sleep_ms": ("script", "sleep"),
    "burn_ms": ("script", "burn"),
    "size_bytes": ("script", "bytes"),
}


def make(experiment: Experiment, catalogue: Catalogue) -> Plan:
    """Return every cell once in each pass of each block, each pass in its own random order.

    Passes stay together so that slow drift of a host falls on all cells alike
    instead of on whichever ran last, and in a pass the cells that are compared (`_shuffled`). The order of a pass, and
    whether it is watched, depend on the seed and its number alone, so that a run can be extended by further blocks.
    The trials of a search follow from results.
    Raises `SpecError` when a cell contradicts itself or no cell is left.
    """
    cells = tuple(_cells(experiment, catalogue))
    if not cells:
        raise SpecError("the exclusions leave no cell", where=experiment.name, fix="remove one of `exclude`")
    for cell in cells:
        _check_cell(cell)
    _check_factors(experiment, cells)
    _check_alike(experiment, cells, catalogue)
    if experiment.search is not None:
        return Plan(experiment, cells, ())
    trials: list[Trial] = []
    named = {True: _by_place(cells, experiment)}
    named[False] = _by_place([_unwatched(c, experiment, catalogue) for c in cells], experiment)
    passes = experiment.repetitions.passes
    watched = _watched(experiment)
    for nth in range(experiment.repetitions.max * passes):
        block, number = nth // passes + 1, nth % passes + 1
        own = f"{experiment.seed}:{block}" + (f":{number}" if number > 1 else "")
        order = _shuffled(named[nth in watched], random.Random(own))  # noqa: S311 -- an order, not a secret
        trials += [
            Trial(nth * len(cells) + i, block, cell, _key(block, text, number), number, nth in watched)
            for i, (cell, text) in enumerate(order, start=1)
        ]
    return Plan(experiment, cells, tuple(trials))


_Named = tuple[Cell, str]  # with what its keys have in common


def _by_place(cells: Iterable[Cell], experiment: Experiment) -> list[list[_Named]]:
    """Return the cells that are compared with each other together: those that differ in the rule's factor alone."""
    places: dict[tuple[tuple[str, str], ...], list[_Named]] = {}
    for cell in cells:
        others = tuple((n, lv.label) for n, lv in cell.levels if n != experiment.rule.factor)
        places.setdefault(others, []).append((cell, _key_text(cell)))
    return list(places.values())


def _shuffled(places: Sequence[Sequence[_Named]], chance: random.Random) -> list[_Named]:
    """Return the cells of a pass: places in random order, and in each place its cells.

    The noise of a host is the smaller the nearer two trials are (docs/statistics.md), and no trial is compared with one
    of another place.
    """
    return [cell for place in chance.sample(places, len(places)) for cell in chance.sample(place, len(place))]


def _watched(experiment: Experiment) -> frozenset[int]:
    """Return which passes are watched, counted from 0 through the run: one at random of each `watch_every`.

    One of them is in the first block, so that a run of one block has a witness.
    """
    repetitions = experiment.repetitions
    every, passes = repetitions.watch_every, repetitions.passes
    found = set()
    for begin in range(0, repetitions.max * passes, every):
        among = every if begin else min(every, passes)
        found.add(begin + random.Random(f"{experiment.seed}:watched:{begin}").randrange(among))  # noqa: S311 -- as above
    return frozenset(found)


def _unwatched(cell: Cell, experiment: Experiment, catalogue: Catalogue) -> Cell:
    """Return the cell as it is where nothing watches: without the instruments that are no factors."""
    factors = {f.name for f in experiment.factors}
    off = {name: False for name in instruments(catalogue) if name not in factors}
    return replace(cell, settings={**cell.settings, **off})


def trial_key(cell: Cell, block: int, pass_number: int = 1) -> str:
    """Return the name of one trial: equal on every machine and for every order of the file's keys."""
    return _key(block, _key_text(cell), pass_number)


def _key_text(cell: Cell) -> str:
    """Return what all keys of a cell have in common: made once, for a plan may have 100,000 trials."""
    what = {"labels": sorted((n, lv.label) for n, lv in cell.levels), "settings": cell.settings}
    return json.dumps(what, sort_keys=True)


def _key(block: int, text: str, pass_number: int) -> str:
    which = f'"pass": {pass_number}, ' if pass_number > 1 else ""
    return hashlib.sha256(f'{{"block": {block}, {which}{text[1:]}'.encode()).hexdigest()[:16]


def estimated_s(plan: Plan, blocks: int | None = None) -> float:
    """Return how long so many blocks (the least number by default) will take, in seconds."""
    blocks = plan.experiment.repetitions.min if blocks is None else blocks
    if plan.experiment.search is not None:
        each = max(trial_s(cell.settings) for cell in plan.cells)
        return (plan.block_trials * each + ESTIMATED_BLOCK_S) * blocks
    a_pass = sum(trial_s(cell.settings) for cell in plan.cells)
    return (plan.experiment.repetitions.passes * a_pass + ESTIMATED_BLOCK_S) * blocks


def blocks_within(plan: Plan, budget_s: float, *, done: int = 0, elapsed_s: float = 0.0, beside_s: float = 0.0) -> int:
    """Return how many blocks fit into a budget in all, at most the plan's.

    By the pace of the `done` blocks, which took `elapsed_s`; by the estimate before there is one. The first of them
    takes `beside_s` longer than the others.
    """
    pace_s = max(0.0, elapsed_s - beside_s) / done if done else estimated_s(plan, 1)
    left_s = budget_s - elapsed_s - (0.0 if done else beside_s)
    more = max(0, int(left_s // pace_s)) if pace_s > 0 else plan.experiment.repetitions.max
    return min(plan.experiment.repetitions.max, done + more)


def trial_s(settings: Settings) -> float:
    """Return how long one trial will take, in seconds."""
    return float(settings["warmup_s"]) + float(settings["window_s"]) + ESTIMATED_OVERHEAD_S


def _cells(experiment: Experiment, catalogue: Catalogue) -> Iterator[Cell]:
    fixed = {**catalogue.defaults(), **experiment.settings}
    slugs = {f.name: _slugs(f.levels) for f in experiment.factors}
    derived = linking.formulas(experiment, catalogue)
    for levels in itertools.product(*(f.levels for f in experiment.factors)):
        named = tuple(zip((f.name for f in experiment.factors), levels, strict=True))
        if experiment.excludes([(name, level.label) for name, level in named]):
            continue
        own = {name: level.value for name, level in named}
        cell_id = ",".join(f"{name}={slugs[name][level.label]}" for name, level in named)
        linked = linking.values(derived, own, catalogue, f"cell {cell_id}")
        yield Cell(id=cell_id, levels=named, settings={**fixed, **own, **linked})


def _slugs(levels: tuple[Level, ...]) -> dict[str, str]:
    """Return each label in letters fit for a file name, distinct for distinct labels."""
    slugs: dict[str, str] = {}
    for level in levels:
        slug = re.sub(r"[^A-Za-z0-9.+~-]+", "_", level.label)[:_SLUG_LENGTH]
        if slug != level.label or slug.strip(".") == "":
            slug += "~" + hashlib.sha256(level.label.encode()).hexdigest()[:6]
        slugs[level.label] = slug
    return slugs


def _check_factors(experiment: Experiment, cells: tuple[Cell, ...]) -> None:
    """Refuse a factor that has no effect in any cell."""
    for factor in experiment.factors:
        name, value = _NEEDS.get(factor.name, ("", ""))
        if name and all(cell.settings[name] != value for cell in cells):
            raise SpecError(
                f"the factor `{factor.name}` has no effect without {name}={value}",
                where=experiment.name,
                fix=f"set {name}: {value}, or leave {factor.name} out",
            )
        if not any(faults.has_effect(factor.name, cell.settings) for cell in cells):
            raise SpecError(
                f"the factor `{factor.name}` has no effect without a fault that it is of",
                where=experiment.name,
                fix=f"set fault, or leave {factor.name} out",
            )


def _check_alike(experiment: Experiment, cells: tuple[Cell, ...], catalogue: Catalogue) -> None:
    """Refuse cells that differ in nothing that their system or load knows: the same trial under two names."""
    factors = [factor.name for factor in experiment.factors]
    compiled = catalogue.of_roles("cgid")
    seen: dict[str, Cell] = {}
    for cell in cells:
        system = system_of(cell.settings)
        of_system = [name for name in factors if system not in systems.knowing(name, compiled)]
        idle = [*of_system, *(name for name in factors if arriving.idle(name, cell.settings))]
        labels = [(n, lv.label) for n, lv in cell.levels if n not in idle]
        other = seen.setdefault(json.dumps([labels, system]), cell)
        if other is not cell and idle:
            name = next((n for n in idle if cell.settings[n] != other.settings[n]), idle[0])
            beside = ("handler", "mpm") if name in of_system else ("arrivals", "loop")
            said = {n: lv.value for n, lv in cell.levels if n in (name, *beside)}
            known = _with(cell.settings) if name in of_system else arriving.told(cell.settings)
            raise SpecError(
                f"`{name}` means nothing with {known}: two cells would be the same",
                where=f"cells {other.id} and {cell.id}",
                fix=f"leave one out: exclude: [{{{', '.join(f'{n}: {value}' for n, value in said.items())}}}]",
            )


def _check_cell(cell: Cell) -> None:
    s = cell.settings
    workers, threads = int(s["workers"]), int(s["threads_per_child"])
    if s["mpm"] != "prefork" and workers % threads:
        raise SpecError(
            f"workers={workers} is not a multiple of threads_per_child={threads}; httpd would round it down",
            where=f"cell {cell.id}",
            fix=f"use workers={workers - workers % threads or threads}",
        )
    if system_of(s) != CGID and "cgid" in str(s["log_level"]):
        raise SpecError(
            f"{_with(s)} loads no mod_cgid; httpd would not start with a LogLevel for it",
            where=f"cell {cell.id}",
            fix="use log_level: warn",
        )
    if str(s["script"]).startswith(OWN_SCRIPTS) and system_of(s) not in RUNNING_SCRIPTS:
        raise SpecError(
            f"{_with(s)} runs no CGI script, and `{s['script']}` is one",
            where=f"cell {cell.id}",
            fix=f"use handler: {', '.join(RUNNING_SCRIPTS[:-1])} or {RUNNING_SCRIPTS[-1]}",
        )
    backlog, most = int(s["listen_backlog"]), int(s["somaxconn"])
    if systems.refuses_a_clamp(s) and backlog > most:
        raise SpecError(
            f"{_with(s)} does not start with listen_backlog={backlog} above somaxconn={most}",
            where=f"cell {cell.id}",
            fix=f"set somaxconn: {backlog}, or lower listen_backlog",
        )
    _check_nice(cell)
    faults.check(cell)
    _check_load(cell)
    arriving.check(cell)


def _check_nice(cell: Cell) -> None:
    s = cell.settings
    nice, where = int(s["cgid_nice"]), f"cell {cell.id}"
    if not -20 <= nice <= 19:  # noqa: PLR2004 -- what the kernel knows
        raise SpecError(f"cgid_nice={nice} is no nice value", where=where, fix="use -20 to 19")
    if nice and system_of(s) != CGID:
        raise SpecError(f"{_with(s)} has no daemon for cgid_nice", where=where, fix="use cgid_nice: 0")


def _with(settings: Settings) -> str:
    return f"the handler {system_of(settings)}"


def _check_load(cell: Cell) -> None:
    s = cell.settings
    driver, loop = DRIVERS[str(s["driver"])], LoopKind(str(s["loop"]))
    if loop not in driver.loops:
        able = " or ".join(d.name for d in DRIVERS.values() if loop in d.loops)
        what = "keep a constant rate" if loop is LoopKind.OPEN else "keep a number of clients busy"
        raise SpecError(
            f"{driver.name} cannot {what}", where=f"cell {cell.id}", fix=f"use driver: {able} with loop: {loop}"
        )
    if s["requests"] and not driver.many_paths:
        able = " or ".join(d.name for d in DRIVERS.values() if d.many_paths)
        raise SpecError(
            f"{driver.name} {driver.why_one_path}, and `requests` names many",
            where=f"cell {cell.id}",
            fix=f"use driver: {able} with loop: closed",
        )
    if s["driver_cpu_us"] and not (driver.can_be_slowed and loop is LoopKind.CLOSED):
        able = " or ".join(d.name for d in DRIVERS.values() if d.can_be_slowed)
        raise SpecError(
            f"{driver.name} in {_a_loop(loop)} cannot be told to use more CPU (driver_cpu_us)",
            where=f"cell {cell.id}",
            fix=f"use driver: {able} with loop: closed",
        )
    if loop is LoopKind.OPEN and int(s["rate"]) % driver.rate_step:
        raise SpecError(
            f"rate={s['rate']} cannot be sent evenly",
            where=f"cell {cell.id}",
            fix=f"use a multiple of {driver.rate_step}",
        )


def _a_loop(loop: LoopKind) -> str:
    return "an open loop" if loop is LoopKind.OPEN else "a closed loop"


# Nothing vouches for the makers of these sources: no signature, no checksum of a publisher.
_UNVERIFIED = ("git:", "path:")


def sources(plan: Plan) -> tuple[str, ...]:
    """Return every source of httpd that a plan builds, in the order of the file."""
    return tuple(dict.fromkeys(str(cell.settings["httpd"]) for cell in plan.cells))


def told_sources(plan: Plan) -> str:
    """Return one line for the user that says whose code a run of the plan builds and starts, own files included."""
    named = (f"{name} (unverified: read it first)" if name.startswith(_UNVERIFIED) else name for name in sources(plan))
    files = "".join(f"; {file.name} with sha256 {file.sha256}" for file in plan.experiment.files)
    runs = (
        f"; runs with the rights of whoever runs trials: {said}" if (said := hooks.told(plan.experiment.hooks)) else ""
    )
    return f"builds and starts httpd from {', '.join(named)}{files}{runs}"
