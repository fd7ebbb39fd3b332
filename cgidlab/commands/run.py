"""`runner.py run`: run an experiment to its verdict."""

import argparse
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from cgidlab.commands import options


def register(verbs: options.Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser("run", help="run an experiment (the verb may be left out)")
    options.add_experiment(parser)
    parser.add_argument("--results", type=Path, default=Path("results"), help="where run directories go")
    parser.add_argument(
        "--budget",
        type=options.duration_s,
        metavar="30m",
        help="time for all trials (90s, 30m, 2h): whole blocks are dropped to keep it, never levels",
    )
    parser.add_argument(
        "--uncalibrated", action="store_true", help="count witnesses whose controls never passed on the host as well"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run all trials, print the verdict and the report's path, and return the exit status."""
    from cgidlab import pipeline, progress  # noqa: PLC0415 -- see cgidlab.commands

    stop = threading.Event()

    def asked_to_stop(_number: int, _frame: FrameType | None) -> None:
        # The second time the user means it: Python's own way out.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler)
        print("stopping: ending the trial and cleaning up; once more to leave at once", file=sys.stderr)
        stop.set()

    signal.signal(signal.SIGINT, asked_to_stop)
    signal.signal(signal.SIGTERM, asked_to_stop)
    request = options.request(args)
    with progress.Display() as display:
        ended = pipeline.run(request, args.results, display, stop.is_set, args.budget, uncalibrated=args.uncalibrated)
    print(ended.text)
    print(f"report: {ended.report}")
    return ended.exit_code
