"""A trial that came home is judged by what it was meant to be."""

import json
from pathlib import Path

import pytest

from cgidlab.model import FailureKind, Figures, NoisePolicy, Status
from cgidlab.runs import headroom, records
from tests.unit import trial_records
from tests.unit.test_measure import Trial

CALM = NoisePolicy(None, None, 0)


@pytest.mark.parametrize(
    ("state", "levels", "want"),
    [
        ("unavailable", ("strace",), Status.INVALID),
        ("unavailable", ("listen_backlog",), Status.COMPLETE),
        ("off", ("strace",), Status.COMPLETE),
        ("ran", ("strace",), Status.COMPLETE),
    ],
    ids=["its factor did not run", "it is no factor", "its level is off", "it ran"],
)
def test_a_trial_whose_factor_is_an_instrument_that_did_not_run_is_not_what_it_says(
    tmp_path: Path, state: str, levels: tuple[str, ...], want: Status
) -> None:
    directory = Trial().write(tmp_path)
    result = json.loads((directory / "result.json").read_text())
    result["instruments"]["strace"] = {"state": state, "reason": "strace is not installed"}
    (directory / "result.json").write_text(json.dumps(result))

    outcome = records.judge(directory, "k", CALM, levels)

    assert outcome.status is want
    if want is Status.INVALID:
        assert outcome.kind is FailureKind.TREATMENT
        assert outcome.reason == "strace is a factor and did not run: strace is not installed"


PROVENANCE = {"load_headroom": {"local": {"h2load": {"throughput_rps": 2000.0}, "ab": {"reason": "ab ended"}}}}


@pytest.mark.parametrize(
    ("driver", "provenance", "want"),
    [("h2load", PROVENANCE, 0.25), ("ab", PROVENANCE, None), ("wrk", PROVENANCE, None), ("h2load", {}, None)],
    ids=["measured", "not to be had", "another driver", "a run from before"],
)
def test_a_trials_throughput_is_compared_with_what_its_own_generator_can_do(
    driver: str, provenance: dict[str, object], want: float | None
) -> None:
    figures = Figures(throughput_rps=500.0)
    record = trial_records.trial(1, figures, {"listen_backlog": "100"}, settings={"driver": driver})

    assert headroom.applied(record, provenance).figures.driver_headroom_share == want
