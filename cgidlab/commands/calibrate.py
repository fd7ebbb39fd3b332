"""`runner.py calibrate`: whether each witness sees what it should on a host, and nothing else."""

import argparse
import json
import signal
import threading
from pathlib import Path
from types import FrameType

from cgidlab.commands import options


def register(verbs: options.Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "calibrate",
        help="prove the witnesses on a host: positive and negative controls, and what each instrument costs",
        description="Freezes and kills the cgid daemon and hides its socket, under load, and says of each "
        "witness whether it saw that. A run does the controls by itself where they never passed.",
    )
    parser.add_argument("--target", default="local", help="local, vagrant, or the path of an Ansible inventory")
    parser.add_argument(
        "--httpd", default="distro", help="which httpd: distro, distro:VERSION, upstream:VERSION, path:DIR"
    )
    parser.add_argument("--controls-only", action="store_true", help="leave out the observer effect")
    parser.add_argument("--results", type=Path, default=Path("results"), help="where run directories go")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the table and return 0 if no row failed."""
    from cgidlab import progress  # noqa: PLC0415 -- see cgidlab.commands
    from cgidlab.pipeline import calibrating  # noqa: PLC0415 -- see cgidlab.commands

    stop = threading.Event()

    def asked_to_stop(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # the second time the user means it
        stop.set()

    signal.signal(signal.SIGINT, asked_to_stop)
    signal.signal(signal.SIGTERM, asked_to_stop)
    order = calibrating.Order(options.ROOT, args.target, args.httpd, args.controls_only)
    with progress.Display() as display:
        done = calibrating.calibrate_hosts(order, args.results, display, stop.is_set)
    print(json.dumps(done.document, indent=1) if args.format == "json" else f"{done.text}\n{done.directory}")
    return done.exit_code
