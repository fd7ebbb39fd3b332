"""`runner.py plan`: list the trials in their order. Reads the file and the roles, touches nothing."""

import argparse
import json

from cgidlab.commands import experiments, options


def register(verbs: options.Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser("plan", help="list the trials an experiment expands to")
    experiments.add_experiment(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the plan."""
    from cgidlab.design.plan import estimated_s, sources, told_sources  # noqa: PLC0415 -- see cgidlab.commands
    from cgidlab.engine import loading  # noqa: PLC0415 -- see cgidlab.commands
    from cgidlab.progress import duration  # noqa: PLC0415 -- see cgidlab.commands
    from cgidlab.runs import store  # noqa: PLC0415 -- see cgidlab.commands

    plan = loading.load_plan(experiments.request(args)).plan
    if args.format == "json":
        told = {"sources": sources(plan), "estimated_s": estimated_s(plan)}
        print(json.dumps({"schema_version": 1, **store.plan_json(plan), **told}, indent=1))
        return 0
    for trial in plan.trials:
        levels = "  ".join(f"{name}={level.label}" for name, level in trial.cell.levels)
        print(f"{trial.number:4d}  block {trial.block:<3d} {levels}")
    cells, reps = len(plan.cells), plan.experiment.repetitions
    if reps.fixed:
        print(f"{cells} cells x {reps.min} blocks = {cells * reps.min} trials, about {duration(estimated_s(plan))}")
    else:
        print(
            f"{cells} cells x {reps.min} to {reps.max} blocks = {cells * reps.min} to {len(plan.trials)} trials, "
            f"about {duration(estimated_s(plan))} to {duration(estimated_s(plan, reps.max))}"
        )
    print(told_sources(plan))
    print("nothing was run")
    return 0
