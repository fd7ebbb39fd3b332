"""A run directory is data: no inventory and no path of it is used on its own word."""

import os
import shutil
import threading
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cgidlab import cli
from cgidlab.engine import hoststate, journal, locking, readying, recovering, resuming
from cgidlab.engine.execute import Site
from cgidlab.engine.loading import Request
from cgidlab.errors import LabError, SpecError, StoreError
from cgidlab.model import Factor, Level
from cgidlab.parsers import inventory
from cgidlab.progress import Display
from cgidlab.runs import store
from tests.unit.run_directories import ROOT, planned


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Return an inventory that is a program and leaves a trace when it is started."""
    path = tmp_path / "inventory"
    path.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\necho '{{}}'\n")
    path.chmod(0o755)
    return path


def run_on(place: Path, target: str) -> store.RunDirectory:
    """Return an interrupted run whose plan names a target."""
    plan = planned(place)
    run = store.create(place / "results", replace(plan, experiment=replace(plan.experiment, target=target)), "a")
    run.set_state(store.INTERRUPTED)
    return run


def test_the_target_that_a_directory_names_is_not_started(tmp_path: Path, program: Path) -> None:
    run = run_on(tmp_path, str(program))

    with pytest.raises(SpecError, match="nobody else does") as refused:
        resuming.load(run, ROOT, None)

    assert refused.value.fix.endswith(f"--target {program}")
    assert not (tmp_path / "started").exists()


def test_a_target_beside_the_experiment_files_own_is_not_started(tmp_path: Path, program: Path) -> None:
    run = run_on(tmp_path, str(program))

    with pytest.raises(SpecError, match="was planned for the target"):
        resuming.load(run, ROOT, Request(tmp_path / "small.yml", ROOT))
    with pytest.raises(SpecError, match="was planned for the target"):
        resuming.load(run, ROOT, None, "local")

    assert not (tmp_path / "started").exists()


def test_the_projects_own_target_needs_no_word(tmp_path: Path) -> None:
    run = run_on(tmp_path, "local")

    assert resuming.load(run, ROOT, None).loaded.site.servers == ("local",)
    assert resuming.load(run, ROOT, None, "local").loaded.site.servers == ("local",)


GOOD = "servers: {hosts: {web1: {ansible_host: 192.0.2.1, ansible_port: 22, ansible_user: lab}}}\n"


def with_more(more: str) -> str:
    """Return a good inventory with more variables."""
    return GOOD.replace("lab}", f"lab{more}}}")


PROGRAMS: list[tuple[str, str, str]] = [
    ("a program it starts", "h.yml", with_more(", ansible_ssh_common_args: -oProxyCommand=x")),
    ("written otherwise", "h.yml", with_more(', "ansible\\x5fssh_executable": /tmp/x')),
    ("an interpreter of its own", "h.yml", with_more(", ansible_python_interpreter: ./x")),
    ("a template", "h.yml", with_more(", ansible_become: '{{ lookup(1) }}'")),
    ("a template, escaped", "h.yml", with_more(', x: "\\x7b\\x7b lookup(1) }}"')),
    ("a vault", "h.yml", with_more(", x: !vault y")),
    ("a plugin", "h.yml", "{plugin: constructed}\n"),
    ("an option for an address", "h.yml", GOOD.replace("192.0.2.1", '"-oProxyCommand=x"')),
    ("an option for a name", "h.yml", "servers: {hosts: {-oProxyCommand=x: }}\n"),
    ("an option of a role", "h.yml", with_more(", build_compiler: ./x")),
    ("variables of a child", "h.yml", "a: {children: {b: {vars: {ansible_shell_executable: ./x}}}}\n"),
    ("another form", "h.ini", "web1 ansible_host=192.0.2.1\n"),
]


@pytest.mark.parametrize(("name", "text"), [p[1:] for p in PROGRAMS], ids=[p[0] for p in PROGRAMS])
def test_an_inventory_of_an_experiment_file_is_data(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    (tmp_path / "good.yml").write_text(with_more(", ansible_become: true, ansible_connection: ssh"))

    inventory.check(tmp_path / "good.yml", named_by_user=False)
    with pytest.raises(SpecError) as refused:
        inventory.check(tmp_path / name, named_by_user=False)

    assert "--target" in refused.value.fix


@pytest.mark.parametrize("beside", ["group_vars", "host_vars"])
def test_what_ansible_reads_with_an_inventory_is_seen(tmp_path: Path, beside: str) -> None:
    (tmp_path / "good.yml").write_text(GOOD)
    (tmp_path / beside).mkdir()

    with pytest.raises(SpecError, match=beside):
        inventory.check(tmp_path / "good.yml", named_by_user=False)


def test_what_a_directory_says_of_hosts_is_gone_when_they_have_answered(tmp_path: Path) -> None:
    """A generator that it names would be played on, with the directory's own program for its Python."""
    hosts, found = tmp_path / "hosts", tmp_path / "found"
    for place in (hosts / "generators", found):
        place.mkdir(parents=True)
    (hosts / "generators" / "localhost.json").write_text("{}")
    (hosts / "local.json").write_text("{}")
    (found / "local.json").write_text('{"python": "/usr/bin/python3"}')

    readying.take_over(found, hosts)

    assert [str(p.relative_to(hosts)) for p in hosts.rglob("*")] == ["local.json"]
    assert "python3" in (hosts / "local.json").read_text()


