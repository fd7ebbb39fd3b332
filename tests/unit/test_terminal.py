"""What others name does not steer the terminal, on standard error either."""

import ast
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cgidlab import cli
from cgidlab.commands.observe import _LiveLines, _sockets, _text
from cgidlab.engine.observing import _live
from cgidlab.report import QUESTIONS

ROOT = Path(__file__).parents[2]
ESCAPE = "\x1b]0;owned\x07"
SOCKET = {"label": f"/run/{ESCAPE}\n/run/b", "there": False}
INSTANCE = {
    "host": "h1", "httpd": False, "program": "evil\nReduce it", "pid": 7, "socket": "/run/a", "queue_limit": 5,
    "requests": None, "verdict": {"lines": ["no"] * len(QUESTIONS)},
}  # fmt: skip


def test_a_sockets_name_does_not_steer_the_terminal_of_who_watches(capsys: pytest.CaptureFixture[str]) -> None:
    """Any user of a watched host can give a socket any name."""
    _LiveLines(_sockets).show({"h1": {"elapsed_s": 1.0, "targets": [SOCKET]}})

    said = capsys.readouterr().err
    assert "/run/" in said
    assert "\x1b" not in said
    assert len(said.splitlines()) == 1


def test_a_programs_name_adds_no_line_to_what_was_observed() -> None:
    """Any user of a watched host can give a process any name."""
    seen = SimpleNamespace(instances=[INSTANCE], hosts=(), failures=(), report="report.html")

    said = _text(cast("Any", seen))

    assert said.splitlines()[0].startswith("evil")
    assert "\nReduce it" not in said


@pytest.mark.parametrize(
    "seen",
    [{}, {"elapsed_s": "x", "targets": [SOCKET]}, {"elapsed_s": 1.0, "targets": 5}, {"elapsed_s": 1, "targets": [1]}],
)
def test_what_a_host_must_not_say_is_not_shown_and_ends_nothing(
    seen: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    _LiveLines(_sockets).show({"h1": seen})

    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "{", '{"elapsed_s": NaN}'])
def test_live_words_that_are_no_object_are_passed_over(tmp_path: Path, text: str) -> None:
    (tmp_path / "h1.live.json").write_text(text)

    assert _live(tmp_path / "h1.live.json") == {}


def test_a_logs_name_does_not_steer_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / f"error{ESCAPE.replace('/', '')}").write_text("nothing\n")

    assert cli.main(["parse-log", "--format", "json", str(tmp_path)]) == 1

    said = capsys.readouterr()
    assert json.loads(said.out)["recognised"] == 0
    assert "no error log" in said.err
    assert "\x1b" not in said.err


def test_what_is_printed_on_standard_error_is_printable_or_a_constant() -> None:
    """Standard output is `Plain` whoever prints; standard error is not, since progress moves the cursor there."""
    found = {}
    for path in sorted((ROOT / "cgidlab").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or ast.unparse(node.func) != "print":
                continue
            to = next((ast.unparse(k.value) for k in node.keywords if k.arg == "file"), "")
            words = ast.unparse(node.args[0]) if node.args else ""
            if "stderr" in to and not isinstance(node.args[0], ast.Constant) and not words.startswith("printable("):
                found[f"{path.stem}: {words}"] = path
    assert set(found) == {
        "observe: text",  # made printable above, which is tried here
        "signals: f'stopping: {promise}; once more to leave at once'",  # our own words
    }
