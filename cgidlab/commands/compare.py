"""`runner.py compare`: two runs side by side. Reads run directories; exit status 1 says that B is worse."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cgidlab.commands import options
from cgidlab.terminal import cell

if TYPE_CHECKING:
    import argparse

    from cgidlab.analysis.intervals import Interval
    from cgidlab.compare import Ratio
    from cgidlab.runs.comparing import Compared

WORSE_EXIT = 1
_VALUE_WIDTH = 24


def register(verbs: options.Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "compare",
        help="compare two runs cell by cell",
        description="Compares run B with run A, cell by cell and pooled. Exit status: 0 nothing got worse by more than "
        "the threshold with confidence; 1 something did; 2 the runs cannot be compared.",
    )
    parser.add_argument("run_a", metavar="RUN_A", help=options.RUN_HELP)
    parser.add_argument("run_b", metavar="RUN_B", help="the run that is judged")
    options.add_results(parser)
    parser.add_argument(
        "--threshold",
        type=options.share_of("--threshold", "a threshold is a share"),
        metavar="SHARE",
        help="the change that matters (5%%), for every response of the rule (default: the rule's own of RUN_A)",
    )
    parser.add_argument(
        "--across",
        action="extend",
        nargs="+",
        default=[],
        metavar="FIELD",
        help="compare although these fields differ, because they are what is compared",
    )
    options.add_format(parser, "text", "json", "junit", explained="junit: a test case a comparison, for CI")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the comparison; the exit status says whether a response of the rule got worse."""
    from cgidlab import junit  # noqa: PLC0415 -- see cgidlab.commands
    from cgidlab.compare import telling  # noqa: PLC0415 -- same
    from cgidlab.runs import store  # noqa: PLC0415 -- same
    from cgidlab.runs.comparing import compare_runs  # noqa: PLC0415 -- see cgidlab.commands

    found = compare_runs(
        store.find(args.results, args.run_a),
        store.find(args.results, args.run_b),
        threshold=args.threshold,
        across=args.across,
    )
    if args.format == "json":
        print(json.dumps(_document(found), indent=1, allow_nan=False))
    elif args.format == "junit":
        print(junit.suite(Path(found.b).parent.name, telling.cases(found.ratios)), end="")
    else:
        print(as_text(found))
    return WORSE_EXIT if found.worse else 0


def _document(found: Compared) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "a": found.a,
        "b": found.b,
        "worse": bool(found.worse),
        "cells": [dict(c) for c in found.cells],
        "only_a": [dict(c) for c in found.only_a],
        "only_b": [dict(c) for c in found.only_b],
        "differences": [
            {"field": d.word, "a": d.before, "b": d.now, "checked": d.decides, "setting": d.field == "settings"}
            for d in found.differences
        ],
        "ratios": [_ratio_document(r) for r in found.ratios],
        "warnings": list(found.warnings),
        "one_run": found.suggestion or None,
    }


def _ratio_document(ratio: Ratio) -> dict[str, Any]:
    return {
        **asdict(ratio),
        "at": dict(ratio.at),
        "interval": _bounds(ratio.interval),
        "family_interval": _bounds(ratio.family_interval),
        "equivalence_interval": _bounds(ratio.equivalence_interval),
        "answer": ratio.answer.value,
    }


def _bounds(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def as_text(found: Compared) -> str:
    """Return the comparison for a terminal: what differs, a line a comparison, and what they come to."""
    from cgidlab.compare import telling  # noqa: PLC0415 -- see cgidlab.commands

    lines = [f"A  {found.a}", f"B  {found.b}", *_differences(found), "", *telling.table(found.ratios)]
    for name, cells in (("A", found.only_a), ("B", found.only_b)):
        if cells:
            lines.append(f"only in {name}: {'; '.join(telling.cell(c) for c in cells)}")
    lines += ["", telling.conclusion(found.ratios), telling.LEGEND, *(f"warning: {w}" for w in found.warnings)]
    lines = [cell(line) for line in lines]  # names of runs, levels and versions begin none
    if found.suggestion:
        lines += [
            "",
            "In one run: take A's experiment file, with these keys in place of its own:",
            "",
            found.suggestion,
        ]
    return "\n".join(lines)


def _differences(found: Compared) -> list[str]:
    said = [f"{d.word} {_cut(d.before)} -> {_cut(d.now)}" for d in found.differences]
    return [f"differs: {'; '.join(said)}" if said else "differs: nothing that was recorded around the runs"]


def _cut(value: str) -> str:
    return value if len(value) <= _VALUE_WIDTH else value[: _VALUE_WIDTH - 3] + "..."
