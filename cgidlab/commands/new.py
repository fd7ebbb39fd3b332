"""`runner.py new`: begin an experiment file of one's own. Writes one file and overwrites none."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from cgidlab.commands import options
from cgidlab.errors import SpecError
from cgidlab.starting import command

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")
_MODELINE = "# yaml-language-server: $schema="


def register(verbs: options.Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "new",
        help="write an experiment file to change, after one that is there",
        description="Writes experiments/NAME.yml after a kept experiment. Without NAME it lists their questions.",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="of the experiment: a-z, 0-9 and -")
    parser.add_argument(
        "--like",
        default="backlog-sweep",
        metavar="EXPERIMENT",
        help="the experiment that asks nearly the same",
    )
    parser.add_argument(
        "--directory", type=Path, default=options.own("experiments"), metavar="DIR", help="where (experiments/)"
    )
    options.add_format(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the file and say what to do with it, or list the experiments and their questions."""
    from cgidlab.design import hints, strict_yaml  # noqa: PLC0415 -- see cgidlab.commands

    kept = {p.stem: p for p in sorted((options.ROOT / "experiments").glob("*.yml"))}
    if args.name is None:
        _list({name: str(strict_yaml.read(path).value["question"]) for name, path in kept.items()}, args.format)
        return 0
    if args.like not in kept:
        raise hints.unknown("no experiment is called", args.like, kept, f"--like {args.like}")
    if not _NAME.fullmatch(args.name):
        raise SpecError(f"`{args.name}` is no name of an experiment", where="NAME", fix="use a-z, 0-9 and -")
    path = args.directory / f"{args.name}.yml"
    text = re.sub(rf"(?m)^name: {re.escape(args.like)}$", f"name: {args.name}", kept[args.like].read_text())
    schema = options.ROOT / "docs" / "experiment.schema.json"
    text = "\n".join(line for line in text.splitlines() if not line.startswith(_MODELINE)) + "\n"
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(f"{_MODELINE}{os.path.relpath(schema, path.resolve().parent)}\n{text}")
    except FileExistsError as err:
        raise SpecError("the file is there already", where=str(path), fix="take another name") from err
    except OSError as err:
        raise SpecError(f"the file cannot be written: {err.strerror}", where=str(path)) from err
    if args.format == "json":
        print(json.dumps({"schema_version": 1, "experiment": str(path), "like": args.like}, indent=1))
        return 0
    print(f"{path}: change its question, factors and settings ({command('options')} lists them)")
    print(f"then: {command(f'plan {path}')}")
    return 0


def _list(questions: Mapping[str, str], form: str) -> None:
    if form == "json":
        kept = [{"name": name, "question": question} for name, question in questions.items()]
        print(json.dumps({"schema_version": 1, "experiments": kept}, indent=1))
        return
    width = max(map(len, questions))
    for name, question in questions.items():
        print(f"{name:<{width}}  {question}")
