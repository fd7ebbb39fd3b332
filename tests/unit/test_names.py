"""Names from a file become names of directories: refused or encoded, and two of them never the same."""

import json
import re
from pathlib import Path

import pytest

from cgidlab.errors import SpecError
from tests.unit.run_directories import EXPERIMENT, planned

_SAFE = re.compile(r"001-listen_backlog-[A-Za-z0-9._~-]+-b1")
HOSTILE = [
    "../x",
    "..",
    ".",
    "/etc/passwd",
    "a/b",
    "~root/x",
    "$(id)",
    "`id`",
    "-rf",
    "CON",
    "x" * 60,
    " ",
    "a;b",
    "%2e%2e/",
]


def with_labels(*labels: str) -> str:
    levels = [f"{{label: {json.dumps(label)}, value: {n}}}" for n, label in enumerate(labels, start=5)]
    return EXPERIMENT.replace("[5, 1024]", f"[{', '.join(levels)}, 1024]")


@pytest.mark.parametrize(
    "name",
    ["../x", "..", "/x", "a/b", "a" * 61, "p\N{CYRILLIC SMALL LETTER A}y", "-x", "a.b", "A", "", "con\0", "a\nb"],
)
def test_an_experiments_name_that_is_none_for_a_directory_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SpecError):
        planned(tmp_path, EXPERIMENT.replace("name: small", f"name: {json.dumps(name)}"))


@pytest.mark.parametrize("label", HOSTILE)
def test_a_levels_label_becomes_one_name_below_the_run(tmp_path: Path, label: str) -> None:
    (directory,) = {t.directory for t in planned(tmp_path, with_labels(label)).trials if t.number == 1}
    names = {t.directory for t in planned(tmp_path, with_labels(label)).trials}

    assert len(names) == 6, "of two levels and three blocks"
    assert all(Path(name).name == name and len(name) < 200 for name in names)
    assert _SAFE.fullmatch(directory)


@pytest.mark.parametrize(
    ("first", "second"),
    [("a/b", "a_b"), ("pay", "p\N{CYRILLIC SMALL LETTER A}y"), ("é", "e\N{COMBINING ACUTE ACCENT}"), ("a b", "a;b")],
    ids=["slash", "look-alike", "composed", "encoded alike"],
)
def test_labels_that_look_alike_have_directories_of_their_own(tmp_path: Path, first: str, second: str) -> None:
    plan = planned(tmp_path, with_labels(first, second))

    cells = {cell.id for cell in plan.cells}
    assert len(cells) == 3
    assert all(cell.isascii() for cell in cells)


@pytest.mark.parametrize("label", ["a\nb", "a\0b", "a\N{RIGHT-TO-LEFT OVERRIDE}b", "\x1b[2J"])
def test_a_label_that_is_not_shown_as_itself_is_refused(tmp_path: Path, label: str) -> None:
    with pytest.raises(SpecError):
        planned(tmp_path, with_labels(label))
