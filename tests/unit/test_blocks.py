"""A block whose trials are disturbed: run again, and said in time where the host itself is what to look at."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cgidlab.engine import blocks
from cgidlab.engine.loading import Request, load_plan
from cgidlab.model import FailureKind, Figures, Outcome, Status, Trial, TrialRecord
from cgidlab.parsers.host_report import HostReport
from cgidlab.progress import Display
from cgidlab.runs import ending, store

ROOT = Path(__file__).parents[2]
HOST = HostReport("h1", "python3", become=False, work_dir="", helper="", httpd={}, scripts_dir="", tools={}, raw={})


def record(trial: Trial, *, noisy: bool) -> TrialRecord:
    kind = FailureKind.NOISE if noisy else None
    outcome = Outcome(trial.key, Status.INVALID if noisy else Status.COMPLETE, "noisy" if noisy else "", kind)
    where = f"trials/{trial.directory}"
    settings = trial.cell.settings
    return TrialRecord(trial.number, trial.block, trial.key, where, "h1", (), settings, outcome, Figures(), 0.1, None)


@pytest.mark.parametrize(("noisy_share", "said"), [(1.0, True), (0.3, False)])
def test_a_host_that_does_other_work_is_named_when_most_of_a_block_is_disturbed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noisy_share: float, *, said: bool
) -> None:
    loaded = load_plan(Request(ROOT / "experiments" / "backlog-sweep.yml", ROOT))
    run = store.create(tmp_path, loaded.plan, "20260101T000000Z-0000")
    trials = tuple(t for t in loaded.plan.trials if t.block == 1)
    calls = 0

    def play(_: object, some: Sequence[Trial], *__: Any) -> list[TrialRecord]:  # noqa: ANN401 -- what is handed on
        nonlocal calls
        calls += 1
        for trial in some:  # it came home
            (run.path / "trials" / trial.directory).mkdir(parents=True, exist_ok=True)
            (run.path / "trials" / trial.directory / "result.json").write_text("{}")
        noisy = round(noisy_share * len(some)) if calls == 1 else 0
        return [record(t, noisy=n < noisy) for n, t in enumerate(some)]

    monkeypatch.setattr(blocks, "_trials", play)
    stream = io.StringIO()

    kept = blocks.one_block(loaded, run, HOST, trials, Display(stream), lambda: False)

    assert calls == 2
    assert {r.key for r in kept if r.outcome.status is Status.COMPLETE} == {t.key for t in trials}
    assert ("h1 does other work" in stream.getvalue()) is said
    assert (ending.go_on(run) in stream.getvalue().replace("\n", "")) is said
