"""Ctrl-C, SIGTERM and SIGHUP do the same to every verb: ask first where there is something to end, or end at once."""

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cgidlab import cli, commands

ROOT = Path(__file__).parents[2]
SMOKE = str(ROOT / "experiments" / "smoke.yml")
LOG = str(ROOT / "tests/data/error_log/overflow.own.log")
CATALOGUE = str(ROOT / "roles" / "cgid" / "meta" / "argument_specs.yml")
INVENTORY = "ansible-inventory"

# What each verb is told, and the file or program at which it is held: one that it cannot do without.
HELD: dict[str, tuple[tuple[str, ...], str]] = {
    "run": ((SMOKE, "--new", "--results", "{tmp}"), CATALOGUE),
    "validate": ((SMOKE,), CATALOGUE),
    "plan": ((SMOKE,), CATALOGUE),
    "schema": ((), CATALOGUE),
    "new": ((), SMOKE),
    "options": ((), CATALOGUE),
    "init": (("{tmp}/made",), SMOKE),
    "status": (("{tmp}/run",), "{tmp}/run/state.json"),
    "report": (("{tmp}/run",), "{tmp}/run/plan.json"),
    "compare": (("{tmp}/run", "{tmp}/other"), "{tmp}/run/plan.json"),
    "calibrate": (("--target", "{tmp}/hosts.yml", "--results", "{tmp}"), INVENTORY),
    "recover": (("{tmp}/run",), "{tmp}/run/state.json"),
    "observe": (("--results", "{tmp}"), str(ROOT / "roles/trial/files/cgidhost/__init__.py")),
    "doctor": (("--target", "{tmp}/hosts.yml"), INVENTORY),
    "sources": (("--target", "{tmp}/hosts.yml"), INVENTORY),
    "history": (("x", "--results", "{tmp}/results"), "{tmp}/results/x/run/plan.json"),
    "parse-log": ((LOG,), LOG),
    "bisect": (
        (SMOKE, *["--good", "a", "--bad", "b", "--response", "throughput_rps", "--results", "{tmp}"]),
        CATALOGUE,
    ),
}
INSTANT = {"completion"}  # prints what the parser knows: there is nothing to hold it at
ASKED_FIRST = {"run", "bisect", "calibrate", "observe", "doctor"}

# Python's own way to watch what a program does: nothing of cgidlab is replaced.
_DRIVER = """
import os, sys, time
held = sys.argv.pop(1)
def hold(event, args):
    what = args[0] if event == "open" else args[1][0] if event == "subprocess.Popen" else None
    if isinstance(what, (str, os.PathLike)) and os.fspath(what).endswith(held):
        os.write(2, b"held\\n")
        while True:
            time.sleep(60)
sys.addaudithook(hold)
from cgidlab.cli import main
sys.exit(main(sys.argv[1:]))
"""


class Verb:
    """A verb that runs, and what it said."""

    def __init__(self, name: str, tmp: Path) -> None:
        words, held = HELD[name]
        argv = [sys.executable, "-c", _DRIVER, held.format(tmp=tmp), name, *(w.format(tmp=tmp) for w in words)]
        self.process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.said = ""

    def says(self, text: str) -> bool:
        """Wait for a text on standard error; say whether it came."""
        assert self.process.stderr is not None
        until = time.monotonic() + 60
        while text not in self.said and time.monotonic() < until:
            if not select.select([self.process.stderr], [], [], 1.0)[0]:
                continue
            piece = os.read(self.process.stderr.fileno(), 4096).decode()
            self.said += piece
            if not piece:
                break
        return text in self.said


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for run in ("run", "other", "results/x/run"):
        (tmp_path / run).mkdir(parents=True)
        (tmp_path / run / "plan.json").write_text("{}")
        (tmp_path / run / "state.json").write_text("{}")
    (tmp_path / "hosts.yml").write_text("servers: {hosts: {web1: }}\n")
    return tmp_path


def test_every_verb_is_held_somewhere() -> None:
    """A verb that is added has to say where its signals are tried."""
    parser = cli.parser()

    assert len(HELD) + len(INSTANT) == len(commands.VERBS)
    assert all(parser.parse_args([name, *words]).verb == name for name, (words, _) in HELD.items())


# Each verb gets two of the three: one handler serves them all.
SENT = [
    (name, number)
    for at, name in enumerate(HELD)
    for number in (signal.SIGINT, (signal.SIGTERM, signal.SIGHUP)[at % 2])
]


@pytest.mark.parametrize(("name", "number"), SENT, ids=[f"{name}-{number.name}" for name, number in SENT])
def test_the_first_asks_and_the_second_ends(name: str, number: signal.Signals, place: Path) -> None:
    verb = Verb(name, place)
    try:
        assert verb.says("held\n"), verb.said
        verb.process.send_signal(number)
        if name in ASKED_FIRST:
            assert verb.says("stopping: "), verb.said
            assert verb.says("once more to leave at once\n"), verb.said
            assert verb.process.poll() is None
            verb.process.send_signal(number)

        assert verb.says("interrupted\n"), verb.said
        assert verb.process.wait(30) == 130
        assert "Traceback" not in verb.said
    finally:
        verb.process.kill()
        verb.process.wait()
