"""`runner.py schema`: print a JSON Schema of the experiment file, for editors."""

import argparse
import json

from cgidlab.commands import options


def register(verbs: options.Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser("schema", help="print a JSON Schema of the experiment file")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:  # noqa: ARG001 -- every verb is called alike
    """Print the schema."""
    from cgidlab.design import catalogue, specform  # noqa: PLC0415 -- see cgidlab.commands

    print(json.dumps(specform.json_schema(catalogue.load(options.ROOT / "roles")), indent=1))
    return 0
