"""Tests spread over pytest-xdist's workers: this machine is provisioned once, before there is one of them.

The hooks are for a layer's conftest.py. Workers of `tests/rigs/apart.sh` have no network to fetch anything from, and
workers that install packages at the same time would wait for each other's locks until they give up.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parent.parent
PROVISION_TIMEOUT_S = 1200.0
# Enterprise Linux has no package of wrk.
DRIVERS = ["h2load", "ab", *(["wrk"] if shutil.which("apt-get") else []), "steady"]
# The variants that tests ask for; others build their own in a second from the same httpd.
LISTEN_BACKLOGS = (1, 5, 100, 1024)
CONNECT_ATTEMPTS = 15
PATCHES = (
    "",
    "vfork",
    "pid-first",
    "pid-first acceptors",
    "wait-for-script",
    "vfork wait-for-script pid-first acceptors",
)
PATCHED_BACKLOG = 100
_KEY = "provisioned_host"
_FOUND = pytest.StashKey[dict[str, Any]]()


class Scheduler(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """Gives tests of one group to one worker, one after the other; `group` says of a test's id which one that is."""

    def __init__(self, config: pytest.Config, log: object, group: Callable[[str], str]) -> None:
        super().__init__(config, log)
        self._group = group

    def _split_scope(self, nodeid: str) -> str:
        return self._group(nodeid)


def module(nodeid: str) -> str:
    """Return the name of the module that a test is in."""
    return Path(nodeid.split("::", 1)[0]).stem


def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    """Provision this machine for all workers."""
    if os.geteuid() != 0:
        return
    with tempfile.TemporaryDirectory() as directory:
        config.stash[_FOUND] = provision(Path(directory))


def pytest_configure_node(node: Any) -> None:  # noqa: ANN401 -- pytest-xdist has no types
    """Tell a worker what provisioning found."""
    node.workerinput[_KEY] = node.config.stash.get(_FOUND, None)


def provisioned(config: pytest.Config) -> dict[str, Any] | None:
    """Return what provisioning found for all workers; nothing where this is no worker."""
    found: dict[str, Any] | None = getattr(config, "workerinput", {}).get(_KEY)
    return found


def outside() -> tuple[list[str], tuple[int, ...]]:
    """Return the words in front of a command that needs the machine's network, and the files that it must inherit."""
    given = os.environ.get("CGIDLAB_TEST_NETWORK")
    return (["nsenter", f"--net=/proc/self/fd/{given}", "--"], (int(given),)) if given else ([], ())


def provision(directory: Path) -> dict[str, Any]:
    """Provision this machine into its ordinary cache and return what `hosts/local.json` says.

    It is the project's own playbook with the project's own variables: httpd is really
    fetched and built the first time, and found in the cache after that.
    """
    # Not at the top: unit tests of one module should not need every other one.
    from cgidlab.design.systems import PROVIDED  # noqa: PLC0415 -- see above
    from cgidlab.engine import ansible, packing  # noqa: PLC0415 -- see above
    from tests.variants import compiled  # noqa: PLC0415 -- see above

    helper = directory / "cgidhost.pyz"
    helper.write_bytes(packing.pack_helper(ROOT / "roles" / "trial" / "files" / "cgidhost"))
    variants = [
        compiled(listen_backlog=backlog, connect_attempts=CONNECT_ATTEMPTS, patches=patches)
        for backlog in LISTEN_BACKLOGS
        for patches in (PATCHES if backlog == PATCHED_BACKLOG else ("",))
    ]
    played = ansible.play(
        ROOT / "playbooks" / "provision.yml",
        ROOT / "inventories" / "local.yml",
        {
            "cgidlab_builds": [{"httpd": "distro", "variants": variants}],
            "cgidlab_drivers": DRIVERS,
            "cgidlab_instruments": ["connect_times", "strace"],
            "cgidlab_systems": list(PROVIDED),
            "cgidlab_helper_archive": str(helper),
            "cgidlab_provision_dir": str(directory),
        },
        directory / "ansible",
        timeout_s=PROVISION_TIMEOUT_S,
    )
    assert played.ok, (directory / "ansible" / "stdout").read_text()
    found: dict[str, Any] = json.loads((directory / "local.json").read_text())
    return found
