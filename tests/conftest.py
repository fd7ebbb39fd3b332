"""What every layer of tests may ask for: the repository, root, and a host that is provisioned for real."""

import os
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests import workers

ROOT = Path(__file__).resolve().parent.parent

# How long an example takes is no fault of what is tested: other work may go on beside.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


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
def provisioned_host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what `hosts/local.json` says of this machine once it is provisioned; for a worker, others have done it."""
    if os.geteuid() != 0:
        pytest.skip("needs root: provisioning installs system packages")
    return workers.provisioned(request.config) or workers.provision(tmp_path_factory.mktemp("provision"))
