"""Documents are found, read and tried: the index, their lines, the answers' first lines, the tutorial's commands."""

import contextlib
import io
import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml

from cgidlab import cli
from cgidlab.commands import options
from tests.contract.test_layout import texts

MAX_COLUMNS = 200


def test_the_index_names_every_document(repo_root: Path) -> None:
    index = (repo_root / "docs/index.md").read_text(encoding="utf-8")
    there = {p.name for p in (repo_root / "docs").glob("*.md")} - {"index.md"}

    assert {name for name in there if f"({name}" not in index} == set()


def test_lines_of_documents_can_be_read_beside_a_terminal(repo_root: Path) -> None:
    """A row of a table is one line whatever it says; what a program prints, or writes into a document, is as wide."""
    long = []
    for name, text in texts(repo_root, "*.md").items():
        code = made = False
        for number, line in enumerate(text.splitlines(), start=1):
            code ^= line.startswith("```")
            made = line.endswith(": begin -->") or (made and not line.endswith(": end -->"))
            if len(line) >= MAX_COLUMNS and not code and not made and not line.startswith(("|", "    ")):
                long.append(f"{name}:{number}: {len(line)}")

    assert long == []


def test_every_question_is_answered_in_its_first_line(repo_root: Path) -> None:
    sections = re.split(r"^## ", (repo_root / "docs/questions.md").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]

    assert len(sections) > 10
    for section in sections:
        lines: list[str] = [*section.splitlines(), "", "", ""]
        question, answer, after, rest = lines[0], lines[2], lines[3], lines[4:]
        assert question.endswith("?")
        assert 8 < len(answer) < 110, question
        assert answer.endswith("."), question
        assert after == "", question
        assert not answer.startswith(("*", "|", "[")), question
        if "*Measured here*" in "\n".join(rest):
            assert "\n| " in section, f"{question}: the figures stand in a table"
            assert section.index("\n| ") > section.index(answer)


def blocks(text: str) -> list[tuple[str, str]]:
    """Return (mark, block of commands) of the tutorial: the mark is "slow" or empty."""
    found = re.findall(r"(?:^<!-- tutorial: (slow) -->\n)?((?:^    .+\n)+)", text, re.MULTILINE)
    return [(mark, block) for mark, block in found]


def test_every_command_of_the_tutorial_is_one(repo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that take minutes are parsed; all others are run in a copy, in their order, with the file that is shown."""
    text = (repo_root / "docs/tutorial.md").read_text(encoding="utf-8")
    shutil.copytree(repo_root / "experiments", tmp_path / "experiments")
    (tmp_path / "docs").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(options, "own", lambda name: tmp_path / name)
    shown = re.search(r"<!-- tutorial: file (\S+) -->\n```yaml\n(.*?)```", text, re.DOTALL)
    assert shown is not None
    targets = set(
        re.findall(r"^([a-z][a-z0-9-]*):", (repo_root / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    ran = 0
    for mark, block in blocks(text):
        for line in block.splitlines():
            program, *words = shlex.split(line)
            if program == "make":
                assert set(words) <= targets
            elif mark == "slow":
                cli.parser().parse_args(cli._with_verb(words))  # noqa: SLF001 -- what a user types
            else:
                assert program == "./runner.py"
                with (
                    contextlib.redirect_stdout(io.StringIO()) as said,
                    contextlib.redirect_stderr(io.StringIO()) as err,
                ):
                    status = cli.main(fresh(words))
                assert status == 0, f"{line}: {err.getvalue()}"
                assert said.getvalue().strip(), line
                ran += 1
                if words[0] == "new" and len(words) > 1:
                    made = Path(shown[1])
                    assert made.exists()
                    made.write_text(shown[2], encoding="utf-8")
    assert ran >= 5
    kept = yaml.safe_load((tmp_path / shown[1]).read_text(encoding="utf-8"))
    assert kept["name"] == "my-threads"


def fresh(words: list[str]) -> list[str]:
    """Return a command as it is typed; `new` writes below the directory it is started in."""
    return (
        [*words, "--directory", os.fspath(Path("experiments").resolve())]
        if words[0] == "new" and len(words) > 1
        else words
    )


def test_words_of_the_glossary_are_explained_once(repo_root: Path) -> None:
    rows = re.findall(
        r"^\| ([^|]+) \| [^|]+ \|$", (repo_root / "docs/glossary.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    words = [w for w in rows if w not in {"word", "---"}]

    assert len(words) > 30
    assert len(words) == len(set(words))
