"""The exporter, scraped by a real Prometheus while a queue overflows; and what contrib/ has for it.

`make servers` runs this, and `make e2e`: half a minute.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cgidhost import bpf

from tests.servers import overflowing
from tests.servers.distribution import await_true

pytestmark = [pytest.mark.needs_root, pytest.mark.slow]

CONTRIB = Path(__file__).parents[2] / "contrib"
OVERFLOW_S = 8.0
_CONFIG = """\
global: {{scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}}
rule_files: ["{rules}"]
scrape_configs: [{{job_name: unix, static_configs: [{{targets: ["{target}"]}}]}}]
"""
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert isinstance(port, int)
    return port


def get(url: str, accept: str = "*/*") -> str:
    asked = urllib.request.Request(url, headers={"Accept": accept})  # noqa: S310 -- our own server
    with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310 -- same
        text = answer.read().decode()
    assert isinstance(text, str)
    return text


def answers(url: str) -> bool:
    try:
        return bool(get(url))
    except OSError:
        return False


@contextmanager
def exporting(repo_root: Path, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """Have `observe` with such words run for as long as the block lasts."""
    argv = [sys.executable, "runner.py", "observe", "--cost", "5%", *words]
    with subprocess.Popen(argv, cwd=repo_root, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@dataclass(frozen=True)
class Prometheus:
    """A real one, which scrapes twice a second."""

    url: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the result of an expression now; raise where it is none."""
        answer = json.loads(get(f"{self.url}/api/v1/query?query={urllib.parse.quote(expression)}"))
        assert answer["status"] == "success", answer
        found = answer["data"]["result"]
        assert isinstance(found, list)
        return found

    def value(self, expression: str) -> float | None:
        """Return the only value of an expression now, None where there is none yet."""
        found = self.query(expression)
        return float(found[0]["value"][1]) if found else None


@contextmanager
def prometheus(directory: Path, target: str) -> Iterator[Prometheus]:
    """Start one with the alert rules of contrib/."""
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed: make test-tools")
    rules = CONTRIB / "prometheus" / "unix-listen-queue.rules.yml"
    (directory / "prometheus.yml").write_text(_CONFIG.format(target=target, rules=rules))
    address = f"127.0.0.1:{free_port()}"
    words = [
        "prometheus", f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/data",
        f"--web.listen-address={address}", "--log.level=warn",
    ]  # fmt: skip
    with subprocess.Popen(words) as process:
        try:
            await_true(lambda: answers(f"http://{address}/-/ready"))
            yield Prometheus(f"http://{address}")
        finally:
            process.kill()


@dataclass(frozen=True)
class Seen:
    """What was there to see in and after an overflow."""

    prometheus: Prometheus
    selector: str
    during: dict[str, float | None]
    turned_away: int
    scraped: str
    scraped_open: str


