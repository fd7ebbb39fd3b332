"""`runner.py run`: run an experiment to its verdict, or go on with a run that was interrupted."""

from __future__ import annotations

import re
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cgidlab.commands import changed, experiments, options, signals
from cgidlab.errors import SpecError
from cgidlab.terminal import printable

if TYPE_CHECKING:
    import argparse

    from cgidlab.engine.extending import More
    from cgidlab.engine.loading import Request
    from cgidlab.engine.running import Ended
    from cgidlab.runs.status import RunStatus
    from cgidlab.runs.store import RunDirectory

_SUFFIXES = (".yml", ".yaml")


def register(verbs: options.Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser("run", help="run an experiment (the verb may be left out)")
    experiments.add_experiment(parser, optional=True)
    options.add_sources(parser)
    options.add_results(parser, "where run directories go")
    options.add_budget(parser, "time for all trials (90s, 30m, 2h): whole blocks are dropped to keep it, never levels")
    parser.add_argument(
        "--uncalibrated", action="store_true", help="count witnesses whose controls never passed on the host as well"
    )
    parser.add_argument("--fail-fast", action="store_true", help="stop at the first trial that fails or is invalid")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--resume",
        nargs="?",
        const="",
        metavar="RUN",
        help="go on with the newest interrupted run of the file, or with the run of this id or directory",
    )
    which.add_argument("--new", action="store_true", help="begin a new run although the last one was interrupted")
    which.add_argument(
        "--if-changed",
        action="store_true",
        help="run only if httpd, kernel, roles or the file differ from the latest finished run, and compare with it",
    )
    parser.add_argument(
        "--accept-changed",
        action="append",
        default=[],
        metavar="FIELD",
        help="with --resume: go on although this is not what it was; may be repeated",
    )
    longer = parser.add_mutually_exclusive_group()
    longer.add_argument(
        "--blocks",
        type=_more_blocks,
        metavar="+N",
        help="with --resume RUN: give a run that has ended so many blocks more",
    )
    longer.add_argument(
        "--until",
        choices=("decided",),
        help="with --resume RUN and --budget, which is for these blocks alone: more blocks until all is decided",
    )
    parser.add_argument(
        "--profile-run",
        action="store_true",
        help="write trace.json into the run directory: where the time went, for a browser's trace viewer",
    )
    options.add_format(parser, explained="how the result is printed, json as `report` does")
    options.add_language(parser)
    options.add_level(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run all trials, print the verdict and the report's path, and return the exit status."""
    from cgidlab import progress  # noqa: PLC0415 -- see cgidlab.commands
    from cgidlab.engine import readying, running  # noqa: PLC0415 -- same
    from cgidlab.report import Say  # noqa: PLC0415 -- same
    from cgidlab.runs import profiling  # noqa: PLC0415 -- same

    _check_form(args)
    if args.experiment is None and args.resume and args.resume.endswith(_SUFFIXES):
        args.experiment, args.resume = Path(args.resume), ""  # --resume before the file, which is no run
    request = None if args.experiment is None else experiments.request(args)
    resumed = None if args.if_changed and request else _chosen(args, request)
    accepted, more = tuple(args.accept_changed), _more(args, resumed)
    how = readying.How(args.budget, args.uncalibrated, args.fail_fast, accepted, more, Say(args.lang))
    if resumed is None and how.accepted:
        raise SpecError("--accept-changed is about a run that goes on", where="--accept-changed", fix="add --resume")
    cancelled = signals.asked_first("ending the trial and cleaning up")
    looked = changed.looked(request, args.results, cancelled, args.level) if args.if_changed and request else None
    if looked and not looked.reason_to_run:
        return 0
    if looked and request:
        request = replace(request, old=looked.old)
    with profiling.ProfilingDisplay(args.level) if args.profile_run else progress.Display(level=args.level) as display:
        if resumed is not None:
            ended = running.resume(resumed, request, options.ROOT, args.results, display, cancelled, how, args.target)
        else:
            assert request is not None  # noqa: S101 -- tells mypy what _chosen made sure of
            ended = running.run(request, args.results, display, cancelled, how)
    trace = None
    if isinstance(display, profiling.ProfilingDisplay):
        trace = profiling.write_trace(ended.report.parent, display.steps, time.time())
    _print(args.format, ended, trace)
    if looked is None or looked.latest is None:
        return ended.exit_code
    if looked.old is not None:
        return max(ended.exit_code, changed.beside(looked.latest, ended.report))
    return max(ended.exit_code, changed.compared(looked.latest, ended.report, looked.note))


def _check_form(args: argparse.Namespace) -> None:
    """Raise `SpecError` where the result cannot be said in the form that is asked for."""
    options.check_language(args)
    if args.format != "text" and args.if_changed:
        raise SpecError("what --if-changed finds is said in words", where="--format", fix="leave one of them out")


def _print(form: str, ended: Ended, trace: Path | None) -> None:
    from cgidlab.runs import concluding, store  # noqa: PLC0415 -- see cgidlab.commands

    if form == "json":
        print(concluding.as_text(store.open_run(ended.report.parent), "json")[0], end="")
        return
    print(ended.text)
    print(f"report: {ended.report}")
    if trace is not None:
        print(f"trace: {trace}")


def _more_blocks(text: str) -> int:
    """Return how many blocks `+20` asks for. Raise `SpecError` for anything else: 20 might mean 20 in all."""
    if not re.fullmatch(r"\+[1-9][0-9]{0,3}", text):
        raise SpecError(f"--blocks takes how many more, not `{text}`", where="--blocks", fix="--blocks +20")
    return int(text)


def _more(args: argparse.Namespace, resumed: RunDirectory | None) -> More | None:
    """Return how much longer a run is to be, None for as long as it was to be."""
    from cgidlab.engine.extending import More  # noqa: PLC0415 -- see cgidlab.commands

    if args.blocks is None and args.until is None:
        return None
    if resumed is None:
        raise SpecError(
            "only a run that is there can get more blocks", where="--blocks, --until", fix="add --resume RUN"
        )
    if args.until and args.budget is None:
        raise SpecError("`until decided` may take for ever", where="--until", fix="add --budget 1h")
    return More(args.blocks, args.budget)


def _chosen(args: argparse.Namespace, request: Request | None) -> RunDirectory | None:
    """Return the run to go on with, None for a new one. Raise `SpecError` where the user has to say which."""
    from cgidlab.engine import resuming  # noqa: PLC0415 -- see cgidlab.commands
    from cgidlab.runs import store  # noqa: PLC0415 -- same

    if args.resume:
        return store.find(args.results, args.resume)
    if request is None:
        raise SpecError("an experiment file is missing", where="run", fix="run experiments/NAME.yml, or --resume RUN")
    if args.resume is not None:
        return resuming.latest(args.results, request)
    found = None if args.new else resuming.interrupted(request, args.results)
    if found is None:
        return None
    said = _said(found)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise SpecError(
            f"the last run of this experiment was interrupted: {said}",
            where=str(found.directory),
            fix="add --resume to go on with it, or --new to begin again",
        )
    if _wants_to_resume(f"The last run of this experiment was interrupted: {said}"):
        return store.find(args.results, str(found.directory))
    return None


def _said(found: RunStatus) -> str:
    pending = f", {found.pending} pending" if found.pending is not None else ""
    return f"{found.run_id}, {found.done} trials done{pending}"


def _wants_to_resume(said: str) -> bool:
    print(printable(said), file=sys.stderr)
    while True:
        print("Go on with it (r, --resume), or begin again (n, --new)? ", end="", file=sys.stderr, flush=True)
        answer = sys.stdin.readline()
        if answer.strip().lower() in {"r", "resume", "--resume"}:
            return True
        if answer.strip().lower() in {"n", "new", "--new"}:
            return False
        if not answer:
            raise SpecError("no answer", where="standard input", fix="add --resume or --new")