@pytest.mark.needs_root
def test_a_run_with_another_users_file_in_it_does_not_go_on(tmp_path: Path) -> None:
    run = run_on(tmp_path, "local")
    os.chown(run.path / "plan.json", 65534, 65534)

    with pytest.raises(StoreError, match="belongs to another user") as refused:
        resuming.load(run, ROOT, None)

    assert refused.value.where == str(run.path / "plan.json")


MANY = tuple(Level(str(n), n) for n in range(1, 1025))
PLANS: list[tuple[dict[str, object], str]] = [
    ({"settings": {"httpd": "git:--upload-pack=touch x"}}, "`httpd` does not take"),
    ({"settings": {"patches": "../../../home"}}, "`patches` does not take"),
    ({"settings": {"log_level": "warn\nLoadModule x y"}}, "control character"),
    ({"settings": {"no_option": 1}}, "no role has an option"),
    ({"settings": {"threads_per_child": "=cmd"}}, "takes int"),
    ({"factors": (Factor("listen_backlog", (Level("5", 0), Level("1024", 1024))),)}, "outside 1 to"),
    ({"factors": (Factor("listen_backlog", MANY), Factor("somaxconn", MANY), Factor("clients", MANY))}, "are planned"),
    ({"exclude": ((("clients", "5"),),)}, "`clients` has no level"),
    ({"instruments": ("x; reboot",)}, "no instrument is called"),
]


@pytest.mark.parametrize(("changed", "want"), PLANS, ids=[want for _, want in PLANS])
def test_a_plan_that_no_file_can_describe_does_not_go_on(tmp_path: Path, changed: dict[str, Any], want: str) -> None:
    """What is checked in an experiment file is checked in a directory's plan: its checksum is no signature."""
    plan = planned(tmp_path)
    told = replace(plan, experiment=replace(plan.experiment, **changed), cells=(), trials=())
    run = store.create(tmp_path / "results", told, "a")

    with pytest.raises(SpecError, match=want) as refused:
        resuming.load(run, ROOT, None, "local")

    assert refused.value.where == str(run.path / "plan.json")


@pytest.mark.parametrize("name", ["trials", "ansible", "ansible/x", "discarded", "headroom", "limits"])
def test_a_run_with_a_link_in_it_does_not_go_on(tmp_path: Path, name: str) -> None:
    run = run_on(tmp_path, "local")
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "tmp").mkdir(parents=True)
    place = run.path / name
    if place.is_dir():
        place.rmdir()
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(elsewhere)

    with pytest.raises(StoreError, match="this is a link") as refused:
        resuming.load(run, ROOT, None)

    assert refused.value.where == str(place)
    assert (elsewhere / "tmp").is_dir()


def hold(run: store.RunDirectory, inventory: str, work_dir: str = "/w", block: str = "/w/a-block-001") -> None:
    """Have the journal of a run name an inventory and a block."""
    entry = {"host": "h1", "inventory": inventory, "work_dir": work_dir, "block": block, "sysctls": [], "opened_at": ""}
    run.write(journal.FILE, {"held": [entry]})


def recover(place: Path, what: str | None = None) -> tuple[recovering.Recovered, ...]:
    with Display() as display:
        return recovering.recover(ROOT, place / "results", what, None, display)


def test_recover_starts_no_inventory_that_a_journal_alone_names(tmp_path: Path, program: Path) -> None:
    run = run_on(tmp_path, "local")
    hold(run, str(program))

    (found,) = recover(tmp_path)

    assert found.host == "h1"
    assert "named by its journal alone" in found.problems[0]
    assert f"--target {program}" in found.problems[0]
    assert not (tmp_path / "started").exists()
    with pytest.raises(SpecError, match="named by its journal alone"):
        recover(tmp_path, str(run.path))
    with pytest.raises(SpecError, match="named by its journal alone"):
        recover(tmp_path, "h1")
    assert journal.held(run) != ()


