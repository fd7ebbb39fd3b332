"""`runner.py options`: what an experiment can set, with meaning, default and how it is read back."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING

from cgidlab.commands import options

if TYPE_CHECKING:
    import argparse

    from cgidlab.model import Option

_WIDTH = 100


def register(verbs: options.Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "options",
        help="list what an experiment can set, or say all about one option",
        description="Lists the options of all roles: any of them can be a factor or a setting. WORD is an option, "
        "what else it is called (MaxRequestWorkers, concurrency), or part of what it does.",
    )
    parser.add_argument("word", nargs="?", metavar="WORD", help="an option, or a word to look for")
    options.add_format(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the options that the word asks for. Raise `SpecError` if it asks for none."""
    from cgidlab.design import catalogue  # noqa: PLC0415 -- see cgidlab.commands

    known = catalogue.load(options.ROOT / "roles")
    found = list(known.options.values())
    if args.word:
        named = known.named(args.word)
        found = [known.options[named]] if named else [o for o in found if _speaks_of(o, args.word)]
    if not found:
        raise known.no_option(args.word, f"options {args.word}")
    if args.format == "json":
        print(json.dumps({"schema_version": 1, "options": [_document(o) for o in found]}, indent=1))
    elif len(found) == 1:
        print(_page(found[0]))
    else:
        width = max(len(o.name) for o in found)
        print("\n".join(f"{o.name:<{width}}  {_default(o):<10}  {o.summary}" for o in found))
    return 0


def _speaks_of(option: Option, word: str) -> bool:
    return word.lower() in f"{option.name} {option.description}".lower()


def _default(option: Option) -> str:
    return "required" if option.default is None else json.dumps(option.default)


def _document(option: Option) -> dict[str, object]:
    return {
        "name": option.name,
        "role": option.role,
        "type": option.type,
        "default": option.default,
        "choices": list(option.choices),
        "description": option.description,
    }


def _page(option: Option) -> str:
    takes = ", ".join(str(c) for c in option.choices) or option.type
    example = json.dumps(option.choices[-1] if option.choices else option.default)
    return "\n".join(
        [
            f"{option.name}: {takes}; default {_default(option)}",
            "",
            *textwrap.wrap(option.description, _WIDTH),
            "",
            f"  factors:\n    {option.name}: [{example}, ...]     its levels are compared",
            f"  settings:\n    {option.name}: {example}            the same in every cell",
            f"declared in roles/{option.role}/meta/argument_specs.yml",
        ]
    )
