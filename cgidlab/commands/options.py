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

_PACKAGE = Path(__file__).resolve().parent.parent
INSTALLED = (_PACKAGE / "project").is_dir()
ROOT = _PACKAGE / "project" if INSTALLED else _PACKAGE.parent
"""Roles, playbooks, inventories and experiments: the checkout, or what a wheel carries."""


def own(name: str) -> Path:
    """Return where a user's own files of a kind are: in the checkout, or below the directory they are in."""
    return Path(name) if INSTALLED else ROOT / name


Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 -- argparse has no public name for it


def add_sources(parser: argparse.ArgumentParser) -> None:
    """Add the directory of tarballs."""
    parser.add_argument(
        "--sources",
        type=Path,
        metavar="DIR",
        help="a directory of tarballs with checksums, taken for upstream:VERSION in place of the network",
    )


def add_target(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """Add which hosts are meant."""
    usual = "the experiment's own" if default is None else default
    parser.add_argument(
        "--target",
        default=default,
        metavar="TARGET",
        help=f"local, vagrant, or the path of an Ansible inventory (default: {usual})",
    )


def add_format(parser: argparse.ArgumentParser, *forms: str, explained: str = "") -> None:
    """Add how the result is printed: as text, as JSON, and in further forms; the first is the default."""
    choices = forms or ("text", "json")
    what = explained or "how the result is printed"
    parser.add_argument("--format", choices=choices, default=choices[0], help=f"{what} (default: {choices[0]})")


def add_language(parser: argparse.ArgumentParser) -> None:
    """Add in which language verdict and report are said."""
    parser.add_argument(
        "--lang",
        choices=("en", "ja"),
        default="en",
        help="language of verdict and report (default: en); progress, details, json and junit stay English",
    )


def check_language(args: argparse.Namespace) -> None:
    """Raise `SpecError` where another language is asked for than a format has."""
    if args.lang != "en" and args.format in ("json", "junit"):
        raise SpecError(f"{args.format} is English", where="--lang", fix="leave out --lang, or --format")


def add_level(parser: argparse.ArgumentParser) -> None:
    """Add how much is said beside the result: `level` is -1, 0 or 1 (`progress.Display`)."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "-q",
        "--quiet",
        dest="level",
        action="store_const",
        const=-1,
        default=0,
        help="print errors and the result alone",
    )
    group.add_argument(
        "-v", "--verbose", dest="level", action="store_const", const=1, default=0, help="print each step as well"
    )


RUN_HELP = "results/<experiment>/<run-id>, its id alone, or an experiment's name for its latest run"


def add_results(parser: argparse.ArgumentParser, what: str = "where run directories are") -> None:
    """Add where run directories are, or go."""
    parser.add_argument(
        "--results", type=Path, default=Path("results"), metavar="DIR", help=f"{what} (default: results)"
    )


def add_budget(parser: argparse.ArgumentParser, what: str) -> None:
    """Add how much time trials may take."""
    parser.add_argument("--budget", type=duration_of("--budget"), metavar="DURATION", help=what)


def duration_of(option: str, *, seconds_alone: bool = False) -> Callable[[str], float]:
    """Return what reads this option's duration (90s, 30m, 2h; a number alone if that means seconds), for argparse.

    It returns seconds, and raises `SpecError` for what is no duration.
    """

    def duration_s(text: str) -> float:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)" + "?" * seconds_alone, text.strip(), re.ASCII)
        seconds = float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2] or "s"] if found else 0.0
        if not 0 < seconds < math.inf:
            raise SpecError(f"a duration is a number with s, m or h, not `{text}`", where=option, fix=f"{option} 30m")
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
