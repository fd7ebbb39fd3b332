"""`runner.py report`: make the derived files of a run again, from its directory alone."""

import argparse
import sys
from pathlib import Path

from cgidlab.commands import options
from cgidlab.errors import SpecError, StoreError
from cgidlab.terminal import printable


def register(verbs: options.Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser("report", help="make a run's verdict and report again")
    parser.add_argument("run_name", metavar="RUN", help=options.RUN_HELP)
    options.add_results(parser)
    options.add_format(
        parser,
        "html",
        "md",
        "json",
        "junit",
        explained="html: write trials.csv, trials.parquet, summary.json and report.html again; md, json, junit: print "
        "the report, or what came of `require:` as JUnit, and write nothing",
    )
    parser.add_argument("--details", action="store_true", help="print five questions with all figures, not seven lines")
    options.add_language(parser)
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="write what is derived into this directory, and nothing into RUN (an archive, or another user's)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the derived files and print the verdict and the report's path, or print the report alone.

    Files that are damaged are left out and named, and the exit status is then 1.
    """
    from cgidlab import files, rundir  # noqa: PLC0415 -- see cgidlab.commands
    from cgidlab.report import Say  # noqa: PLC0415 -- same
    from cgidlab.runs import concluding, store  # noqa: PLC0415 -- same

    options.check_language(args)
    opened, say = store.find(args.results, args.run_name), Say(args.lang)
    if args.format != "html":
        if args.output is not None:
            raise SpecError("md, json and junit are printed", where="--output", fix="leave out --output, or --format")
        text, damaged = concluding.as_text(opened, args.format, say)
        print(text, end="")
    else:
        if args.output is not None:
            files.make_directory(args.output)
        else:
            fix = "name a directory for what is derived with --output, or print it with --format md"
            rundir.check_writable(opened.path, "the run's directory", fix)
        concluded = concluding.conclude(opened, verify=True, output=args.output, details=args.details, say=say)
        damaged = concluded.damaged
        print(concluded.text)
        print(concluded.report)
    for damage in damaged:
        left_out = StoreError(f"left out: {damage.why}", where=str(opened.path / damage.file))
        print(printable(str(left_out)), file=sys.stderr)
    return StoreError.exit_code if damaged else 0
