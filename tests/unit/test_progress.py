"""What is shown while a run goes on: columns, whole lines in a log, a sign of life, and a time left that is true."""

import io
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from cgidlab import progress
from cgidlab.model import FailureKind, Figures, Outcome, Status, Trial
from cgidlab.progress import LOUD, QUIET, Display
from tests.unit.run_directories import planned
from tests.waiting import eventually

GOOD = Figures(
    throughput_rps=1482.4, latency_p99_ms=94.2, queue_depth_max=101, queue_limit=100, workers_in_connect_max=380
)


@pytest.fixture
def trials(tmp_path: Path) -> tuple[Trial, ...]:
    return planned(tmp_path).trials


def shown(display: Display, stream: io.StringIO, trials: tuple[Trial, ...], figures: Figures = GOOD) -> list[str]:
    display.expect(len(trials), 60.0, {t.cell.id: t.cell for t in trials}.values())
    for trial in trials:
        display.trial(trial, Outcome(trial.key, Status.COMPLETE, "", None), figures)
    return stream.getvalue().splitlines()


def test_a_log_has_a_line_a_trial_in_columns_and_each_block_once(trials: tuple[Trial, ...]) -> None:
    stream = io.StringIO()

    lines = shown(Display(stream), stream, trials)

    assert lines[0] == "6 trials to come, about 60 s"
    assert [line for line in lines if line.startswith("block ")] == ["block 1", "block 2", "block 3"]
    rows = [line for line in lines if " of 6 " in line]
    assert len(rows) == 6
    assert "queue full" in rows[0]
    assert "101" not in rows[0]
    assert len({row.index("req/s") for row in rows}) == 1, "columns"
    assert rows[-1].endswith("0 s left")


@pytest.mark.parametrize("width", [60, 80, 100])
def test_on_a_terminal_no_line_of_a_trial_is_wider_than_it(
    trials: tuple[Trial, ...], width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    display = Display(stream)
    monkeypatch.setattr(display, "_console", Console(file=stream, force_terminal=True, width=width, soft_wrap=True))

    lines = shown(display, stream, trials)

    assert all(len(line) <= width for line in lines), [line for line in lines if len(line) > width]
    assert any("1,482 req/s" in line for line in lines)


def test_a_trial_that_failed_is_red_on_a_terminal_unless_that_is_not_wanted(
    trials: tuple[Trial, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = Outcome(trials[0].key, Status.FAILED, "httpd ended", FailureKind.SUT)

    def said() -> str:
        stream = io.StringIO()
        display = Display(stream)
        monkeypatch.setattr(display, "_console", Console(file=stream, force_terminal=True, width=90))
        display.trial(trials[0], failed, Figures())
        return stream.getvalue()

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b[31m" in said()
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[31m" not in said()
    assert "failed: httpd ended" in said()


def test_a_log_shows_a_sign_of_life_where_nothing_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SIGN_OF_LIFE_S", 0.5)
    stream = io.StringIO()

    with Display(stream) as display:
        display.step("provisioning: Build httpd")
        end = time.monotonic() + 20
        while not stream.getvalue() and time.monotonic() < end:
            time.sleep(0.05)

    assert stream.getvalue().startswith("... provisioning: Build httpd, for ")


def test_the_time_left_is_the_plans_at_first_and_not_a_first_trials_pace(
    trials: tuple[Trial, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first trial of a run has Ansible's start in its time: six times that is no estimate."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    display = Display(stream)
    display.expect(60, 120.0)

    now[0] += 10.0
    display.trial(trials[0], Outcome(trials[0].key, Status.COMPLETE, "", None), GOOD)

    assert "2 min left" in stream.getvalue(), stream.getvalue()  # its pace alone would say ten


def test_quiet_says_nothing_and_loud_each_step(trials: tuple[Trial, ...]) -> None:
    quiet, loud = io.StringIO(), io.StringIO()

    shown(Display(quiet, level=QUIET), quiet, trials)
    with Display(loud, level=LOUD) as display:
        display.step("provisioning: Survey the host")

    assert quiet.getvalue() == ""
    assert loud.getvalue() == "provisioning: Survey the host\n"


def test_the_same_line_is_said_once_and_a_queue_of_which_all_places_are_taken_is_full() -> None:
    stream = io.StringIO()
    display = Display(stream)
    display.say("warning: x")
    display.say("warning: x")

    assert stream.getvalue() == "warning: x\n"
    assert progress.queue_words(100, 100) == "queue 100 of 100"
    assert progress.columns(replace(GOOD, queue_depth_max=None))[2] == ""


def test_before_trials_the_time_left_is_of_all_that_is_to_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SIGN_OF_LIFE_S", 0.5)
    stream = io.StringIO()

    with Display(stream) as display:
        display.stage(100.0, later_s=500.0)
        display.step("provisioning: Build httpd")
        assert eventually(lambda: "provisioning: Build httpd, for " in stream.getvalue(), 20)

    assert "; about 10 min left\n" in stream.getvalue()


def test_trials_that_others_come_behind_are_not_all_that_is_left(trials: tuple[Trial, ...]) -> None:
    """Those of a calibration, which the run's own follow."""
    stream = io.StringIO()
    display = Display(stream)
    done = Outcome(trials[0].key, Status.COMPLETE, "", None)

    display.stage(40.0, later_s=600.0)
    display.expect(60, 120.0)
    display.trial(trials[0], done, GOOD)
    assert stream.getvalue().endswith("12 min left\n"), stream.getvalue()

    display.stage(None, later_s=0.0)
    display.expect(60, 120.0)
    display.trial(trials[0], done, GOOD)
    assert stream.getvalue().endswith("  2 min left\n"), stream.getvalue()
