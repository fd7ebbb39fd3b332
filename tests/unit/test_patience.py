"""Ansible looks less often while it waits for a block, and as often as before for everything else."""

import importlib.util
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CALLBACK = ROOT / "playbooks" / "callback_plugins" / "cgidlab_patience.py"


def plugin() -> ModuleType:
    spec = importlib.util.spec_from_file_location("cgidlab_patience", CALLBACK)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def test_it_looks_seldom_while_a_long_task_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    patience: Any = plugin()
    monkeypatch.setattr(patience.constants, "DEFAULT_INTERNAL_POLL_INTERVAL", 0.02)
    callback = patience.CallbackModule()
    seen = []

    for action in ("ansible.builtin.command", "cgidlab_blocks", "command", "cgidlab.lab.cgidlab_observe", "template"):
        callback.v2_playbook_on_task_start(SimpleNamespace(action=action), False)  # noqa: FBT003 -- Ansible's
        seen.append(patience.constants.DEFAULT_INTERNAL_POLL_INTERVAL)

    assert seen == [0.02, 0.5, 0.02, 0.5, 0.02]


def test_the_long_tasks_are_actions_that_are_there() -> None:
    there = {path.stem for path in ROOT.glob("roles/*/action_plugins/*.py")}

    assert there >= plugin().LONG


def test_ansible_reads_the_interval_at_each_look() -> None:
    """The name that is set is the one that Ansible's loops read, through the module."""
    found = importlib.util.find_spec("ansible.plugins.strategy")

    assert found is not None
    assert found.origin is not None
    for path in (Path(found.origin), Path(found.origin).with_name("free.py")):
        assert "time.sleep(C.DEFAULT_INTERNAL_POLL_INTERVAL)" in path.read_text()
