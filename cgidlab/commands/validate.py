"""`runner.py validate`: check an experiment file. Touches nothing."""

import argparse
import json

from cgidlab.commands import experiments, options


def register(verbs: options.Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser("validate", help="check an experiment file")
    experiments.add_experiment(parser)
    options.add_format(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Say that the file is good; what is wrong with it is raised."""
    from cgidlab.design import choosing, own_files  # noqa: PLC0415 -- see cgidlab.commands
    from cgidlab.engine import loading  # noqa: PLC0415 -- see cgidlab.commands

    loaded = loading.load_plan(experiments.request(args))
    plan = loaded.plan
    most = plan.block_trials * plan.experiment.repetitions.max
    bounds, warnings = plan.experiment.rule.bounds, [*choosing.warnings(plan), *own_files.notes(loaded.site.own)]
    if args.format == "json":
        asks = [{"response": bound[0], "bound": bound[1]} for bound in bounds]
        counts = {"cells": len(plan.cells), "most_trials": most}
        print(json.dumps({"schema_version": 1, "good": True, **counts, "asks": asks, "notes": warnings}, indent=1))
        return 0
    print(f"{args.experiment}: good; {len(plan.cells)} cells, {most} trials at most")
    for bound in bounds:
        print(f"asks whether {bound[0]} passes {bound[1]:g}")
    for warning in warnings:
        print(f"note: {warning}")
    return 0
