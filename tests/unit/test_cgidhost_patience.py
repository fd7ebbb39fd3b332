"""A verb that hangs on a host ends itself, with what it started: the play that asked is over by then."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from cgidhost import patience

from cgidlab.model import Limits
from tests import waiting

ROOT = Path(__file__).parents[2]
HANGS = """
import subprocess
from cgidhost import patience
patience.begin("{verb}", 0.3)
hangs = subprocess.Popen(["sleep", "{sleep_s}"])
print(hangs.pid, flush=True)
hangs.wait()
"""


def ran(verb: str, sleep_s: str) -> subprocess.CompletedProcess[str]:
    """Run what stands for a verb whose program takes its time."""
    code = HANGS.format(verb=verb, sleep_s=sleep_s)
    environment = {**os.environ, "PYTHONPATH": str(Path(patience.__file__).parents[1])}
    argv = [sys.executable, "-c", code]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60, env=environment)


def test_a_verb_that_hangs_ends_with_what_it_started() -> None:
    found = ran("cleanup", "600")

    assert found.returncode == 1
    assert "takes too long" in found.stderr
    assert waiting.ends(int(found.stdout))


def test_one_that_is_told_how_long_is_left_to_it() -> None:
    assert ran("await", "0.6").returncode == 0


def test_a_verb_ends_before_the_play_that_asked() -> None:
    assert Limits().teardown_s > patience.MOST_S


COMMANDS = [
    (path, task)
    for path in sorted(ROOT.glob("roles/*/tasks/*.yml"))
    if path.parts[-3] != "exporter"  # no run waits for it: whoever installs it watches the play
    for task in yaml.safe_load(path.read_text())
    for task in (task, *task.get("block", ()), *task.get("always", ()), *task.get("rescue", ()))
]
BOUNDED: dict[str, Callable[[Any], bool]] = {
    "ansible.builtin.command": lambda what: any(w in str(what) for w in ("helper", "cgidhost.pyz", "'timeout', '60'")),
    "ansible.builtin.apt": lambda what: what["lock_timeout"] <= 300,
    "ansible.builtin.dnf": lambda what: what["lock_timeout"] <= 300,
}
UNBOUNDED = {
    "ansible.builtin.shell",
    "ansible.builtin.raw",
    "ansible.builtin.script",
    "ansible.builtin.get_url",
}


@pytest.mark.parametrize("name", BOUNDED)
def test_ansibles_own_modules_that_can_hang_on_a_host_have_an_end_there(name: str) -> None:
    tasks = [(path, task[name]) for path, task in COMMANDS if name in task]

    assert tasks
    assert all(BOUNDED[name](what) for _, what in tasks)
    assert not [path for path, task in COMMANDS if UNBOUNDED & task.keys()]
