"""Check the trace of a run against a run directory with known times."""

import json
from pathlib import Path

from cgidlab.runs.profiling import write_trace

REPO = Path(__file__).resolve().parent.parent.parent


TRIAL = {
    "schema_version": 1,
    "number": 1,
    "block": 1,
    "key": "k",
    "host": "web1",
    "levels": {},
    "settings": {"warmup_s": 1.0, "window_s": 2.0},
}


def result(begin_ns: int) -> dict[str, object]:
    """Return a result like the recorded one, with one phase of 2 s."""
    value: dict[str, object] = json.loads((REPO / "tests/data/trial/result.json").read_text())
    value["clock"] = {"realtime_ns": 1_700_000_010_000_000_000, "monotonic_ns": 5_000_000_000}
    value["phases"] = [{"name": "window", "begin_ns": begin_ns, "end_ns": begin_ns + 2_000_000_000}]
    return value


def test_runner_and_hosts_share_one_clock_in_the_trace(tmp_path: Path) -> None:
    trial = tmp_path / "trials" / "001-a-b1"
    trial.mkdir(parents=True)
    (trial / "trial.json").write_text(json.dumps(TRIAL))
    (trial / "result.json").write_text(json.dumps(result(begin_ns=6_000_000_000)))
    torn = tmp_path / "trials" / "002-a-b1"
    torn.mkdir()
    (torn / "trial.json").write_text("{")

    path = write_trace(tmp_path, [(1_700_000_000.0, "provisioning"), (1_700_000_009.0, "block 1")], 1_700_000_014.0)

    events = json.loads(path.read_text())["traceEvents"]
    spans = {e["name"]: (e["tid"], e["ts"], e["dur"]) for e in events if e["ph"] == "X"}
    # The phase began one second after the clock was read, which was 10 s after the run's first step.
    assert spans == {
        "provisioning": (0, 0, 9_000_000),
        "block 1": (0, 9_000_000, 5_000_000),
        "window": (1, 11_000_000, 2_000_000),
    }
    assert {e["args"]["name"]: e["tid"] for e in events if e["ph"] == "M"} == {"the runner": 0, "web1": 1}
