"""`runner.py doctor`: whether hosts are fit for trials, and what to do where they are not."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any

from cgidlab.commands import options, signals

if TYPE_CHECKING:
    import argparse

    from cgidlab.engine.examining import Diagnosis

_WIDTH = 110


def register(verbs: options.Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "doctor",
        help="say whether hosts are fit for trials, and what to do where they are not",
        description="Examines every host of a target and changes nothing. Exit status 0: no row failed; 3: one did.",
    )
    options.add_target(parser, "local")
    options.add_format(parser)
    options.add_level(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the table and what to do, and return 0 if no row failed."""
    from cgidlab import progress  # noqa: PLC0415 -- see cgidlab.commands
    from cgidlab.engine import examining  # noqa: PLC0415 -- same

    cancelled = signals.asked_first("ending the examination")
    with progress.Display(level=args.level) as display:
        found = examining.diagnose(args.target, options.ROOT, display, cancelled)
    print(json.dumps(_document(found), indent=1) if args.format == "json" else _text(found))
    return found.exit_code


def _document(found: Diagnosis) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "target": found.target,
        "fit": not found.failed,
        "hosts": [
            {
                "host": host,
                "groups": list(groups),
                "rows": [
                    {"check": r.check, "state": r.state.value, "found": r.found, "advice": r.advice}
                    for r in found.rows
                    if r.host == host
                ],
            }
            for host, groups in found.groups.items()
        ],
    }


def _text(found: Diagnosis) -> str:
    hosts, checks = (
        max(len(text) for text in texts) for texts in zip(*((r.host, r.check) for r in found.rows), strict=True)
    )
    indent = " " * (hosts + checks + 10)
    lines = []
    for row in found.rows:
        head = f"{row.host:<{hosts}}  {row.check:<{checks}}  {row.state:<4}  "
        lines.append(textwrap.fill(row.found, _WIDTH + len(indent), initial_indent=head, subsequent_indent=indent))
        if row.advice:
            lines.append(
                textwrap.fill(
                    row.advice, _WIDTH + len(indent), initial_indent=f"{indent}do: ", subsequent_indent=f"{indent}    "
                )
            )
    unfit = len({r.host for r in found.failed})
    lines += ["", f"{unfit} of {len(found.groups)} hosts not fit for trials" if unfit else "fit for trials"]
    return "\n".join(lines)
