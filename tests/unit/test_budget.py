"""A budget drops whole blocks, never levels, and is refused before anything is touched where no block fits."""

from dataclasses import replace
from pathlib import Path

import pytest

from cgidlab import cli
from cgidlab.analysis.analyse import analyse
from cgidlab.commands import options
from cgidlab.design import catalogue, plan, spec, strict_yaml
from cgidlab.errors import SpecError
from cgidlab.model import Figures, Plan
from cgidlab.verdict import judge
from tests.unit.trial_records import experiment, trial

ROOT = Path(__file__).parents[2]
CATALOGUE = catalogue.load(ROOT / "roles")
SMOKE = ROOT / "experiments" / "smoke.yml"


@pytest.fixture(scope="module")
def smoke() -> Plan:
    ten = spec.build(strict_yaml.read(SMOKE), CATALOGUE)
    return plan.make(replace(ten, repetitions=replace(ten.repetitions, min=10, max=10)), CATALOGUE)


def test_before_the_first_block_the_estimate_decides(smoke: Plan) -> None:
    one_s = plan.estimated_s(smoke, 1)

    assert plan.blocks_within(smoke, 3.5 * one_s) == 3
    assert plan.blocks_within(smoke, 0.9 * one_s) == 0


@pytest.mark.parametrize(
    ("budget_s", "done", "elapsed_s", "want"),
    [
        pytest.param(100, 2, 40, 5, id="three more at twenty seconds each"),
        pytest.param(99, 2, 40, 4, id="none that would end after the budget"),
        pytest.param(100, 2, 200, 2, id="what is done stays done"),
        pytest.param(100, 2, 0.2, 10, id="never more than the plan has"),
    ],
)
def test_afterwards_the_pace_decides(smoke: Plan, budget_s: float, done: int, elapsed_s: float, want: int) -> None:
    assert plan.blocks_within(smoke, budget_s, done=done, elapsed_s=elapsed_s) == want


def test_a_budget_that_no_block_fits_into_is_refused_before_anything_is_touched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exit_status = cli.main(["run", str(SMOKE), "--budget", "2s", "--results", str(tmp_path)])

    assert exit_status == 2
    assert "no block fits into 2 s" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("text", "want"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("1.5h", 5400)])
def test_a_duration_has_a_unit(text: str, want: float) -> None:
    assert options.duration_of("--budget")(text) == want


@pytest.mark.parametrize("text", ["30", "m", "-5m", "0s", "1d", "1e3s", "nan", ""])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="a duration is"):
        options.duration_of("--budget")(text)


def test_a_number_alone_is_seconds_where_an_option_says_so() -> None:
    assert options.duration_of("--duration", seconds_alone=True)("60") == 60


@pytest.mark.parametrize(
    ("verb", "option", "word"),
    [
        (["run", str(SMOKE)], "--budget", "foo"),
        (["observe"], "--duration", "foo"),
        (["observe"], "--around", "foo"),
        (["observe"], "--cost", "foo"),
        (["compare", "A", "B"], "--threshold", "foo"),
    ],
)
def test_a_word_that_is_none_is_told_with_its_own_option(
    verb: list[str], option: str, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*verb, option, word]) == 2

    err = capsys.readouterr().err
    assert option in err
    assert len({o for o in ("--budget", "--duration", "--around", "--cost", "--threshold") if o in err}) == 1


@pytest.mark.parametrize(("text", "want"), [("5%", 0.05), ("0.05", 0.05), ("20%", 0.2)])
def test_a_threshold_is_a_share(text: str, want: float) -> None:
    assert options.share_of("--threshold", "a threshold is a share")(text) == pytest.approx(want)


@pytest.mark.parametrize("text", ["5", "0", "-1%", "100%", "nan", "x"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="a threshold is"):
        options.share_of("--threshold", "a threshold is a share")(text)


def test_the_verdict_says_what_cut_the_run() -> None:
    records = [trial(b, Figures(throughput_rps=9.0), {"listen_backlog": lb}) for b in (1, 2) for lb in ("5", "100")]
    note = "the budget of 60 s cut the run to 2 blocks of the 6 planned"

    got = judge(analyse(records, experiment(records)), records, [note])

    assert note in got.warnings
    assert note in got.text
