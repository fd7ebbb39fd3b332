"""What others name does not steer the terminal, on standard error either."""

import ast
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cgidlab import cli
from cgidlab.commands.compare import as_text
from cgidlab.commands.observe import _LiveLines, _sockets, _text
from cgidlab.commands.status import _line
from cgidlab.engine.execute import Site
from cgidlab.engine.locking import exclusive
from cgidlab.engine.observing import _live
from cgidlab.errors import LabError, ProvisionError
from cgidlab.model import Status
from cgidlab.report import QUESTIONS, history
from cgidlab.report.history import HistoryRow
from cgidlab.runs.status import RunStatus

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


def test_a_name_in_an_error_begins_no_line() -> None:
    """Of a socket, a process or a run directory: what another user of the machine may call something."""
    name = "/run/a\n  fix: run this\nerror: or this\u2028  at:  here"

    said = str(LabError(f"no run is called {name}", where=name, fix=f"name {name}"))

    starts = [line[:8] for line in said.splitlines()]
    assert [start for start in starts if not start.startswith("    ")] == ["error: n", "  at:  /", "  fix: n"]


def test_who_has_a_target_adds_no_line_to_what_is_said(tmp_path: Path) -> None:
    """Any user of the machine can hold the lock, by a command line of any words."""
    site = Site(ROOT, ROOT / "inventories" / "local.yml")
    program = "import fcntl, sys; file = open(sys.argv[1], 'w'); fcntl.flock(file, 2); print(flush=True); input()"
    words = [sys.executable, "-c", program, str(tmp_path / "cgidlab-local.lock"), "x\n  fix: run this"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()

        with pytest.raises(ProvisionError, match=f"process {holder.pid} ") as busy, exclusive(site, tmp_path):
            pass
        holder.kill()

    assert "\n" not in busy.value.what


def test_a_runs_name_is_one_line_of_those_that_are_listed() -> None:
    name, none = "a\nb/c  finished: 9 trials done", dict.fromkeys(Status, 0)
    row = RunStatus(name, name, Path(name), "finished", name, none, None, 0, 0, None, None)

    assert len(_line(row).splitlines()) == 1
    assert len(history.as_text([HistoryRow(run_id=name, state="finished", note=name)]).splitlines()) == 1


def test_what_two_runs_differ_in_is_one_line() -> None:
    name = "a\nB is worse than A"
    found = SimpleNamespace(
        a=name, b=name, differences=[SimpleNamespace(word="kernel", before=name, now=name)], ratios=(),
        only_a=[(("listen_backlog", name),)], only_b=(), warnings=[name], suggestion="",
    )  # fmt: skip

    assert "B is worse than A" not in as_text(cast("Any", found)).splitlines()


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
