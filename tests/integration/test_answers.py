"""What a host answers is data: bounded in size and time by who reads it first, and refused with the host's name."""

from __future__ import annotations

import json
import resource
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from cgidlab.engine import ansible
from tests import waiting
from tests.integration.test_provision import ROOT, Played, _play
from tests.role_code import module

if TYPE_CHECKING:
    from pathlib import Path

host_answers = module("host", "host_answers", "plugin_utils")
AnsibleActionFail = host_answers.AnsibleActionFail

FLOOD = "head -c 3000000000 /dev/zero"
PLAY = """\
- name: Wait for a trial
  hosts: all
  gather_facts: false
  tasks:
    - name: Wait
      cgidlab_blocks:
        python: /bin/sh
        helper: {helper}
        template: {dir}/block.json.j2
        orders: {dir}
"""


def test_an_answer_of_3_gb_ends_after_some_megabytes_of_it() -> None:
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with (
        pytest.raises(AnsibleActionFail, match=r"h1: its answer has more than 1,048,576 bytes"),
        host_answers.bounded("h1", "its answer", 1 << 20, 300),
    ):
        subprocess.run(["sh", "-c", f"{FLOOD}; echo"], capture_output=True, check=False)

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 1_500_000


def test_an_answer_that_never_comes_ends_in_time_with_all_who_would_give_it(tmp_path: Path) -> None:
    with (
        pytest.raises(AnsibleActionFail, match="h1: its answer took longer than 0 s"),
        host_answers.bounded("h1", "its answer", 1 << 20, 0.2),
    ):
        subprocess.run(["sh", "-c", f"sleep 300 & echo $! > {tmp_path}/pid; wait"], capture_output=True, check=False)

    assert waiting.ends(int((tmp_path / "pid").read_text()))


def test_a_file_that_arrives_without_end_is_ended(tmp_path: Path) -> None:
    path = tmp_path / "001.tar.gz"

    with (
        pytest.raises(AnsibleActionFail, match=r"h1: its archive has more than 1,000 bytes"),
        host_answers.bounded("h1", "its archive", 1000, 300, path),
        path.open("wb") as file,
    ):
        subprocess.run(["sh", "-c", "while :; do echo 0123456789; sleep 0.001; done"], stdout=file, check=False)


@pytest.mark.parametrize("text", ["", "no json", "[" * 100_000])
def test_an_answer_without_an_object_is_none(text: str) -> None:
    assert host_answers.last_object("h1", text) is None


def test_json_that_is_no_object_is_refused_with_the_hosts_name() -> None:
    with pytest.raises(AnsibleActionFail, match="h1 answered 5, which is no object"):
        host_answers.last_object("h1", "5\n")


def _awaited(directory: Path, script: str, *more: Path) -> Played:
    """Play a block of one trial whose helper is a script of a host that means no good; and the same block elsewhere."""
    (directory / "helper").write_text(f'[ "$1" != start ] || exec echo "{{}}"\n{script}')
    (directory / "block.json.j2").write_text("{}")
    trial = {"number": 1, "timeout_s": 30, "expected_s": 0}
    orders = [{"file": "/none", "dir": str(d), "dest": str(d), "trials": [trial]} for d in (directory, *more)]
    for number, order in enumerate([*orders, {}], start=1):
        (directory / f"{number:03d}.order.json").write_text(json.dumps(order))
    (directory / "play.yml").write_text(PLAY.format(helper=directory / "helper", dir=directory))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANSIBLE_ACTION_PLUGINS", str(ROOT / "roles/trial/action_plugins"))
        return _play(directory / "play.yml", {}, directory)


def test_a_helper_that_floods_its_answer_does_not_keep_the_play(tmp_path: Path) -> None:
    """It kept a run for seven minutes."""
    begun_s = time.monotonic()

    played = _awaited(tmp_path, FLOOD)

    assert played.code != 0
    assert "local: its answer has more than 4,194,304 bytes" in played.output
    assert time.monotonic() - begun_s < 120


@pytest.fixture
def no_python(tmp_path: Path) -> str:
    """Return a host's Python that answers 3 MB with a million bytes that are no text, and nothing that may be JSON."""
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nyes \"$(printf 'a\\377')\" | head -c 3000000\n")
    python.chmod(0o755)
    return str(python)


