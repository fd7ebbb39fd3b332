"""`runner.py sources`: which versions of httpd can be had here. Builds nothing."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from cgidlab.commands import options

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from cgidlab.engine.offering import Offer

_COLUMNS = ("httpd", "version", "from", "verified")


def register(verbs: options.Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "sources",
        help="list the versions of httpd that can be had here, and from where",
        description="Asks each server's distribution, the Apache project's archive, the cache and, with --sources, a "
        "directory of tarballs. The first column is what to write as `httpd` in an experiment file.",
    )
    options.add_target(parser, "local")
    options.add_sources(parser)
    options.add_format(parser)
    options.add_level(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print what can be had, by host, and what cannot with its reason."""
    from cgidlab import progress  # noqa: PLC0415 -- see cgidlab.commands
    from cgidlab.engine.offering import offers  # noqa: PLC0415 -- see cgidlab.commands

    with progress.Display(level=args.level) as display:
        found = offers(options.ROOT, args.target, args.sources, display)
    if args.format == "json":
        hosts = [{"host": host, "sources": [asdict(o) for o in said]} for host, said in found.items()]
        print(json.dumps({"schema_version": 1, "hosts": hosts}, indent=1))
        return 0
    for host, said in found.items():
        print("\n".join([host, *_table(said)]))
    return 0


def _table(said: Sequence[Offer]) -> list[str]:
    rows = [_COLUMNS, *((o.httpd or "-", o.version, o.origin, o.verified or "no") for o in said if o.available)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_COLUMNS) - 1)]
    lines = ["  " + "  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[-1]]) for row in rows]
    missing = [f"  {o.httpd or o.origin}: {' '.join(o.reason.split())}" for o in said if not o.available]
    return [*lines, *(["  not to be had:", *missing] if missing else [])]
