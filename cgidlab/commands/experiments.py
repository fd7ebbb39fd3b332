"""The experiment file on a command line, and what may be changed of it there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cgidlab.commands import options
from cgidlab.errors import SpecError

if TYPE_CHECKING:
    import argparse

    from cgidlab.engine.loading import Request


def add_experiment(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """Add the experiment file and what may be changed of it on the command line."""
    parser.add_argument(
        "experiment", type=Path, nargs="?" if optional else None, metavar="EXPERIMENT", help="experiments/<name>.yml"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override a fixed setting; may be repeated"
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="FACTOR=LEVEL,...",
        help="keep only these levels of a factor; may be repeated",
    )
    options.add_target(parser)


def request(args: argparse.Namespace) -> Request:
    """Return what the arguments of `add_experiment` ask for. Raise `SpecError` for a pair without `=`."""
    from cgidlab.engine.loading import Request  # noqa: PLC0415 -- see cgidlab.commands

    return Request(
        experiment=args.experiment,
        root=options.ROOT,
        overrides=tuple(_pair("--set", text) for text in args.set),
        only=tuple((name, tuple(labels.split(","))) for name, labels in (_pair("--only", text) for text in args.only)),
        target=args.target,
        sources=getattr(args, "sources", None),
    )


def _pair(option: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise SpecError(
            f"{option} takes name=value, not `{text}`", where=f"{option} {text}", fix=f"{option} clients=200"
        )
    return name, value