def test_bytes_that_are_no_text_are_shown_in_time(no_python: str, tmp_path: Path) -> None:
    """Ansible's own way to show 3 MB of them took a minute of CPU, a task."""
    before_s = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime

    played = _play(ROOT / "playbooks/test-tools.yml", {"ansible_python_interpreter": no_python}, tmp_path)

    assert played.code == 2
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before_s < 20


def test_an_answer_that_is_too_long_to_be_handed_on_is_said_to_be(no_python: str, tmp_path: Path) -> None:
    variables = {"ansible_python_interpreter": no_python}

    tools = ROOT / "playbooks/test-tools.yml"
    played = ansible.play(tools, ROOT / "inventories/local.yml", variables, tmp_path, timeout_s=120)

    assert played.why == "the host answered so much that Ansible hands on nothing of it"


GOOD: dict[str, Any] = {
    "number": 1,
    "state": "ended",
    "ended": "failed",
    "reason": "",
    "archive": None,
    "sha256": None,
    "bytes": None,
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("archive", 5),
        ("archive", "/etc/shadow"),
        ("archive", "@DIR@/../../etc/shadow"),
        ("number", 7),
        ("number", None),
        ("state", ["ended"]),
        ("ended", "complete and more"),
        ("reason", {"a": 1}),
    ],
)
def test_an_answer_that_is_none_is_refused_with_the_name_of_its_host(tmp_path: Path, name: str, value: object) -> None:
    """An archive named 5 came out as "expected str, bytes or os.PathLike object, not int"."""
    said = json.dumps({**GOOD, name: value, "sha256": "0" * 64, "bytes": 1}).replace("@DIR@", str(tmp_path))

    played = _awaited(tmp_path, f"cat <<'END'\n{said}\nEND\n")

    assert played.code != 0
    assert f"local answered `await` with {name}=" in played.output
    assert "os.PathLike" not in played.output


def test_the_list_of_ended_trials_is_looked_at_as_closely(tmp_path: Path) -> None:
    """It is read in place of an answer, where a trial should be over."""
    (tmp_path / "trials.jsonl").write_text(json.dumps({**GOOD, "archive": 5, "sha256": "0" * 64, "bytes": 1}) + "\n")

    played = _awaited(tmp_path, "exit 1")

    assert "local answered `await` with archive=5, which cannot be" in played.output


def test_a_good_answer_is_taken(tmp_path: Path) -> None:
    played = _awaited(tmp_path, f"echo '{json.dumps(GOOD)}'")

    assert played.code == 0, played.output
    assert json.loads((tmp_path / "001.arrival.json").read_text())["ended"] == "failed"
    assert (tmp_path / "over.json").exists()


def test_two_blocks_are_carried_out_one_after_the_other_and_each_hears_of_its_own_trials(tmp_path: Path) -> None:
    second = tmp_path / "second"
    second.mkdir()
    (tmp_path / "trials.jsonl").write_text(json.dumps({**GOOD, "ended": "complete"}) + "\n")
    (second / "trials.jsonl").write_text(json.dumps({**GOOD, "ended": "invalid"}) + "\n")

    played = _awaited(tmp_path, "echo '{}'", second)

    assert played.code == 0, played.output
    assert [json.loads((d / "001.arrival.json").read_text())["ended"] for d in (tmp_path, second)] == [
        "complete",
        "invalid",
    ]
    assert [(d / "over.json").exists() for d in (tmp_path, second)] == [True, True]
    assert list(tmp_path.glob("*.order.json")) == []


def test_a_block_that_cannot_be_cleaned_up_is_not_said_to_be_over(tmp_path: Path) -> None:
    said = json.dumps(GOOD)

    played = _awaited(tmp_path, f"""[ "$1" = cleanup ] && echo '{{"error": "it stays"}}' || echo '{said}'""")

    assert played.code != 0
    assert "local: the helper: it stays" in played.output
    assert not (tmp_path / "over.json").exists()
    assert (tmp_path / "002.order.json").exists(), "what comes after it is for another call"
