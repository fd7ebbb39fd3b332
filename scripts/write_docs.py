"""Writes the parts of the documentation that are made from the code, between their marks.

    python scripts/write_docs.py [--check]

With --check nothing is written, and what is stale makes it fail.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from cgidlab import figures  # noqa: E402 -- not installed: it is found beside this script
from cgidlab.design import catalogue  # noqa: E402 -- same

PARTS = (
    ("docs/results.md", "columns", figures.markdown),
    ("docs/experiment-format.md", "options", lambda: catalogue.markdown(catalogue.load(ROOT / "roles"))),
)


def main() -> int:
    """Write or check every part; return 1 if one was to be checked and is stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, exit with 1 where a part is stale")
    check = parser.parse_args().check
    stale = 0
    for name, part, make in PARTS:
        path = ROOT / name
        text = path.read_text(encoding="utf-8")
        want = _filled(text, part, make(), name)
        if want == text:
            continue
        if check:
            stale = 1
            print(f"{name}: the part `{part}` is stale: run python scripts/write_docs.py")
        else:
            path.write_text(want, encoding="utf-8")
            print(f"{name}: wrote the part `{part}`")
    return stale


def _filled(text: str, part: str, content: str, name: str) -> str:
    begin, end = f"<!-- {part}: begin -->\n", f"<!-- {part}: end -->\n"
    before, found_begin, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise SystemExit(f"{name} has no place for it: {begin.strip()} ... {end.strip()}")
    return f"{before}{begin}{content}\n{end}{after}"


if __name__ == "__main__":
    sys.exit(main())
