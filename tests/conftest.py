"""What every layer of tests may ask for: the repository, root, and a host that is provisioned for real."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROVISION_TIMEOUT_S = 1200.0
# The variants that tests ask for; others build their own in a second from the same httpd.
LISTEN_BACKLOGS = (1, 5, 100, 1024)
CONNECT_ATTEMPTS = 15


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs root where there is none, and say so."""
    if os.geteuid() == 0:
        return
    skip = pytest.mark.skip(reason="needs root: namespaces, sysctls and system packages")
    for item in items:
        if item.get_closest_marker("needs_root"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """Return the directory that holds runner.py."""
    return ROOT


@pytest.fixture(scope="session")
def provisioned_host(repo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Provision this machine into its ordinary cache and return what `hosts/local.json` says.

    It is the project's own playbook with the project's own variables: httpd is really
    fetched and built the first time, and found in the cache after that.
    """
    # Not at the top: unit tests of one module should not need every other one.
    from cgidlab import ansible, execute  # noqa: PLC0415 -- see above

    if os.geteuid() != 0:
        pytest.skip("needs root: provisioning installs system packages")
    directory = tmp_path_factory.mktemp("provision")
    helper = directory / "cgidhost.pyz"
    helper.write_bytes(execute.pack_helper(repo_root / "roles" / "trial" / "files" / "cgidhost"))
    variants = [
        {"listen_backlog": backlog, "connect_attempts": CONNECT_ATTEMPTS, "patches": ""} for backlog in LISTEN_BACKLOGS
    ]
    played = ansible.play(
        repo_root / "playbooks" / "provision.yml",
        repo_root / "inventories" / "local.yml",
        {
            "cgidlab_builds": [{"httpd": "distro", "variants": variants}],
            "cgidlab_drivers": ["h2load", "ab"],
            "cgidlab_instruments": ["connect_times", "strace"],
            "cgidlab_helper_archive": str(helper),
            "cgidlab_provision_dir": str(directory),
        },
        directory / "ansible",
        timeout_s=PROVISION_TIMEOUT_S,
    )
    assert played.ok, (directory / "ansible" / "stdout").read_text()
    found: dict[str, Any] = json.loads((directory / "local.json").read_text())
    return found
