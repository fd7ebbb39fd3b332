"""What somebody new tries first goes right: six experiments, as they would type them.

The wrong words that need no host are in tests/unit/test_hints.py and test_ten_typos.py.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.needs_root, pytest.mark.slow]

HEAD = "schema_version: 1\nnoise: ignore\nwarmup_s: 0.4\nwindow_s: 0.5\n"
PRODUCTION_SHAPED = f"""{HEAD}
name: shaped
question: Does the backlog matter on a server of many small processes?
factors: {{threads_per_child: [25, 100], listen_backlog: [5, 1024]}}
settings: {{workers: 200}}
load: {{clients: 100}}
repetitions: 2
verdict: {{factor: listen_backlog, reference: 1024}}
"""
KEEP_ALIVE = f"""{HEAD}
name: keep-alive
question: Does KeepAliveTimeout matter?
factors: {{keep_alive_timeout_s: [1, 5, 60]}}
settings: {{workers: 100, threads_per_child: 100}}
load: {{clients: 20}}
repetitions: 2
"""
RATE = f"""{HEAD}
name: rates
question: Up to which rate does p99 stay below 5 s?
factors: {{rate: [50, 100]}}
settings: {{workers: 100, threads_per_child: 100}}
load: {{loop: open}}
repetitions: 6
watch_every: 1
"""


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str


class Newcomer:
    """Somebody who types commands, in a place of their own."""

    def __init__(self, root: Path, place: Path) -> None:
        self.root, self.results, self.place = root, place / "results", place

    def write(self, name: str, text: str) -> str:
        """Write an experiment file and return its path."""
        path = self.place / f"{name}.yml"
        path.write_text(text)
        return str(path)

    def argv(self, *words: str) -> list[str]:
        """Return a command line."""
        return [sys.executable, "runner.py", *words, "--results", str(self.results)]

    def types(self, *words: str, before: tuple[str, ...] = ()) -> Ran:
        """Run a command to its end."""
        ran = subprocess.run(
            [*before, *self.argv(*words)], cwd=self.root, check=False, capture_output=True, text=True, timeout=600
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    def summary(self, name: str) -> Mapping[str, Any]:
        """Return summary.json of an experiment's latest run."""
        found: Mapping[str, Any] = json.loads((self.results / name / "latest" / "summary.json").read_text())
        return found

    def answers(self, name: str) -> dict[str, str]:
        """Return the lines of its verdict by their names."""
        return {line["name"]: line["text"] for line in self.summary(name)["verdict"]["answers"]}


@pytest.fixture
def newcomer(provisioned_host: dict[str, Any], repo_root: Path, tmp_path: Path) -> Newcomer:
    assert provisioned_host
    return Newcomer(repo_root, tmp_path)


@pytest.mark.long
def test_a_server_of_many_small_processes_loses_no_trial(newcomer: Newcomer) -> None:
    ran = newcomer.types("run", newcomer.write("shaped", PRODUCTION_SHAPED), "--uncalibrated")

    assert ran.code == 0, ran.out + ran.err
    assert newcomer.summary("shaped")["trials"]["complete"] == 8, ran.err
    assert "driver: steady, which renews the connections that httpd closes" in ran.err


@pytest.mark.long
def test_whether_keep_alive_timeout_matters_is_answered_by_it(newcomer: Newcomer) -> None:
    ran = newcomer.types("run", newcomer.write("keep-alive", KEEP_ALIVE), "--uncalibrated")

    assert ran.code == 0, ran.out + ran.err
    (first, *_) = newcomer.answers("keep-alive").items()
    assert first[0] == "Answer"
    assert "keep_alive_timeout_s" in first[1]
    assert "--blocks +4`" in newcomer.answers("keep-alive")["Do"], "two blocks decide nothing, and what does is named"
    more = newcomer.types("run", "--resume", "keep-alive", "--blocks", "+1", "--lang", "ja")
    assert more.code == 0, more.err
    assert "\n信頼性" in more.out
    assert "until trials begin, as in the last runs here, and about " in more.err
    assert '<html lang="ja">' in (newcomer.results / "keep-alive" / "latest" / "report.html").read_text()
    assert newcomer.summary("keep-alive")["blocks"] == 3
    assert "extended from 2 to 3 blocks" in newcomer.answers("keep-alive")["Trust"]


@pytest.mark.long
def test_a_rate_sweep_is_answered_by_its_rates(newcomer: Newcomer) -> None:
    ran = newcomer.types("run", newcomer.write("rates", RATE), "--uncalibrated", "--format", "json")

    assert ran.code == 0, ran.out + ran.err
    assert json.loads(ran.out)["summary"] == newcomer.summary("rates")
    found = newcomer.answers("rates")
    assert found["Answer"].startswith("p99 latency stays below 5,000 ms at every level, up to 100 requests a second (")


def test_a_misspelt_directive_ends_the_run_before_its_trials(newcomer: Newcomer) -> None:
    text = KEEP_ALIVE.replace("settings: {", 'settings: {extra_directives: "MaxKeepAliveRequest 9", ')

    ran = newcomer.types("run", newcomer.write("keep-alive", text), "--uncalibrated")

    assert ran.code == 3, ran.out
    assert "`MaxKeepAliveRequest 9`: Invalid command 'MaxKeepAliveRequest'" in ran.err
    assert not list(newcomer.results.glob("keep-alive/*/trials/*"))
    again = newcomer.types("run", newcomer.write("keep-alive", text), "--uncalibrated")
    assert again.code == 3, "it never began, so nobody has to say whether it goes on"


@pytest.mark.long
def test_an_interrupted_sweep_says_how_far_it_came_and_goes_on(newcomer: Newcomer) -> None:
    path = newcomer.write("keep-alive", KEEP_ALIVE.replace("window_s: 0.5", "window_s: 2.0"))
    process = subprocess.Popen(
        newcomer.argv("run", path, "--uncalibrated"),
        cwd=newcomer.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    end = time.monotonic() + 300
    while not list(newcomer.results.glob("keep-alive/2*/ansible/block-*/incoming/001.arrival.json")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)

    assert process.returncode == 130, err
    out = " ".join(out.split())  # as long as the terminal is wide
    assert out.startswith("INTERRUPTED, "), out
    assert " of 6 trials: no block is whole, so no level can be compared with another." in out
    assert "Go on with: ./runner.py run --resume " in out
    assert "repetitions" not in newcomer.answers("keep-alive")["Do"]
    ran = newcomer.types("run", "--resume", "keep-alive")
    assert ran.code == 0, ran.err
    assert "INTERRUPTED" not in ran.out
    assert newcomer.summary("keep-alive")["trials"]["complete"] == 6


def test_without_a_network_what_cannot_be_reached_is_said_in_seconds(newcomer: Newcomer, tmp_path: Path) -> None:
    """A source of httpd that is not in the cache, on a machine whose only network is loopback."""
    text = KEEP_ALIVE.replace("settings: {", 'settings: {httpd: "upstream:2.4.1", ')
    begin = time.monotonic()

    offline = ("unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh")
    ran = newcomer.types("run", newcomer.write("keep-alive", text), "--uncalibrated", before=offline)

    assert ran.code == 3, ran.out + ran.err
    assert "cannot be reached: archive.apache.org:443 (" in ran.err or os.environ.get("https_proxy"), ran.err
    assert "cannot be reached" in ran.err
    assert time.monotonic() - begin < 120, "Ansible's start on a busy machine, and 8 s"
    assert tmp_path
