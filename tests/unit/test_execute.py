"""What a block is handed to a host with."""

import io
import shutil
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from cgidlab.design import catalogue, plan, spec, strict_yaml
from cgidlab.engine import ansible_environment, execute, packing
from cgidlab.errors import LabError
from cgidlab.model import Plan
from cgidlab.parsers.host_report import HostReport, Httpd
from tests.variants import compiled

ROOT = Path(__file__).parents[2]
CATALOGUE = catalogue.load(ROOT / "roles")
VARIANT: dict[str, bool | int | float | str] = {
    **compiled(CATALOGUE, listen_backlog=5),
    "path": "/v/5.so",
    "sha256": "five",
}
HTTPD = Httpd("/h/bin/httpd", "/h/modules", "2.4.68", "src", "s", "k", (), (VARIANT,))
HOST = HostReport(
    host="web1",
    python="/usr/bin/python3",
    become=True,
    work_dir="/w",
    helper="/c/cgidhost.pyz",
    httpd={"distro": HTTPD},
    scripts_dir="/s",
    tools={"h2load": "/h2"},
    raw={},
)


def smoke(extra: str = "") -> Plan:
    text = (ROOT / "experiments" / "smoke.yml").read_text() + extra
    return plan.make(spec.build(strict_yaml.parse(text.encode(), "smoke.yml"), CATALOGUE), CATALOGUE)


def test_each_variant_is_asked_for_once() -> None:
    settings = [c.settings for c in smoke().cells] * 3

    assert execute.wanted_builds(settings, CATALOGUE) == [
        {
            "httpd": "distro",
            "variants": [
                compiled(CATALOGUE, listen_backlog=5),
                compiled(CATALOGUE, listen_backlog=1024),
            ],
        }
    ]


def test_a_block_names_the_module_of_each_trials_level() -> None:
    trials = tuple(t for t in smoke().blocks[0] if t.cell.settings["listen_backlog"] == 5)

    got = execute.block_json(execute.BlockNeeds(Path(), HOST, "/w/b1"), trials, CATALOGUE)

    assert got["trials"][0]["module"] == "/v/5.so"
    assert got["trials"][0]["settings"]["listen_backlog"] == 5
    assert got["trials"][0]["fault"] is None


def test_a_variant_that_was_not_built_is_said_before_any_trial() -> None:
    with pytest.raises(LabError, match="listen_backlog=1024"):
        execute.block_json(execute.BlockNeeds(Path(), HOST, "/w/b1"), smoke().blocks[0], CATALOGUE)


def test_the_helper_is_the_same_program_for_the_same_sources() -> None:
    package = ROOT / "roles" / "trial" / "files" / "cgidhost"

    first = packing.pack_helper(package)

    assert first == packing.pack_helper(package)
    names = zipfile.ZipFile(io.BytesIO(first)).namelist()
    assert {"__main__.py", "cgidhost/__main__.py", "cgidhost/block.py"} <= set(names)


def test_the_helper_runs_unpacked_where_it_was_and_as_it_came_elsewhere(tmp_path: Path) -> None:
    package = tmp_path / "cgidhost"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text("def main():\n    print(__file__)\n    return 3\n")
    helper = tmp_path / "helper.pyz"
    helper.write_bytes(packing.pack_helper(package))

    def told() -> tuple[int, str]:
        ran = subprocess.run([sys.executable, "-I", helper], capture_output=True, text=True, check=False)
        return ran.returncode, ran.stdout.strip()

    assert told() == (3, f"{helper}/cgidhost/__main__.py")
    shutil.unpack_archive(helper, f"{helper}{packing.UNPACKED}", "zip")
    assert told() == (3, f"{helper}{packing.UNPACKED}/cgidhost/__main__.py")
    # Whoever keeps an exporter in a directory that others may write to runs nothing of theirs.
    helper.write_bytes(packing.pack_exporter(package))
    assert told() == (3, f"{helper}/cgidhost/__main__.py")


def test_ansible_has_room_for_a_socket_whatever_the_run_directory_is_called(tmp_path: Path) -> None:
    directory = tmp_path / ("long" * 20) / ("name" * 20)
    directory.mkdir(parents=True)

    with ansible_environment.own_tmp(directory / "tmp") as environment:
        place = Path(environment["TMPDIR"])
        address = place / "pymp-12345678" / "listener-12345678"  # as multiprocessing names it
        address.parent.mkdir()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(address))
        assert (directory / "tmp" / "pymp-12345678" / "listener-12345678").is_socket()

    assert not place.is_dir()
