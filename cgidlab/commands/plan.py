"""`runner.py plan`: list the trials in their order. Reads the file, the roles and earlier runs, touches nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cgidlab.commands import experiments, options

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from cgidlab.model import Plan, Trial
    from cgidlab.runs.expecting import Expected


def register(verbs: options.Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser("plan", help="list the trials an experiment expands to")
    experiments.add_experiment(parser)
    options.add_results(parser, "where runs are: what to expect")
    options.add_format(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the plan."""
    from dataclasses import asdict  # noqa: PLC0415 -- see cgidlab.commands

    from cgidlab.design import choosing, limiting, own_files  # noqa: PLC0415 -- see cgidlab.commands
    from cgidlab.design.plan import estimated_s, sources, told_sources  # noqa: PLC0415 -- see cgidlab.commands
    from cgidlab.engine import loading  # noqa: PLC0415 -- see cgidlab.commands
    from cgidlab.progress import duration  # noqa: PLC0415 -- see cgidlab.commands
    from cgidlab.runs import store  # noqa: PLC0415 -- see cgidlab.commands

    loaded = loading.load_plan(experiments.request(args))
    plan = loaded.plan
    expected = _expected(plan, args.results)
    if args.format == "json":
        told = {
            "sources": sources(plan),
            "estimated_s": estimated_s(plan) + limiting.extra_s(plan),
            "expected": None if expected is None else asdict(expected),
        }
        print(json.dumps({"schema_version": 1, **store.plan_json(plan), **told}, indent=1))
        return 0
    for trial in plan.trials:
        print(_line(trial, plan))
    print(_sum(plan))
    if extra_s := limiting.extra_s(plan):
        print(f"what limits throughput is tried beside them, {duration(extra_s)} on each host")
    if expected is not None:
        print(expected.said)
    print(told_sources(plan))
    for warning in (*choosing.warnings(plan), *own_files.notes(loaded.site.own)):
        print(f"note: {warning}")
    print("nothing was run")
    return 0


def _expected(plan: Plan, results: Path) -> Expected | None:
    if not (results / plan.experiment.name).is_dir():
        return None
    from cgidlab.runs.expecting import expected  # noqa: PLC0415 -- scipy takes a second to load

    return expected(plan, results)


def _line(trial: Trial, plan: Plan) -> str:
    levels = "  ".join(f"{name}={level.label}" for name, level in trial.cell.levels)
    repetitions = plan.experiment.repetitions
    which = f"  pass {trial.pass_number:<2d}" if repetitions.passes > 1 else ""
    watched = f"  {'watched' if trial.watched else '':7s}" if repetitions.watch_every > 1 else ""
    return f"{trial.number:4d}  block {trial.block:<3d}{which}{watched} {levels}"


def _sum(plan: Plan) -> str:
    from cgidlab.design.plan import estimated_s  # noqa: PLC0415 -- see cgidlab.commands
    from cgidlab.progress import duration  # noqa: PLC0415 -- see cgidlab.commands

    search = plan.experiment.search
    if search is not None:
        levels, places = plan.experiment.hardest_last, len(plan.experiment.places)
        low, high = (end.label for end in (levels[0], levels[-1]))
        where = f"{places} cell{'' if places == 1 else 's'}"
        blocks = f"{plan.experiment.repetitions.min} to {search.blocks} blocks of about {plan.block_trials} trials"
        times = f"{duration(estimated_s(plan))} to {duration(estimated_s(plan, search.blocks))}"
        head = f"a search among {len(levels)} levels of {search.factor}, {low} to {high}, in {where}"
        return f"{head}: {blocks}, about {times}"
    cells, reps, each = len(plan.cells), plan.experiment.repetitions, plan.block_trials
    design = f"{cells} cells x {f'{reps.passes} passes x ' if reps.passes > 1 else ''}"
    watched = (
        f", one {'pass' if reps.passes > 1 else 'block'} in {reps.watch_every} watched" if reps.watch_every > 1 else ""
    )
    if reps.fixed:
        blocks = f"{reps.min} block{'' if reps.min == 1 else 's'}"
        return f"{design}{blocks} = {each * reps.min} trials{watched}, about {duration(estimated_s(plan))}"
    return (
        f"{design}{reps.min} to {reps.max} blocks = {each * reps.min} to {len(plan.trials)} trials{watched}, "
        f"about {duration(estimated_s(plan))} to {duration(estimated_s(plan, reps.max))}"
    )
