"""`runner.py history`: all runs of an experiment. Reads run directories and writes one page beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cgidlab.commands import options

if TYPE_CHECKING:
    import argparse


def register(verbs: options.Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "history",
        help="show verdict, main effect and versions of all runs of an experiment",
        description="Prints all runs, oldest first, and writes a page with plots and a table beside them "
        "(history.html). With --format json or md it prints the table alone and writes nothing.",
    )
    parser.add_argument("experiment", metavar="EXPERIMENT", help="its name, experiments/<name>.yml, or results/<name>")
    options.add_results(parser)
    options.add_format(parser, "text", "json", "md")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the runs; with text, write the page and print its path."""
    from cgidlab import rundir  # noqa: PLC0415 -- see cgidlab.commands
    from cgidlab.report import history as page  # noqa: PLC0415 -- see cgidlab.commands
    from cgidlab.runs import concluding, history  # noqa: PLC0415 -- see cgidlab.commands

    runs = history.runs_of(args.experiment, args.results).resolve()  # no link leads elsewhere then
    name, rows = history.name_of(runs), history.rows(runs)
    if args.format == "json":
        print(page.as_json(name, rows))
    elif args.format == "md":
        print(page.as_markdown(name, rows))
    else:
        print(page.as_text(rows))
        rundir.check_writable(runs, "the directory of these runs", "print them with --format md")
        print(f"history: {page.write(name, rows, runs, concluding.script_cache())}")
    return 0
