"""`make audit` says what is known, what nobody can tell, and never takes the second for safe."""

import http.server
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import audit

ROOT = Path(__file__).parents[2]


class _Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        said = {"/data": (200, b'{"vulnerabilities": []}'), "/mirror": (200, b'{"info": {}}')}
        status, body = said.get(self.path, (404, b"not here"))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_data_that_is_there_is_found(url: str) -> None:
    audit.look(f"{url}/data")


@pytest.mark.parametrize(("path", "want"), [("/none", "404"), ("/mirror", "vulnerabilities")], ids=["none", "mirror"])
def test_a_registry_without_data_is_a_reason_to_skip(url: str, path: str, want: str) -> None:
    with pytest.raises(audit.Skipped, match=want):
        audit.look(url + path)


def test_a_machine_without_a_network_skips_in_seconds_and_says_why() -> None:
    began = time.monotonic()

    ran = subprocess.run(
        [sys.executable, "scripts/audit.py", "requirements.lock"],
        cwd=ROOT,
        env={"https_proxy": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("audit: skipped: its data cannot be reached: ")
    assert "Connection refused" in ran.stdout
    assert time.monotonic() - began < audit._LOOK_S + 5  # noqa: SLF001 -- its own limit


def test_a_tool_that_hangs_is_a_reason_to_skip() -> None:
    with pytest.raises(audit.Skipped, match="sleep did not end within 0 s"):
        audit.run(["/bin/sleep", "60"], 0.2)


def test_a_tool_that_breaks_is_a_reason_to_skip(tmp_path: Path) -> None:
    tool = tmp_path / "pip-audit"
    tool.write_text("#!/bin/sh\necho 'ConnectionError: no route' >&2\nexit 1\n")
    tool.chmod(0o755)

    with pytest.raises(audit.Skipped, match="ConnectionError: no route"):
        audit.asked(str(tool), "a.lock")


def test_what_is_known_fails_and_names_package_and_cure() -> None:
    report = json.loads(
        '{"dependencies": [{"name": "a", "version": "1", "vulns": []}, {"name": "b", "skip_reason": "not found"},'
        ' {"name": "jinja2", "version": "2.10", "vulns": [{"id": "PYSEC-2019-217", "fix_versions": ["2.10.1"]}]}]}'
    )

    code, text = audit.judged("a.lock", report)

    assert code == 1
    assert "jinja2 2.10: PYSEC-2019-217, mended in 2.10.1" in text


def test_what_could_not_be_looked_up_is_not_called_safe() -> None:
    report = {"dependencies": [{"name": "a", "version": "1", "vulns": []}, {"name": "b", "skip_reason": "not found"}]}

    assert audit.judged("a.lock", report) == (0, "a.lock: skipped: nothing is known of 1 of 2: b")


def test_the_first_package_of_our_lock_is_asked_for() -> None:
    found = audit.first_package((ROOT / "requirements.lock").read_text())

    assert found["name"]
    assert found["version"][0].isdigit()