@pytest.mark.parametrize(
    ("work_dir", "block"), [("/w", "/etc"), ("/w", "/w/../etc"), ("w", "w/x"), ("/w", "/w/a/b"), ("", "/etc")]
)
def test_a_block_that_lies_in_no_work_directory_is_refused(tmp_path: Path, work_dir: str, block: str) -> None:
    run = run_on(tmp_path, "local")
    hold(run, str(ROOT / "inventories" / "local.yml"), work_dir, block)

    with pytest.raises(StoreError, match="its block"):
        recover(tmp_path, str(run.path))


@pytest.mark.needs_root
def test_recover_believes_no_journal_of_another_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It had root end a block, set sysctls and write where the other's links led."""
    run = run_on(tmp_path, "local")
    hold(run, str(ROOT / "inventories" / "local.yml"))
    asked: list[Any] = []

    def stand_in(*args: object) -> tuple[recovering.Recovered, ...]:
        asked.append(args[2])
        return ()

    monkeypatch.setattr(hoststate, "recover", stand_in)
    monkeypatch.setattr(recovering, "exclusive", lambda _site: nullcontext())
    os.chown(run.path, 65534, 65534)

    with pytest.raises(StoreError, match="belongs to another user"):
        recover(tmp_path, str(run.path))
    recover(tmp_path)

    assert asked == [{}]
    os.chown(run.path, 0, 0)
    recover(tmp_path)
    assert list(asked[-1]) == ["h1"]


@pytest.mark.needs_root
def test_no_report_is_written_where_another_user_can_put_a_link_meanwhile(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_on(tmp_path, "local")
    os.chown(run.path, 65534, 65534)
    before = sorted(run.path.rglob("*"))

    assert cli.main(["report", str(run.path)]) == StoreError.exit_code

    assert "belongs to another user" in capsys.readouterr().err
    assert sorted(run.path.rglob("*")) == before
    assert cli.main(["report", str(run.path), "--output", str(tmp_path / "out")]) == 0


@pytest.mark.needs_root
def test_no_history_is_written_where_another_user_can_put_a_link_meanwhile(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = run_on(tmp_path, "local").path.parent
    os.chown(runs, 65534, 65534)
    (tmp_path / "link").symlink_to(runs)

    for named in (runs, tmp_path / "link"):
        assert cli.main(["history", str(named)]) == StoreError.exit_code

        assert "belongs to another user" in capsys.readouterr().err
        assert not (runs / "history.html").exists()
        assert cli.main(["history", str(named), "--format", "md"]) == 0


def test_a_fifo_in_the_place_of_a_targets_lock_keeps_nobody(tmp_path: Path) -> None:
    """Every user of a machine can make one in /var/tmp before the first run."""
    os.mkfifo(tmp_path / "cgidlab-local.lock")
    had = threading.Event()

    def have() -> None:
        with locking.exclusive(Site(ROOT, ROOT / "inventories" / "local.yml"), tmp_path):
            had.set()

    threading.Thread(target=have, daemon=True).start()

    assert had.wait(20)


def test_a_link_in_the_place_of_a_targets_lock_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "cgidlab-local.lock").symlink_to("/nowhere")

    with (
        pytest.raises(LabError, match="cannot lock the target") as found,
        locking.exclusive(Site(ROOT, ROOT / "inventories" / "local.yml"), tmp_path),
    ):
        raise AssertionError("it had the target")

    assert found.value.where == str(tmp_path / "cgidlab-local.lock")
    assert "remove it" in found.value.fix


def test_a_lock_that_cannot_be_made_says_where_it_has_to_be(tmp_path: Path) -> None:
    with (
        pytest.raises(LabError, match="cannot lock the target") as found,
        locking.exclusive(Site(ROOT, ROOT / "inventories" / "local.yml"), tmp_path / "gone"),
    ):
        raise AssertionError("it had the target")

    assert str(tmp_path / "gone") in found.value.fix


def test_results_behind_a_link_are_results(tmp_path: Path) -> None:
    real = tmp_path / "disk"
    real.mkdir()
    (tmp_path / "results").symlink_to(real)

    run = run_on(tmp_path, "local")

    assert store.experiment_of(run).target == "local"
    assert store.open_run(tmp_path / "results" / "small" / "latest").state()["state"] == store.INTERRUPTED
    shutil.rmtree(real)
