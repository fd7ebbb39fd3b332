"""Arguments that several verbs share."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from cgidlab.errors import SpecError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from cgidlab.engine.loading import Request

ROOT = Path(__file__).resolve().parent.parent.parent

Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 -- argparse has no public name for it


def add_experiment(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """Add the experiment file and what may be changed of it on the command line."""
    parser.add_argument("experiment", type=Path, nargs="?" if optional else None, help="experiments/<name>.yml")
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
    parser.add_argument("--target", help="local, vagrant, or the path of an Ansible inventory")


def add_sources(parser: argparse.ArgumentParser) -> None:
    """Add the directory of tarballs."""
    parser.add_argument(
        "--sources",
        type=Path,
        metavar="DIR",
        help="a directory of tarballs with checksums, taken for upstream:VERSION in place of the network",
    )


def request(args: argparse.Namespace) -> Request:
    """Return what the arguments of `add_experiment` ask for. Raise `SpecError` for a pair without `=`."""
    from cgidlab.engine.loading import Request  # noqa: PLC0415 -- see cgidlab.commands

    return Request(
        experiment=args.experiment,
        root=ROOT,
        overrides=tuple(_pair("--set", text) for text in args.set),
        only=tuple((name, tuple(labels.split(","))) for name, labels in (_pair("--only", text) for text in args.only)),
        target=args.target,
        sources=getattr(args, "sources", None),
    )


def duration_of(option: str, *, seconds_alone: bool = False) -> Callable[[str], float]:
    """Return what reads this option's duration (90s, 30m, 2h; a number alone if that means seconds), for argparse.

    It returns seconds, and raises `SpecError` for what is no duration.
    """

    def duration_s(text: str) -> float:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)" + "?" * seconds_alone, text.strip(), re.ASCII)
        seconds = float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2] or "s"] if found else 0.0
        if not 0 < seconds < math.inf:
            raise SpecError(
                f"a duration is a number with s, m or h, not `{text}`", where=option, fix=f"{option} 30m, for example"
            )
        return seconds

    return duration_s


def share_of(option: str, what: str) -> Callable[[str], float]:
    """Return what reads this option's share (5%, 0.05), for argparse; `what` says what it is a share of, in words.

    It raises `SpecError` for what is none between 0 and 1.
    """

    def share(text: str) -> float:
        try:
            value = float(text[:-1]) / 100 if text.endswith("%") else float(text)
        except ValueError:
            value = math.nan
        if not 0 < value < 1:  # false for NaN too
            raise SpecError(f"{what} such as 5% or 0.05, not `{text}`", where=option)
        return value

    return share


def _pair(option: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise SpecError(
            f"{option} takes name=value, not `{text}`", where=f"{option} {text}", fix=f"{option} clients=200"
        )
    return name, value
