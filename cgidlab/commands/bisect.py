"""`runner.py bisect`: which commit of httpd changed a response. One interleaved run a step."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from cgidlab.commands import experiments, options, signals

if TYPE_CHECKING:
    import argparse

NOT_ONE_EXIT = 1


def register(verbs: options.Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "bisect",
        help="find the commit of httpd that changed a response",
        description="Runs good and bad side by side, then halves the commits between: each step is one run of good, "
        "bad and a commit between, in the same blocks. The same words again go on where it was. Exit status: 0 the "
        "commit is found; 1 it is a range of commits, or good and bad cannot be told apart.",
    )
    experiments.add_experiment(parser)
    parser.add_argument("--good", required=True, metavar="REF", help="the older commit, tag or branch")
    parser.add_argument("--bad", required=True, metavar="REF", help="the newer one, with the change")
    parser.add_argument(
        "--response", required=True, metavar="COLUMN", help="what changed: latency_p99_ms, throughput_rps, ..."
    )
    parser.add_argument(
        "--repository",
        metavar="REPOSITORY",
        help="of httpd: a URL, or a path on this machine (default: that of the file's `httpd: git:...`)",
    )
    options.add_sources(parser)
    options.add_results(parser, "where run directories go")
    options.add_budget(parser, "time for the trials of all steps together (30m, 8h); builds are not counted")
    parser.add_argument("--new", action="store_true", help="begin again, whatever the same words have found so far")
    options.add_format(parser)
    options.add_language(parser)
    options.add_level(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the commit, or the range of commits, with what shows it; the exit status says whether it is one."""
    from cgidlab.engine import bisecting, readying  # noqa: PLC0415 -- see cgidlab.commands
    from cgidlab.report import Say  # noqa: PLC0415 -- same
    from cgidlab.verdict import bisected  # noqa: PLC0415 -- same

    options.check_language(args)
    asked = bisecting.BisectRequest(
        request=experiments.request(args),
        good=args.good,
        bad=args.bad,
        response=args.response,
        repository=args.repository,
        results=args.results,
        cache=Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cgidlab",
        # No witness is asked, so none has to be proven for each of the builds.
        how=readying.How(budget_s=args.budget, uncalibrated=True, say=Say(args.lang)),
        new=args.new,
    )
    cancelled = signals.asked_first("ending the trial and cleaning up")
    with bisecting.StepDisplay(args.level) as display:
        found = bisecting.bisect(asked, display, cancelled)
    if args.format == "json":
        print(json.dumps(bisected.document(found), indent=1, allow_nan=False))
    else:
        print(bisected.answer(found, args.lang))
    return 0 if found.narrowed.found else NOT_ONE_EXIT
