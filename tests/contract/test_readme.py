"""The READMEs say the same in both languages, and name what exists and was run."""

import re
from pathlib import Path

import pytest

MAX_LINES = 120
LINK = re.compile(r"\]\(([^)\s]+)\)")
SYSTEM = re.compile(
    r"Debian \d+|Ubuntu [\d.]+|Fedora \d+|EL ?\d+|CentOS Stream \d+|(?:Alma|Rocky)\w* ?Linux \d+|FreeBSD [\d.]+|macOS"
)
BOTH = ("README.md", "README.ja.md")


def read(root: Path, name: str) -> str:
    return (root / name).read_text(encoding="utf-8")


def commands(text: str) -> list[str]:
    """Return the commands: lines of code that begin with a program, those of the recorded answer aside."""
    found = re.findall(r"^    (.+)$", text, re.MULTILINE)
    return [line for line in found if re.match(r"(git|make|\./runner\.py|journalctl|cgidlab|pip|pipx) ", line)]


@pytest.mark.parametrize("name", BOTH)
def test_a_readme_is_short(repo_root: Path, name: str) -> None:
    assert len(read(repo_root, name).splitlines()) < MAX_LINES


def test_both_readmes_have_the_same_headings_commands_links_and_code(repo_root: Path) -> None:
    english, japanese = (read(repo_root, name) for name in BOTH)

    def levels(text: str) -> list[int]:
        return [len(mark) for mark in re.findall(r"^(#+) ", text, re.MULTILINE)]

    def links(text: str) -> list[str]:
        return [link for link in LINK.findall(text) if link not in BOTH]

    def code(text: str) -> list[str]:
        return sorted(set(re.findall(r"`([^`]+)`", text)))

    assert levels(english) == levels(japanese)
    assert commands(english) == commands(japanese)
    assert len(commands(english)) > 8
    assert links(english) == links(japanese)
    assert [c for c in code(english) if c not in code(japanese)] == []
    assert re.findall(r"^\| (\d+) \|", english, re.MULTILINE) == re.findall(r"^\| (\d+) \|", japanese, re.MULTILINE)


def test_the_japanese_readme_is_japanese(repo_root: Path) -> None:
    text = read(repo_root, "README.ja.md")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)

    assert all(re.search(r"[\u3040-\u30ff\u4e00-\u9fff]", heading) for heading in headings)
    assert "輻輳" not in text  # an overflow is no congestion
    for word in ("溢れ", "ワーカースレッド", "キュー"):
        assert word in text


@pytest.mark.parametrize("name", [*BOTH, "docs/tutorial.md"])
def test_every_system_that_is_named_has_a_row_of_what_ran_there(repo_root: Path, name: str) -> None:
    rows = read(repo_root, "docs/tested-on.md")
    named = set(SYSTEM.findall(read(repo_root, name)))

    assert named
    assert {system for system in named if not re.search(rf"^\|.*{re.escape(system)}", rows, re.MULTILINE)} == set()
