"""The table of servers in docs/observe.md has every cell, and in each the verdict that is right there."""

import re
from pathlib import Path

from tests.servers.table import DEAD, FRONTS, LIGHT_LOAD, NO_LOAD, OVERFLOW, PART, SITUATIONS

_VERSION = re.compile(r" [\d.]+(?=,|$)")


def test_every_server_was_watched_through_everything_and_judged_rightly(repo_root: Path) -> None:
    text = (repo_root / "docs" / "observe.md").read_text()
    part = text.partition(f"<!-- {PART}: begin -->\n")[2].partition(f"<!-- {PART}: end -->")[0]
    header, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines())

    assert tuple(header[1:]) == SITUATIONS
    assert tuple(_VERSION.sub("", row[0]) for row in rows) == FRONTS
    for row in rows:
        cells = dict(zip(SITUATIONS, row[1:], strict=True))
        assert cells[OVERFLOW].startswith("overflowed: full for ")
        assert cells[LIGHT_LOAD].startswith("did not overflow: ")
        assert cells[NO_LOAD] == "nothing can be said<br>*nothing*"
        assert not cells[DEAD].startswith("overflowed")
        assert " refused" in cells[DEAD]
