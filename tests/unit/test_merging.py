"""Measuring a load that several machines made: their rows on one clock, and what makes such a trial invalid."""

import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from cgidlab import measure
from cgidlab.errors import StoreError
from cgidlab.measure import merging
from cgidlab.model import FailureKind
from cgidlab.parsers.documents import read_result

S, MS = 1_000_000_000, 1_000_000  # ns
WINDOW_S, MARGIN_S = 4, 0.3
# What each host's real-time clock is ahead of its own monotonic one, and of the control machine's clock.
SERVER_EPOCH_NS, SERVER_OFFSET_NS = 1_795_447_600 * S, 5 * MS
BEGIN_NS = 100 * S  # of the window, on the server's monotonic clock
LATENCY_US = 50_000


@dataclass
class Generator:
    """One generator's part; times are in seconds from the window's begin, as they truly were."""

    offset_ns: int = 0  # of its clock against the control machine's
    clients: int = 5
    begin_s: float = -MARGIN_S
    end_s: float = WINDOW_S + MARGIN_S
    lag_s: float = 0.001
    ended: str = "complete"
    state: str = "ended"
    trouble: str = ""
    cpu: float = 0.1
    came_home: bool = True
    epoch_ns: int = 1_790_000_000 * S

    def mono_ns(self, after_s: float) -> int:
        """Return a moment on its monotonic clock."""
        return self.real_ns(after_s) - self.epoch_ns

    def real_ns(self, after_s: float) -> int:
        """Return a moment on its real-time clock."""
        return SERVER_EPOCH_NS + BEGIN_NS + round(after_s * S) - SERVER_OFFSET_NS + self.offset_ns

    def rows(self) -> list[tuple[int, int, int]]:
        """Return what its clients log: each asks again as soon as it is answered."""
        rounds = int((self.end_s - self.begin_s) * 1e6 / LATENCY_US)
        first_us = self.real_ns(self.begin_s) // 1000
        return [(first_us + r * LATENCY_US, 200, LATENCY_US) for r in range(rounds) for _ in range(self.clients)]

    def write(self, path: Path) -> None:
        """Write what it sent home."""
        (path / "instruments").mkdir(parents=True)
        rows = self.rows()
        (path / "rows.log").write_text("".join(f"{a}\t{b}\t{c}\n" for a, b, c in rows))
        totals = f"{len(rows)} total, {len(rows)} started, {len(rows)} done, {len(rows)} succeeded"
        (path / "stdout.txt").write_text(f"requests: {totals}, 0 failed, 0 errored, 0 timeout\n")
        times = range(self.mono_ns(-1), self.mono_ns(WINDOW_S + 1), S // 10)
        header = "monotonic_ns,user,nice,system,idle,iowait,irq,softirq,steal,ctxt,forks,driver_cpu_ns\n"
        lines = "".join(f"{t},0,0,0,0,0,0,0,0,0,0,{round((t - times[0]) * self.cpu)}\n" for t in times)
        (path / "instruments/host.csv").write_text(header + lines)
        start_ns = self.mono_ns(self.begin_s - 1)
        result = _result(self.epoch_ns, self.mono_ns(self.begin_s), self.mono_ns(self.end_s), self.ended)
        result["load"]["argv"] = ["h2load", "-c", str(self.clients), "http://192.0.2.1:8080/cgi-bin/hello"]
        result["start"] = {"agreed_ns": start_ns, "began_ns": start_ns + round(self.lag_s * S)}
        (path / "result.json").write_text(json.dumps(result))


def _result(epoch_ns: int, begin_ns: int, end_ns: int, ended: str = "complete") -> dict[str, Any]:
    complete = ended == "complete"
    return {
        "schema_version": 1,
        "key": "k",
        "ended": ended,
        "reason": "" if complete else "h2load exited with -9",
        "kind": None if complete else "client",
        "clock": {"realtime_ns": epoch_ns + 7, "monotonic_ns": 7},
        "phases": [],
        "window": {"begin_ns": begin_ns, "end_ns": end_ns} if complete else None,
        "server": {},
        "load": {
            "driver": "h2load",
            "argv": ["http://192.0.2.1:8080/cgi-bin/hello"],
            "exit_code": 0,
            "timed_out": False,
        },
        "instruments": {},
    }


@dataclass
class Loaded:
    """A trial's directory to be, loaded by g1 and g2."""

    g1: Generator = field(default_factory=lambda: Generator(offset_ns=-40 * MS))
    g2: Generator = field(default_factory=lambda: Generator(offset_ns=700 * MS, epoch_ns=1_700_000_000 * S))

    def write(self, path: Path) -> Path:
        """Write it below `path` and return that."""
        for name in ("load", "logs", "instruments"):
            (path / name).mkdir()
        result = _result(SERVER_EPOCH_NS, BEGIN_NS, BEGIN_NS + WINDOW_S * S)
        (path / "result.json").write_text(json.dumps(result))
        settings = {
            "clients": self.g1.clients + self.g2.clients,
            "loop": "closed",
            "log_level": "warn",
            "max_start_lag_s": 0.2,
        }
        trial = {"schema_version": 1, "key": "k", "settings": settings}
        (path / "trial.json").write_text(json.dumps(trial))
        hosts: dict[str, Any] = {"web": _clock("server", SERVER_OFFSET_NS)}
        served = []
        for name, part in (("g1", self.g1), ("g2", self.g2)):
            hosts[name] = {
                **_clock("generator", part.offset_ns, part.trouble),
                "state": part.state,
                "reason": "" if part.state == "ended" else "no route to it",
            }
            if part.came_home:
                part.write(path / "load" / name)
            back_us = (SERVER_OFFSET_NS - part.offset_ns) // 1000
            served += [(start + back_us + 100, start + took + back_us - 100) for start, _, took in part.rows()]
        (path / "logs/access_log").write_text("".join(f"{a} {b} 200 6 /cgi-bin/hello\n" for a, b in sorted(served)))
        clocks = {"schema_version": 1, "start_ns": 1, "hosts": hosts}
        (path / "load/clocks.json").write_text(json.dumps(clocks))
        return path


def _clock(role: str, offset_ns: int, trouble: str = "") -> dict[str, Any]:
    return {"role": role, "offset_ns": offset_ns, "uncertainty_ns": 2 * MS, "trouble": trouble}


def checks(directory: Path) -> dict[str, measure.Check]:
    return {c.name: c for c in measure.measure(directory).checks}


def test_rows_of_clocks_that_differ_are_one_load_on_the_servers_clock(tmp_path: Path) -> None:
    directory = Loaded().write(tmp_path)

    got = measure.measure(directory)

    assert {c.name: c.state for c in got.checks if c.state == "failed"} == {}
    assert {c.name for c in got.checks if c.state == "passed"} >= {"generators", "rows", "access_log", "little"}
    assert got.figures.requests == pytest.approx(10 * WINDOW_S * 1e6 / LATENCY_US, abs=20)
    assert got.figures.throughput_rps == pytest.approx(200, rel=0.05)


def test_answers_without_latencies_are_merged_as_well(tmp_path: Path) -> None:
    directory = Loaded().write(tmp_path)
    want = measure.measure(directory).figures
    for result in (directory / "result.json", *directory.glob("load/*/result.json")):
        result.write_text(result.read_text().replace('"driver": "h2load"', '"driver": "wrk"'))
    for log in directory.glob("load/*/rows.log"):
        rows = [line.split("\t") for line in log.read_text().splitlines()]
        log.write_text("".join(f"{int(start) + int(took)}\t{status}\n" for start, status, took in rows))
        (log.parent / "stdout.txt").write_text(f"  {len(rows)} requests in 5.00s, 1.0MB read\n")

    got = measure.measure(directory)

    assert {c.name: c.state for c in got.checks if c.state == "failed"} == {}
    assert {c.name for c in got.checks if c.state == "passed"} >= {"generators", "rows", "access_log"}
    assert (got.figures.requests, got.figures.throughput_rps) == (want.requests, want.throughput_rps)
    assert got.figures.latency_p99_ms is None
    assert [row["clients"] for row in got.generators] == [5, 5]
    assert measure.write_rows(directory) is None


def test_without_the_offsets_the_same_rows_would_contradict_the_server(tmp_path: Path) -> None:
    """The merge is not right by luck: 0.7 s off and unmapped, client and server count different answers."""
    directory = Loaded().write(tmp_path)
    clocks = json.loads((directory / "load/clocks.json").read_text())
    clocks["hosts"]["g2"]["offset_ns"] = 0
    (directory / "load/clocks.json").write_text(json.dumps(clocks))

    assert {c.name for c in checks(directory).values() if c.failed} >= {"generators", "access_log"}


def test_the_column_file_holds_every_row_of_every_generator_and_says_whose_it_is(tmp_path: Path) -> None:
    loaded = Loaded(g1=Generator(clients=3), g2=Generator(clients=4, offset_ns=9 * MS))
    directory = loaded.write(tmp_path)

    written = measure.write_rows(directory)

    assert written is not None
    frame = pl.read_parquet(written)

    counts = dict(frame.group_by("generator").len().iter_rows())
    assert counts == {"g1": len(loaded.g1.rows()), "g2": len(loaded.g2.rows())}
    of_g2 = frame.filter(pl.col("generator") == "g2")["start_us"].to_numpy()
    own = np.array([start for start, _, _ in loaded.g2.rows()])
    assert set((own - of_g2).tolist()) == {(9 * MS - SERVER_OFFSET_NS) // 1000}


@pytest.mark.parametrize(
    ("change", "want"),
    [
        pytest.param({"ended": "failed"}, "the load of g2 is failed: h2load exited", id="killed"),
        pytest.param(
            {"state": "lost", "came_home": False},
            "the generator g2 is lost: no route",
            id="unreachable",
        ),
        pytest.param({"lag_s": 0.25}, "g2 started 0.250 s late; 0.2 s are allowed", id="late"),
        pytest.param({"begin_s": 0.1}, "did not cover the window: .* after its begin", id="slow"),
        pytest.param({"end_s": 3.5}, "did not cover the window: .* before its end", id="gave up"),
        pytest.param({"trouble": "the clock of g2 moved"}, "the clock of g2 moved", id="clock set"),
    ],
)
def test_a_generator_that_did_not_do_its_part_makes_the_trial_invalid(
    tmp_path: Path, change: dict[str, Any], want: str
) -> None:
    loaded = Loaded()

    got = checks(replace(loaded, g2=replace(loaded.g2, **change)).write(tmp_path))["generators"]

    assert got.failed
    assert got.kind is FailureKind.CLIENT
    assert re.search(want, got.reason), got.reason


def test_the_busiest_generator_is_the_figure_and_a_saturated_one_is_named(tmp_path: Path) -> None:
    directory = Loaded(g1=Generator(cpu=0.4), g2=Generator(cpu=0.97)).write(tmp_path)

    got = measure.measure(directory)

    assert got.figures.driver_cpu_share == pytest.approx(0.97, abs=0.01)
    assert "on g2 was saturated" in checks(directory)["driver"].reason
    assert [(r["generator"], r["clients"], round(r["cpu_share"], 1)) for r in got.generators] == [
        ("g1", 5, 0.4),
        ("g2", 5, 1.0),
    ]


def test_requests_that_the_servers_log_lacks_are_noticed_on_the_merged_rows(tmp_path: Path) -> None:
    directory = Loaded().write(tmp_path)
    log = directory / "logs/access_log"
    log.write_text("".join(log.read_text().splitlines(keepends=True)[::2]))

    assert checks(directory)["access_log"].failed


def test_a_refused_load_leaves_no_part_and_no_rows(tmp_path: Path) -> None:
    directory = Loaded(g1=Generator(came_home=False), g2=Generator(came_home=False)).write(tmp_path)

    got = merging.merged(directory, read_result(directory / "result.json"))

    assert got.requests is None
    assert got.totals is None
    assert got.cpu_share is None
    assert not measure.has_rows(directory)


def test_a_torn_agreement_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    directory = Loaded().write(tmp_path)
    (directory / "load/clocks.json").write_text('{"schema_version": 1, "hosts": {}}')

    with pytest.raises(StoreError, match="start_ns is missing") as caught:
        measure.measure(directory)

    assert caught.value.where.endswith("clocks.json")
