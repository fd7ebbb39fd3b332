"""`runner.py calibrate`: whether each witness sees what it should on a host, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from cgidlab.commands import options, signals
from cgidlab.errors import SpecError

if TYPE_CHECKING:
    import argparse

    from cgidlab.engine.calibrating import CalibrationRequest


def register(verbs: options.Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "calibrate",
        help="prove the witnesses on a host: positive and negative controls, and what each instrument costs",
        description="Freezes and kills the cgid daemon and hides its socket, under load, and says of each "
        "witness whether it saw that. A run does the controls by itself where they never passed.",
    )
    parser.add_argument(
        "experiment",
        type=Path,
        nargs="?",
        metavar="EXPERIMENT",
        help="experiments/<name>.yml: its target and each httpd it names",
    )
    options.add_target(parser)
    parser.add_argument(
        "--httpd",
        action="extend",
        nargs="+",
        metavar="SOURCE",
        help="which: distro (default), distro:VERSION, upstream:VERSION, path:DIR, git:REPOSITORY#REF",
    )
    options.add_sources(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--controls-only", action="store_true", help="leave out the observer effect")
    what.add_argument(
        "--limits",
        action="store_true",
        help="instead: whether what limits is named on servers that something known limits; with the first httpd",
    )
    parser.add_argument(
        "--control",
        default="",
        metavar="CONTROL,...",
        help="with --limits: these controls alone, such as slow_driver; nothing is calibrated by some of them",
    )
    options.add_results(parser, "where run directories go")
    options.add_format(parser)
    options.add_level(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the table and return 0 if no row failed."""
    from cgidlab import progress  # noqa: PLC0415 -- see cgidlab.commands
    from cgidlab.engine import calibrating, calibrating_limits  # noqa: PLC0415 -- see cgidlab.commands

    cancelled = signals.asked_first("ending the trial and cleaning up")
    request = _request(args)
    with progress.Display(level=args.level) as display:
        make = calibrating_limits.calibrate_limits if args.limits else calibrating.calibrate_hosts
        done = make(request, args.results, display, cancelled)
    print(json.dumps(done.document, indent=1) if args.format == "json" else f"{done.text}\n{done.directory}")
    return done.exit_code


def _request(args: argparse.Namespace) -> CalibrationRequest:
    """Return what is asked for: of an experiment file its target and builds, unless the command line names others."""
    from cgidlab.engine import calibrating, sources  # noqa: PLC0415 -- see cgidlab.commands
    from cgidlab.engine.loading import Request, load_plan  # noqa: PLC0415 -- see cgidlab.commands

    only = tuple(name.replace("_", " ") for name in args.control.split(",") if name)
    if only and not args.limits:
        raise SpecError("only controls of what limits can be chosen", where="--control", fix="add --limits")
    target = "local"
    httpds: tuple[str, ...] = ("distro",)
    if args.experiment:
        plan = load_plan(Request(args.experiment, options.ROOT, target=args.target)).plan
        target, httpds = plan.experiment.target, calibrating.builds_of(plan)
        if not httpds:
            raise SpecError("no cell of it has a cgid daemon to calibrate on", where=str(args.experiment))
    tarballs = sources.read(args.sources) if args.sources else ()
    wanted = tuple(dict.fromkeys(args.httpd)) if args.httpd else httpds
    return calibrating.CalibrationRequest(
        options.ROOT, args.target or target, wanted, args.controls_only, tarballs, only
    )
