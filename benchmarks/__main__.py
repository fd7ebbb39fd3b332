"""Measure what is to be fast: `make bench`, or `python -m benchmarks [NAME...]`.

Each benchmark runs in a process of its own, prints its rows and keeps them in
benchmarks/results/NAME.json. `--write-docs` puts the table of all kept results, and what
is calculated from them, into docs/performance.md. Exits 1 when a benchmark failed; a
goal that was missed is no failure.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from benchmarks import scale
from benchmarks.figures import RESULTS, ROOT, say, table
from scripts.write_docs import filled

# In the order of the table.
NAMES = (
    "trials",
    "trials_ssh",
    "first_trial",
    "second_run",
    "variants",
    "decides",
    "unchanged",
    "measuring",
    "instruments",
    "queue_sampler",
    "listeners",
    "error_log",
    "planning",
    "reporting",
    "starting",
    "growth",
)
DOCS = ROOT / "docs" / "performance.md"


def main() -> int:
    """Run the benchmarks that are named, or all."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument(
        "--write-docs", action="store_true", help="put the kept results and the calculation into docs/performance.md"
    )
    args = parser.parse_args()
    unknown = set(args.names) - set(NAMES)
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    failed = [name for name in args.names or (() if args.write_docs else NAMES) if not _ran(name)]
    text = table([json.loads(path.read_text()) for path in _kept()])
    print(text)
    if args.write_docs:
        _write_docs(text)
    for name in failed:
        say(f"failed: {name}")
    return 1 if failed else 0


def _ran(name: str) -> bool:
    say(f"== {name}")
    return subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False, cwd=ROOT).returncode == 0


def _kept() -> list[Path]:
    return [path for name in NAMES if (path := RESULTS / f"{name}.json").exists()]


def _write_docs(text: str) -> None:
    content = DOCS.read_text()
    for name, part in (("benchmarks", text), ("scale", scale.section())):
        content = filled(content, name, part.rstrip("\n"), DOCS.name)
    DOCS.write_text(content)


if __name__ == "__main__":
    sys.exit(main())