@pytest.fixture(scope="module")
def seen(repo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """Overflow a queue while a Prometheus scrapes the exporter, and ask it meanwhile."""
    directory = tmp_path_factory.mktemp("prometheus")
    path, target = directory / "app.sock", f"127.0.0.1:{free_port()}"
    selector = f'{{path=~".*{path.name}"}}'
    with (
        overflowing.server(path),
        exporting(repo_root, "--serve", target),
        prometheus(directory, target) as asked,
    ):
        await_true(lambda: asked.value(f"unix_listen_queue_depth{selector}") == 0)
        clients = overflowing.clients(path, OVERFLOW_S)
        full = f"unix_listen_queue_depth{selector} > unix_listen_queue_limit{selector}"
        await_true(lambda: asked.value(full) is not None)
        rate = f"rate(unix_listen_queue_connections_turned_away_total{selector}[3s]) > 50"
        await_true(lambda: asked.value(rate) is not None)
        during = {
            # One scrape may fall between an accept and the next connect.
            "deepest": asked.value(f"max_over_time(unix_listen_queue_depth{selector}[1m])"),
            "limit": asked.value(f"unix_listen_queue_limit{selector}"),
            "running": float(clients.poll() is None),
            "rate": asked.value(rate),
        }
        turned_away = int(clients.communicate(timeout=60)[0].split()[0])
        total = f"unix_listen_queue_connections_turned_away_total{selector}"
        await_true(lambda: asked.value(total) == turned_away, why=lambda: f"{asked.value(total)} of {turned_away}")
        yield Seen(
            asked, selector, during, turned_away,
            get(f"http://{target}/metrics"), get(f"http://{target}/metrics", OPENMETRICS),
        )  # fmt: skip


def test_a_scrape_shows_an_overflow_as_it_happens(seen: Seen) -> None:
    assert seen.during["running"] == 1.0
    assert (seen.during["deepest"], seen.during["limit"]) == (overflowing.QUEUE + 1, overflowing.QUEUE)
    assert (seen.during["rate"] or 0) > 50
    full_s = seen.prometheus.value(f"unix_listen_queue_full_seconds_total{seen.selector}")
    assert full_s is not None
    assert 0.5 * OVERFLOW_S < full_s < OVERFLOW_S + 1.0


def test_promtool_finds_no_fault_in_the_metrics(seen: Seen) -> None:
    ran = subprocess.run(
        ["promtool", "check", "metrics"], input=seen.scraped, capture_output=True, text=True, check=False
    )

    assert (ran.returncode, ran.stdout + ran.stderr) == (0, "")
    assert seen.scraped_open.endswith("# EOF\n")


def test_every_expression_of_the_dashboard_says_something_of_an_overflow(seen: Seen) -> None:
    panels = json.loads((CONTRIB / "grafana" / "unix-listen-queue.json").read_text())["panels"]
    values = {"$__rate_interval": "30s", "$instance": ".*", "$path": ".*"}
    silent = []
    for panel in panels:
        for target in panel["targets"]:
            expression = target["expr"]
            for name, value in values.items():
                expression = expression.replace(name, value)
            if not seen.prometheus.query(expression):
                silent.append((panel["title"], expression))

    assert panels
    assert silent == []


def test_promtool_finds_no_fault_in_the_alert_rules_and_an_overflow_raises_them(seen: Seen) -> None:
    rules = CONTRIB / "prometheus" / "unix-listen-queue.rules.yml"
    ran = subprocess.run(["promtool", "check", "rules", str(rules)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr

    await_true(lambda: bool(seen.prometheus.query("ALERTS")))
    raised = {one["metric"]["alertname"] for one in seen.prometheus.query("ALERTS")}

    assert "UnixListenQueueTurnsClientsAway" in raised
    assert "UnixListenQueueNotCounted" not in raised


def test_every_metric_of_the_documents_is_there_and_no_other(seen: Seen, repo_root: Path) -> None:
    named = set(re.findall(r"`(unix_listen_queue_\w+)`", (repo_root / "docs" / "observe.md").read_text()))

    assert named == set(re.findall(r"^# TYPE (unix_listen_queue_\w+)", seen.scraped, re.MULTILINE))


def test_the_textfile_is_whole_at_any_time_and_gone_after_sigterm(repo_root: Path, tmp_path: Path) -> None:
    path = tmp_path / "unix.prom"
    left = tmp_path / f"{path.name}.123.456"
    left.write_text("half a li")  # of one that was killed while it wrote
    with exporting(repo_root, "--textfile", str(path)) as process:
        await_true(path.exists)
        text = path.read_text()
        mode = path.stat().st_mode & 0o777
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0

    ran = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout + ran.stderr) == (0, "")
    assert (mode, list(tmp_path.iterdir())) == (0o644, [])


def programs(pid: int) -> set[int]:
    """Return the BPF programs that a process holds, by the kernel's numbers."""
    texts = [path.read_text() for path in Path(f"/proc/{pid}/fdinfo").iterdir()]
    return {int(n) for text in texts for n in re.findall(r"^prog_id:\s*(\d+)$", text, re.MULTILINE)}


def test_nothing_is_left_after_sigkill(repo_root: Path, tmp_path: Path) -> None:
    target = f"127.0.0.1:{free_port()}"
    with exporting(repo_root, "--serve", target) as process:
        await_true(lambda: answers(f"http://{target}/metrics"))
        held = programs(process.pid)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

    await_true(lambda: not held & {int(str(one["id"])) for one in bpf.programs()})
    assert held
    assert not answers(f"http://{target}/metrics")
    assert list(tmp_path.iterdir()) == []
