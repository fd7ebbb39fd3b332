"""What hangs for ever ends by its time limit, is called a timeout, and leaves nothing behind."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from cgidlab.engine import ansible
from cgidlab.engine.blocks import one_block
from cgidlab.engine.execute import provision
from cgidlab.engine.loading import Loaded, Request, load_plan
from cgidlab.errors import ProvisionError
from cgidlab.model import Limits, Status
from cgidlab.parsers import host_report
from cgidlab.progress import Display
from cgidlab.runs import store
from cgidlab.runs.store import RunDirectory
from tests.e2e.test_faults import EXPERIMENT, processes
from tests.reach import let_pass
from tests.waiting import eventually

pytestmark = [pytest.mark.needs_root, pytest.mark.slow]


def children_named(name: str) -> list[int]:
    """Return the children of this process whose command line names a program."""
    found = processes(name)
    return [pid for pid, (_, parent) in found.items() if parent == os.getpid()]


def stop_player_when(condition: Callable[[], object]) -> threading.Thread:
    """Stop ansible-playbook and its workers, and never let them go on, as soon as a condition holds."""

    def watch() -> None:
        if eventually(lambda: condition() and children_named("ansible-playbook"), 60):
            player = children_named("ansible-playbook")[0]
            workers = [pid for pid, (_, parent) in processes("ansible-playbook").items() if parent == player]
            for pid in (player, *workers):
                os.kill(pid, signal.SIGSTOP)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


@pytest.fixture
def loaded(tmp_path: Path, repo_root: Path) -> Loaded:
    """Return an experiment of two trials on this machine, in directories of the test's own."""
    (tmp_path / "faults.yml").write_text(EXPERIMENT)
    hosts = {"local": None}
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "/usr/bin/python3",
        "host_work_dir": str(let_pass(tmp_path) / "work"),
    }
    groups = {"servers": {"hosts": hosts}, "generators": {"hosts": hosts}}
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(yaml.safe_dump({"all": {"children": groups, "vars": variables}}))
    return load_plan(Request(tmp_path / "faults.yml", repo_root, target=str(inventory)))


def limited(loaded: Loaded, **limits: float) -> Loaded:
    return replace(loaded, site=replace(loaded.site, limits=Limits(**limits)))


@pytest.fixture
def run(loaded: Loaded, tmp_path: Path) -> RunDirectory:
    made = store.create(tmp_path / "results", loaded.plan, "a")
    made.write("provenance.json", {})
    return made


def test_a_playbook_that_hangs_in_a_block_is_a_timeout_of_its_trials_which_are_run_again(
    loaded: Loaded, run: RunDirectory, provisioned_host: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "work").mkdir()
    about = tmp_path / "local.json"
    about.write_text(
        json.dumps(provisioned_host | {"dirs": provisioned_host["dirs"] | {"work": str(tmp_path / "work")}})
    )
    host = host_report.read(about)
    thread = stop_player_when(lambda: any(p.stat().st_size for p in (tmp_path / "work").glob("*/001/load/rows.log")))

    records = one_block(
        limited(loaded, trial_s=4, silence_s=8), run, host, loaded.plan.blocks[0], Display(), lambda: False
    )

    thread.join()
    assert [(r.outcome.status, r.outcome.kind) for r in records[:2]] == [(Status.FAILED, "timeout")] * 2
    assert "nothing was heard of the block for 13 s" in records[0].outcome.reason
    assert [r.outcome.status for r in records[2:]] == [Status.COMPLETE] * 2
    assert eventually(lambda: not processes(f"{tmp_path}/"), 10), processes(f"{tmp_path}/")
    assert {path.name for path in (tmp_path / "work").iterdir()} <= {"lock"}


def test_a_playbook_that_hangs_in_provisioning_ends_it_by_its_time_limit(
    loaded: Loaded, run: RunDirectory, provisioned_host: dict[str, Any]
) -> None:
    assert provisioned_host
    directory = run.ansible("provision")
    thread = stop_player_when((directory / "artifacts").exists)

    with pytest.raises(ProvisionError, match="longer than 3 s"):
        provision(
            limited(loaded, provision_s=3).site,
            loaded.plan,
            run.path / "hosts",
            run.path / "snapshots",
            directory,
            ansible.Callbacks(),
        )

    thread.join()
    assert not children_named("ansible-playbook")


def test_a_module_that_never_returns_ends_with_its_playbook(tmp_path: Path, repo_root: Path) -> None:
    play = tmp_path / "playbooks" / "hang.yml"
    play.parent.mkdir()
    mark = f"{tmp_path}/never"
    command = {"argv": ["/bin/sh", "-c", f": {mark}; while :; do sleep 1; done"]}
    task = {"name": "Never return", "ansible.builtin.command": command}
    play.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": [task]}]))
    (tmp_path / "ansible.cfg").write_text((repo_root / "ansible.cfg").read_text())
    inventory = repo_root / "inventories" / "local.yml"
    began = time.monotonic()

    played = ansible.play(play, inventory, {}, tmp_path / "invocation", timeout_s=4)

    assert (played.ok, played.timed_out, played.why) == (False, True, "ansible-playbook took too long")
    assert time.monotonic() - began < 15
    assert eventually(lambda: not processes(mark), 10), processes(mark)
