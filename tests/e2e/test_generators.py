"""One server loaded by two other machines over SSH, behind a firewall: merged, guarded, honest about what fails."""

import csv
import http.client
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.rigs import ssh_hosts

pytestmark = [pytest.mark.needs_root, pytest.mark.slow]

CLIENTS, RATE = 49, 150  # neither can be halved
PATIENCE_S = 600.0  # other tests may run at the same time
EXPERIMENT = f"""schema_version: 1
name: generators
question: Is the load of two machines one load?
factors: {{loop: [closed, open]}}
settings: {{workers: 100, threads_per_child: 50, listen_backlog: 100, max_start_lag_s: 1.0}}
load: {{clients: {CLIENTS}, rate: {RATE}}}
warmup_s: 0.5
window_s: 3
repetitions: 1
noise: ignore
"""
# What a careful administrator has: nothing comes in but SSH, and here one stranger who may try the trial's port.
GUARD = """table inet guard {{
  chain input {{
    type filter hook input priority 0; policy drop;
    iif lo accept
    tcp flags & (syn | ack) != syn accept
    tcp dport 22 accept
    ip saddr {stranger} tcp dport 8080 accept
  }}
}}
"""
# It says who asks, and for what.
SCRIPT = """#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\nhello\\n'
echo "told: $REMOTE_ADDR $REQUEST_URI" >&2
"""
LIST = "7 /cgi-bin/mine.sh?often\n1 /cgi-bin/mine.sh?seldom\n"
TRY = "import socket; socket.create_connection(('{address}', 8080), 2)"


@dataclass(frozen=True)
class Ran:
    """A run that has ended, and what was seen of its server from elsewhere while it was loaded."""

    status: int
    output: str
    run: Path
    seen: dict[str, Any]

    @property
    def rows(self) -> list[dict[str, str]]:
        """Return trials.csv."""
        return list(csv.DictReader((self.run / "trials.csv").open()))

    def directory(self, row: dict[str, str]) -> Path:
        """Return a trial's directory."""
        return self.run / row["directory"]

    def clocks(self, row: dict[str, str]) -> dict[str, Any]:
        """Return what was agreed on for a trial's load."""
        found: dict[str, Any] = json.loads((self.directory(row) / "load/clocks.json").read_text())
        return found


@pytest.fixture(scope="module")
def rig(provisioned_host: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ssh_hosts.Rig]:
    assert provisioned_host  # what is built here is there on the hosts too
    reason = ssh_hosts.missing()
    if reason:
        pytest.skip(reason)
    with ssh_hosts.Rig(["server", "g1", "g2", "stranger"], tmp_path_factory.mktemp("rig")) as made:
        yield made


def _started(
    rig: ssh_hosts.Rig, root: Path, work: Path, *more: str, text: str = EXPERIMENT
) -> tuple[subprocess.Popen[str], Path]:
    """Start the experiment with one server and two generators; return the runner and where its results will be."""
    inventory = rig.write_inventory("load.yml", servers=["server"], generators=["g1", "g2"])
    (work / "x.yml").write_text(text)
    argv = [sys.executable, "runner.py", str(work / "x.yml"), "--target", str(inventory), "--uncalibrated"]
    runner = subprocess.Popen(
        [*argv, "--results", str(work / "results"), *more],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    )
    return runner, work / "results" / "generators" / "latest"


def _ended(runner: subprocess.Popen[str], run: Path, seen: dict[str, Any]) -> Ran:
    output, _ = runner.communicate(timeout=PATIENCE_S)
    assert run.exists(), output
    return Ran(runner.returncode, output, run.resolve(), seen)


def _load_generator(rig: ssh_hosts.Rig, name: str, runner: subprocess.Popen[str]) -> int:
    """Return the pid of a generator's h2load once that has logged an answer."""
    own = Path(f"/proc/{rig[name].pid}/ns/pid").readlink()
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and runner.poll() is None:
        if any(log.stat().st_size for log in (rig[name].root / "var/tmp/cgidlab-0").glob("*/[0-9]*/rows.log")):
            for path in Path("/proc").glob("[0-9]*"):
                try:
                    if (path / "ns/pid").readlink() == own and (path / "comm").read_text() == "h2load\n":
                        return int(path.name)
                except OSError:
                    continue
        time.sleep(0.02)  # another machine's log can only be looked at
    raise AssertionError(runner.communicate()[0] if runner.poll() is not None else f"{name} never logged an answer")


