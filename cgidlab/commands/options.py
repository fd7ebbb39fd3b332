"""Arguments that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from cgidlab.errors import SpecError

if TYPE_CHECKING:
    import argparse

    from cgidlab.pipeline import Request

ROOT = Path(__file__).resolve().parent.parent.parent

Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 -- argparse has no public name for it


def add_experiment(parser: argparse.ArgumentParser) -> None:
    """Add the experiment file and what may be changed of it on the command line."""
    parser.add_argument("experiment", type=Path, help="experiments/<name>.yml")
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
    parser.add_argument("--target", help="local, or the path of an Ansible inventory")


def request(args: argparse.Namespace) -> Request:
    """Return what the arguments of `add_experiment` ask for. Raise `SpecError` for a pair without `=`."""
    from cgidlab.pipeline import Request  # noqa: PLC0415 -- see cgidlab.commands

    return Request(
        experiment=args.experiment,
        root=ROOT,
        overrides=tuple(_pair("--set", text) for text in args.set),
        only=tuple((name, tuple(labels.split(","))) for name, labels in (_pair("--only", text) for text in args.only)),
        target=args.target,
    )


def _pair(option: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise SpecError(
            f"{option} takes name=value, not `{text}`", where=f"{option} {text}", fix=f"{option} clients=200"
        )
    return name, value
