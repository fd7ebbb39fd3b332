"""`runner.py recover`: give hosts back that a run could not give back itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cgidlab.commands import options
from cgidlab.errors import ProvisionError

if TYPE_CHECKING:
    import argparse

    from cgidlab.engine.hoststate import Recovered


def register(verbs: options.Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "recover",
        help="undo what a run that was killed still holds of its hosts",
        description="Undoes what ended runs left on hosts that they could no longer reach: sysctls, processes, "
        "directories. Twice does no more than once. Without RUN or HOST: whatever the journals below --results name; "
        "where they name nothing, this machine.",
    )
    parser.add_argument("what", nargs="?", metavar="RUN|HOST", help="results/<experiment>/<run-id>, or a host's name")
    parser.add_argument(
        "--target", metavar="TARGET", help="local, or the path of an Ansible inventory: recover its servers"
    )
    options.add_results(parser)
    options.add_format(parser)
    options.add_level(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Recover, say host by host what that came to, and return 0 if nothing is left on any of them."""
    from cgidlab import progress  # noqa: PLC0415 -- see cgidlab.commands
    from cgidlab.engine import recovering  # noqa: PLC0415 -- same

    with progress.Display(level=args.level) as display:
        found = recovering.recover(options.ROOT, args.results, args.what, args.target, display)
    if args.format == "json":
        hosts = [{"host": f.host, "undone": list(f.undone), "problems": list(f.problems)} for f in found]
        print(json.dumps({"schema_version": 1, "hosts": hosts}, indent=1))
    for came_to in found if args.format == "text" else ():
        print("\n".join(_lines(came_to)))
    if not found and args.format == "text":
        print("nothing is held")
    return ProvisionError.exit_code if any(f.problems for f in found) else 0


def _lines(came_to: Recovered) -> list[str]:
    lines = [f"{came_to.host}: {text}" for text in came_to.undone]
    lines += [f"{came_to.host}: NOT recovered: {text}" for text in came_to.problems]
    return lines or [f"{came_to.host}: nothing was left"]