@pytest.fixture(scope="module")
def ran(repo_root: Path, rig: ssh_hosts.Rig, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Run the experiment; kill one of its drivers in the first trial."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((rig["server"].address, 9))
        here = probe.getsockname()[0]
    guard = rig.directory / "guard.nft"
    guard.write_text(GUARD.format(stranger=here))
    (rig["server"].root / "tmp/guard.nft").write_text(guard.read_text())
    rig.run("server", "nft", "-f", "/tmp/guard.nft")  # noqa: S108 -- the host's own
    rig.run("server", "sh", "-c", "echo 1234 > /proc/sys/net/core/somaxconn")
    before = rig.run("server", "nft", "list", "ruleset").stdout

    runner, run = _started(rig, repo_root, tmp_path_factory.mktemp("ran"))
    victim = _load_generator(rig, "g2", runner)
    os.kill(victim, signal.SIGKILL)
    connection = http.client.HTTPConnection(rig["server"].address, 8080, timeout=60)
    connection.request("GET", "/cgi-bin/hello")
    seen = {
        "status for the stranger whom the firewall lets in": connection.getresponse().status,
        "rules while it runs": rig.run("server", "nft", "list", "ruleset").stdout,
        "stranger": rig.run("stranger", "python3", "-c", TRY.format(address=rig["server"].address), check=False).stderr,
        "rules before": before,
    }
    return _ended(runner, run, seen)


def test_a_generator_that_was_killed_makes_its_trial_invalid_and_the_others_go_on(ran: Ran) -> None:
    assert len(ran.rows) == 3, ran.output  # the invalid one is run again
    first, *others = ran.rows
    assert (first["status"], first["kind"]) == ("invalid", "client"), ran.output
    # The first answer that h2load logs is of its warm-up where the loop is open.
    assert re.search(r"the load of g2 is failed: h2load (exited with -9|ended before its warm-up did)", first["reason"])
    assert [r["status"] for r in others] == ["complete", "complete"], ran.output
    assert {r["loop"] for r in others} == {"closed", "open"}
    assert ran.status == 0


def test_the_generators_rows_are_merged_to_the_last_one(ran: Ran) -> None:
    for row in ran.rows:
        load = ran.directory(row) / "load"
        counts = {name: len((load / name / "rows.log").read_text().splitlines()) for name in ("g1", "g2")}

        merged = pl.read_parquet(load / "requests.parquet")

        assert dict(merged.group_by("generator").len().iter_rows()) == counts
        assert not (load / "rows.log").exists()
        for name in counts:
            checked = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], check=False, cwd=load / name)
            assert checked.returncode == 0


def test_clients_and_rate_are_split_without_a_rest(ran: Ran) -> None:
    rows = list(csv.DictReader((ran.run / "generators.csv").open()))
    of_loop = {loop: [r for r in rows if r["loop"] == loop and r["state"] == "complete"] for loop in ("closed", "open")}

    assert {(r["generator"], r["clients"]) for r in of_loop["closed"]} == {("g1", "25"), ("g2", "24")}
    assert {(r["generator"], float(r["rate"])) for r in of_loop["open"]} == {("g1", 80.0), ("g2", 70.0)}
    assert all(float(r["cpu_share"]) > 0 for r in of_loop["closed"])
    assert all(0 <= float(r["start_lag_ms"]) <= 1000 for r in of_loop["closed"] + of_loop["open"])


def test_the_physics_hold_on_the_merged_rows(ran: Ran) -> None:
    for row in (r for r in ran.rows if r["status"] == "complete"):
        checks = {
            c["name"]: c["state"] for c in json.loads((ran.directory(row) / "figures.json").read_text())["checks"]
        }
        assert {checks[n] for n in ("generators", "answers", "rows", "access_log", "driver")} == {"passed"}
        if row["loop"] == "closed":
            assert checks["little"] == "passed"
        else:
            assert abs(int(row["requests"]) / 3 - RATE) < RATE * 0.2


