"""Tests of Ansible side by side: which must be in one worker, and what all workers share."""

import pytest

from tests import workers
from tests.workers import pytest_configure_node, pytest_xdist_setupnodes

__all__ = ["pytest_configure_node", "pytest_xdist_setupnodes"]

# The tests of one file share what it provisions, those of the other one count the network interfaces of this machine.
_TOGETHER = ("test_provisioned", "test_ssh_rig")


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> workers.Scheduler:
    """Let each test go to whoever is free, but for those of some files."""

    def group(nodeid: str) -> str:
        module = workers.module(nodeid)
        return module if module in _TOGETHER else nodeid

    return workers.Scheduler(config, log, group)
