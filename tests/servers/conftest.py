"""The table that tests of servers make together: written by `--write-table FILE` where all of its cells are there."""

from pathlib import Path
from typing import Any

import pytest

from tests.servers.table import EXAMPLES, PART, Table

_TABLE = pytest.StashKey[Table]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    what = "put the table of servers into this document, and two of its observations into the READMEs"
    parser.addoption("--write-table", type=Path, metavar="FILE", help=what)


def pytest_configure(config: pytest.Config) -> None:
    """Begin an empty table."""
    config.stash[_TABLE] = Table()


@pytest.fixture(scope="session", autouse=True)
def load_maker(provisioned_host: dict[str, Any]) -> str:
    """Return the path of h2load: a server without load overflows nowhere, and the test would say so of the server."""
    return str(provisioned_host["tools"]["h2load"]["path"])


@pytest.fixture(scope="session")
def table(pytestconfig: pytest.Config) -> Table:
    """Return the table of docs/observe.md as far as it is made."""
    return pytestconfig.stash[_TABLE]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Write the table, or say which of its cells no test has made."""
    path, made = config.getoption("--write-table", None), config.stash[_TABLE]
    if path is None:
        return
    if made.missing:
        lacks = f"{len(made.missing)} of its cells were not made, such as {made.missing[0]}"
        terminalreporter.write_line(f"{path}: `{PART}` is as it was: {lacks}")
        return
    made.write(path, sorted(config.rootpath.glob("README*.md")))
    terminalreporter.write_line(f"{path}: wrote `{PART}`; README*.md: wrote `{EXAMPLES}`")
