"""`runner.py compare`: two runs side by side. Reads run directories; exit status 1 says that B is worse."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cgidlab.commands import options

if TYPE_CHECKING:
    import argparse

    from cgidlab.analysis.findings import Combination
    from cgidlab.analysis.intervals import Interval
    from cgidlab.compare import Ratio
    from cgidlab.runs.comparing import Compared

WORSE_EXIT = 1
_VALUE_WIDTH = 46


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
        metavar="5%",
        help="the change that matters, for every response of the rule (default: the rule's own of RUN_A)",
    )
    parser.add_argument(
        "--across",
        action="extend",
        nargs="+",
        default=[],
        metavar="FIELD",
        help="compare although these fields differ, because they are what is compared",
    )
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the comparison; the exit status says whether a response of the rule got worse."""
    from cgidlab.runs import store  # noqa: PLC0415 -- see cgidlab.commands
    from cgidlab.runs.comparing import compare_runs  # noqa: PLC0415 -- see cgidlab.commands

    found = compare_runs(
        store.find(args.results, args.run_a),
        store.find(args.results, args.run_b),
        threshold=args.threshold,
        across=args.across,
    )
    print(json.dumps(_document(found), indent=1, allow_nan=False) if args.format == "json" else as_text(found))
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
    """Return the comparison for a terminal."""
    lines = [f"A  {found.a}", f"B  {found.b}", "", *_differences(found), ""]
    for place in (*found.cells, ()):
        here = [r for r in found.ratios if r.at == place]
        if here:
            lines += [_title(place), *(f"  {_line(r)}" for r in here), ""]
    for name, cells in (("A", found.only_a), ("B", found.only_b)):
        if cells:
            lines.append(f"only in {name}: {'; '.join(_title(c) for c in cells)}")
    lines += [f"warning: {w}" for w in found.warnings]
    if found.suggestion:
        lines += [
            "",
            "In one run: take A's experiment file, with these keys in place of its own:",
            "",
            found.suggestion,
        ]
    return "\n".join([*lines, "", _conclusion(found)])


def _differences(found: Compared) -> list[str]:
    if not found.differences:
        return ["nothing that was recorded around the runs differs"]
    return ["what differs (A, B):", *(f"  {d.word}: {_cut(d.before)}, {_cut(d.now)}" for d in found.differences)]


def _cut(value: str) -> str:
    return value if len(value) <= _VALUE_WIDTH else value[: _VALUE_WIDTH - 3] + "..."


def _title(cell: Combination) -> str:
    return ", ".join(f"{n}={label}" for n, label in cell) or "all cells together"


def _line(ratio: Ratio) -> str:
    if ratio.estimate is None:
        return f"{ratio.response}: not known in both runs"
    what = "ratio" if ratio.scale == "ratio" else "difference"
    bounds = f", 95 % interval {ratio.interval.low:.3f} to {ratio.interval.high:.3f}" if ratio.interval else ""
    unit = "blocks" if ratio.pooled or ratio.against else "trials"
    judged = f": {ratio.answer.value}" if ratio.threshold is not None else ""
    note = f" ({ratio.note})" if ratio.note else ""
    against = f", to {ratio.against} in each run" if ratio.against else ""
    counts = f"(A {ratio.n_a}, B {ratio.n_b} {unit})"
    return f"{ratio.response}{against}: {what} {ratio.estimate:.3f}{bounds} {counts}{judged}{note}"


def _conclusion(found: Compared) -> str:
    judged = [r for r in found.ratios if r.threshold is not None]
    if found.worse:
        parts = (
            f"{r.response} by more than {r.threshold:.0%} at {_title(r.at)} (ratio {r.estimate:.2f}"
            f"{f', to {r.against} in each run' if r.against else ''})"
            for r in found.worse
        )
        return f"B is worse than A: {'; '.join(parts)}."
    if not any(r.interval for r in judged):
        return (
            "No claim: six complete blocks with a level and its reference in both runs, or four earlier runs, are the "
            "least that make one."
        )
    near = [r for r in judged if r.answer.value == "real_near"]
    if near:
        told = "; ".join(f"{r.response} at {_title(r.at)}, ratio {r.estimate:.2f}" for r in near)
        return f"B differs from A by about as much as matters: {told}."
    open_ = sum(r.answer.value == "inconclusive" for r in judged)
    left = f" {open_} of {len(judged)} comparisons are inconclusive." if open_ else ""
    return f"Nothing is shown to be worse in B by more than its threshold.{left}"
