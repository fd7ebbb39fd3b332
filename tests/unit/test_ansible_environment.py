"""Ansible's programs start whatever the user's surroundings are like."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_ASKED = """
import json
from pathlib import Path
from cgidlab.engine import ansible_environment
print(json.dumps(ansible_environment.of(Path("/x"))))
"""


def asked(**environment: str) -> dict[str, str]:
    """Return the variables where the user's are changed."""
    ran = subprocess.run(
        [sys.executable, "-c", _ASKED], capture_output=True, check=True, cwd=ROOT, env={**os.environ, **environment}
    )
    found: dict[str, str] = json.loads(ran.stdout)
    return found


@pytest.mark.parametrize(("own", "want"), [("C", "C.UTF-8"), ("POSIX", "C.UTF-8"), ("C.UTF-8", None)])
def test_a_locale_that_is_none_of_utf_8_is_replaced_and_others_stay(own: str, want: str | None) -> None:
    assert asked(LC_ALL=own).get("LC_ALL") == want


def test_a_home_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    found = asked(HOME=str(tmp_path / "file"), ANSIBLE_HOME="")

    assert found["ANSIBLE_REMOTE_TEMP"] == "/tmp"  # noqa: S108 -- a directory of its own is made there
    assert not Path(found["ANSIBLE_HOME"]).exists(), "gone with the program"
    assert "ANSIBLE_HOME" not in asked(HOME=str(tmp_path), ANSIBLE_HOME="")
