"""`runner.py status`: how far runs are. Reads run directories, writes nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cgidlab.commands import options
from cgidlab.terminal import cell

if TYPE_CHECKING:
    import argparse

    from cgidlab.runs.status import RunStatus


def register(verbs: options.Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser("status", help="say how far a run is, or the newest run of every experiment")
    parser.add_argument("run_name", nargs="?", metavar="RUN", help=options.RUN_HELP)
    options.add_results(parser)
    options.add_format(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the state of one run or of the newest of each experiment."""
    from cgidlab.runs import status, store  # noqa: PLC0415 -- see cgidlab.commands

    found = (
        (status.status(store.find(args.results, args.run_name).path),) if args.run_name else status.latest(args.results)
    )
    if args.format == "json":
        print(json.dumps({"schema_version": 1, "runs": [_document(s) for s in found]}, indent=1))
    elif found:
        print("\n".join(_line(s) for s in found))
    else:
        print(f"no run below {args.results}")
    return 0


def _document(status: RunStatus) -> dict[str, Any]:
    return {
        "experiment": status.experiment,
        "run_id": status.run_id,
        "directory": str(status.directory),
        "state": status.state,
        "note": status.note,
        "trials": {s.value: n for s, n in status.trials.items()},
        "expected": status.expected,
        "done": status.done,
        "pending": status.pending,
        "damaged": status.damaged,
        "left_s": None if status.left_s is None else round(status.left_s, 1),
        "changed_at": status.changed_at,
    }


def _line(status: RunStatus) -> str:
    from cgidlab.progress import duration  # noqa: PLC0415 -- see cgidlab.commands

    total = "" if status.expected is None else f" of {status.expected}"
    ways = ", ".join(f"{n} {s.value}" for s, n in status.trials.items() if n)
    parts = [f"{status.done}{total} trials done{f' ({ways})' if ways else ''}"]
    if status.damaged:
        parts.append(f"{status.damaged} damaged")
    if status.pending:
        parts.append(f"{status.pending} pending")
    if status.left_s is not None:
        parts.append(f"about {duration(status.left_s)} left")
    if status.note:
        parts.append(status.note)
    return cell(f"{status.experiment}/{status.run_id}  {status.state}: {', '.join(parts)}")
