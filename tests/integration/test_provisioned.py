"""Real Ansible provisions this machine: what it builds and writes.

The whole httpd is built once, in the ordinary cache, and found there by later runs.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from cgidlab.engine import packing
from tests.integration.test_provision import ROOT, _play, write_helper
from tests.variants import compiled

pytestmark = [pytest.mark.slow, pytest.mark.needs_root]

VARIANTS = [
    compiled(listen_backlog=backlog, connect_attempts=attempts, patches=patches)
    for backlog, attempts, patches in ((1, 15, ""), (5, 15, ""), (100, 15, ""), (100, 15, "retry-at-notice"))
]
START_TIMEOUT_S = 120  # the machine may be busy


def _variables(directory: Path, **changes: object) -> dict[str, Any]:
    helper = directory / "cgidhost.pyz"
    write_helper(helper)
    return {
        "cgidlab_builds": [{"httpd": "distro", "variants": VARIANTS}],
        "cgidlab_drivers": ["h2load", "ab"],
        "cgidlab_instruments": ["connect_times", "listen_queue"],
        "cgidlab_systems": [],
        "cgidlab_helper_archive": str(helper),
        "cgidlab_provision_dir": str(directory / "hosts"),
        **changes,
    }


@pytest.fixture(scope="module")
def provisioned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Provision this machine; the first time httpd is really fetched and built."""
    directory = tmp_path_factory.mktemp("provision")
    played = _play(ROOT / "playbooks/provision.yml", _variables(directory), directory)
    assert played.code == 0, played.output
    (record,) = (directory / "hosts").iterdir()
    found: dict[str, Any] = json.loads(record.read_text())
    assert record.stem == found["host"]
    return found


def test_a_second_provisioning_changes_nothing(provisioned: dict[str, Any], tmp_path: Path) -> None:
    played = _play(ROOT / "playbooks/provision.yml", _variables(tmp_path), tmp_path)

    assert (played.code, played.changed) == (0, 0), played.output
    assert json.loads((tmp_path / "hosts" / f"{provisioned['host']}.json").read_text()) == provisioned


def test_the_record_names_programs_that_are_really_there(provisioned: dict[str, Any]) -> None:
    httpd = provisioned["httpd"]["distro"]

    version = subprocess.run([httpd["binary"], "-v"], capture_output=True, text=True, check=True).stdout
    assert f"/{httpd['version']} (" in version
    assert httpd["source"].split()[1].startswith(httpd["version"])
    assert len(httpd["source_sha256"]) == 64
    assert {f"mod_{name}.so" for name in ("cgid", "info", "status", "mpm_event", "mpm_worker", "mpm_prefork")} <= {
        path.name for path in Path(httpd["modules_dir"]).iterdir()
    }
    for tool in ("h2load", "ab"):
        assert os.access(provisioned["tools"][tool]["path"], os.X_OK)
    assert provisioned["facts"]["kernel"] == os.uname().release


def test_the_helper_is_beside_itself_compiled_and_whole(provisioned: dict[str, Any]) -> None:
    helper = Path(provisioned["helper"])
    unpacked = helper.with_name(helper.name + packing.UNPACKED)

    assert {p.name for p in helper.parent.iterdir()} == {helper.name, unpacked.name}
    assert (unpacked / "cgidhost/__main__.py").read_text() == "print('of the trial')\n"
    assert list((unpacked / "cgidhost/__pycache__").glob("__main__.*.pyc"))


def test_each_wanted_variant_is_a_module_of_its_own_with_the_hash_that_is_recorded(provisioned: dict[str, Any]) -> None:
    found = provisioned["httpd"]["distro"]["variants"]

    assert [{k: v for k, v in one.items() if k not in ("path", "sha256")} for one in found] == VARIANTS
    assert len({one["sha256"] for one in found}) == len(VARIANTS)
    for one in found:
        assert hashlib.sha256(Path(one["path"]).read_bytes()).hexdigest() == one["sha256"]


def test_the_server_user_can_read_what_was_built_and_nobody_but_the_owner_can_write_it(
    provisioned: dict[str, Any],
) -> None:
    cache = Path(provisioned["dirs"]["cache"])
    script = provisioned["scripts"]["hello"]["path"]

    answer = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", script], capture_output=True, check=True
    )
    assert answer.stdout == b"Content-Type: text/plain\r\n\r\nhello\n"
    used = [cache, *(cache / "cgid").rglob("*"), *(cache / "scripts").rglob("*"), *(cache / "httpd").rglob("*")]
    writable = [path for path in used if not path.is_symlink() and path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH)]
    assert writable == []


@pytest.mark.parametrize(
    ("script", "query", "wall_s", "cpu_s", "size"),
    [("sleep", "200", 0.2, 0.0, 5), ("burn", "200", 0.2, 0.2, 5), ("bytes", "70001", 0.0, 0.0, 70001)],
)
def test_a_script_does_what_its_parameter_says(
    provisioned: dict[str, Any], script: str, query: str, wall_s: float, cpu_s: float, size: int
) -> None:
    before, begin = os.times().children_user + os.times().children_system, time.monotonic()
    answer = subprocess.run(
        [provisioned["scripts"][script]["path"]], env={"QUERY_STRING": query}, capture_output=True, check=True
    )
    wall, cpu = time.monotonic() - begin, os.times().children_user + os.times().children_system - before

    assert wall >= wall_s
    # The kernel charges CPU time in ticks of 10 ms.
    assert cpu_s - 0.03 <= cpu < cpu_s + 0.1
    assert len(answer.stdout.split(b"\r\n\r\n", 1)[1].rstrip(b"\n")) == size


CONFIGURATION = """\
ServerRoot {directory}
ServerName localhost
Listen 127.0.0.1:8079
User nobody
Group #65534
PidFile {directory}/httpd.pid
ErrorLog {directory}/error_log
LogLevel notice
DefaultRuntimeDir {directory}
LoadModule unixd_module {modules}/mod_unixd.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule alias_module {modules}/mod_alias.so
LoadModule cgid_module {variant}
ScriptSock {directory}/cgid.sock
"""


@pytest.mark.parametrize("variant", VARIANTS[:3], ids=lambda variant: f"backlog {variant['listen_backlog']}")
def test_the_queue_of_a_running_variant_has_the_length_it_was_compiled_with(
    provisioned: dict[str, Any], variant: dict[str, Any], tmp_path: Path
) -> None:
    """A namespace of its own for network and processes: nothing of it outlives the test."""
    httpd = provisioned["httpd"]["distro"]
    path = next(one["path"] for one in httpd["variants"] if variant.items() <= one.items())
    text = CONFIGURATION.format(directory=tmp_path, modules=httpd["modules_dir"], variant=path)
    (tmp_path / "httpd.conf").write_text(text)
    command = (
        f"ip link set lo up; {httpd['binary']} -X -f {tmp_path}/httpd.conf & "
        # Between bind() and listen() the socket is there with a queue of 0.
        "until ss -xlH | awk '/cgid.sock/ && $4 > 0 { print; found = 1 } END { exit !found }'; "
        "do kill -0 $! || exit 1; sleep 0.02; done"
    )
    argv = ["unshare", "--net", "--pid", "--mount-proc", "--fork", "--kill-child", "sh", "-c", command]
    process = subprocess.run(argv, capture_output=True, text=True, timeout=START_TIMEOUT_S, check=False)

    assert process.returncode == 0, process.stderr + (tmp_path / "error_log").read_text()
    # ss -xl: type, state, queued now, length of the queue
    assert process.stdout.split()[3] == str(variant["listen_backlog"])
