"""`runner.py report`: make the derived files of a run again, from its directory alone."""

import argparse
import sys
from pathlib import Path

from cgidlab.commands import options
from cgidlab.errors import StoreError


def register(verbs: options.Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser("report", help="make a run's verdict and report again")
    parser.add_argument("run_directory", type=Path, metavar="RUN", help="results/<experiment>/<run-id>, or .../latest")
    parser.add_argument(
        "--format",
        choices=("html", "md", "json"),
        default="html",
        help="html: write trials.csv, trials.parquet, summary.json and report.html again (default); "
        "md, json: print the report and write nothing",
    )
    parser.add_argument("--details", action="store_true", help="print five questions with all figures, not seven lines")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the derived files and print the verdict and the report's path, or print the report alone.

    Files that are damaged are left out and named, and the exit status is then 1.
    """
    from cgidlab.runs import concluding, store  # noqa: PLC0415 -- see cgidlab.commands

    opened = store.open_run(args.run_directory)
    if args.format != "html":
        print(concluding.as_text(opened, args.format), end="")
        return 0
    concluded = concluding.conclude(opened, verify=True, details=args.details)
    print(concluded.text)
    print(concluded.report)
    for damage in concluded.damaged:
        print(StoreError(f"left out: {damage.why}", where=str(opened.path / damage.file)), file=sys.stderr)
    return StoreError.exit_code if concluded.damaged else 0
