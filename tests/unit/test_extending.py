"""A run that never began is begun anew, and one that has ended gets more blocks."""

import json
from dataclasses import replace

import pytest

from cgidlab import cli
from cgidlab.engine import extending, resuming
from cgidlab.engine.extending import More
from cgidlab.errors import SpecError
from cgidlab.model import Repetitions
from cgidlab.runs import ending, store
from tests.unit.run_directories import ROOT
from tests.unit.test_resuming import Lab, lab

__all__ = ["lab"]


def loaded(run: store.RunDirectory, more: More) -> resuming.Continued:
    return resuming.load(run, ROOT, None, None, more)


def test_a_run_that_never_came_to_a_trial_is_begun_anew_without_asking(lab: Lab) -> None:
    """Provisioning failed at night: cron's next run has to begin, and not to stop with exit 2 for ever."""
    lab.run("20260101T000000Z-aaaa", done=0)

    assert resuming.interrupted(lab.request, lab.results) is None


def test_behind_a_run_that_never_began_the_one_before_is_still_asked_about(lab: Lab) -> None:
    run = lab.run("20260101T000000Z-aaaa", done=2)
    lab.run("20260102T000000Z-bbbb", done=0)

    found = resuming.interrupted(lab.request, lab.results)

    assert found is not None
    assert found.directory == run.path


def test_more_blocks_come_behind_those_that_are_there_and_the_old_looks_stay(lab: Lab) -> None:
    run = lab.run("20260101T000000Z-aaaa", store.FINISHED, done=6)

    continued = loaded(run, More(blocks=4))

    repetitions = continued.loaded.plan.experiment.repetitions
    assert (repetitions.min, repetitions.max, repetitions.looked, repetitions.asked) == (7, 7, (3,), (3, 3))
    assert continued.pending == 8
    assert [t.number for t in continued.loaded.plan.trials] == list(range(1, 15))
    assert {t.key for t in lab.plan.trials} < {t.key for t in continued.loaded.plan.trials}
    assert continued.differences == ()


def test_new_trials_have_numbers_that_no_rerun_has_had(lab: Lab) -> None:
    run = lab.run("20260101T000000Z-aaaa", store.FINISHED, done=6)
    lab.keep(run, replace(lab.plan.trials[0], number=7))

    continued = loaded(run, More(blocks=1))

    assert [t.number for t in continued.loaded.plan.trials] == [1, 2, 3, 4, 5, 6, 8, 9]


def test_an_extended_plan_is_read_back_as_it_was_and_asks_what_its_file_asks(lab: Lab) -> None:
    run = lab.run("20260101T000000Z-aaaa", store.FINISHED, done=6)
    plan = loaded(run, More(blocks=4)).loaded.plan
    run.write("plan.json", store.plan_json(plan))

    assert store.experiment_of(run) == plan.experiment
    assert run.read("plan.json")["repetitions"]["max"] == 3
    assert run.read("plan.json")["extended"] == {"min": 7, "max": 7, "looked": [3]}
    run.set_state(store.INTERRUPTED)
    found = resuming.interrupted(lab.request, lab.results)
    assert found is not None, "it is a run of the same file"
    again = resuming.load(run, ROOT, lab.request)
    assert again.differences == ()
    assert [t.number for t in again.loaded.plan.trials] == [t.number for t in plan.trials]


def test_until_decided_looks_within_what_its_budget_allows(lab: Lab) -> None:
    run = lab.run("20260101T000000Z-aaaa", store.FINISHED, done=6)
    run.set_state(store.FINISHED, spent={"blocks": 3, "spent_s": 30.0})

    repetitions = loaded(run, More(budget_s=100.0)).loaded.plan.experiment.repetitions

    assert (repetitions.min, repetitions.max, repetitions.looked) == (4, 13, (3,))


def test_nothing_to_extend_and_too_little_time_are_refused(lab: Lab) -> None:
    with pytest.raises(SpecError, match="no block of it was run yet"):
        loaded(lab.run("20260101T000000Z-aaaa", done=0), More(blocks=4))
    run = lab.run("20260102T000000Z-bbbb", store.FINISHED, done=6)
    run.set_state(store.FINISHED, spent={"blocks": 3, "spent_s": 300.0})
    with pytest.raises(SpecError, match="no further block fits"):
        loaded(run, More(budget_s=50.0))
    with pytest.raises(SpecError, match="more than 1000 cannot be planned"):
        loaded(run, More(blocks=2000))


@pytest.mark.parametrize(
    ("words", "want"),
    [
        (["--blocks", "+4"], "only a run that is there can get more blocks"),
        (["--resume", "20260101T000000Z-aaaa", "--blocks", "4"], "--blocks takes how many more, not `4`"),
        (["--resume", "20260101T000000Z-aaaa", "--until", "decided"], "add --budget 1h"),
    ],
)
def test_a_command_that_cannot_extend_says_what_to_add(
    lab: Lab, words: list[str], want: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.run("20260101T000000Z-aaaa", store.FINISHED, done=6)

    argv = ["run", *([] if "--resume" in words else [str(lab.request.experiment)]), "--results", str(lab.results)]

    assert cli.main([*argv, *words]) == 2
    assert want in capsys.readouterr().err


def test_how_a_run_ended_is_told_by_its_trials_and_its_state(lab: Lab) -> None:
    run = lab.run("20260101T000000Z-aaaa", done=3)
    records = resuming.standing(run, lab.plan.experiment).done

    found = ending.how(run, store.experiment_of(run), records)

    assert (found.interrupted, found.done, found.planned, found.whole_blocks, found.planned_blocks) == (
        True,
        3,
        6,
        1,
        3,
    )
    assert found.command == f"./runner.py run --resume {run.path}"
    assert json.loads((run.path / "state.json").read_text())["state"] == "interrupted"


def test_a_fixed_number_of_blocks_stays_one_look_where_nothing_was_extended() -> None:
    assert extending.More(blocks=1) == More(1, None)
    assert Repetitions(6, 6).fixed
