"""The command line of cgidhost: one verb a line, one JSON line as its answer."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Optional

from cgidhost import commands, patience
from cgidhost.ending import BlockError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cgidhost", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    start = verbs.add_parser("start", help="start the trials of a block in the background")
    start.add_argument("--block", required=True, metavar="DIR/block.json")
    start.add_argument("--number", type=int, help="run this trial alone")
    wait = verbs.add_parser("await", help="wait until a trial has ended")
    wait.add_argument("--dir", required=True)
    wait.add_argument("--number", type=int, required=True)
    wait.add_argument("--timeout", type=float, required=True, metavar="SECONDS")
    wait.add_argument("--ready", action="store_true", help="or until other machines can load its server")
    for name, what in (("stop", "end the block"), ("cleanup", "end the block and remove its directory")):
        verbs.add_parser(name, help=what).add_argument("--dir", required=True)
    look = verbs.add_parser("snapshot", help="say how this host is, for a comparison")
    look.add_argument("--work-dir", required=True)
    look.add_argument("--cache-dir", required=True)
    look.add_argument("--clean", action="store_true", help="undo what dead blocks left before looking")
    again = verbs.add_parser("recover", help="undo what dead blocks still hold of this host")
    again.add_argument("--work-dir", required=True)
    again.add_argument("--block", action="append", default=[], metavar="DIR", help="of a run that is over")
    again.add_argument("--sysctls", default="[]", metavar="JSON")
    verbs.add_parser("probe", help="say what this host allows")
    observe = verbs.add_parser("observe", help="watch the httpd instances of this host in the background")
    observe.add_argument("--order", required=True, metavar="JSON")
    observe.add_argument("--dir", required=True)
    serve = verbs.add_parser("serve", help="watch all listening unix sockets of this host for Prometheus")
    serve.add_argument("--listen", metavar="HOST:PORT")
    serve.add_argument("--textfile", metavar="PATH")
    serve.add_argument("--cost", type=float, default=0.01, metavar="SHARE", help="of one core")
    return parser


def _look(args: argparse.Namespace) -> None:
    """Run a verb that needs no block."""
    if args.verb == "observe":
        from cgidhost.observe.start import start  # noqa: PLC0415 -- no other verb needs it

        start(args.order, args.dir)
    elif args.verb == "serve":
        from cgidhost.observe.exporter import serve  # noqa: PLC0415 -- no other verb needs it, nor its package

        serve(args.listen, args.textfile, args.cost)
    else:
        from cgidhost.probe import run  # noqa: PLC0415 -- no other verb needs it

        run()


def main(argv: Optional[list[str]] = None) -> int:
    """Run one verb; return 0, or 2 with the reason in the JSON line."""
    args = _parser().parse_args(argv)
    patience.begin(args.verb)
    try:
        if args.verb == "start":
            commands.start(args.block, args.number)
        elif args.verb == "await":
            commands.wait_for(args.dir, args.number, args.timeout, ready=args.ready)
        elif args.verb == "stop":
            commands.stop(args.dir)
        elif args.verb == "cleanup":
            commands.cleanup(args.dir)
        elif args.verb == "snapshot":
            from cgidhost.recover import undo_dead_blocks  # noqa: PLC0415 -- no other verb needs it
            from cgidhost.snapshot import take  # noqa: PLC0415 -- same

            if args.clean:
                undo_dead_blocks(os.path.normpath(args.work_dir))
            commands.say(**take(os.path.normpath(args.work_dir), os.path.normpath(args.cache_dir)))
        elif args.verb == "recover":
            from cgidhost.recover import parse_sysctls, recover  # noqa: PLC0415 -- no other verb needs it

            work_dir = os.path.normpath(args.work_dir)
            commands.say(**recover(work_dir, args.block, parse_sysctls(args.sysctls)))
        else:
            _look(args)
    except BlockError as error:
        commands.say(error=str(error))
        return 2
    except OSError as error:
        commands.say(error=f"{args.verb}: {error.strerror or error}: {error.filename or ''}".rstrip(": "))
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