def test_the_clocks_are_read_before_and_after_and_all_started_at_one_moment(ran: Ran) -> None:
    for row in ran.rows:
        clocks = ran.clocks(row)
        assert set(clocks["hosts"]) == {"server", "g1", "g2"}
        for host in clocks["hosts"].values():
            assert abs(host["offset_ns"]) <= host["uncertainty_ns"]  # they share this machine's clock
            assert host["before"]["round_trips"] >= 5
            assert host["after"] is not None
        starts = {
            name: json.loads((ran.directory(row) / "load" / name / "result.json").read_text())["start"]["agreed_ns"]
            for name in ("g1", "g2")
        }
        unsure_ns = sum(clocks["hosts"][name]["before"]["uncertainty_ns"] for name in starts)
        assert abs(starts["g1"] - starts["g2"]) <= unsure_ns  # and its CLOCK_MONOTONIC


def test_only_the_generators_are_let_in_and_nothing_of_it_stays(ran: Ran, rig: ssh_hosts.Rig) -> None:
    assert ran.seen["status for the stranger whom the firewall lets in"] == 403
    assert "timed out" in ran.seen["stranger"]
    rules = ran.seen["rules while it runs"]
    for name in ("g1", "g2"):
        assert f'ip saddr {rig[name].address} tcp dport 8080 accept comment "cgidlab port 8080"' in rules
    assert rig.run("server", "nft", "list", "ruleset").stdout == ran.seen["rules before"]
    assert rig.run("server", "cat", "/proc/sys/net/core/somaxconn").stdout == "1234\n"
    for name in ("server", "g1", "g2"):
        left = list((rig[name].root / "var/tmp/cgidlab-0").glob("*-block-*"))
        assert left == [], name


def test_a_generator_whose_clock_is_off_by_three_seconds_is_refused_and_that_is_recorded(
    ran: Ran, repo_root: Path, rig: ssh_hosts.Rig, tmp_path: Path
) -> None:
    assert ran.rows  # the other run has ended
    rig.skew_clock("g1", 3.0)
    try:
        late = _ended(*_started(rig, repo_root, tmp_path, "--only", "loop=closed", "--set", "window_s=1"), {})
    finally:
        rig.skew_clock("g1", 0)

    for row in late.rows:
        assert (row["status"], row["kind"]) == ("invalid", "infra"), late.output
        assert "the clock of g1 is +" in row["reason"]
        assert "max_clock_offset_s" in row["reason"]
        host = late.clocks(row)["hosts"]["g1"]
        assert abs(host["offset_ns"] - 3_000_000_000) <= host["uncertainty_ns"]
        assert late.clocks(row)["start_ns"] is None
    assert late.status == 4


def test_a_list_of_requests_goes_to_each_generator_and_each_asks_by_its_weights(
    ran: Ran, repo_root: Path, rig: ssh_hosts.Rig, tmp_path: Path
) -> None:
    assert ran.rows  # the other run has ended
    (tmp_path / "mine.sh").write_text(SCRIPT)
    (tmp_path / "mix.requests").write_text(LIST)
    own = EXPERIMENT.replace("settings: {", 'settings: {script: "path:mine.sh", requests: mix.requests, ')
    words = ("--only", "loop=closed", "--set", "window_s=1")

    listed = _ended(*_started(rig, repo_root, tmp_path, *words, text=own), {})

    (row,) = listed.rows
    assert (row["status"], listed.status) == ("complete", 0), listed.output
    log = (listed.directory(row) / "logs/error_log").read_text()
    told = Counter(re.findall(r"told: (\S+) (\S+)", log))
    (kept,) = (listed.run / "requests").iterdir()
    for name in ("g1", "g2"):
        asked = {uri: told[rig[name].address, uri] for uri in ("/cgi-bin/mine.sh?often", "/cgi-bin/mine.sh?seldom")}
        rows = len((listed.directory(row) / "load" / name / "rows.log").read_text().splitlines())
        want = Counter(itertools.islice(itertools.cycle(kept.read_text().split()), sum(asked.values())))
        assert 0 <= sum(asked.values()) - rows <= CLIENTS, name  # what was out at the end
        assert sum(asked.values()) > CLIENTS, name
        assert all(abs(asked[uri] - want[uri]) <= 10 for uri in asked), (name, asked, want)  # same
    assert {address for address, _ in told} == {rig[name].address for name in ("server", "g1", "g2")}
    assert sum(told[rig["server"].address, uri] for uri in want) == 1  # which looks whether it is answered with 200
