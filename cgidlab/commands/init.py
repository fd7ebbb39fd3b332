"""`runner.py init`: begin a directory of one's own, with what an installed cgidlab carries. Overwrites nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from cgidlab.commands import options
from cgidlab.errors import SpecError

if TYPE_CHECKING:
    import argparse

_KINDS = ("experiments", "inventories")


def register(verbs: options.Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "init",
        help="begin a directory with experiments and inventories to change",
        description="Copies the experiments and the inventories into DIR. Roles and playbooks stay where they are.",
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="it is made if it is not there")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Copy the files and say what to do with them."""
    there = [str(args.directory / kind) for kind in _KINDS if (args.directory / kind).exists()]
    if there:
        raise SpecError("it is there already, and nothing is overwritten", where=there[0], fix="name another DIR")
    try:
        for kind in _KINDS:
            shutil.copytree(options.ROOT / kind, args.directory / kind)
        # Where an editor looks for what the files name as their schema.
        (args.directory / "docs").mkdir(exist_ok=True)
        shutil.copy(options.ROOT / "docs" / "experiment.schema.json", args.directory / "docs")
    except OSError as err:
        raise SpecError(f"the files cannot be written: {err.strerror}", where=str(args.directory)) from err
    print(f"{args.directory}: experiments and inventories; results will be in {args.directory / 'results'}")
    print(f"then: cd {args.directory} && cgidlab plan experiments/smoke.yml")
    return 0
