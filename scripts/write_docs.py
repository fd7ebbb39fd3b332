"""Writes the parts of the documentation that are made from the code, between their marks.

    python scripts/write_docs.py [--check]

With --check nothing is written, and what is stale makes it fail.
"""

import argparse
import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from cgidlab import cli, figures  # noqa: E402 -- not installed: it is found beside this script
from cgidlab.design import catalogue, specform  # noqa: E402 -- same
from scripts import readme_parts  # noqa: E402 -- same

SCHEMA = ROOT / "docs" / "experiment.schema.json"

PARTS: tuple[tuple[str, str, Callable[[], str]], ...] = (
    ("docs/results.md", "columns", figures.markdown),
    ("docs/experiment-format.md", "options", lambda: catalogue.markdown(catalogue.load(ROOT / "roles"))),
    ("docs/cli.md", "verbs", cli.markdown),
    ("README.md", "seven lines", functools.partial(readme_parts.verdict, "en")),
    ("README.ja.md", "seven lines", functools.partial(readme_parts.verdict, "ja")),
)


ROLES = tuple(path.parents[1] for path in sorted((ROOT / "roles").glob("*/meta/argument_specs.yml")))


def role_options(role: Path) -> str:
    """Return the options of a role as a table, from its specifications; for most readers its README is all there is."""
    spec = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]["main"]
    rows = [f"{spec['short_description']}.", "", "| option | type | default | what |", "| --- | --- | --- | --- |"]
    for name, option in spec.get("options", {}).items():
        takes = ", ".join(f"`{c}`" for c in option.get("choices", ())) or option["type"]
        default = "required" if option.get("required") else f"`{json.dumps(option.get('default'))}`"
        said = option["description"]
        said = said if isinstance(said, str) else said[0]
        rows.append(f"| `{name}` | {takes} | {default} | {' '.join(said.split()).replace('|', chr(92) + '|')} |")
    return "\n".join(rows)


def main() -> int:
    """Write or check every part; return 1 if one was to be checked and is stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, exit with 1 where a part is stale")
    check = parser.parse_args().check
    stale = 0
    schema = json.dumps(specform.json_schema(catalogue.load(ROOT / "roles")), indent=1) + "\n"
    wanted = [(SCHEMA, "whole file", schema)]
    of_roles: list[tuple[str, str, Callable[[], str]]]
    of_roles = [(f"roles/{role.name}/README.md", "options", functools.partial(role_options, role)) for role in ROLES]
    for name, part, make in (*PARTS, *of_roles):
        path = ROOT / name
        wanted.append((path, f"part `{part}`", filled(path.read_text(encoding="utf-8"), part, make(), name)))
    wanted.append((ROOT / "docs" / "pictures" / "p99.svg", "whole file", readme_parts.picture()))
    for path, part, want in wanted:
        if path.exists() and path.read_text(encoding="utf-8") == want:
            continue
        if check:
            stale = 1
            print(f"{path.relative_to(ROOT)}: the {part} is stale: run python -m scripts.write_docs")
        else:
            path.write_text(want, encoding="utf-8")
            print(f"{path.relative_to(ROOT)}: wrote the {part}")
    return stale


def filled(text: str, part: str, content: str, name: str) -> str:
    """Return a document whose part between its marks is `content`; raise SystemExit where it has no such marks."""
    begin, end = f"<!-- {part}: begin -->\n", f"<!-- {part}: end -->\n"
    before, found_begin, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise SystemExit(f"{name} has no place for it: {begin.strip()} ... {end.strip()}")
    return f"{before}{begin}{content}\n{end}{after}"


if __name__ == "__main__":
    sys.exit(main())
